/* What the processor can do, and the ladder of kernel levels. */
#ifndef GRAM_BASE_CPU_H
#define GRAM_BASE_CPU_H

#include "base/error.h"

/* Bits; a kernel table is filled from the weakest to the strongest that is set. */
enum gram_cpu_flag {
    GRAM_CPU_AVX2 = 1 << 0,       /* with FMA and F16C */
    GRAM_CPU_AVX512 = 1 << 1,     /* F, BW, VL, DQ */
    GRAM_CPU_AVX512VNNI = 1 << 2,
    GRAM_CPU_NEON = 1 << 3,
    GRAM_CPU_DOTPROD = 1 << 4,
    GRAM_CPU_AMX = 1 << 5,        /* tiles of int8 and bf16, with the system's permission */
};

/* Everything this processor and its system support. Tiles must be asked for on Linux: the first call does,
 * for all threads of the process; where it is refused, there are none. */
unsigned gram_cpu_detect(void);

/*
 * The flags of level `name` and of all below it ("ref" has none). GRAM_EINVAL for an unknown name or one
 * that is not in `have`.
 */
enum gram_status gram_cpu_mask(unsigned *flags, const char *name, unsigned have,
                               struct gram_error *err);

/* Name of the strongest level in flags. */
const char *gram_cpu_name(unsigned flags);

#endif
