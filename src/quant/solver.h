/*
 * Methods that need more than the weights that share a scale: the whole matrix, and what
 * calibration knows of its inputs. A solver is pure arithmetic: from W and statistics to codes.
 */
#ifndef GRAM_QUANT_SOLVER_H
#define GRAM_QUANT_SOLVER_H

#include <gram/quantize.h>
#include "base/error.h"
#include "base/pool.h"
#include "calib/stats.h"
#include "quant/coded.h"

/* What the user may set; every field has the default that gives the best result, and one value that gives
 * what the reference implementation does. */
struct gram_method_options {
    double damping;      /* of the diagonal of X'X, as a share of its mean [0.01] */
    bool act_order;      /* columns by falling diagonal [true] */
    bool static_groups;  /* steps found before the first column is rounded, in the order of the file [true] */
    bool mse_steps;      /* steps by scale search instead of the range [true] */
    int64_t block;       /* columns that are rounded before the others are corrected [128] */
    int64_t iterations;  /* of iterative methods; 0: the method's own; -1: none, as the references of gptq and
                            ldlq do, whose codes are final when every column has been rounded once [0] */
    uint64_t seed;
};
#define GRAM_METHOD_OPTIONS_INIT {0.01, true, true, true, 128, 0, 0}

/* One linear to be solved. w is [rows][cols], finite, and may be overwritten. */
struct gram_problem {
    const char *name; /* for sentences */
    float *w;
    int64_t rows, cols;
    const struct gram_input_stats *stats; /* with what the method needs; NULL if it needs nothing */
    const struct gram_method_options *options;
    struct gram_pool *pool;
    const struct gram_kernels *kernels; /* NULL: the best of this processor */
    struct gram_arena *scratch; /* rewound whenever a part of the work is done; NULL: the system's memory */
};

/* How it went, for the report and the certificate. The two errors are left to gram_solution_measure(). */
struct gram_solution {
    double weight_error;   /* sum of (w - w')^2; -1 if not known */
    double output_error;   /* sum over rows of (w - w') G (w - w')', G = X'X / tokens; -1 if not known */
    double damping_used;   /* share of the mean diagonal; 0 if the method has none */
    int damping_retries;
    const char *note;      /* static; why another method had to be taken, or NULL */
};

/*
 * Fill coded->codes and coded->steps for the problem. Deterministic for any number of threads.
 * GRAM_ENUMERIC when it fails numerically (the caller falls back to mse and says so), GRAM_ENOMEM.
 */
typedef enum gram_status gram_solve_fn(struct gram_coded *coded, const struct gram_problem *problem,
                                       struct gram_solution *solution, struct gram_error *err);

gram_solve_fn gram_solve_gptq, gram_solve_ldlq, gram_solve_gpfq, gram_solve_hqq, gram_solve_autoround;

/* weight_error and output_error of finished codes against `original` [rows][cols]; -1 if memory ran out. */
void gram_solution_measure(struct gram_solution *solution, const struct gram_coded *coded,
                           const float *original, const struct gram_problem *problem);

/* The kernels that a problem is to be solved with. */
struct gram_kernels gram_problem_kernels(const struct gram_problem *problem);

#endif
