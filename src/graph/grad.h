/*
 * The reverse pass: from the gradient of one value to those of everything before it, node by node,
 * over the values that an executor has kept. Gradients of parameters are added to what is there, so
 * that several calls accumulate.
 */
#ifndef GRAM_GRAPH_GRAD_H
#define GRAM_GRAPH_GRAD_H

#include "graph/exec.h"

struct gram_grad {
    struct gram_exec *exec; /* opened with kept values; its last call is what is differentiated */
    float **values;         /* [n_values]: d loss / d value [rows, cols] */
    float **params; /* [slots]: where gradients of parameters are added; NULL: not wanted. The
                       caller's */
    bool *is_begun; /* [n_values]: does it hold a sum? */
    float *rows;   /* [max_rows]: a number per row, for the op at hand */
    float *rounded; /* as exec->rounded: the gradient of what was rounded */
    char *scratch; /* [threads][scratch_bytes], for the op at hand */
    int64_t scratch_bytes;
    struct gram_arena arena;
};

/* params has room for the slots of the model. GRAM_ENOMEM. */
enum gram_status gram_grad_open(struct gram_grad *grad, struct gram_exec *exec, float **params,
                                struct gram_error *err);
void gram_grad_close(struct gram_grad *grad);

/*
 * Nodes [first, end) in reverse. The caller has filled values[v] for the values that leave the
 * range; those inside and those that enter it begin anew.
 */
void gram_grad_run(struct gram_grad *grad, int first, int end);

/* For ops. */
static inline float *gram_grad_value(const struct gram_grad *grad, int value)
{
    return grad->values[value];
}
/* Will what is added to the gradient be its first term? Then it is to be written instead, by ops that
 * say so in their row (op.h); for others it is zero by then. */
static inline bool gram_grad_begins(struct gram_grad *grad, int value)
{
    const bool begins = !grad->is_begun[value];
    grad->is_begun[value] = true;
    return begins;
}
static inline float *gram_grad_param(const struct gram_grad *grad, int slot)
{
    return slot == GRAM_NONE ? NULL : grad->params[slot];
}

/* The vjp of each op, in vjp_*.c. */
void gram_embed_vjp(struct gram_grad *, const struct gram_node *);
void gram_last_vjp(struct gram_grad *, const struct gram_node *);
void gram_first_vjp(struct gram_grad *, const struct gram_node *);
void gram_slice_vjp(struct gram_grad *, const struct gram_node *);
void gram_add_row_vjp(struct gram_grad *, const struct gram_node *);
void gram_activate_vjp(struct gram_grad *, const struct gram_node *);
void gram_layernorm_vjp(struct gram_grad *, const struct gram_node *);
void gram_add_vjp(struct gram_grad *, const struct gram_node *);
void gram_add_scaled_vjp(struct gram_grad *, const struct gram_node *);
void gram_pool_vjp(struct gram_grad *, const struct gram_node *);
void gram_dropout_vjp(struct gram_grad *, const struct gram_node *);
void gram_swiglu_vjp(struct gram_grad *, const struct gram_node *);
void gram_rmsnorm_vjp(struct gram_grad *, const struct gram_node *);
void gram_rope_vjp(struct gram_grad *, const struct gram_node *);
void gram_linear_vjp(struct gram_grad *, const struct gram_node *);
void gram_attend_vjp(struct gram_grad *, const struct gram_node *);
int64_t gram_attend_vjp_scratch(const struct gram_node *node, int64_t rows);

#endif
