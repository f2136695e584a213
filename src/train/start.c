#include "train/start.h"

#include <math.h>

#include "base/checked.h"

enum { CODES = 256 }; /* at a time */

/* Weights of one linear, and what they are to be rounded to. */
struct settling {
    const struct gram_kernels *kernels;
    struct gram_fake *fake;
    const struct gram_weight *to;
    float *w;
    float *rows; /* [threads][cols] */
};

/* The stretch of weights that are rounded to q is a step wide; of a codebook, q alone is safe. */
static float settled(const struct gram_grid *grid, float w, float q, float scale)
{
    const float reach = grid->codebook ? 0.0f : 0.49f * scale;
    return fminf(fmaxf(w, q - reach), q + reach);
}

/* The ends of a grid hold all that lies beyond them: such a weight need not move. */
static void settle_group(const struct settling *s, int64_t row, int64_t group, const float *q)
{
    struct gram_coded *c = &s->fake->coded;
    const struct gram_step step = *gram_coded_step(c, row, group);
    const int64_t at = row * c->cols + group * c->span, n = gram_coded_width(c, group);
    uint8_t codes[CODES];
    float values[CODES];

    for (int64_t k = 0; k < n; k += CODES) {
        const int64_t m = gram_min_i64(CODES, n - k);
        gram_grid_encode(codes, &c->grid, step, s->w + at + k, m);
        gram_grid_decode(values, &c->grid, step, codes, m);
        for (int64_t i = 0; i < m; i++)
            if (values[i] != q[group * c->span + k + i])
                s->w[at + k + i] =
                    settled(&c->grid, s->w[at + k + i], q[group * c->span + k + i], step.scale);
    }
}

static void settle_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct settling *s = context;
    const struct gram_coded *c = &s->fake->coded;
    float *q = s->rows + worker * c->cols;

    for (int64_t r = begin; r < end; r++) {
        s->kernels->decode[gram_weight_storage(s->to)](q, s->to, r, 0, c->cols);
        for (int64_t g = 0; g < c->groups; g++)
            settle_group(s, r, g, q);
    }
}

static void take_steps(struct gram_fake *fake, const struct gram_weight *w)
{
    struct gram_coded *c = &fake->coded;

    for (int64_t r = 0; r < (c->is_one ? 1 : c->rows); r++)
        for (int64_t g = 0; g < (c->is_one ? 1 : c->groups); g++) {
            struct gram_step *step = gram_coded_step(c, r, g);
            step->scale = gram_weight_scale(w, r, g);
            step->zero = w->zeros ? w->zeros[r * w->scale_stride + g] : 0;
            fake->first[step - c->steps] = step->scale;
        }
}

static bool is_of_grid(const struct gram_coded *c, const struct gram_weight *w)
{
    return w->bits == c->grid.bits && w->rows == c->rows && w->cols == c->cols &&
           w->group == c->span && (w->table != NULL) == (c->grid.codebook != NULL) &&
           (w->zeros != NULL) <= c->grid.asymmetric && (w->scale_stride == 0) == c->is_one;
}

static enum gram_status take_codes(struct gram_learner *l, size_t i, const struct gram_checkpoint *from,
                                   struct gram_arena *arena, struct gram_error *err)
{
    struct gram_weight w;
    struct settling s = {.kernels = &l->kernels, .fake = l->fakes[i], .to = &w, .w = l->weights[i]};

    GRAM_TRY(gram_checkpoint_bind(from, &from->desc.slots[i], arena, &w, err));
    if (!is_of_grid(&s.fake->coded, &w))
        return gram_fail(err, GRAM_EINVAL, "%s: %s is not on the grid that is trained on", from->path,
                         l->desc.slots[i].op);
    s.rows = gram_arena_take(arena, (size_t)(gram_pool_threads(l->rt->pool) * w.cols), sizeof *s.rows);
    if (!s.rows)
        return gram_fail_memory(err, from->path);
    take_steps(s.fake, &w);
    gram_pool_for(l->rt->pool, w.rows, 8, settle_rows, &s);
    return GRAM_OK;
}

static enum gram_status take_all(struct gram_learner *l, const struct gram_checkpoint *from,
                                 struct gram_arena *arena, struct gram_error *err)
{
    for (size_t i = 0; i < l->desc.n_slots; i++) {
        const struct gram_weight_slot *slot = &from->desc.slots[i];
        if (slot->rows != l->desc.slots[i].rows || slot->cols != l->desc.slots[i].cols)
            return gram_fail(err, GRAM_EINVAL, "%s: %s has another shape than that of %s", from->path,
                             slot->op, l->ck->path);
        if (l->fakes[i])
            GRAM_TRY(take_codes(l, i, from, arena, err));
        else if (l->weights[i] && gram_checkpoint_tensor(from, slot))
            GRAM_TRY(gram_checkpoint_read(from, slot, l->weights[i], err));
    }
    return GRAM_OK;
}

enum gram_status gram_start_from(struct gram_learner *l, const char *path, struct gram_error *err)
{
    struct gram_arena arena = {0};
    struct gram_checkpoint from;
    enum gram_status status = gram_checkpoint_open(&from, path, err);

    if (status == GRAM_OK && from.desc.n_slots != l->ck->desc.n_slots)
        status = gram_fail(err, GRAM_EINVAL, "%s: is another model than %s", path, l->ck->path);
    if (status == GRAM_OK)
        status = take_all(l, &from, &arena, err);
    gram_checkpoint_reset(&from);
    gram_arena_reset(&arena);
    return status;
}
