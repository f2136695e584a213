#include "train/ranges.h"

#include <math.h>

#include "tensor/dtype.h"

bool gram_ranges_open(struct gram_ranges *r, size_t most, struct gram_arena *arena)
{
    *r = (struct gram_ranges){.at = gram_arena_take(arena, most, sizeof *r->at), .cap = most};
    return r->at != NULL;
}

struct gram_fake_acts *gram_ranges_of(struct gram_ranges *r, int value,
                                      const struct gram_scheme *scheme, enum gram_dtype dtype)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->at[i].value == value && r->at[i].acts.is_shared == scheme->is_static)
            return &r->at[i].acts;
    GRAM_ASSERT(r->n < r->cap);
    r->at[r->n] = (struct gram_trained_range){.acts = {.is_shared = scheme->is_static,
                                                       .outlier = scheme->act_outlier,
                                                       .is_watched = scheme->is_static},
                                              .value = value,
                                              .dtype = dtype};
    return &r->at[r->n++].acts;
}

static float as_stored(float scale, enum gram_dtype dtype)
{
    uint32_t bytes;

    gram_write_f32(&bytes, dtype, 0, &scale, 1);
    gram_read_f32(&scale, &bytes, dtype, 0, 1);
    return scale;
}

void gram_ranges_prepare(struct gram_ranges *r)
{
    for (size_t i = 0; i < r->n; i++) {
        struct gram_fake_acts *acts = &r->at[i].acts;
        const float scale =
            as_stored(gram_moving_range_scale(&acts->range) * expf(acts->log), r->at[i].dtype);
        if (acts->range.batches > 0.0f && isfinite(scale) && scale > 0.0f)
            acts->scale = scale;
    }
}

void gram_ranges_pull(struct gram_ranges *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->at[i].acts.is_watched)
            r->at[i].acts.g_log = 0.0f;
}

void gram_ranges_watch(struct gram_ranges *r, bool is_watched)
{
    for (size_t i = 0; i < r->n; i++)
        r->at[i].acts.is_watched = is_watched && r->at[i].acts.is_shared;
}
