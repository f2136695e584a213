/* Rows go over the pool in slices; sums are added up in the order of slices. */
#include "quant/trial.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/cpu.h"
#include "quant/steps.h"

enum { SLICE = 32, MOST_ROWS = 512, BLOCK = 128 /* inputs of a product */ };

/* Rows of a reader. */
struct gram_trial_sample {
    const struct gram_scheme *scheme;
    struct gram_grid grid;
    const float *w;
    int64_t rows, taken, span;
    struct gram_step step; /* if there is one for the tensor */
    double act_variance;   /* of an input's rounding, in scaled units */
    double *errors;        /* [slices] */
};

static void sample_open(struct gram_trial_sample *sample, const struct gram_trial *trial, int slot)
{
    const struct gram_transform_call *call = trial->call;
    const struct gram_scheme *scheme = &call->assigned[slot].scheme;

    *sample = (struct gram_trial_sample){
        .scheme = scheme,
        .w = call->weights->values[slot],
        .rows = call->weights->desc->slots[slot].rows,
    };
    if (scheme->kind != GRAM_SCHEME_CODES)
        return; /* stays float: no rows are taken */
    sample->grid = gram_scheme_grid(scheme, GRAM_F32);
    sample->span = gram_scheme_span(scheme, trial->at->cols);
    sample->taken = gram_min_i64(sample->rows, MOST_ROWS);
}

bool gram_trial_open(struct gram_trial *trial, const struct gram_transform_call *call,
                     const struct gram_rescale *at)
{
    const size_t n = (size_t)at->n_readers, cols = (size_t)at->cols;
    const size_t workers = (size_t)gram_pool_threads(call->pool);

    *trial = (struct gram_trial){.call = call, .at = at};
    gram_kernels_init(&trial->kernels, gram_cpu_detect());
    trial->s = gram_arena_take(&trial->arena, cols, sizeof *trial->s);
    trial->samples = gram_arena_take(&trial->arena, n, sizeof *trial->samples);
    trial->scratch = gram_arena_take(&trial->arena, workers * 3 * SLICE * cols, sizeof(float));
    bool ok = trial->s && trial->samples && trial->scratch &&
              gram_product_open(&trial->gram, at->stats->gram, at->cols, gram_min_i64(BLOCK, at->cols),
                                &trial->kernels, call->pool, &trial->arena);
    for (int i = 0; ok && i < at->n_readers; i++) {
        sample_open(&trial->samples[i], trial, at->readers[i]);
        trial->samples[i].errors = gram_arena_take(&trial->arena, MOST_ROWS / SLICE, sizeof(double));
        ok = trial->samples[i].errors != NULL;
    }
    if (!ok)
        gram_trial_close(trial);
    return ok;
}

void gram_trial_close(struct gram_trial *trial)
{
    gram_arena_reset(&trial->arena);
    *trial = (struct gram_trial){0};
}

bool gram_trial_matters(const struct gram_trial *trial)
{
    int64_t taken = 0;
    for (int i = 0; i < trial->at->n_readers; i++)
        taken += trial->samples[i].taken;
    return taken > 0;
}

static int64_t row_at(const struct gram_trial_sample *sample, int64_t i)
{
    return i * sample->rows / sample->taken;
}

static void scale_row(float *x, const struct gram_trial *trial, const float *w)
{
    for (int64_t k = 0; k < trial->at->cols; k++)
        x[k] = w[k] * trial->s[k];
}

/* x[cols], scaled, as its codes will have it. */
static void round_row(float *x, const struct gram_trial_sample *sample, int64_t cols, uint8_t *codes)
{
    for (int64_t k = 0; k < cols; k += sample->span) {
        const int64_t n = gram_min_i64(sample->span, cols - k);
        const struct gram_step step = sample->scheme->granularity == GRAM_PER_TENSOR
                                          ? sample->step
                                          : gram_step_find(&sample->grid, false, x + k, NULL, n);
        gram_grid_encode(codes, &sample->grid, step, x + k, n);
        gram_grid_decode(x + k, &sample->grid, step, codes, n);
    }
}

struct trial_slice {
    struct gram_trial *trial;
    struct gram_trial_sample *sample;
};

static double slice_error(const struct trial_slice *c, int64_t first, int64_t rows, float *scratch)
{
    const struct gram_trial *trial = c->trial;
    const int64_t cols = trial->at->cols;
    float *e = scratch, *eg = e + SLICE * cols, *x = eg + SLICE * cols;
    uint8_t *codes = (uint8_t *)(x + cols);
    double error = 0, squares = 0;

    for (int64_t i = 0; i < rows; i++) {
        float *ei = e + i * cols;
        scale_row(x, trial, c->sample->w + row_at(c->sample, first + i) * cols);
        squares += gram_sum_squares(x, cols);
        memcpy(ei, x, (size_t)cols * sizeof *x);
        round_row(ei, c->sample, cols, codes);
        for (int64_t k = 0; k < cols; k++)
            ei[k] = (ei[k] - x[k]) / trial->s[k];
    }
    memset(eg, 0, (size_t)(rows * cols) * sizeof *eg);
    gram_product_add(&trial->gram, eg, e, rows);
    for (int64_t i = 0; i < rows * cols; i++)
        error += (double)e[i] * (double)eg[i];
    return error + squares * c->sample->act_variance;
}

static void try_slices(void *context, int64_t begin, int64_t end, int worker)
{
    const struct trial_slice *c = context;
    float *scratch = c->trial->scratch + worker * 3 * SLICE * c->trial->at->cols;

    for (int64_t i = begin; i < end; i++)
        c->sample->errors[i] = slice_error(
            c, i * SLICE, gram_min_i64(SLICE, c->sample->taken - i * SLICE), scratch);
}

/* The greatest scaled input. A token has a scale of its own when it is found as tokens come; its greatest
 * value is then about that of a channel which is always large, or three deviations of the others. */
static double greatest_input(const struct gram_trial *trial, const struct gram_scheme *scheme)
{
    const struct gram_input_stats *stats = trial->at->stats;
    double greatest = 0;

    for (int64_t k = 0; k < stats->cols; k++) {
        double x = (double)stats->absmax[k];
        if (!scheme->is_static)
            x = fmin(x, 3.0 * sqrt(fmax(0.0, (double)stats->gram[k * stats->cols + k])));
        x /= (double)trial->s[k];
        greatest = x > greatest ? x : greatest; /* fmax here and gcc 12 for aarch64 gives up */
    }
    return scheme->act_outlier > 0 ? fmin(greatest, (double)scheme->act_outlier) : greatest;
}

/* What depends on s but not on the row. */
static void prepare(const struct gram_trial *trial, struct gram_trial_sample *sample)
{
    float *x = trial->scratch;

    sample->act_variance = 0;
    if (sample->scheme->act_bits > 0) {
        const double step = greatest_input(trial, sample->scheme) / 127.0;
        sample->act_variance = step * step / 12.0;
    }
    if (sample->scheme->granularity == GRAM_PER_TENSOR) {
        struct gram_range range = {0};
        for (int64_t i = 0; i < sample->taken; i++) {
            scale_row(x, trial, sample->w + row_at(sample, i) * trial->at->cols);
            gram_range_add(&range, x, trial->at->cols);
        }
        sample->step = gram_grid_step(&sample->grid, range);
    }
}

double gram_trial_error(struct gram_trial *trial, const float *s)
{
    double total = 0;

    for (int64_t k = 0; k < trial->at->cols; k++)
        trial->s[k] = s[gram_rescale_channel(trial->at, k)];
    for (int i = 0; i < trial->at->n_readers; i++) {
        struct gram_trial_sample *sample = &trial->samples[i];
        struct trial_slice call = {trial, sample};
        const int64_t slices = gram_ceil_div(sample->taken, SLICE);
        double error = 0;

        if (slices == 0)
            continue;
        prepare(trial, sample);
        gram_pool_for(trial->call->pool, slices, 1, try_slices, &call);
        for (int64_t k = 0; k < slices; k++)
            error += sample->errors[k];
        total += error * (double)sample->rows / (double)sample->taken;
    }
    return total;
}
