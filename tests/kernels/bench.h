/* kcheck --bench: timings, and what the machine could do at best. */
#ifndef GRAM_TESTS_BENCH_H
#define GRAM_TESTS_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include "kernels/kernels.h"

/* Peaks of one thread with the instructions of a level; 0 where there is no such measurement. */
struct ceilings {
    double flops; /* f32 multiply-adds, 2 each, per second */
    double iops;  /* int8 multiply-adds, 2 each, per second */
    double read;  /* bytes per second from memory */
};

/* `memory` is larger than the caches; cpu_flags are those of the level. */
void measure_ceilings(struct ceilings *out, unsigned cpu_flags, const void *memory, int64_t bytes);

/* Smallest of several timings of work(context), in seconds per call. */
double time_of(void (*work)(void *context), void *context);

/* One line: a call of `kernel` with the operands that `what` names took that long. */
struct timing {
    const char *level, *kernel, *what;
    double seconds, ops, bytes; /* of one call; ops 0: not a multiply-add kernel */
    bool integer;
};
void bench_report(const struct timing *t, const struct ceilings *top);

/* Those of linears over panels, which need operands of their own; `memory` as above. */
void bench_float_linear(const char *level, const struct gram_kernels *kernels,
                        const struct ceilings *top, const void *memory, int64_t bytes);
void bench_int_linear(const char *level, const struct gram_kernels *kernels,
                      const struct ceilings *top, const void *memory, int64_t bytes);
void bench_quantize_acts(const char *level, const struct gram_kernels *kernels,
                         const struct ceilings *top);
void bench_attend(const char *level, const struct gram_kernels *kernels, enum gram_kv_kind kind,
                  const struct ceilings *top);

/* Timings of the kernels that are wanted, at one level. */
void bench_level(const char *level, const struct gram_kernels *kernels,
                 bool (*wanted)(const char *kernel, void *context), void *context);

#endif
