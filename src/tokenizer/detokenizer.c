/* Ids to text: a list at once, or one by one. */
#include <stdlib.h>

#include "base/buf.h"
#include "tokenizer/parts.h"

struct gram_detokenizer {
    const struct gram_tokenizer *tokenizer;
    bool skip_special;
    struct gram_decoding state;
    struct gram_buf text; /* what the last call returned */
};

/* Append what one more id makes available. */
static enum gram_status push_id(const struct gram_tokenizer *tokenizer, struct gram_decoding *state,
                                int32_t id, bool skip_special, struct gram_buf *out,
                                struct gram_error *err)
{
    if (id < 0 || id >= tokenizer->vocab.n)
        return gram_fail(err, GRAM_EINVAL, "token id %d is outside the vocabulary of %d", (int)id,
                         (int)tokenizer->vocab.n);
    const struct gram_token *token = &tokenizer->vocab.at[id];
    if (!token->text || (skip_special && token->is_special))
        return GRAM_OK;
    return gram_decoding_push(state, token->text, token->len, out, err);
}

enum gram_status gram_tokenizer_decode(const struct gram_tokenizer *tokenizer, const int32_t *ids,
                                       size_t n, bool skip_special, char **text, size_t *len,
                                       struct gram_error *err)
{
    struct gram_decoding state = {.list = &tokenizer->decoders};
    struct gram_buf out = {0};
    enum gram_status status = GRAM_OK;

    *text = NULL;
    for (size_t i = 0; i < n && status == GRAM_OK; i++)
        status = push_id(tokenizer, &state, ids[i], skip_special, &out, err);
    if (status == GRAM_OK)
        status = gram_decoding_finish(&state, &out, err);
    gram_buf_add(&out, "", 0); /* an empty text is terminated too */
    if (status == GRAM_OK && out.failed)
        status = gram_fail_memory(err, "a text");
    gram_decoding_reset(&state);
    if (status != GRAM_OK) {
        gram_buf_reset(&out);
        return status;
    }
    *text = out.at;
    if (len)
        *len = out.len;
    return GRAM_OK;
}

enum gram_status gram_detokenizer_open(struct gram_detokenizer **out,
                                       const struct gram_tokenizer *tokenizer, bool skip_special,
                                       struct gram_error *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return gram_fail_memory(err, "a detokenizer");
    (*out)->tokenizer = tokenizer;
    (*out)->skip_special = skip_special;
    (*out)->state.list = &tokenizer->decoders;
    return GRAM_OK;
}

void gram_detokenizer_close(struct gram_detokenizer **detokenizer)
{
    if (!*detokenizer)
        return;
    gram_decoding_reset(&(*detokenizer)->state);
    gram_buf_reset(&(*detokenizer)->text);
    free(*detokenizer);
    *detokenizer = NULL;
}

/* Hand the collected text out, "" if there is none or the call failed. */
static enum gram_status show(struct gram_detokenizer *d, enum gram_status status, const char **text,
                             struct gram_error *err)
{
    gram_buf_add(&d->text, "", 0);
    if (status == GRAM_OK && d->text.failed)
        status = gram_fail_memory(err, "a text");
    *text = status == GRAM_OK ? d->text.at : "";
    return status;
}

enum gram_status gram_detokenizer_push(struct gram_detokenizer *detokenizer, int32_t id,
                                       const char **text, struct gram_error *err)
{
    struct gram_detokenizer *d = detokenizer;

    d->text.len = 0;
    return show(d, push_id(d->tokenizer, &d->state, id, d->skip_special, &d->text, err), text, err);
}

enum gram_status gram_detokenizer_flush(struct gram_detokenizer *detokenizer, const char **text,
                                        struct gram_error *err)
{
    struct gram_detokenizer *d = detokenizer;

    d->text.len = 0;
    enum gram_status status = gram_decoding_finish(&d->state, &d->text, err);
    gram_decoding_reset(&d->state); /* the next push starts a new text */
    return show(d, status, text, err);
}
