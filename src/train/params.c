/* Steps over all parameters, in pieces. */
#include "train/params.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"

enum {
    PIECE = 1 << 14,  /* weights: a multiple of GRAM_STATES_BLOCK */
    SLAB = 1 << 22,   /* weights whose paged states are in memory at a time */
    STATES_ALIGN = 64,
};

static size_t aligned(size_t bytes)
{
    return (bytes + STATES_ALIGN - 1) / STATES_ALIGN * STATES_ALIGN;
}

size_t gram_params_states_bytes(const struct gram_param *at, size_t n,
                                const struct gram_optimizer *optimizer)
{
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++)
        bytes += aligned(gram_states_bytes(optimizer, at[i].n));
    return bytes;
}

enum gram_status gram_params_place(struct gram_params *params, const char *paged,
                                   struct gram_error *err)
{
    const size_t bytes = gram_params_states_bytes(params->at, params->n, params->optimizer);
    char *at;

    if (paged)
        GRAM_TRY(gram_paged_open(&params->paged, paged, bytes, err));
    at = paged ? params->paged.at : gram_arena_take(&params->arena, bytes, 1);
    if (!at)
        return gram_fail_memory(err, "the states of the optimizer");
    for (size_t i = 0; i < params->n; i++) {
        struct gram_param *p = &params->at[i];
        p->states = (struct gram_states){params->optimizer, at, p->n};
        at += aligned(gram_states_bytes(params->optimizer, p->n));
    }
    return GRAM_OK;
}

static bool place_sums(struct gram_params *params)
{
    params->sums = gram_arena_take(&params->arena, (size_t)gram_ceil_div(params->most, PIECE),
                                   sizeof *params->sums);
    if (params->optimizer->is_coded)
        params->maps = gram_arena_take(&params->arena, 1, sizeof *params->maps);
    if (params->maps)
        gram_state_maps_init(params->maps);
    return params->sums && (params->maps || !params->optimizer->is_coded);
}

enum gram_status gram_params_open(struct gram_params *params, const struct gram_param *from,
                                  size_t n, const struct gram_optimizer *optimizer,
                                  struct gram_pool *pool, struct gram_error *err)
{
    *params = (struct gram_params){.n = n, .optimizer = optimizer, .pool = pool};
    params->at = gram_arena_take(&params->arena, n, sizeof *params->at);
    for (size_t i = 0; params->at && i < n; i++) {
        params->at[i] = from[i];
        params->most = gram_max_i64(params->most, from[i].n);
    }
    if (params->at && place_sums(params))
        return GRAM_OK;
    gram_params_close(params);
    return gram_fail_memory(err, "the states of the optimizer");
}

void gram_params_close(struct gram_params *params)
{
    gram_paged_close(&params->paged);
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
    int64_t step, first; /* weight of a slab */
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

/* Pieces of the slab. */
static void update_pieces(void *context, int64_t begin, int64_t end, int worker)
{
    const struct loop *loop = context;
    const int64_t first = loop->first + begin * PIECE;
    const int64_t stop = gram_min_i64(loop->first + end * PIECE, loop->p->n);
    struct gram_update u = {.options = loop->options,
                            .step = loop->step,
                            .w = loop->p->w + first,
                            .g = loop->p->g + first,
                            .n = stop - first};

    (void)worker;
    gram_states_step(&loop->p->states, loop->params->maps, &u, first);
}

/* All at once; or, with paged states, slab by slab, so that few of them are in memory. */
static void step_param(const struct gram_params *params, struct loop *loop)
{
    const struct gram_param *p = loop->p;
    const int64_t slab = params->paged.at ? SLAB : p->n;

    for (loop->first = 0; loop->first < p->n; loop->first += slab) {
        const int64_t n = gram_min_i64(slab, p->n - loop->first);
        gram_pool_for(params->pool, gram_ceil_div(n, PIECE), 1, update_pieces, loop);
        gram_params_release(params, p);
    }
}

void gram_params_release(const struct gram_params *params, const struct gram_param *p)
{
    if (params->paged.at)
        gram_paged_release(&params->paged, p->states.at, gram_states_bytes(params->optimizer, p->n));
}

void gram_params_step(struct gram_params *params, const struct gram_optimizer_options *options,
                      int64_t step)
{
    struct gram_optimizer_options undecayed = *options;

    undecayed.weight_decay = 0.0;
    for (size_t i = 0; i < params->n; i++) {
        const struct gram_param *p = &params->at[i];
        step_param(params, &(struct loop){.params = params,
                                          .p = p,
                                          .step = step,
                                          .options = p->is_decayed ? options : &undecayed});
    }
}
