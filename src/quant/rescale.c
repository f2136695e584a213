/* Where scales can move in a block, and moving them. */
#include "quant/rescale.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Roles, not layers: GRAM_N_ROLE stands for none. */
static const struct place {
    const char *name;
    enum gram_role maker, bias, readers[GRAM_MOST_READERS];
} places[GRAM_RESCALES] = {
    {"attn", GRAM_W_ATTN_NORM, GRAM_N_ROLE, {GRAM_W_Q, GRAM_W_K, GRAM_W_V}},
    {"attn.o", GRAM_W_V, GRAM_W_V_BIAS, {GRAM_W_O, GRAM_N_ROLE, GRAM_N_ROLE}},
    {"mlp", GRAM_W_FFN_NORM, GRAM_N_ROLE, {GRAM_W_GATE, GRAM_W_UP, GRAM_N_ROLE}},
    {"mlp.down", GRAM_W_UP, GRAM_W_UP_BIAS, {GRAM_W_DOWN, GRAM_N_ROLE, GRAM_N_ROLE}},
};

static int slot_at_hand(const struct gram_transform_call *call, enum gram_role role)
{
    const struct gram_model_desc *desc = call->weights->desc;

    for (size_t i = 0; i < desc->n_slots; i++) {
        const struct gram_weight_slot *slot = &desc->slots[i];
        if (slot->role == role && slot->layer == call->layer && call->weights->values[i])
            return (int)i;
    }
    return GRAM_NONE;
}

static void find_readers(struct gram_rescale *at, const struct gram_transform_call *call,
                         const struct place *place)
{
    for (int i = 0; i < GRAM_MOST_READERS; i++) {
        const int slot = slot_at_hand(call, place->readers[i]);
        if (slot != GRAM_NONE)
            at->readers[at->n_readers++] = slot;
    }
}

static const struct gram_input_stats *stats_of(const struct gram_transform_call *call, int slot)
{
    for (int i = call->block->first; call->stats && i < call->block->end; i++) {
        if (call->graph->nodes[i].params[0] == slot)
            return gram_block_stats_of(call->stats, &call->graph->nodes[i]);
    }
    return NULL;
}

static bool find_place(struct gram_rescale *at, const struct gram_transform_call *call,
                       const struct place *place)
{
    const struct gram_model_desc *desc = call->weights->desc;

    *at = (struct gram_rescale){.name = place->name, .maker = slot_at_hand(call, place->maker)};
    find_readers(at, call, place);
    if (at->maker == GRAM_NONE || at->n_readers == 0)
        return false;
    at->is_norm = desc->slots[at->maker].kind == GRAM_KIND_VECTOR;
    at->maker_bias = slot_at_hand(call, place->bias);
    at->cols = desc->slots[at->readers[0]].cols;
    at->channels = desc->slots[at->maker].rows;
    at->share = at->cols / at->channels;
    at->head_dim = at->share > 1 ? desc->hp.head_dim : at->channels;
    at->stats = stats_of(call, at->readers[0]);
    return true;
}

int gram_rescale_list(struct gram_rescale *out, const struct gram_transform_call *call)
{
    int n = 0;

    if (!call->block)
        return 0;
    for (int i = 0; i < GRAM_RESCALES; i++)
        n += find_place(&out[n], call, &places[i]);
    return n;
}

enum gram_status gram_rescale_check(const struct gram_model_desc *desc, const char *who,
                                    struct gram_error *err)
{
    if (desc->n_pairs > 0)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s scales the inputs of linears, which their adapters read too: merge the "
                         "adapters first",
                         who);
    for (size_t i = 0; i < desc->n_slots; i++) {
        if (desc->slots[i].role == GRAM_W_ATTN_NORM || desc->slots[i].role == GRAM_W_FFN_NORM)
            return GRAM_OK;
    }
    return gram_fail(err, GRAM_EUNSUPPORTED, "%s needs norms in front of linears, and %s has none", who,
                     gram_arch_name(desc->arch));
}

void gram_rescale_gather(float *out, const struct gram_rescale *at, const float *x, bool mean)
{
    for (int64_t j = 0; j < at->channels; j++)
        out[j] = 0.0f;
    for (int64_t c = 0; c < at->cols; c++) {
        float *sum = &out[gram_rescale_channel(at, c)];
        *sum = mean ? *sum + x[c] / (float)at->share : fmaxf(*sum, x[c]);
    }
}

void gram_rescale_absmax(float *out, const struct gram_rescale *at, const struct gram_weights *weights)
{
    for (int64_t c = 0; c < at->cols; c++)
        out[c] = 0.0f;
    for (int i = 0; i < at->n_readers; i++) {
        const float *w = weights->values[at->readers[i]];
        for (int64_t r = 0; r < weights->desc->slots[at->readers[i]].rows; r++) {
            for (int64_t c = 0; c < at->cols; c++)
                out[c] = fmaxf(out[c], fabsf(w[r * at->cols + c]));
        }
    }
}

static void divide_maker(const struct gram_rescale *at, const struct gram_weights *weights, const float *s)
{
    const int64_t cols = weights->desc->slots[at->maker].cols;
    float *w = weights->values[at->maker];

    for (int64_t j = 0; j < at->channels; j++) {
        for (int64_t k = 0; k < cols; k++)
            w[j * cols + k] /= s[j];
        if (at->maker_bias != GRAM_NONE)
            weights->values[at->maker_bias][j] /= s[j];
    }
}

void gram_rescale_apply(const struct gram_rescale *at, const struct gram_weights *weights, const float *s)
{
    divide_maker(at, weights, s);
    for (int i = 0; i < at->n_readers; i++) {
        float *w = weights->values[at->readers[i]];
        for (int64_t r = 0; r < weights->desc->slots[at->readers[i]].rows; r++) {
            for (int64_t c = 0; c < at->cols; c++)
                w[r * at->cols + c] *= s[gram_rescale_channel(at, c)];
        }
    }
}

void gram_rescale_note(struct gram_transform_call *call, const char *what, const struct gram_rescale *at,
                       double value)
{
    const size_t used = strlen(call->note), room = sizeof call->note - used;
    const char *lead = used ? "," : what;

    if (value < 0)
        snprintf(call->note + used, room, "%s %s -", lead, at->name);
    else
        snprintf(call->note + used, room, "%s %s %.2f", lead, at->name, value);
}
