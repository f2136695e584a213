/*
 * Calibrating on what the model itself says (LLM-QAT, Liu et al. 2023): no data of the user's is
 * needed, and the activations are those that the model will meet.
 */
#include <stdlib.h>
#include <string.h>

#include <gram/sample.h>
#include <gram/session.h>
#include "base/buf.h"
#include "base/checked.h"
#include "base/rng.h"
#include "calib/corpus.h"

struct generation {
    struct gram_corpus *corpus;
    const struct gram_tokenizer *tokenizer;
    struct gram_session *session;
    struct gram_sampler *sampler;
    struct gram_rng rng;
    int64_t vocab, context;
    int32_t *tokens; /* [context] of the window at hand */
    float *logits;   /* [vocab] */
    size_t cap;      /* of corpus->windows, which is the caller's until the end */
};

static int32_t first_token(struct generation *g)
{
    const int32_t bos = gram_tokenizer_bos(g->tokenizer);
    return bos >= 0 && bos < g->vocab ? bos
                                      : (int32_t)(gram_rng_unit(&g->rng) * (double)g->vocab);
}

/* A window of at most `most` tokens, at least two. */
static enum gram_status sample_window(struct generation *g, int64_t most, int64_t *n,
                                      struct gram_error *err)
{
    gram_session_rewind(g->session, 0);
    g->tokens[0] = first_token(g);
    for (*n = 1; *n < most; ++*n) {
        GRAM_TRY(gram_session_feed(g->session, g->tokens + *n - 1, 1, g->logits, 1, err));
        GRAM_TRY(gram_sampler_pick(g->sampler, g->logits, &g->tokens[*n], err));
        if (gram_tokenizer_is_eos(g->tokenizer, g->tokens[*n]))
            break;
    }
    *n = gram_min_i64(*n + 1, most);
    return GRAM_OK;
}

static enum gram_status keep_window(struct generation *g, int64_t n, struct gram_error *err)
{
    struct gram_corpus *corpus = g->corpus;
    int32_t *tokens = gram_arena_take(&corpus->arena, (size_t)n, sizeof *tokens);

    if (!tokens || !gram_grow((void **)&corpus->windows, &g->cap, corpus->n_windows + 1,
                              sizeof *corpus->windows))
        return gram_fail_memory(err, "calibration windows");
    memcpy(tokens, g->tokens, (size_t)n * sizeof *tokens);
    corpus->windows[corpus->n_windows++] = (struct gram_window){tokens, n};
    corpus->tokens += n;
    return GRAM_OK;
}

static enum gram_status report(const struct gram_job *job, int64_t done, int64_t total,
                               struct gram_error *err)
{
    if (job && job->progress) {
        const struct gram_progress progress = {"generate", "", (uint64_t)done, (uint64_t)total,
                                               "tokens"};
        job->progress(job->user, &progress);
    }
    if (job && job->cancelled && job->cancelled(job->user))
        return gram_fail(err, GRAM_ECANCELED, "interrupted while calibration text was generated");
    return GRAM_OK;
}

static enum gram_status sample_all(struct generation *g, int64_t tokens, const struct gram_job *job,
                                   struct gram_error *err)
{
    while (tokens - g->corpus->tokens >= 2) {
        int64_t n;
        GRAM_TRY(report(job, g->corpus->tokens, tokens, err));
        GRAM_TRY(sample_window(g, gram_min_i64(g->context, tokens - g->corpus->tokens), &n, err));
        GRAM_TRY(keep_window(g, n, err));
    }
    return GRAM_OK;
}

static enum gram_status open_parts(struct generation *g, const struct gram_model *model,
                                   uint64_t seed, struct gram_error *err)
{
    struct gram_session_options session = GRAM_SESSION_OPTIONS_INIT;
    struct gram_sampler_options sampler = GRAM_SAMPLER_OPTIONS_INIT;
    struct gram_model_info info;

    gram_model_info(model, &info);
    g->vocab = info.vocab;
    session.context = g->context;
    session.batch = 1;
    sampler.temperature = 1.0f;
    sampler.seed = seed;
    g->tokens = calloc((size_t)g->context, sizeof *g->tokens);
    g->logits = calloc((size_t)g->vocab, sizeof *g->logits);
    if (!g->tokens || !g->logits)
        return gram_fail_memory(err, "calibration windows");
    GRAM_TRY(gram_session_open(&g->session, model, &session, err));
    return gram_sampler_open(&g->sampler, g->vocab, &sampler, err);
}

/* The list of windows moves to where the rest of the corpus is. */
static enum gram_status settle(struct gram_corpus *corpus, struct gram_error *err)
{
    struct gram_window *windows = corpus->windows;
    const size_t n = corpus->n_windows;

    corpus->windows = gram_arena_take(&corpus->arena, n, sizeof *windows);
    if (corpus->windows && n > 0)
        memcpy(corpus->windows, windows, n * sizeof *windows);
    free(windows);
    if (!corpus->windows) {
        corpus->n_windows = 0;
        return gram_fail_memory(err, "calibration windows");
    }
    return GRAM_OK;
}

enum gram_status gram_corpus_generate(struct gram_corpus *corpus, const struct gram_model *model,
                                      const struct gram_tokenizer *tokenizer, int64_t context,
                                      int64_t tokens, uint64_t seed, const struct gram_job *job,
                                      struct gram_error *err)
{
    struct generation g = {
        .corpus = corpus,
        .tokenizer = tokenizer,
        .rng = {seed},
        .context = context,
    };

    *corpus = (struct gram_corpus){0};
    GRAM_ASSERT(context >= 2 && tokens >= 2);
    enum gram_status status = open_parts(&g, model, seed, err);
    if (status == GRAM_OK)
        status = sample_all(&g, tokens, job, err);
    const enum gram_status settled = settle(corpus, status == GRAM_OK ? err : NULL);
    status = status == GRAM_OK ? settled : status;
    if (status == GRAM_OK)
        gram_corpus_hash(corpus);
    gram_session_close(&g.session);
    gram_sampler_close(&g.sampler);
    free(g.tokens);
    free(g.logits);
    return status;
}
