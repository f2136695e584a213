/* Bit streams of codes, one at a time and in runs. */
#include "tensor/weight.h"

#include <string.h>

#include "tensor/dtype.h"

int64_t gram_weight_bytes(const struct gram_weight *w)
{
    const int64_t data = w->rows * w->row_bytes;
    if (w->bits == 0)
        return data;
    const int64_t n_scales = (w->scale_stride ? w->rows : 1) * gram_weight_groups(w);
    return data + n_scales * (gram_dtype_bits(w->scale_dtype) / 8 + (w->zeros ? 1 : 0));
}

unsigned gram_code_get(const void *row, int64_t k, int bits)
{
    const uint8_t *bytes = (const uint8_t *)row + k * bits / 8;
    const int shift = (int)(k * bits % 8);
    unsigned window = bytes[0];

    if (shift + bits > 8)
        window |= (unsigned)bytes[1] << 8;
    return window >> shift & ((1u << bits) - 1);
}

/* 8 codes of any width are as many bytes as a code has bits. */
static uint64_t pack_eight(const uint8_t *codes, int bits)
{
    uint64_t window = 0;
    for (int j = 0; j < 8; j++)
        window |= (uint64_t)codes[j] << (j * bits);
    return window;
}

void gram_codes_pack(void *dst, const uint8_t *codes, int64_t n, int bits)
{
    const int64_t bytes = gram_code_row_bytes(n, bits);
    uint8_t *out = dst;
    int64_t i = 0, at = 0;

    for (; i + 8 <= n && at + 8 <= bytes; i += 8, at += bits) { /* whole words, later ones overwrite */
        const uint64_t window = pack_eight(codes + i, bits);
        memcpy(out + at, &window, sizeof window);
    }
    memset(out + at, 0, (size_t)(bytes - at));
    for (; i < n; i++) {
        const int64_t bit = i * bits;
        const unsigned code = (unsigned)codes[i] << bit % 8;
        out[bit / 8] |= (uint8_t)code;
        if (bit % 8 + bits > 8)
            out[bit / 8 + 1] |= (uint8_t)(code >> 8);
    }
}

void gram_codes_unpack(uint8_t *codes, const void *row, int64_t first, int64_t n, int bits)
{
    const uint8_t *in = (const uint8_t *)row + first * bits / 8;
    const unsigned mask = (1u << bits) - 1;
    int held = 8 - (int)(first * bits % 8);
    unsigned window = n > 0 ? (unsigned)*in++ >> (8 - held) : 0;

    for (int64_t i = 0; i < n; i++) {
        if (held < bits) {
            window |= (unsigned)*in++ << held;
            held += 8;
        }
        codes[i] = (uint8_t)(window & mask);
        window >>= bits;
        held -= bits;
    }
}

float gram_weight_scale(const struct gram_weight *w, int64_t r, int64_t g)
{
    float scale;
    gram_read_f32(&scale, w->scales, w->scale_dtype, r * w->scale_stride + g, 1);
    return scale;
}
