#include "train/held.h"

#include <math.h>

#include "base/checked.h"
#include "tensor/dtype.h"

enum { ROWS = 16, COLUMNS = 256 }; /* of a piece of work; decoded at a time */

static const struct gram_tensor *find_steps(const struct gram_checkpoint *ck, const void *scales)
{
    for (size_t i = 0; i < gram_store_count(ck->store); i++) {
        const struct gram_tensor *t = gram_store_at(ck->store, i);
        if (t->data == scales)
            return t;
    }
    return NULL;
}

static float greatest_code(const struct gram_weight *w)
{
    return w->table || w->bits == 0 ? 1.0f : fmaxf(1.0f, (float)((1 << (w->bits - 1)) - 1));
}

enum gram_status gram_held_open(struct gram_held *h, const struct gram_checkpoint *ck,
                                const struct gram_weight *w, const char *name,
                                struct gram_arena *arena, struct gram_error *err)
{
    const bool is_one = w->scale_stride == 0;
    const int64_t weights = is_one ? w->rows * w->cols : w->group;

    *h = (struct gram_held){.weight = *w,
                            .stored = find_steps(ck, w->scales),
                            .n_steps = is_one ? 1 : w->rows * w->scale_stride,
                            .share = 1.0f / sqrtf((float)weights * greatest_code(w))};
    if (!h->stored || w->is_nested || h->stored->count != h->n_steps)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s: the steps of %s are not stored one by one; they cannot be trained", ck->path,
                         name);
    h->scales = gram_arena_take(arena, (size_t)h->n_steps, sizeof *h->scales);
    h->first = gram_arena_take(arena, (size_t)h->n_steps, sizeof *h->first);
    h->logs = gram_arena_take(arena, (size_t)h->n_steps, sizeof *h->logs);
    h->g_logs = gram_arena_take(arena, (size_t)h->n_steps, sizeof *h->g_logs);
    h->row_sums = gram_arena_take(arena, (size_t)w->rows, sizeof *h->row_sums);
    if (!h->scales || !h->first || !h->logs || !h->g_logs || !h->row_sums)
        return gram_fail_memory(err, name);
    gram_read_f32(h->first, w->scales, w->scale_dtype, 0, h->n_steps);
    h->weight.scales = h->scales;
    h->weight.scale_dtype = GRAM_F32;
    gram_held_fill(h);
    return GRAM_OK;
}

void gram_held_fill(struct gram_held *h)
{
    for (int64_t i = 0; i < h->n_steps; i++) {
        float scale = h->first[i] * expf(h->logs[i]);
        uint32_t bytes;
        gram_write_f32(&bytes, h->stored->dtype, 0, &scale, 1);
        gram_read_f32(&scale, &bytes, h->stored->dtype, 0, 1);
        h->scales[i] = isfinite(scale) && scale > 0.0f ? scale : h->first[i];
    }
}

struct pull {
    struct gram_held *held;
    const struct gram_kernels *kernels;
    const float *g;
};

/* W = step * (what the code stands for), so d loss / d log step = sum of g W. */
static double pull_group(const struct pull *p, int64_t row, int64_t begin, int64_t end)
{
    const struct gram_weight *w = &p->held->weight;
    gram_decode_fn *decode = p->kernels->decode[gram_weight_storage(w)];
    float x[COLUMNS];
    double sum = 0.0;

    for (int64_t k = begin; k < end; k += COLUMNS) {
        const int64_t n = gram_min_i64(COLUMNS, end - k);
        decode(x, w, row, k, n);
        for (int64_t i = 0; i < n; i++)
            sum += (double)p->g[row * w->cols + k + i] * (double)x[i];
    }
    return sum;
}

static void pull_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct pull *p = context;
    struct gram_held *h = p->held;
    const struct gram_weight *w = &h->weight;

    (void)worker;
    for (int64_t r = begin; r < end; r++) {
        h->row_sums[r] = 0.0;
        for (int64_t g = 0; g < gram_weight_groups(w); g++) {
            const double sum = pull_group(p, r, g * w->group,
                                          gram_min_i64((g + 1) * w->group, w->cols));
            h->row_sums[r] += sum;
            if (w->scale_stride > 0)
                h->g_logs[r * w->scale_stride + g] += h->share * (float)sum;
        }
    }
}

void gram_held_pull(struct gram_held *h, const float *g, const struct gram_kernels *kernels,
                    struct gram_pool *pool)
{
    gram_pool_for(pool, h->weight.rows, ROWS, pull_rows, &(struct pull){h, kernels, g});
    for (int64_t r = 0; h->weight.scale_stride == 0 && r < h->weight.rows; r++)
        h->g_logs[0] += h->share * (float)h->row_sums[r];
}
