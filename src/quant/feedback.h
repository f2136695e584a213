/*
 * Rounding with feedback: columns are rounded one after another, and what one has lost is made up for by
 * those behind it. In the order of rounding, column j becomes
 *
 *     q_j = nearest(w_j + sum over i < j of (w_i - q_i) B[j][i])
 *
 * GPTQ (Frantar et al. 2022) and LDLQ (Chee et al. 2023, eq. 2) are this with B' = V - I, where G = V D
 * V' with V unit upper triangular; they are one algorithm (Chee et al., theorem 6). The output error is
 * then sum over j of D_j (rounding error of j)^2. GPFQ (Lybrand, Saab 2021) is this with B[j][i] = G_ij
 * / G_jj.
 *
 * The same codes come from what rounding alone loses, r_i = x_i - q_i with x_i the corrected weight: q_j
 * = nearest(w_j + sum of r_i C[j][i]) with C = I - (I + B)^-1. In this form, GPTQ's own, the weights
 * that are left are at any time the best ones for the codes so far, so that steps may be found from
 * them.
 */
#ifndef GRAM_QUANT_FEEDBACK_H
#define GRAM_QUANT_FEEDBACK_H

#include "base/error.h"
#include "base/pool.h"
#include "kernels/kernels.h"
#include "quant/coded.h"
#include "quant/steps.h"

struct gram_feedback {
    const float *lower;   /* [cols][cols]: B, or C if there is a rule; only [j][i] with i < j is read */
    const int64_t *order; /* [cols]: which column is rounded j-th */
    int64_t block;        /* columns that are rounded before those behind the block are corrected */
    /* NULL: coded->steps are given. Else a step is found when the first column of its group comes, from
     * the group's weights as corrected up to the block before. Not with one step for the tensor. */
    const struct gram_step_rule *rule;
    struct gram_arena *scratch; /* rewound; may be NULL */
};

/*
 * Fill coded->codes, and the steps if there is a rule, for w[rows][cols]. Rows are independent and
 * spread over the pool. GRAM_ENUMERIC if corrections grow beyond f32, GRAM_ENOMEM; err is left alone.
 */
enum gram_status gram_feedback_round(struct gram_coded *coded, const float *w,
                                     const struct gram_feedback *feedback,
                                     const struct gram_kernels *kernels, struct gram_pool *pool);

#endif
