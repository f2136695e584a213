#include "tuning.h"

#include <math.h>
#include <unistd.h>

const char *hamlet(void)
{
    return source_path("models/hamlet");
}

const char *out_path(void)
{
    static char paths[16][128];
    static int next;
    char *path = paths[next++ % 16];

    snprintf(path, sizeof paths[0], "%s/out", fresh_folder());
    return path;
}

const char *unread_text(size_t most)
{
    static char path[128];
    size_t n;
    char *whole = read_file(source_path("CONTRIBUTING.md"), &n);

    snprintf(path, sizeof path, "%s/text.txt", fresh_folder());
    write_file(path, whole, n < most ? n : most);
    free(whole);
    return path;
}

struct gram_runtime *open_runtime(int threads, const char *activations)
{
    struct gram_runtime_options options = GRAM_RUNTIME_OPTIONS_INIT;
    struct gram_runtime *rt;
    struct gram_error err;

    options.threads = threads;
    if (activations)
        options.activations = activations;
    MUST(gram_runtime_open(&rt, &options, &err));
    return rt;
}

const char *quantized(struct gram_runtime *rt, const char *scheme, const char *method)
{
    struct gram_quantize_options options = GRAM_QUANTIZE_OPTIONS_INIT;
    const char *out = out_path();
    struct gram_error err;

    options.scheme = scheme;
    options.method = method;
    MUST(gram_quantize(rt, hamlet(), out, &options, NULL, NULL, &err));
    return out;
}

/* ---- interruptions ---- */

struct interruption {
    int64_t seen, stop;
};

static void count_step(void *user, const struct gram_tune_step *step)
{
    (void)step;
    ((struct interruption *)user)->seen++;
}

static bool is_time(void *user)
{
    const struct interruption *i = user;
    return i->seen == i->stop;
}

void tune_until(int64_t stop, struct gram_runtime *rt, const char *model, const char *out,
                const struct gram_tune_options *options)
{
    struct interruption interruption = {0, stop};
    const struct gram_job job = {.cancelled = is_time, .user = &interruption};
    struct gram_tune_options watched = *options;
    struct gram_error err;
    char part[64];

    watched.on_step = count_step;
    watched.user = &interruption;
    snprintf(part, sizeof part, "after step %d of %d", (int)stop, (int)options->steps);
    MUST_FAIL(GRAM_ECANCELED, part, gram_tune(rt, model, out, &watched, NULL, &job, &err));
    assert_int_not_equal(access(out, F_OK), 0);
}

void tune_on_from(int64_t stop, struct gram_runtime *rt, const char *model, const char *out,
                  const struct gram_tune_options *options)
{
    struct interruption interruption = {0};
    struct gram_tune_options watched = *options;
    struct gram_tune_report report;
    struct gram_error err;

    watched.on_step = count_step;
    watched.user = &interruption;
    MUST(gram_tune(rt, model, out, &watched, &report, NULL, &err));
    assert_int_equal(report.resumed_from, stop);
    assert_int_equal(interruption.seen, options->steps - stop);
}

void refuse_to_tune(struct gram_runtime *rt, const char *model,
                    const struct gram_tune_options *options, const char *part)
{
    const char *out = out_path();
    struct gram_error err;
    const enum gram_status status = gram_tune(rt, model, out, options, NULL, NULL, &err);

    if (status == GRAM_OK || !strstr(err.message, part))
        fail_msg("'%s' expected, status %d, '%s'", part, (int)status, err.message);
    assert_int_not_equal(access(out, F_OK), 0);
}

/* ---- comparisons ---- */

bool is_same_file(const char *a, const char *b, const char *name)
{
    char path[2][700];
    size_t n, m;

    snprintf(path[0], sizeof path[0], "%s/%s", a, name);
    snprintf(path[1], sizeof path[1], "%s/%s", b, name);
    char *x = read_file(path[0], &n), *y = read_file(path[1], &m);
    const bool is_same = n == m && memcmp(x, y, n) == 0;
    free(x);
    free(y);
    return is_same;
}

double loss_of(struct gram_runtime *rt, const char *path, const char *text, const char *kv)
{
    struct gram_eval_options options = GRAM_EVAL_OPTIONS_INIT;
    struct gram_eval_report report;
    struct gram_tokenizer *tokenizer;
    struct gram_model *model;
    struct gram_ids ids = {0};
    struct gram_error err;
    size_t n;

    MUST(gram_model_open(&model, rt, path, &err));
    MUST(gram_tokenizer_open(&tokenizer, path, &err));
    char *whole = read_file(text, &n);
    MUST(gram_tokenizer_encode(tokenizer, whole, n, 0, &ids, &err));
    options.context = 64;
    options.kv = kv;
    MUST(gram_eval(&report, model, NULL, ids.at, ids.len, &options, NULL, &err));
    free(whole);
    gram_ids_reset(&ids);
    gram_tokenizer_close(&tokenizer);
    gram_model_close(&model);
    return log(report.ppl);
}

enum { TOKENS = 64 };

static float *logits_of(struct gram_runtime *rt, const char *path, const char *adapter,
                        int64_t *vocab)
{
    struct gram_session_options options = GRAM_SESSION_OPTIONS_INIT;
    struct gram_model *model, *adapted = NULL;
    struct gram_session *session;
    struct gram_model_info info;
    int32_t tokens[TOKENS];
    struct gram_error err;

    MUST(gram_model_open(&model, rt, path, &err));
    if (adapter)
        MUST(gram_model_adapt(&adapted, model, &(struct gram_adapter){adapter, 1.0}, 1, &err));
    options.kv = "f32"; /* f16 would round what f32 tells apart */
    gram_model_info(model, &info);
    *vocab = info.vocab;
    for (int i = 0; i < TOKENS; i++)
        tokens[i] = (int32_t)((i * 7919 + 13) % info.vocab);
    float *logits = calloc((size_t)(TOKENS * info.vocab), sizeof *logits);
    MUST(gram_session_open(&session, adapted ? adapted : model, &options, &err));
    MUST(gram_session_feed(session, tokens, TOKENS, logits, TOKENS, &err));
    gram_session_close(&session);
    gram_model_close(&adapted);
    gram_model_close(&model);
    return logits;
}

double logits_apart(struct gram_runtime *rt, const char *a, const char *adapter, const char *b)
{
    int64_t vocab;
    float *x = logits_of(rt, a, adapter, &vocab), *y = logits_of(rt, b, NULL, &vocab);
    double most = 0.0, largest = 0.0;

    for (int64_t i = 0; i < TOKENS * vocab; i++) {
        most = fmax(most, fabs((double)x[i] - (double)y[i]));
        largest = fmax(largest, fabs((double)x[i]));
    }
    free(x);
    free(y);
    return most / largest;
}
