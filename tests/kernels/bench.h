/* kcheck --bench: timings, and what the machine could do at best. */
#ifndef GRAM_TESTS_BENCH_H
#define GRAM_TESTS_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include "kernels/kernels.h"
#include "report/ceilings.h"
#include "report/ceilings.h"
#include "report/ceilings.h"
#include "report/ceilings.h"

/* Smallest of several timings of work(context), in seconds per call. */
double time_of(void (*work)(void *context), void *context);

/* One line: a call of `kernel` with the operands that `what` names took that long. */
struct timing {
    const char *level, *kernel, *what;
    double seconds, ops, bytes; /* of one call; ops 0: not a multiply-add kernel */
    bool integer;
};
void bench_report(const struct timing *t, const struct gram_ceilings *top);

/* Those of linears over panels, which need operands of their own; `memory` as above. */
void bench_float_linear(const char *level, const struct gram_kernels *kernels,
                        const struct gram_ceilings *top, const void *memory, int64_t bytes);
void bench_int_linear(const char *level, const struct gram_kernels *kernels,
                      const struct gram_ceilings *top, const void *memory, int64_t bytes);
void bench_quantize_acts(const char *level, const struct gram_kernels *kernels,
                         const struct gram_ceilings *top);
void bench_attend(const char *level, const struct gram_kernels *kernels, enum gram_kv_kind kind,
                  const struct gram_ceilings *top);

/* Timings of the kernels that are wanted, at one level. */
void bench_level(const char *level, const struct gram_kernels *kernels,
                 bool (*wanted)(const char *kernel, void *context), void *context);

#endif
