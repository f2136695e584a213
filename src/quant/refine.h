/*
 * Descent on the output error itself, tr(E (G + ridge I) E') with E = W - Q, from codes and steps that
 * some method found: each code moves to the best one while all others stay (coordinate descent, as
 * QuantEase: Behdin et al. 2023, and CDQuant: Nair, Suggala 2024), each scale to the best one for its
 * codes (least squares). No change is made that does not lower the error.
 */
#ifndef GRAM_QUANT_REFINE_H
#define GRAM_QUANT_REFINE_H

#include "base/error.h"
#include "base/pool.h"
#include "kernels/kernels.h"
#include "quant/coded.h"

struct gram_refine {
    const float *gram; /* [cols][cols] */
    double ridge;
    int64_t sweeps;
    bool keep_steps; /* move codes alone */
    struct gram_arena *scratch; /* rewound; may be NULL */
};

/* w[rows][cols]. Rows are independent and spread over the pool. False if memory ran out. */
bool gram_refine(struct gram_coded *coded, const float *w, const struct gram_refine *refine,
                 const struct gram_kernels *kernels, struct gram_pool *pool);

#endif
