/* Ways of training from the fastest to the leanest; the first that fits is taken. */
#include "train/budget.h"

#include <unistd.h>

#include "base/checked.h"
#include "engine/checkpoint.h"

enum {
    FIXED = 48 << 20,        /* the program, its tables and libraries, the tokenizer */
    SLABS = 64 << 20,        /* of paged states: those that are at work */
    LOGITS = 128 << 20,      /* at a time: more rows are no faster */
    FEW_LOGITS = 32,         /* rows at a time when memory is short */
    FEW_TOKENS = 512,        /* of a pass: with fewer, packing weights costs more than running blocks twice */
};

/* What does not depend on the way. */
struct load {
    const struct gram_budget_ask *ask;
    uint64_t base, weights, gradients, states, beside;
};

/* The base of an adapter stays mapped. */
static uint64_t base_bytes(const struct gram_learner *l)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < gram_store_count(l->ck->store); i++)
        bytes += gram_store_at(l->ck->store, i)->bytes;
    return bytes;
}

static struct load load_of(const struct gram_budget_ask *ask)
{
    const struct gram_learner *l = ask->learner;
    struct load load = {.ask = ask, .base = l->lora.n_pairs > 0 ? base_bytes(l) : 0};
    uint64_t trained = 0;

    for (size_t i = 0; i < l->params.n; i++)
        trained += (uint64_t)l->params.at[i].n * sizeof(float);
    load.gradients = trained;
    load.weights = gram_arena_bytes(&l->arena) - trained;
    load.states = gram_params_states_bytes(l->params.at, l->params.n, l->params.optimizer);
    load.beside = FIXED + ask->data + (ask->keeps_best ? trained : 0) +
                  (uint64_t)gram_matmul_bytes(gram_pool_threads(l->rt->pool));
    return load;
}

static int64_t piece_rows(const struct gram_graph *g)
{
    return LOGITS / ((int64_t)sizeof(float) * g->values[g->result].cols) + 1;
}

/* Ranges that are watched see a batch at a time; a teacher has logits of all of it; what a cache has rounded
 * is there until the next layer comes. */
static bool is_whole(const struct gram_budget_ask *ask)
{
    return ask->keeps_logits || ask->learner->ranges.n > 0 || ask->kv != GRAM_KV_F32;
}

static bool try_way(struct gram_budget *b, const struct load *load, bool keeps_all, bool is_paged,
                    int64_t rows, int64_t piece)
{
    const struct gram_budget_ask *ask = load->ask;
    const struct gram_learner *l = ask->learner;

    if (is_whole(ask) && (rows < ask->rows || (keeps_all && ask->kv != GRAM_KV_F32)))
        return false;
    b->limits = (struct gram_stepper_limits){.rows = rows * ask->context,
                                             .total = ask->rows * ask->context,
                                             .sequences = rows * ask->samples_per_row,
                                             .length = ask->context,
                                             .piece = is_whole(ask) ? 0 : piece,
                                             .keeps_all = keeps_all,
                                             .keeps_logits = ask->keeps_logits,
                                             .kv = ask->kv};
    const int64_t pass = gram_stepper_bytes(&l->graph, b->limits);
    if (pass < 0)
        return false;
    b->memory = (struct gram_tune_memory){.weights = load->base + load->weights,
                                          .gradients = load->gradients,
                                          .states = is_paged ? 0 : load->states,
                                          .activations = (uint64_t)pass,
                                          .keeps_all = keeps_all,
                                          .is_paged = is_paged,
                                          .rows = rows};
    const uint64_t states = is_paged && load->states > SLABS ? SLABS : load->states;
    b->memory.total = b->memory.weights + b->memory.gradients + b->memory.activations + states +
                      load->beside;
    return ask->limit == 0 || b->memory.total <= ask->limit;
}

/* Rows of the batch, then half of them, and so on. */
static bool try_rows(struct gram_budget *b, const struct load *load, bool keeps_all, bool is_paged)
{
    const int64_t piece = piece_rows(&load->ask->learner->graph);

    for (int64_t rows = load->ask->rows; rows > 0; rows = rows > 1 ? (rows + 1) / 2 : 0) {
        const bool is_worth_it = rows == load->ask->rows || rows * load->ask->context >= FEW_TOKENS;
        if ((!keeps_all || is_worth_it) && try_way(b, load, keeps_all, is_paged, rows, piece))
            return true;
    }
    return !keeps_all && try_way(b, load, false, is_paged, 1, FEW_LOGITS);
}

/* Without a limit, values of all blocks stay while that takes half of the machine's memory at most. */
static bool is_ample(const struct gram_budget *b)
{
    const uint64_t pages = (uint64_t)sysconf(_SC_PHYS_PAGES), page = (uint64_t)sysconf(_SC_PAGESIZE);
    return b->memory.total <= pages * page / 2;
}

static bool find_way(struct gram_budget *b, const struct load *load, bool is_paged)
{
    if (load->ask->limit > 0)
        return try_rows(b, load, true, is_paged) || try_rows(b, load, false, is_paged);
    return (try_way(b, load, true, is_paged, load->ask->rows, piece_rows(&load->ask->learner->graph)) &&
            is_ample(b)) ||
           try_rows(b, load, false, is_paged);
}

static enum gram_status refuse(const char *what, uint64_t bytes, uint64_t limit, struct gram_error *err)
{
    return gram_fail(err, GRAM_ENOMEM,
                     "%s: training takes %.0f MB at the least and may take %.0f MB; an adapter (lora), "
                     "shorter rows or states in 8 bits (adamw8bit) take less",
                     what, (double)bytes / 1e6, (double)limit / 1e6);
}

enum gram_status gram_budget_check(const char *what, uint64_t bytes, uint64_t limit,
                                   struct gram_error *err)
{
    return limit == 0 || FIXED + bytes <= limit ? GRAM_OK : refuse(what, FIXED + bytes, limit, err);
}

enum gram_status gram_budget_make(struct gram_budget *b, const struct gram_budget_ask *ask,
                                  struct gram_error *err)
{
    const struct load load = load_of(ask);

    if ((!ask->is_paged && find_way(b, &load, false)) ||
        ((ask->is_paged || ask->limit > 0) && find_way(b, &load, true)))
        return GRAM_OK;
    return refuse(ask->what, b->memory.total, ask->limit, err);
}
