#include "quant/learned.h"

#include <math.h>
#include <string.h>

enum { ROWS = 16 }; /* of a piece of work */

static const float within = 0.45f; /* of half a step, that codes do not change by rounding */

static void start_row(const struct gram_learned *l, const struct gram_coded *c, const float *w, int64_t r)
{
    float *place = l->place + r * c->cols, *value = l->w + r * c->cols;

    gram_coded_row(c, r, value);
    for (int64_t i = 0; i < c->cols; i++) {
        const float scale = gram_coded_step(c, r, i / c->span)->scale;
        const float off = scale > 0.0f ? (w[r * c->cols + i] - value[i]) / scale : 0.0f;
        place[i] = scale > 0.0f ? value[i] / scale + fminf(fmaxf(off, -within), within) : 0.0f;
    }
}

enum gram_status gram_learned_open(struct gram_learned *l, const struct gram_coded *from,
                                   const float *w, struct gram_arena *arena, struct gram_error *err)
{
    const size_t n = (size_t)(from->rows * from->cols);

    *l = (struct gram_learned){
        .place = gram_arena_take(arena, n, sizeof(float)),
        .g_place = gram_arena_take(arena, n, sizeof(float)),
        .w = gram_arena_take(arena, n, sizeof(float)),
    };
    if (!l->place || !l->g_place || !l->w)
        return gram_fail_memory(err, "learning on a block");
    for (int64_t r = 0; r < from->rows; r++)
        start_row(l, from, w, r);
    return gram_fake_resume(&l->fake, from, l->w, arena, err);
}

/* ---- between weights and steps ---- */

static float first_step(const struct gram_fake *f, int64_t r, int64_t col)
{
    return f->first[f->coded.is_one ? 0 : r * f->coded.groups + col / f->coded.span];
}

static void scale_places(void *context, int64_t begin, int64_t end, int worker)
{
    const struct gram_learned *l = context;
    const int64_t cols = l->fake.coded.cols;

    (void)worker;
    for (int64_t r = begin; r < end; r++)
        for (int64_t i = 0; i < cols; i++)
            l->w[r * cols + i] = l->place[r * cols + i] * first_step(&l->fake, r, i);
}

void gram_learned_fill(struct gram_learned *l, struct gram_pool *pool)
{
    gram_pool_for(pool, l->fake.coded.rows, ROWS, scale_places, l);
    gram_fake_fill(&l->fake, pool);
}

static void scale_gradients(void *context, int64_t begin, int64_t end, int worker)
{
    const struct gram_learned *l = context;
    const int64_t cols = l->fake.coded.cols;

    (void)worker;
    for (int64_t r = begin; r < end; r++)
        for (int64_t i = 0; i < cols; i++)
            l->g_place[r * cols + i] *= first_step(&l->fake, r, i);
}

void gram_learned_pull(struct gram_learned *l, struct gram_pool *pool)
{
    gram_fake_pull(&l->fake, l->g_place, pool);
    gram_pool_for(pool, l->fake.coded.rows, ROWS, scale_gradients, l);
}

void gram_learned_keep(const struct gram_learned *l, struct gram_coded *to)
{
    memcpy(to->codes, l->fake.coded.codes, (size_t)(to->rows * to->cols));
    memcpy(to->steps, l->fake.coded.steps, (size_t)l->fake.n_steps * sizeof *to->steps);
}
