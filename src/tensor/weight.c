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

/* Eight codes, side by side in a word, to a byte each: halves drift apart, then quarters, then eighths. */
static inline uint64_t spread(uint64_t codes, int bits)
{
    const uint64_t four = (1ull << 4 * bits) - 1;
    const uint64_t two = ((1ull << 2 * bits) - 1) * 0x0000000100000001ull;
    const uint64_t one = ((1ull << bits) - 1) * 0x0001000100010001ull;

    codes = (codes & four) | (codes >> 4 * bits & four) << 32;
    codes = (codes & two) | (codes << (16 - 2 * bits) & two << 16);
    return (codes & one) | (codes << (8 - bits) & one << 8);
}

/* As long as eight are left; returns how many. `bits` is a constant wherever this is called. */
static inline int64_t unpack_eights(uint8_t *codes, const uint8_t *in, int64_t n, int bits)
{
    for (int64_t i = 0; i < n / 8; i++) {
        uint64_t word = 0;
        memcpy(&word, in + i * bits, (size_t)bits);
        word = spread(word, bits);
        memcpy(codes + 8 * i, &word, sizeof word);
    }
    return n / 8 * 8;
}

/* From a byte boundary on; widths that are not here are unpacked one by one. */
static int64_t unpack_most(uint8_t *codes, const uint8_t *in, int64_t n, int bits)
{
    switch (bits) {
    case 2: return unpack_eights(codes, in, n, 2);
    case 3: return unpack_eights(codes, in, n, 3);
    case 4: return unpack_eights(codes, in, n, 4);
    case 5: return unpack_eights(codes, in, n, 5);
    case 6: return unpack_eights(codes, in, n, 6);
    default: return 0;
    }
}

void gram_codes_unpack(uint8_t *codes, const void *row, int64_t first, int64_t n, int bits)
{
    const uint8_t *in = (const uint8_t *)row + first * bits / 8;
    const int64_t done = first % 8 == 0 ? unpack_most(codes, in, n, bits) : 0;
    const unsigned mask = (1u << bits) - 1;

    first += done;
    in += done * bits / 8;
    int held = 8 - (int)(first * bits % 8);
    unsigned window = n > done ? (unsigned)*in++ >> (8 - held) : 0;

    for (int64_t i = done; i < n; i++) {
        if (held < bits) {
            window |= (unsigned)*in++ << held;
            held += 8;
        }
        codes[i] = (uint8_t)(window & mask);
        window >>= bits;
        held -= bits;
    }
}

void gram_weight_codes(uint8_t *codes, const struct gram_weight *w, int64_t r, int64_t first, int64_t n)
{
    const uint8_t *row = (const uint8_t *)w->data + r * w->row_bytes;
    const uint8_t flip = w->is_signed ? 0x80 : 0;

    if (w->bits == 8) {
        for (int64_t i = 0; i < n; i++)
            codes[i] = row[first + i] ^ flip;
    } else if (w->high_first) {
        for (int64_t i = 0, k = first; i < n; i++, k++)
            codes[i] = k % 2 ? row[k / 2] & 15 : row[k / 2] >> 4;
    } else {
        gram_codes_unpack(codes, row, first, n, w->bits);
    }
}

float gram_weight_scale(const struct gram_weight *w, int64_t r, int64_t g)
{
    float scale;
    gram_read_f32(&scale, w->scales, w->scale_dtype, r * w->scale_stride + g, 1);
    return scale;
}
