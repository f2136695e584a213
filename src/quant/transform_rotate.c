/*
 * Rotation of the residual stream (QuaRot, Ashkboos et al. 2024; SpinQuant's R1 and R2, Liu et al. 2024):
 * every value between blocks becomes x R, with R orthogonal. An rms norm without gains does not see it, so
 * gains go into the linears behind it; what reads the stream undoes R, what writes to it applies R. In the
 * same way the values of every head are rotated between v and o. Outliers of a channel are shared out
 * among all. The rotation in front of down, which a model would have to run, is left out.
 */
#include <stdio.h>

#include "quant/rotation.h"
#include "quant/transform.h"

enum { MOST_ODD = 4096 };

struct rotating {
    const struct gram_transform_call *call;
    struct gram_rotation stream, head;
};

/* A weight at hand, and the gains of the norm in front of it or NULL. */
struct target {
    const struct gram_weight_slot *slot;
    float *w;
    const float *gain;
};

static bool reads(const struct rotating *job, const struct target *t)
{
    return gram_rotate_columns(&job->stream, t->w, t->slot->rows, 1, t->gain, job->call->pool);
}

static bool writes(const struct rotating *job, const struct target *t)
{
    return gram_rotate_rows(&job->stream, t->w, t->slot->cols, 1, job->call->pool);
}

static bool reads_heads(const struct rotating *job, const struct target *t)
{
    const int64_t heads = t->slot->cols / job->head.n;
    return gram_rotate_columns(&job->head, t->w, t->slot->rows, heads, NULL, job->call->pool);
}

static bool writes_heads(const struct rotating *job, const struct target *t)
{
    const int64_t heads = t->slot->rows / job->head.n;
    return gram_rotate_rows(&job->head, t->w, t->slot->cols, heads, job->call->pool);
}

static bool becomes_ones(const struct rotating *job, const struct target *t)
{
    (void)job;
    for (int64_t i = 0; i < t->slot->rows; i++)
        t->w[i] = 1.0f;
    return true;
}

/* What becomes of a weight, in this order; gain: the norm in front of one that reads the stream. */
static const struct rewriting {
    enum gram_role role;
    bool (*rewrite)(const struct rotating *job, const struct target *t);
    enum gram_role gain;
} rewritings[] = {
    {GRAM_W_EMBED, reads, GRAM_N_ROLE}, /* its rows are values */
    {GRAM_W_Q, reads, GRAM_W_ATTN_NORM},
    {GRAM_W_K, reads, GRAM_W_ATTN_NORM},
    {GRAM_W_V, reads, GRAM_W_ATTN_NORM},
    {GRAM_W_V, writes_heads, GRAM_N_ROLE},
    {GRAM_W_V_BIAS, writes_heads, GRAM_N_ROLE},
    {GRAM_W_O, reads_heads, GRAM_N_ROLE},
    {GRAM_W_O, writes, GRAM_N_ROLE},
    {GRAM_W_O_BIAS, writes, GRAM_N_ROLE},
    {GRAM_W_GATE, reads, GRAM_W_FFN_NORM},
    {GRAM_W_UP, reads, GRAM_W_FFN_NORM},
    {GRAM_W_DOWN, writes, GRAM_N_ROLE},
    {GRAM_W_DOWN_BIAS, writes, GRAM_N_ROLE},
    {GRAM_W_LM_HEAD, reads, GRAM_W_NORM},
    {GRAM_W_ATTN_NORM, becomes_ones, GRAM_N_ROLE},
    {GRAM_W_FFN_NORM, becomes_ones, GRAM_N_ROLE},
    {GRAM_W_NORM, becomes_ones, GRAM_N_ROLE},
};

static const struct gram_weight_slot *find_slot(const struct gram_transform_call *call, enum gram_role role,
                                                float **values)
{
    const struct gram_model_desc *desc = call->weights->desc;

    for (size_t i = 0; i < desc->n_slots; i++) {
        if (desc->slots[i].role == role && desc->slots[i].layer == call->layer) {
            *values = call->weights->values[i];
            return *values ? &desc->slots[i] : NULL;
        }
    }
    *values = NULL;
    return NULL;
}

static bool rewrite(const struct rotating *job, const struct rewriting *how)
{
    struct target target;
    float *gain;

    target.slot = find_slot(job->call, how->role, &target.w);
    find_slot(job->call, how->gain, &gain);
    target.gain = gain;
    return !target.slot || how->rewrite(job, &target);
}

enum gram_status gram_rotate_check(const struct gram_model_desc *desc, struct gram_error *err)
{
    if (desc->n_pairs > 0)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "rotate changes what linears read, which their adapters read too: merge the "
                         "adapters first");
    if (desc->hp.tied)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "rotate folds the last norm into the head, and the head of this model is its "
                         "embedding: it has to become a weight of its own first");
    if (gram_odd_factor(desc->hp.hidden) > MOST_ODD || gram_odd_factor(desc->hp.head_dim) > MOST_ODD)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "rotate takes sizes whose odd factor is at most %d; hidden_size is %lld and "
                         "head_dim %lld",
                         MOST_ODD, (long long)desc->hp.hidden, (long long)desc->hp.head_dim);
    return GRAM_OK;
}

enum gram_status gram_rotate_apply(struct gram_transform_call *call, struct gram_error *err)
{
    const struct gram_hparams *hp = &call->weights->desc->hp;
    const uint64_t seed = call->options->seed;
    struct rotating job = {.call = call};
    struct gram_arena arena = {0};

    bool ok = gram_rotation_open(&job.stream, hp->hidden, seed, &arena) &&
              gram_rotation_open(&job.head, hp->head_dim, seed + 1 + (uint64_t)(call->layer + 1), &arena);
    for (size_t i = 0; ok && i < sizeof rewritings / sizeof rewritings[0]; i++)
        ok = rewrite(&job, &rewritings[i]);
    snprintf(call->note, sizeof call->note, "stream of %lld, heads of %lld", (long long)hp->hidden,
             (long long)hp->head_dim);
    gram_arena_reset(&arena);
    return ok ? GRAM_OK : gram_fail_memory(err, "the rotation");
}
