#include "train/freeze.h"

#include <math.h>
#include <string.h>

#include "formats/bitsandbytes.h"
#include "quant/linalg.h"
#include "quant/steps.h"

/* ---- codes ---- */

static enum gram_status encode(struct gram_coded *coded, const float *x,
                               const struct gram_freeze *how, struct gram_arena *arena,
                               struct gram_error *err)
{
    const struct gram_grid grid = gram_scheme_grid(how->scheme, how->scale_dtype);
    const struct gram_step_rule rule = {.is_searched = false};

    if (!coded->codes && !gram_coded_open(coded, &grid, how->rows, how->cols,
                                          gram_scheme_span(how->scheme, how->cols),
                                          how->scheme->granularity == GRAM_PER_TENSOR, arena))
        return gram_fail_memory(err, how->name);
    gram_steps_find(coded, x, &rule, how->pool);
    gram_coded_round(coded, x, how->pool);
    return GRAM_OK;
}

/* ---- as the kernels see them ---- */

static enum gram_status take_steps(struct gram_weight *w, const struct gram_coded *coded,
                                   const struct gram_freeze *how, struct gram_arena *arena,
                                   struct gram_error *err)
{
    const int64_t n = coded->is_one ? 1 : coded->rows * coded->groups;
    float *scales = gram_arena_take(arena, (size_t)n, sizeof *scales);
    int8_t *zeros = gram_arena_take(arena, (size_t)n, 1);

    if (!scales || !zeros)
        return gram_fail_memory(err, how->name);
    for (int64_t i = 0; i < n; i++) {
        scales[i] = coded->steps[i].scale;
        zeros[i] = (int8_t)coded->steps[i].zero;
    }
    if (how->scheme->is_nested)
        GRAM_TRY(gram_bnb_nest_scales(scales, n, err));
    w->scales = scales;
    w->zeros = coded->grid.asymmetric ? zeros : NULL;
    return GRAM_OK;
}

static enum gram_status pack(struct gram_weight *w, const struct gram_coded *coded,
                             const struct gram_freeze *how, struct gram_arena *arena,
                             struct gram_error *err)
{
    const struct gram_codebook *book = how->scheme->codebook;
    const bool is_bnb = book && how->scheme->bits == 4;
    const int64_t row_bytes =
        is_bnb ? how->cols / 2 : gram_code_row_bytes(how->cols, how->scheme->bits);
    char *codes = gram_arena_take(arena, (size_t)how->rows, (size_t)row_bytes);

    if (!codes)
        return gram_fail_memory(err, how->name);
    for (int64_t r = 0; r < how->rows; r++) {
        const uint8_t *from = coded->codes + r * how->cols;
        if (is_bnb)
            gram_bnb_pack(codes + r * row_bytes, how->scheme, from, how->cols);
        else
            gram_codes_pack(codes + r * row_bytes, from, how->cols, how->scheme->bits);
    }
    *w = (struct gram_weight){.rows = how->rows,
                              .cols = how->cols,
                              .data = codes,
                              .row_bytes = row_bytes,
                              .bits = how->scheme->bits,
                              .high_first = is_bnb,
                              .table = book ? book->values : NULL,
                              .group = coded->span,
                              .scale_dtype = GRAM_F32,
                              .scale_stride = coded->is_one ? 0 : coded->groups,
                              .is_nested = how->scheme->is_nested};
    return take_steps(w, coded, how, arena, err);
}

enum gram_status gram_freeze_linear(struct gram_weight *w, struct gram_coded *coded, const float *x,
                                    const struct gram_freeze *how, struct gram_arena *arena,
                                    struct gram_error *err)
{
    struct gram_arena scratch = {0};
    struct gram_coded own = {0};

    if (coded)
        *coded = own;
    enum gram_status status = encode(coded ? coded : &own, x, how, coded ? arena : &scratch, err);
    if (status == GRAM_OK)
        status = pack(w, coded ? coded : &own, how, arena, err);
    gram_arena_reset(&scratch);
    return status;
}

/* ---- LoftQ ---- */

struct loftq {
    const struct gram_freeze *how;
    const struct gram_lora *lora;
    struct gram_lora_pair *pair;
    const struct gram_weight *w;
    const float *x;
    float *rest;    /* [rows][cols]: x - codes, then also - s B A; or x - s B A */
    float *scratch; /* [threads][cols] */
    double *sums;   /* [rows] */
    bool with_codes, with_pair;
};

static void subtract_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct loftq *q = context;
    const int64_t cols = q->how->cols;
    float *decoded = q->scratch + worker * cols;

    for (int64_t r = begin; r < end; r++) {
        float *rest = q->rest + r * cols;
        memset(decoded, 0, (size_t)cols * sizeof *decoded);
        if (q->with_codes)
            q->how->kernels->decode[gram_weight_storage(q->w)](decoded, q->w, r, 0, cols);
        if (q->with_pair)
            gram_lora_add_row(q->lora, q->pair, 1.0, r, decoded);
        for (int64_t i = 0; i < cols; i++)
            rest[i] = q->x[r * cols + i] - decoded[i];
        q->sums[r] = gram_sum_squares(rest, cols);
    }
}

/* rest = x less what is asked for; its sum of squares. */
static double subtract(struct loftq *q, bool with_codes, bool with_pair)
{
    double sum = 0.0;

    q->with_codes = with_codes;
    q->with_pair = with_pair;
    gram_pool_for(q->how->pool, q->how->rows, 8, subtract_rows, q);
    for (int64_t r = 0; r < q->how->rows; r++)
        sum += q->sums[r];
    return sum;
}

/* s B A = the best product of this rank for rest, its weight shared evenly. */
static enum gram_status fit_pair(struct loftq *q, struct gram_error *err)
{
    struct gram_lora_pair *p = q->pair;
    const double share = 1.0 / sqrt(gram_lora_scale(q->lora, p));

    if (gram_low_rank_fit(p->b, p->a, q->rest, q->how->rows, q->how->cols, p->rank) != GRAM_OK)
        return gram_fail(err, GRAM_ENUMERIC, "%s: what its codes miss has no singular vectors",
                         q->how->name);
    for (int64_t i = 0; i < q->how->rows * p->rank; i++)
        p->b[i] = (float)(share * (double)p->b[i]);
    for (int64_t i = 0; i < p->rank * q->how->cols; i++)
        p->a[i] = (float)(share * (double)p->a[i]);
    return GRAM_OK;
}

static enum gram_status run_loftq(struct loftq *q, struct gram_weight *w, struct gram_coded *coded,
                                  int iterations, struct gram_loftq_result *result,
                                  struct gram_arena *arena, struct gram_error *err)
{
    result->squares = gram_sum_squares(q->x, q->how->rows * q->how->cols);
    for (int i = 0; i < iterations; i++) {
        if (i > 0)
            subtract(q, false, true);
        GRAM_TRY(gram_freeze_linear(w, coded, i > 0 ? q->rest : q->x, q->how, arena, err));
        const double missed = subtract(q, true, false);
        result->before = i == 0 ? missed : result->before;
        GRAM_TRY(fit_pair(q, err));
    }
    result->after = subtract(q, true, true);
    return GRAM_OK;
}

enum gram_status gram_freeze_loftq(struct gram_weight *w, struct gram_coded *coded, const float *x,
                                   const struct gram_freeze *how, const struct gram_lora *lora,
                                   struct gram_lora_pair *pair, int iterations,
                                   struct gram_loftq_result *result, struct gram_arena *arena,
                                   struct gram_error *err)
{
    struct gram_arena scratch = {0};
    struct loftq q = {.how = how, .lora = lora, .pair = pair, .w = w, .x = x};
    const size_t cols = (size_t)how->cols;

    q.rest = gram_arena_take(&scratch, (size_t)how->rows, cols * sizeof *q.rest);
    q.scratch =
        gram_arena_take(&scratch, (size_t)gram_pool_threads(how->pool), cols * sizeof(float));
    q.sums = gram_arena_take(&scratch, (size_t)how->rows, sizeof *q.sums);
    const enum gram_status status = q.rest && q.scratch && q.sums
                                        ? run_loftq(&q, w, coded, iterations, result, arena, err)
                                        : gram_fail_memory(err, how->name);
    gram_arena_reset(&scratch);
    return status;
}
