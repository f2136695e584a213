/* Weights as f32: what every decoder must give, bit for bit. */
#include "base/half.h"
#include "kernels/variants.h"

static const void *row_data(const struct gram_weight *w, int64_t row)
{
    return (const char *)w->data + row * w->row_bytes;
}

void gram_decode_f32__ref(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                          int64_t n)
{
    const float *src = row_data(w, row);
    for (int64_t i = 0; i < n; i++)
        dst[i] = src[k0 + i];
}

void gram_decode_f16__ref(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                          int64_t n)
{
    const uint16_t *src = row_data(w, row);
    for (int64_t i = 0; i < n; i++)
        dst[i] = gram_f32_from_f16(src[k0 + i]);
}

void gram_decode_bf16__ref(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                           int64_t n)
{
    const uint16_t *src = row_data(w, row);
    for (int64_t i = 0; i < n; i++)
        dst[i] = gram_f32_from_bf16(src[k0 + i]);
}

/* The code of column k as a signed number, before the zero point. */
static int code_at(const struct gram_weight *w, const void *row, int64_t k)
{
    if (w->is_signed)
        return ((const int8_t *)row)[k];
    return (int)gram_code_get(row, k, w->bits) - (1 << (w->bits - 1));
}

/* Every storage of codes, signed bytes and bit streams of any width. */
void gram_decode_codes__ref(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                            int64_t n)
{
    const void *codes = row_data(w, row);
    for (int64_t i = 0; i < n; i++) {
        const int64_t g = (k0 + i) / w->group;
        const int zero = w->zeros ? w->zeros[row * w->scale_stride + g] : 0;
        dst[i] = (float)(code_at(w, codes, k0 + i) - zero) * gram_weight_scale(w, row, g);
    }
}

/* Codes that choose from a table. */
void gram_decode_table__ref(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                            int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint8_t code;
        gram_weight_codes(&code, w, row, k0 + i, 1);
        dst[i] = w->table[code] * gram_weight_scale(w, row, (k0 + i) / w->group);
    }
}
