/*
 * y = x W' + b, given dy:   dx += dy W     dW += dy' x     db += sum of the rows of dy
 * W may be in any form: it is decoded block by block, so that a base in 4 bits stays in 4 bits. Where
 * activations are rounded in training, x is what they were rounded to, and dx passes through.
 */
#include <string.h>

#include "base/checked.h"
#include "graph/grad.h"

struct bias {
    const struct gram_grad *grad;
    const float *dy;
    float *db;
    int64_t rows, cols;
};

/* Columns [begin, end), over the rows in their order. */
static void sum_columns(void *context, int64_t begin, int64_t end, int worker)
{
    const struct bias *b = context;
    (void)worker;
    for (int64_t t = 0; t < b->rows; t++)
        b->grad->exec->kernels->add(b->db + begin, b->db + begin, b->dy + t * b->cols + begin,
                                    end - begin);
}

void gram_linear_vjp(struct gram_grad *grad, const struct gram_node *node)
{
    enum { COLUMNS = 64 };
    const struct gram_exec *exec = grad->exec;
    const struct gram_binding *binding = &exec->bindings[node->params[0]];
    const int64_t rows = gram_exec_rows(exec, node->output), out = node->at.linear.out;
    const int64_t in = exec->graph->values[node->inputs[0]].cols;
    const struct gram_matrix dy = gram_matrix_of(gram_grad_value(grad, node->output), rows, out);
    const struct gram_matrix w = gram_matrix_of_weight(&binding->weight);
    struct gram_matrix x = gram_matrix_of(gram_exec_value(exec, node->inputs[0]), rows, in);
    float *dw = gram_grad_param(grad, node->params[0]),
          *db = gram_grad_param(grad, node->params[1]),
          *dx = gram_grad_value(grad, node->inputs[0]);

    const bool begins = gram_grad_begins(grad, node->inputs[0]);
    if (binding->acts) {
        const struct gram_fake_call call =
            gram_exec_fake_call(exec, binding->acts, node->inputs[0]);
        if (begins)
            memset(dx, 0, (size_t)(rows * in) * sizeof *dx);
        gram_fake_acts_round(&call, false);
        gram_matmul_run(&exec->matmul, grad->rounded, dy, w, false);
        gram_fake_acts_pull(&call, dx, grad->rounded);
        x = gram_matrix_of(call.y, rows, in);
    } else {
        gram_matmul_run(&exec->matmul, dx, dy, w, !begins);
    }
    if (dw)
        gram_matmul_run(&exec->matmul, dw, gram_matrix_transposed(dy), x, true);
    if (db)
        gram_pool_for(exec->pool, out, COLUMNS, sum_columns,
                      &(struct bias){grad, dy.data, db, rows, out});
}
