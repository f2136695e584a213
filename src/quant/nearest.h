/* One weight at a time: the code that a step gives to it, as gram_grid_encode() does, and back. */
#ifndef GRAM_QUANT_NEAREST_H
#define GRAM_QUANT_NEAREST_H

#include "base/half.h"
#include "tensor/grid.h"

/* Unsigned as stored. */
static inline uint8_t gram_nearest(const struct gram_grid *grid, struct gram_step step, float x)
{
    const float magic = 12582912.0f; /* 1.5 * 2^23 rounds half to even into the low bits */
    const float half = (float)(1 << (grid->bits - 1));
    const float low = grid->is_ternary ? -1 : -half, high = grid->is_ternary ? 1 : half - 1;
    float code = x / step.scale + (float)step.zero;

    if (grid->codebook) {
        uint8_t found;
        grid->codebook->encode(&found, &x, 1, step.scale);
        return found;
    }
    code = code < low ? low : code;
    code = code > high ? high : code;
    return (uint8_t)(gram_f32_bits(code + magic) + (uint32_t)half);
}

static inline float gram_code_value(const struct gram_grid *grid, struct gram_step step, uint8_t code)
{
    if (grid->codebook)
        return gram_codebook_value(grid->codebook, code, step.scale);
    return (float)(code - (1 << (grid->bits - 1)) - step.zero) * step.scale;
}

#endif
