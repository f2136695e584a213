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

void gram_codes_pack(void *dst, const uint8_t *codes, int64_t n, int bits)
{
    uint8_t *out = dst;
    uint64_t window = 0;
    int held = 0;

    for (int64_t i = 0; i < n; i++) {
        window |= (uint64_t)codes[i] << held;
        held += bits;
        for (; held >= 8; held -= 8, window >>= 8)
            *out++ = (uint8_t)window;
    }
    if (held > 0)
        *out++ = (uint8_t)window;
    const uint8_t *end = (const uint8_t *)dst + gram_code_row_bytes(n, bits);
    memset(out, 0, (size_t)(end - out));
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
