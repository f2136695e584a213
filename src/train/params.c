/* Steps over all parameters, in pieces. */
#include "train/params.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"

enum { PIECE = 1 << 14 };

static bool take_states(struct gram_params *params, struct gram_param *p)
{
    for (int i = 0; i < params->optimizer->n_states; i++) {
        p->state[i] = gram_arena_take(&params->arena, (size_t)p->n, sizeof(float));
        if (!p->state[i])
            return false;
    }
    return true;
}

enum gram_status gram_params_open(struct gram_params *params, const struct gram_param *from,
                                  size_t n, const struct gram_optimizer *optimizer,
                                  struct gram_pool *pool, struct gram_error *err)
{
    *params = (struct gram_params){.n = n, .optimizer = optimizer, .pool = pool};
    params->at = gram_arena_take(&params->arena, n, sizeof *params->at);
    bool ok = params->at != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        params->at[i] = from[i];
        params->most = gram_max_i64(params->most, from[i].n);
        ok = take_states(params, &params->at[i]);
    }
    if (ok)
        params->sums = gram_arena_take(&params->arena, (size_t)gram_ceil_div(params->most, PIECE),
                                       sizeof *params->sums);
    if (ok && params->sums)
        return GRAM_OK;
    gram_params_close(params);
    return gram_fail_memory(err, "the states of the optimizer");
}

void gram_params_close(struct gram_params *params)
{
    gram_arena_reset(&params->arena);
    *params = (struct gram_params){0};
}

void gram_params_clear(struct gram_params *params)
{
    for (size_t i = 0; i < params->n; i++)
        memset(params->at[i].g, 0, (size_t)params->at[i].n * sizeof(float));
}

/* What a loop over the pieces of one parameter is given. */
struct loop {
    const struct gram_params *params;
    const struct gram_param *p;
    float scale;
    const struct gram_optimizer_options *options;
    int64_t step;
};

static int64_t piece_end(const struct loop *loop, int64_t piece)
{
    return gram_min_i64((piece + 1) * PIECE, loop->p->n);
}

static void for_pieces(const struct gram_params *params, struct loop *loop, gram_pool_fn *fn)
{
    gram_pool_for(params->pool, gram_ceil_div(loop->p->n, PIECE), 1, fn, loop);
}

static void sum_pieces(void *context, int64_t begin, int64_t end, int worker)
{
    const struct loop *loop = context;
    (void)worker;
    for (int64_t piece = begin; piece < end; piece++) {
        double sum = 0.0;
        for (int64_t i = piece * PIECE; i < piece_end(loop, piece); i++)
            sum += (double)loop->p->g[i] * (double)loop->p->g[i];
        loop->params->sums[piece] = sum;
    }
}

double gram_params_norm(const struct gram_params *params)
{
    double squares = 0.0;

    for (size_t i = 0; i < params->n; i++) {
        struct loop loop = {.params = params, .p = &params->at[i]};
        for_pieces(params, &loop, sum_pieces);
        for (int64_t piece = 0; piece < gram_ceil_div(loop.p->n, PIECE); piece++)
            squares += params->sums[piece];
    }
    return sqrt(squares);
}

static void scale_pieces(void *context, int64_t begin, int64_t end, int worker)
{
    const struct loop *loop = context;
    (void)worker;
    for (int64_t i = begin * PIECE; i < piece_end(loop, end - 1); i++)
        loop->p->g[i] *= loop->scale;
}

void gram_params_clip(struct gram_params *params, double norm, double most)
{
    const double scale = most / (norm + 1e-6);

    for (size_t i = 0; scale < 1.0 && i < params->n; i++)
        for_pieces(params,
                   &(struct loop){.params = params, .p = &params->at[i], .scale = (float)scale},
                   scale_pieces);
}

static void update_pieces(void *context, int64_t begin, int64_t end, int worker)
{
    const struct loop *loop = context;
    const int64_t first = begin * PIECE;
    struct gram_update u = {.options = loop->options,
                            .step = loop->step,
                            .w = loop->p->w + first,
                            .g = loop->p->g + first,
                            .n = piece_end(loop, end - 1) - first};

    (void)worker;
    for (int i = 0; i < loop->params->optimizer->n_states; i++)
        u.state[i] = loop->p->state[i] + first;
    loop->params->optimizer->update(&u);
}

void gram_params_step(struct gram_params *params, const struct gram_optimizer_options *options,
                      int64_t step)
{
    struct gram_optimizer_options undecayed = *options;

    undecayed.weight_decay = 0.0;
    for (size_t i = 0; i < params->n; i++) {
        const struct gram_param *p = &params->at[i];
        for_pieces(params,
                   &(struct loop){.params = params,
                                  .p = p,
                                  .step = step,
                                  .options = p->is_decayed ? options : &undecayed},
                   update_pieces);
    }
}
