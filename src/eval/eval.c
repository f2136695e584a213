/*
 * Perplexity, and KL divergence to a reference that runs beside the model, window by window: nothing is
 * stored but one number per position.
 */
#include <gram/eval.h>

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include <gram/session.h>
#include "base/checked.h"
#include "engine/model.h"

enum { DEFAULT_CONTEXT = 2048, ROWS = 64 };

struct side {
    struct gram_session *session;
    float *logits; /* [ROWS, vocab] */
};

/* What one position contributes. */
struct score {
    double nll, nll_reference, kl;
    bool same_top, is_finite;
};

struct eval {
    const struct gram_job *job;
    struct gram_eval_report *report;
    struct side model, reference; /* reference.session is NULL without one */
    int64_t vocab;
    const int32_t *next;          /* [rows]: the tokens to be predicted by the rows at hand */
    struct score scores[ROWS];
    double *kl;                   /* [counted so far] */
    double nll_reference, kl_sum;
    uint64_t same_top;
};

/* log of the sum of exponentials, and the index of the highest logit. */
static double log_sum_exp(const float *x, int64_t n, int64_t *top)
{
    double sum = 0;
    *top = 0;
    for (int64_t i = 1; i < n; i++) {
        if (x[i] > x[*top])
            *top = i;
    }
    for (int64_t i = 0; i < n; i++)
        sum += (double)expf(x[i] - x[*top]);
    return (double)x[*top] + log(sum);
}

/* KL(reference || model) = sum p_ref (log p_ref - log p_model); rounding may make it -1e-9: then it is 0. */
static double divergence(const float *reference, double reference_log, const float *model,
                         double model_log, int64_t n)
{
    double kl = 0;
    for (int64_t i = 0; i < n; i++) {
        const double log_p = (double)reference[i] - reference_log;
        kl += (double)expf((float)log_p) * (log_p - ((double)model[i] - model_log));
    }
    return fmax(kl, 0);
}

static void score_rows(void *context, int64_t begin, int64_t end, int worker)
{
    struct eval *e = context;
    (void)worker;
    for (int64_t t = begin; t < end; t++) {
        const float *x = e->model.logits + t * e->vocab;
        struct score *score = &e->scores[t];
        int64_t top, top_reference;
        const double log_sum = log_sum_exp(x, e->vocab, &top);
        *score = (struct score){.nll = log_sum - (double)x[e->next[t]]};
        score->is_finite = isfinite(score->nll);
        if (!e->reference.session)
            continue;
        const float *r = e->reference.logits + t * e->vocab;
        const double reference_log = log_sum_exp(r, e->vocab, &top_reference);
        score->nll_reference = reference_log - (double)r[e->next[t]];
        score->kl = divergence(r, reference_log, x, log_sum, e->vocab);
        score->same_top = top == top_reference;
        score->is_finite = score->is_finite && isfinite(score->kl) &&
                           isfinite(score->nll_reference);
    }
}

static enum gram_status add_scores(struct eval *e, int64_t rows, int64_t position,
                                   struct gram_error *err)
{
    for (int64_t t = 0; t < rows; t++) {
        const struct score *score = &e->scores[t];
        if (!score->is_finite)
            return gram_fail(err, GRAM_ENONFINITE,
                             "a logit at token %" PRId64 " of the text is not a number",
                             position + t);
        e->report->nll += score->nll;
        e->nll_reference += score->nll_reference;
        e->kl_sum += score->kl;
        e->same_top += score->same_top;
        if (e->kl)
            e->kl[e->report->tokens] = score->kl;
        e->report->tokens++;
    }
    return GRAM_OK;
}

static enum gram_status feed(struct side *side, const int32_t *tokens, int64_t n,
                             struct gram_error *err)
{
    return side->session
               ? gram_session_feed(side->session, tokens, (size_t)n, side->logits, (size_t)n, err)
               : GRAM_OK;
}

/* One window: every token but the last is fed, every token but the first is predicted. */
static enum gram_status eval_window(struct eval *e, struct gram_pool *pool, const int32_t *tokens,
                                    int64_t n, int64_t position, struct gram_error *err)
{
    gram_session_rewind(e->model.session, 0);
    if (e->reference.session)
        gram_session_rewind(e->reference.session, 0);
    for (int64_t at = 0; at < n - 1; at += ROWS) {
        const int64_t rows = gram_min_i64(ROWS, n - 1 - at);
        GRAM_TRY(feed(&e->model, tokens + at, rows, err));
        GRAM_TRY(feed(&e->reference, tokens + at, rows, err));
        e->next = tokens + at + 1;
        gram_pool_for(pool, rows, 1, score_rows, e);
        GRAM_TRY(add_scores(e, rows, position + at, err));
    }
    e->report->windows++;
    return GRAM_OK;
}

static enum gram_status report_progress(const struct eval *e, int64_t done, int64_t total,
                                        struct gram_error *err)
{
    const struct gram_job *job = e->job;
    if (job && job->progress) {
        const struct gram_progress progress = {"eval", "", (uint64_t)done, (uint64_t)total,
                                               "tokens"};
        job->progress(job->user, &progress);
    }
    if (job && job->cancelled && job->cancelled(job->user))
        return gram_fail(err, GRAM_ECANCELED, "interrupted after %" PRId64 " of %" PRId64 " tokens",
                         done, total);
    return GRAM_OK;
}

static enum gram_status eval_windows(struct eval *e, struct gram_pool *pool, const int32_t *tokens,
                                     int64_t n, int64_t context, struct gram_error *err)
{
    for (int64_t at = 0; at < n; at += context) {
        const int64_t window = gram_min_i64(context, n - at);
        GRAM_TRY(report_progress(e, at, n, err));
        if (window >= 2)
            GRAM_TRY(eval_window(e, pool, tokens + at, window, at, err));
    }
    return report_progress(e, n, n, err);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The smallest value that 99 % of the positions do not exceed (nearest rank). */
static double percentile_99(double *values, uint64_t n)
{
    qsort(values, n, sizeof *values, by_value);
    return values[(n * 99 + 99) / 100 - 1];
}

static void summarize(struct eval *e)
{
    struct gram_eval_report *r = e->report;
    const double n = (double)r->tokens;

    r->ppl = exp(r->nll / n);
    r->has_reference = e->reference.session != NULL;
    if (!r->has_reference)
        return;
    r->ppl_reference = exp(e->nll_reference / n);
    r->kl_mean = e->kl_sum / n;
    r->kl_p99 = percentile_99(e->kl, r->tokens);
    r->top1_agreement = (double)e->same_top / n;
}

static enum gram_status open_side(struct side *side, const struct gram_model *model,
                                  int64_t context, const char *kv, struct gram_error *err)
{
    struct gram_session_options options = GRAM_SESSION_OPTIONS_INIT;

    if (!model)
        return GRAM_OK;
    options.context = context;
    options.batch = ROWS;
    options.kv = kv;
    GRAM_TRY(gram_session_open(&side->session, model, &options, err));
    side->logits = calloc(ROWS, (size_t)model->ck.desc.hp.vocab * sizeof(float));
    return side->logits ? GRAM_OK : gram_fail_memory(err, "logits");
}

static void close_side(struct side *side)
{
    gram_session_close(&side->session);
    free(side->logits);
}

static enum gram_status check_arguments(const struct gram_model *model,
                                        const struct gram_model *reference, int64_t n,
                                        int64_t context, struct gram_error *err)
{
    const int64_t vocab = model->ck.desc.hp.vocab;

    if (n < 2)
        return gram_fail(err, GRAM_EINVAL, "%" PRId64 " tokens are too few to measure: at least 2",
                         n);
    if (context < 2 || context > 1 << 27)
        return gram_fail(err, GRAM_EINVAL, "a window of %" PRId64 " tokens is not between 2 and %d",
                         context, 1 << 27);
    if (reference && reference->ck.desc.hp.vocab != vocab)
        return gram_fail(err, GRAM_EINVAL,
                         "the reference has %" PRId64 " tokens in its vocabulary, the model %" PRId64,
                         reference->ck.desc.hp.vocab, vocab);
    return GRAM_OK;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static enum gram_status run(struct eval *e, const struct gram_model *model,
                            const struct gram_model *reference, const int32_t *tokens, int64_t n,
                            int64_t context, const char *kv, struct gram_error *err)
{
    GRAM_TRY(open_side(&e->model, model, context, kv, err));
    GRAM_TRY(open_side(&e->reference, reference, context, kv, err));
    if (reference && !(e->kl = calloc((size_t)n, sizeof *e->kl)))
        return gram_fail_memory(err, "divergences");
    GRAM_TRY(eval_windows(e, model->rt->pool, tokens, n, context, err));
    summarize(e);
    return GRAM_OK;
}

enum gram_status gram_eval(struct gram_eval_report *report, const struct gram_model *model,
                           const struct gram_model *reference, const int32_t *tokens, size_t n,
                           const struct gram_eval_options *options, const struct gram_job *job,
                           struct gram_error *err)
{
    const struct gram_eval_options defaults = GRAM_EVAL_OPTIONS_INIT;
    const double start = now();

    *report = (struct gram_eval_report){0};
    if (!options)
        options = &defaults;
    const int64_t context = options->context
                                ? options->context
                                : gram_min_i64(model->ck.desc.hp.context, DEFAULT_CONTEXT);
    int64_t count = n > INT64_MAX ? INT64_MAX : (int64_t)n;
    if (options->max_tokens > 0)
        count = gram_min_i64(count, options->max_tokens);
    GRAM_TRY(check_arguments(model, reference, count, context, err));
    struct eval *e = calloc(1, sizeof *e);
    if (!e)
        return gram_fail_memory(err, "an evaluation");
    *e = (struct eval){.job = job, .report = report, .vocab = model->ck.desc.hp.vocab};
    const enum gram_status status = run(e, model, reference, tokens, count, context, options->kv, err);
    close_side(&e->model);
    close_side(&e->reference);
    free(e->kl);
    free(e);
    report->seconds = now() - start;
    return status;
}
