/* What the machine could do at best: what speed is held against. */
#ifndef GRAM_BENCH_H
#define GRAM_BENCH_H

#include <gram/model.h>

GRAM_BEGIN_DECLS

/* Of all threads of a runtime together, with the instructions of its kernels; 0 where it cannot be
 * measured. */
struct gram_ceilings {
    double flops; /* f32 multiply-adds from registers, 2 each, per second */
    double iops;  /* int8 multiply-adds from registers, 2 each, per second */
    double read;  /* bytes per second, reading the model's repacked weights from end to end */
};

/* Measure them, in about half a second; the model must not be in use meanwhile. */
GRAM_API void gram_ceilings(const struct gram_model *model, struct gram_ceilings *out);

GRAM_END_DECLS
#endif
