/*
 * Quantizing one linear, piece by piece, slices of rows in parallel. With one scale per tensor the
 * weights are read more than once: for their range, for the errors of the ranges that are tried,
 * for the codes. Sums run over the rows of a slice, then over slices, in their order: never in that
 * of threads.
 */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "quant/code_parts.h"
#include "tensor/dtype.h"
#include "tensor/finite.h"

enum { MAX_TRIES = 64, SLICE_WEIGHTS = 1 << 16 };
_Static_assert((int)GRAM_MSE_TRIES <= (int)MAX_TRIES, "a method with more tries needs more room");

/* Memory of one worker: a row as floats and as codes. */
struct scratch {
    float *row;
    uint8_t *codes;
};

struct slice_result {
    double squared_error, squares;
    double try_error[MAX_TRIES];
    struct gram_range range;
    uint64_t nonfinite, clipped;
    int64_t bad_row; /* of the piece: not finite, and that is not allowed; -1 */
};

struct coder {
    const struct gram_writer *writer;
    struct gram_unit *unit;
    struct gram_parts parts;
    struct gram_grid grid;
    const struct gram_method *method;
    int64_t cols, span, groups; /* weights per scale, scales per row */
    int64_t slice_rows;

    bool is_one;             /* one scale for the tensor: */
    struct gram_range range; /* known after the first pass */
    struct gram_step step;   /* known before the last */

    struct gram_piece piece;
    struct scratch *scratch;      /* [threads] */
    struct slice_result *results; /* [slices of a piece] */
    char *codes;                  /* of a piece, as they are stored */
    struct gram_arena arena;
};

/* ---- rows ---- */

/* NaN becomes 0 and Inf the largest finite magnitude of the row: codes can say neither. */
static uint64_t tame(float *x, int64_t n)
{
    float most = 0.0f;
    uint64_t found = 0;

    for (int64_t i = 0; i < n; i++)
        most = isfinite(x[i]) && fabsf(x[i]) > most ? fabsf(x[i]) : most;
    for (int64_t i = 0; i < n; i++) {
        if (isfinite(x[i]))
            continue;
        x[i] = isnan(x[i]) ? 0.0f : copysignf(most, x[i]);
        found++;
    }
    return found;
}

/* Row r of the piece as floats; false if it may not be used. */
static bool load_row(const struct coder *c, float *row, int64_t r, struct slice_result *result)
{
    gram_read_f32(row, c->piece.data, c->piece.tensor->dtype, r * c->cols, c->cols);
    if (gram_range_add(&result->range, row, c->cols))
        return true;
    if (!c->writer->allow_nonfinite) {
        result->bad_row = r;
        return false;
    }
    result->nonfinite += tame(row, c->cols);
    return gram_range_add(&result->range, row, c->cols);
}

static struct gram_step step_of(const struct coder *c, const float *x)
{
    struct gram_range range = {0};

    if (c->is_one)
        return c->step;
    gram_range_add(&range, x, c->span);
    return gram_method_step(c->method, &c->grid, range, x, c->span);
}

typedef void row_fn(const struct coder *c, struct scratch *scratch, int64_t r,
                    struct slice_result *result);

static void encode_row(const struct coder *c, struct scratch *scratch, int64_t r,
                       struct slice_result *result)
{
    for (int64_t g = 0; g < c->groups; g++) {
        const float *x = scratch->row + g * c->span;
        const struct gram_step step = step_of(c, x);
        result->squared_error +=
            gram_grid_encode(scratch->codes + g * c->span, &c->grid, step, x, c->span);
        result->squares += gram_sum_squares(x, c->span);
        if (c->is_one)
            continue;
        result->clipped += gram_step_is_saturated(&c->grid, step);
        gram_parts_step(&c->parts, (c->piece.begin + r) * c->groups + g, step);
    }
    gram_parts_pack(&c->parts, c->codes + r * c->parts.row_bytes, scratch->codes);
}

/* Only for the range, which loading finds. */
static void look_at_row(const struct coder *c, struct scratch *scratch, int64_t r,
                        struct slice_result *result)
{
    (void)c, (void)scratch, (void)r, (void)result;
}

static void try_row(const struct coder *c, struct scratch *scratch, int64_t r,
                    struct slice_result *result)
{
    (void)r;
    for (int i = 0; i < c->method->n_tries; i++) {
        const struct gram_step step = gram_method_try(c->method, &c->grid, c->range, i);
        result->try_error[i] += gram_grid_error(&c->grid, step, scratch->row, c->cols);
    }
}

/* ---- pieces ---- */

struct pass {
    const struct coder *coder;
    row_fn *fn;
};

static void run_slice(void *context, int64_t begin, int64_t end, int worker)
{
    const struct pass *pass = context;
    const struct coder *c = pass->coder;
    struct scratch *scratch = &c->scratch[worker];

    for (int64_t i = begin; i < end; i++) {
        struct slice_result *result = &c->results[i];
        const int64_t last = gram_min_i64(c->piece.end - c->piece.begin, (i + 1) * c->slice_rows);
        *result = (struct slice_result){.bad_row = -1};
        for (int64_t r = i * c->slice_rows; r < last; r++) {
            if (!load_row(c, scratch->row, r, result))
                break;
            pass->fn(c, scratch, r, result);
        }
    }
}

static enum gram_status fail_row(const struct coder *c, int64_t r, struct gram_error *err)
{
    const struct gram_piece *piece = &c->piece;
    const int64_t col =
        gram_find_nonfinite(piece->data + r * piece->row_bytes, piece->tensor->dtype, c->cols);
    if (col < c->cols)
        return gram_fail_nonfinite(c->writer, piece, r * c->cols + col,
                                   "; to quantize the rest all the same, allow it", err);
    return gram_fail(err, GRAM_ENONFINITE, "%s: row %lld holds a value beyond the range of f32",
                     piece->tensor->name, (long long)(piece->begin + r));
}

/* Run fn over the rows of the piece; *sum receives what its slices found. */
static enum gram_status run_piece(const struct coder *c, bool is_first_time, row_fn *fn,
                                  struct slice_result *sum, struct gram_error *err)
{
    struct pass pass = {c, fn};
    const int64_t slices = gram_ceil_div(c->piece.end - c->piece.begin, c->slice_rows);

    GRAM_TRY(gram_stream_run(c->writer->stream, &c->piece, is_first_time, slices, run_slice, &pass,
                             err));
    for (int64_t i = 0; i < slices; i++) {
        const struct slice_result *s = &c->results[i];
        if (s->bad_row >= 0)
            return fail_row(c, s->bad_row, err);
        sum->squared_error += s->squared_error;
        sum->squares += s->squares;
        sum->nonfinite += s->nonfinite;
        sum->clipped += s->clipped;
        gram_range_merge(&sum->range, &s->range);
        for (int t = 0; t < c->method->n_tries; t++)
            sum->try_error[t] += s->try_error[t];
    }
    return GRAM_OK;
}

/* fn over all rows of the tensor; codes are written where fn makes them. */
static enum gram_status pass_over(struct coder *c, bool is_first_time, row_fn *fn,
                                  struct slice_result *sum, struct gram_error *err)
{
    *sum = (struct slice_result){0};
    for (int64_t row = 0; gram_stream_piece(c->unit->source, row, &c->piece); row = c->piece.end) {
        GRAM_TRY(run_piece(c, is_first_time, fn, sum, err));
        if (fn == encode_row)
            GRAM_TRY(gram_parts_rows(&c->parts, c->piece.begin, c->piece.end - c->piece.begin,
                                     c->codes, err));
    }
    return GRAM_OK;
}

/* ---- one scale for the tensor ---- */

static enum gram_status find_step(struct coder *c, struct gram_error *err)
{
    struct slice_result sum;
    int best = 0;

    GRAM_TRY(pass_over(c, true, look_at_row, &sum, err));
    c->range = sum.range;
    if (c->method->n_tries > 1)
        GRAM_TRY(pass_over(c, false, try_row, &sum, err));
    for (int i = 1; i < c->method->n_tries; i++) {
        if (sum.try_error[i] < sum.try_error[best])
            best = i;
    }
    c->step = gram_method_try(c->method, &c->grid, c->range, best);
    gram_parts_step(&c->parts, 0, c->step);
    return GRAM_OK;
}

/* ---- the tensor ---- */

static bool take_memory(struct coder *c)
{
    const int threads = gram_pool_threads(c->writer->stream->pool);
    struct gram_piece first;

    bool ok = gram_parts_open(&c->parts, c->writer, c->unit, &c->arena);
    if (!gram_stream_piece(c->unit->source, 0, &first))
        return ok;
    const size_t rows = (size_t)(first.end - first.begin);

    c->scratch = gram_arena_take(&c->arena, (size_t)threads, sizeof *c->scratch);
    for (int i = 0; c->scratch && i < threads; i++) {
        c->scratch[i].row = gram_arena_take(&c->arena, (size_t)c->cols, sizeof(float));
        c->scratch[i].codes = gram_arena_take(&c->arena, (size_t)c->cols, 1);
        ok &= c->scratch[i].row && c->scratch[i].codes;
    }
    c->codes = gram_arena_take(&c->arena, rows, (size_t)c->parts.row_bytes);
    c->results = gram_arena_take(&c->arena, rows / (size_t)c->slice_rows + 1, sizeof *c->results);
    return ok && c->scratch && c->codes && c->results;
}

static enum gram_status write_all(struct coder *c, struct gram_error *err)
{
    struct gram_unit_result *result = &c->unit->result;
    struct slice_result sum;

    if (!take_memory(c))
        return gram_fail_memory(err, c->unit->source->name);
    if (c->is_one)
        GRAM_TRY(find_step(c, err));
    GRAM_TRY(pass_over(c, !c->is_one, encode_row, &sum, err));
    GRAM_TRY(gram_parts_finish(&c->parts, err));
    result->squared_error = sum.squared_error;
    result->squares = sum.squares;
    result->nonfinite = sum.nonfinite;
    result->clipped = sum.clipped + (c->is_one && gram_step_is_saturated(&c->grid, c->step));
    return GRAM_OK;
}

enum gram_status gram_write_codes(const struct gram_writer *writer, struct gram_unit *unit,
                                  struct gram_error *err)
{
    const struct gram_scheme *scheme = &unit->how.scheme;
    const int64_t cols = unit->slot->cols;
    struct coder c = {
        .writer = writer,
        .unit = unit,
        .grid = gram_unit_grid(unit),
        .method = unit->how.method,
        .cols = cols,
        .span = gram_scheme_span(scheme, cols),
        .groups = cols / gram_scheme_span(scheme, cols),
        .slice_rows = gram_max_i64(1, SLICE_WEIGHTS / cols),
        .is_one = scheme->granularity == GRAM_PER_TENSOR,
    };
    const enum gram_status status = write_all(&c, err);
    gram_arena_reset(&c.arena);
    return status;
}
