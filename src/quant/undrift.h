/* Weights that make up for the drift of their inputs (calib/drift.h). */
#ifndef GRAM_QUANT_UNDRIFT_H
#define GRAM_QUANT_UNDRIFT_H

#include "quant/solver.h"

/*
 * problem->w becomes what comes nearest to the float model's outputs on the inputs that the linear
 * gets; the ridge is that of options->damping. Without statistics of drift, and where G cannot be
 * factored, w stays as it is. GRAM_ENOMEM; err is left alone.
 */
enum gram_status gram_correct_drift(const struct gram_problem *problem);

#endif
