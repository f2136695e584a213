/*
 * Grids whose values are not multiples of a step: code c stands for values[c] * scale. One row per
 * grid. Integer grids are in grid.h, which also encodes and decodes on these.
 */
#ifndef GRAM_TENSOR_CODEBOOK_H
#define GRAM_TENSOR_CODEBOOK_H

#include <stdbool.h>
#include <stdint.h>

struct gram_codebook {
    const char *name; /* "nf4" */
    int bits;         /* 4 or 8 */
    float top;        /* greatest value: scale = max|x| / top */
    bool keeps_zero;  /* zeros have scale 0, as in bitsandbytes; else the epsilon of the scale's type */
    const float *values; /* [2^bits], by code; NaN where a code is no number. NULL: (c - 128) / 127 */
    /* codes[n] = the nearest values of x[n], finite, under this scale; beyond the ends, the ends. */
    void (*encode)(uint8_t *codes, const float *x, int64_t n, float scale);
};

/*
 * nf4     normal floats: quantiles of a normal distribution (Dettmers et al. 2023, QLoRA)
 * fp4     bitsandbytes' 4-bit floats, / 12
 * e2m1    4-bit floats of OCP MX, / 6
 * e4m3    8-bit floats of OCP (F8_E4M3 of safetensors, "fn": no infinities), up to 448
 * int8v   127 steps to either side: LLM.int8() (Dettmers et al. 2022)
 */
extern const struct gram_codebook gram_nf4, gram_fp4, gram_e2m1, gram_e4m3, gram_int8v;

/* By name; NULL if there is none. */
const struct gram_codebook *gram_codebook_find(const char *name);

/* The value of code c under this scale, rounded once. */
float gram_codebook_value(const struct gram_codebook *book, uint8_t c, float scale);

#endif
