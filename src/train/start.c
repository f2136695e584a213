#include "train/start.h"

enum { ROWS = 8 }; /* of a piece of work */

/* Weights of one linear, and the codes that they begin at. */
struct beginning {
    const struct gram_kernels *kernels;
    const struct gram_weight *from;
    float *w;
};

static void decode_rows(void *context, int64_t begin, int64_t end, int worker)
{
    const struct beginning *b = context;

    (void)worker;
    for (int64_t r = begin; r < end; r++)
        b->kernels->decode[gram_weight_storage(b->from)](b->w + r * b->from->cols, b->from, r, 0,
                                                         b->from->cols);
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
           (w->zeros != NULL) <= c->grid.asymmetric && (w->scale_stride == 0) == c->is_one &&
           !w->is_nested;
}

static enum gram_status take_codes(struct gram_learner *l, size_t i, const struct gram_checkpoint *from,
                                   struct gram_arena *arena, struct gram_error *err)
{
    struct gram_weight w;

    GRAM_TRY(gram_checkpoint_bind(from, &from->desc.slots[i], arena, &w, err));
    if (!is_of_grid(&l->fakes[i]->coded, &w))
        return gram_fail(err, GRAM_EINVAL, "%s: %s is not on the grid that is trained on", from->path,
                         l->desc.slots[i].op);
    take_steps(l->fakes[i], &w);
    gram_pool_for(l->rt->pool, w.rows, ROWS, decode_rows,
                  &(struct beginning){&l->kernels, &w, l->weights[i]});
    return GRAM_OK;
}

static enum gram_status take_slot(struct gram_learner *l, size_t i, const struct gram_checkpoint *from,
                                  struct gram_arena *arena, struct gram_error *err)
{
    const struct gram_weight_slot *slot = &from->desc.slots[i];

    if (l->fakes[i])
        return take_codes(l, i, from, arena, err);
    if (l->weights[i] && gram_checkpoint_tensor(from, slot))
        return gram_checkpoint_read(from, slot, l->weights[i], err);
    return GRAM_OK;
}

enum gram_status gram_start_from(struct gram_learner *l, const struct gram_checkpoint *from,
                                 struct gram_error *err)
{
    enum gram_status status = GRAM_OK;

    for (size_t i = 0; i < l->desc.n_slots && status == GRAM_OK; i++) {
        struct gram_arena arena = {0};
        status = take_slot(l, i, from, &arena, err);
        gram_arena_reset(&arena);
    }
    return status;
}

/* ---- opening ---- */

enum gram_status gram_start_open(struct gram_checkpoint *from, const char *path,
                                 const struct gram_checkpoint *ck, struct gram_error *err)
{
    const size_t n = ck->desc.n_slots;

    GRAM_TRY(gram_checkpoint_open(from, path, err));
    if (from->desc.n_slots != n)
        return gram_fail(err, GRAM_EINVAL, "%s: is another model than %s", path, ck->path);
    if (!from->container)
        return gram_fail(err, GRAM_EINVAL, "%s: is not quantized; there are no codes to begin with", path);
    for (size_t i = 0; i < n; i++)
        if (from->desc.slots[i].rows != ck->desc.slots[i].rows ||
            from->desc.slots[i].cols != ck->desc.slots[i].cols)
            return gram_fail(err, GRAM_EINVAL, "%s: %s has another shape than that of %s", path,
                             from->desc.slots[i].op, ck->path);
    return GRAM_OK;
}
