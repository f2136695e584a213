/* Feeding a prompt, picking tokens, showing text as soon as it is certain. */
#include "answer.h"

#include <stdlib.h>
#include <string.h>

#include "job.h"
#include "output.h"

enum { PROMPT_CHUNK = 512 };

static enum gram_status open_sampler(struct answer *a, const struct run_options *o,
                                     struct gram_error *err)
{
    struct gram_sampler_options options = GRAM_SAMPLER_OPTIONS_INIT;

    options.temperature = (float)o->temperature;
    options.top_k = (int)o->top_k;
    options.top_p = (float)o->top_p;
    options.min_p = (float)o->min_p;
    options.seed = (uint64_t)o->seed;
    return gram_sampler_open(&a->sampler, a->loaded.info.vocab, &options, err);
}

static enum gram_status open_session(struct answer *a, const struct run_options *o,
                                     struct gram_error *err)
{
    struct gram_session_options options = GRAM_SESSION_OPTIONS_INIT;

    options.context = o->context;
    options.batch = PROMPT_CHUNK;
    options.kv = o->kv;
    enum gram_status st = gram_session_open(&a->session, a->loaded.model, &options, err);
    if (st != GRAM_OK)
        return st;
    const int64_t context = gram_session_context(a->session);
    if (a->prompt.len > (size_t)context)
        return refuse(err, GRAM_EINVAL,
                      "the prompt has %zu tokens and the context holds %lld; "
                      "shorten it or raise --ctx",
                      a->prompt.len, (long long)context);
    return GRAM_OK;
}

static enum gram_status read_prompt(struct answer *a, const char *prompt, bool with_bos,
                                    struct gram_error *err)
{
    char *text = NULL;
    size_t len = prompt ? strlen(prompt) : 0;
    enum gram_status st = GRAM_OK;

    if (!prompt || strcmp(prompt, "-") == 0)
        st = read_text("-", &text, &len, err);
    if (text && len > 0 && text[len - 1] == '\n')
        len--;
    if (st == GRAM_OK)
        st = encode_text(a->loaded.tokenizer, text ? text : prompt, len, with_bos, &a->prompt, err);
    free(text);
    if (st == GRAM_OK && a->prompt.len == 0)
        return refuse(err, GRAM_EINVAL,
                      "the prompt is empty, and the tokenizer puts nothing in front");
    return st;
}

enum gram_status answer_open(struct answer *a, const char *model, const char *prompt,
                             const struct run_options *o, struct gram_error *err)
{
    enum gram_status st = load_tokenizer(&a->loaded, model, err);
    if (st == GRAM_OK)
        st = read_prompt(a, prompt, !o->no_bos, err);
    if (st == GRAM_OK)
        st = load_adapted(&a->loaded, model, o->adapters, &o->common, err);
    if (st == GRAM_OK)
        st = gram_detokenizer_open(&a->detokenizer, a->loaded.tokenizer, true, err);
    if (st == GRAM_OK)
        st = open_sampler(a, o, err);
    if (st == GRAM_OK)
        st = open_session(a, o, err);
    if (st != GRAM_OK)
        return st;
    a->keep = o->common.json;
    a->stopper.stops = o->stops;
    a->logits = malloc((size_t)a->loaded.info.vocab * sizeof a->logits[0]);
    a->ids = malloc((size_t)o->n * sizeof a->ids[0]);
    return a->logits && a->ids ? GRAM_OK : refuse(err, GRAM_ENOMEM, "memory ran out");
}

void answer_close(struct answer *a)
{
    gram_session_close(&a->session);
    gram_sampler_close(&a->sampler);
    gram_detokenizer_close(&a->detokenizer);
    loaded_close(&a->loaded);
    stopper_reset(&a->stopper);
    gram_ids_reset(&a->prompt);
    free(a->logits);
    free(a->ids);
    free(a->text);
}

/* Print text, or keep it for the JSON object. */
static enum gram_status show(struct answer *a, const char *text, size_t n, struct gram_error *err)
{
    if (n == 0)
        return GRAM_OK;
    if (!a->keep) {
        fwrite(text, 1, n, stdout);
        return output_flush() ? GRAM_OK : refuse(err, GRAM_EIO, "the text could not be written");
    }
    char *grown = realloc(a->text, a->text_len + n + 1);
    if (!grown)
        return refuse(err, GRAM_ENOMEM, "memory ran out");
    a->text = grown;
    memcpy(a->text + a->text_len, text, n);
    a->text_len += n;
    a->text[a->text_len] = '\0';
    return GRAM_OK;
}

enum gram_status answer_echo(struct answer *a, struct gram_error *err)
{
    char *text;
    size_t len;

    enum gram_status st = gram_tokenizer_decode(a->loaded.tokenizer, a->prompt.at, a->prompt.len,
                                                true, &text, &len, err);
    if (st == GRAM_OK)
        st = show(a, text, len, err);
    if (st == GRAM_OK)
        free(text);
    return st;
}

/* In chunks, so that Ctrl-C is seen; the last one gives the logits. */
static enum gram_status feed_prompt(struct answer *a, struct gram_error *err)
{
    const double since = clock_seconds();

    for (size_t at = 0; at < a->prompt.len; at += PROMPT_CHUNK) {
        const size_t left = a->prompt.len - at, n = left < PROMPT_CHUNK ? left : PROMPT_CHUNK;
        if (signals_received())
            return refuse(err, GRAM_ECANCELED, "interrupted");
        const enum gram_status st = gram_session_feed(a->session, a->prompt.at + at, n,
                                                      n == left ? a->logits : NULL, n == left, err);
        if (st != GRAM_OK)
            return st;
    }
    a->prompt_seconds = clock_seconds() - since;
    return GRAM_OK;
}

/* The detokenizer also sees the special tokens, which it drops. */
static enum gram_status show_token(struct answer *a, int32_t id, struct gram_error *err)
{
    const char *text, *out;
    size_t n;

    enum gram_status st = gram_detokenizer_push(a->detokenizer, id, &text, err);
    if (st == GRAM_OK)
        st = stopper_push(&a->stopper, text, &out, &n, err);
    return st == GRAM_OK ? show(a, out, n, err) : st;
}

static enum gram_status show_rest(struct answer *a, struct gram_error *err)
{
    const char *text, *out;
    size_t n;

    enum gram_status st = gram_detokenizer_flush(a->detokenizer, &text, err);
    if (st == GRAM_OK)
        st = stopper_push(&a->stopper, text, &out, &n, err);
    if (st == GRAM_OK)
        st = show(a, out, n, err);
    stopper_flush(&a->stopper, &out, &n);
    return st == GRAM_OK ? show(a, out, n, err) : st;
}

static enum gram_status generate(struct answer *a, int64_t n, struct gram_error *err)
{
    const double since = clock_seconds();
    enum gram_status st = GRAM_OK;

    while (st == GRAM_OK && !a->reason) {
        int32_t id;

        if (signals_received())
            return refuse(err, GRAM_ECANCELED, "interrupted");
        st = gram_sampler_pick(a->sampler, a->logits, &id, err);
        if (st != GRAM_OK)
            return st;
        a->ids[a->n_ids++] = id;
        if (gram_tokenizer_is_eos(a->loaded.tokenizer, id))
            a->reason = "eos";
        else
            st = show_token(a, id, err);
        if (a->stopper.is_done)
            a->reason = "stop";
        else if (!a->reason && a->n_ids == n)
            a->reason = "length";
        else if (!a->reason && gram_session_length(a->session) == gram_session_context(a->session))
            a->reason = "context";
        if (st == GRAM_OK && !a->reason)
            st = gram_session_feed(a->session, &id, 1, a->logits, 1, err);
    }
    a->seconds = clock_seconds() - since;
    return st == GRAM_OK ? show_rest(a, err) : st;
}

enum gram_status answer_generate(struct answer *a, int64_t n, struct gram_error *err)
{
    const enum gram_status st = feed_prompt(a, err);

    return st == GRAM_OK ? generate(a, n, err) : st;
}
