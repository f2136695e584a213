/* What a calibrated job will take, said before it starts. */
#ifndef GRAM_QUANT_PREFLIGHT_H
#define GRAM_QUANT_PREFLIGHT_H

#include "quant/blocks.h"

struct gram_preflight {
    uint64_t memory; /* bytes, at the peak */
    bool spills;     /* activations go to a file, because they would not fit the limit */
};

void gram_preflight_estimate(struct gram_preflight *out, const struct gram_blocks *blocks);

#endif
