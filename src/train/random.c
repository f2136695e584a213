#include "train/random.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"

/* Box and Muller 1958, one of the two. */
static double normal(struct gram_rng *rng)
{
    const double length = sqrt(-2.0 * log(1.0 - gram_rng_unit(rng)));
    return length * cos(6.283185307179586 * gram_rng_unit(rng));
}

static bool is_bias(const struct gram_weight_slot *slot)
{
    const size_t n = strlen(slot->op);
    return n >= 5 && strcmp(slot->op + n - 5, ".bias") == 0;
}

void gram_random_weight(float *w, const struct gram_model_desc *desc, size_t at, uint64_t seed)
{
    const struct gram_weight_slot *slot = &desc->slots[at];
    const bool is_added = slot->role == GRAM_W_O || slot->role == GRAM_W_DOWN;
    const double deviation = is_added ? 0.02 / sqrt(2.0 * (double)desc->hp.layers) : 0.02;
    struct gram_rng rng = {seed ^ (at + 1) * 0x9e3779b97f4a7c15u};

    for (int64_t i = 0; i < slot->rows * slot->cols; i++)
        w[i] = slot->kind != GRAM_KIND_VECTOR ? (float)(deviation * normal(&rng))
               : is_bias(slot)                ? 0.0f
                                              : 1.0f;
}
