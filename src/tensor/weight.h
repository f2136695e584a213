/*
 * The weight of a linear as the kernels see it: a matrix [rows, cols] (out, in), dense or as codes on
 * a grid. Everything quantized plugs in here; kernels, containers and methods meet at this struct.
 *
 * Codes are a little-endian bit stream per row, element 0 in the lowest bits of the first byte, each row
 * padded to a whole number of 32-bit words (the layout of compressed-tensors' pack-quantized).
 * The stored code is unsigned; W[r][k] = (code - 2^(bits-1) - zero[r][g]) * scale[r][g], g = k / group.
 * With is_signed the codes are plain int8 (bits is 8, a row is cols bytes) and nothing is subtracted
 * but the zero point. With a table, W[r][k] = table[code] * scale[r][g] instead: the grid is not one of
 * integers, and there are no zero points.
 */
#ifndef GRAM_TENSOR_WEIGHT_H
#define GRAM_TENSOR_WEIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <gram/tensor.h>

struct gram_weight {
    int64_t rows, cols;
    const void *data;    /* dense elements (aligned to their size), or codes (aligned to 4) */
    int64_t row_bytes;   /* from one row to the next */

    enum gram_dtype dtype; /* dense: f32, f16 or bf16 */

    int bits;             /* 0: dense. 2, 3, 4, 5, 6, 8: codes */
    bool is_signed;
    bool high_first;      /* bits is 4: of the two codes of a byte, the first is the high one */
    const float *table;   /* NULL: integers. Values of the 2^bits codes: 16 in [-1, 1] (nf4, fp4, e2m1),
                             or 256 (f8_e4m3, a row is cols bytes) */
    int64_t group;        /* columns that share a scale; cols for channel and tensor */
    const void *scales;   /* [rows or 1, cols / group rounded up], of scale_dtype */
    enum gram_dtype scale_dtype;  /* f32, f16 or bf16 */
    int64_t scale_stride; /* scales from one row to the next; 0: one for the whole tensor */
    bool is_nested;       /* scales are f32 here, and were bytes and f32 of 256 in the file */
    const int8_t *zeros;  /* NULL when symmetric; signed, laid out as the scales */
    int act_bits;         /* 0: activations stay f32. 8: int8, symmetric */
    float act_scale;      /* ... positive: of all of them, found in calibration; 0: each token has its own */
    float act_outlier;    /* ... positive: inputs of this magnitude and more stay f32, the others are
                             quantized by the rule of LLM.int8(); 0: not that rule */
};

/* Bytes of one row of `cols` codes, padded to words. */
static inline int64_t gram_code_row_bytes(int64_t cols, int bits)
{
    return (cols * bits + 31) / 32 * 4;
}

static inline int64_t gram_weight_groups(const struct gram_weight *w)
{
    return (w->cols + w->group - 1) / w->group;
}

/* Bytes that the weight takes: elements, or codes with scales and zero points. */
int64_t gram_weight_bytes(const struct gram_weight *w);

/* Code k of a row of codes, unsigned as stored. */
unsigned gram_code_get(const void *row, int64_t k, int bits);
/* n codes (each below 2^bits) to the bit stream: dst[gram_code_row_bytes(n, bits)], padding becomes zero. */
void gram_codes_pack(void *dst, const uint8_t *codes, int64_t n, int bits);
/* n codes from position `first` of the bit stream. */
void gram_codes_unpack(uint8_t *codes, const void *row, int64_t first, int64_t n, int bits);

/* Codes [first, first + n) of row r as unsigned bytes, whatever way they are stored (signed ones: + 128). */
void gram_weight_codes(uint8_t *codes, const struct gram_weight *w, int64_t r, int64_t first, int64_t n);

/* Scale of row r, group g, as f32. */
float gram_weight_scale(const struct gram_weight *w, int64_t r, int64_t g);

#endif
