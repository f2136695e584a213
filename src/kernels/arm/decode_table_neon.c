/* Codes that choose from a table, as f32: NEON. The 16 values are 64 bytes, which one tbl reads. */
#include <arm_neon.h>

#include "kernels/simd/decode.h"
#include "kernels/variants.h"

/* Values of 4 codes, which stand in bytes 4 j .. 4 j + 3 of `codes` as 4 * code. */
static inline float32x4_t choose(uint8x16x4_t values, uint8x16_t codes, int j)
{
    static const uint8_t each[16] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3};
    static const uint8_t byte[16] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3};
    const uint8x16_t lane = vaddq_u8(vld1q_u8(each), vdupq_n_u8((uint8_t)(4 * j)));
    const uint8x16_t at = vaddq_u8(vqtbl1q_u8(codes, lane), vld1q_u8(byte));
    return vreinterpretq_f32_u8(vqtbl4q_u8(values, at));
}

static inline void run_t4(float *dst, const struct codes *codes, int64_t k, int64_t n,
                          const float *table, float scale, int high_first)
{
    uint8x16x4_t values;
    int64_t i = 0;

    for (int j = 0; j < 4; j++)
        values.val[j] = vreinterpretq_u8_f32(vmulq_n_f32(vld1q_f32(table + 4 * j), scale));
    if (k % 2 && n > 0)
        dst[i++] = table[nibble_get(codes, k, high_first)] * scale;
    for (; i + 16 <= n; i += 16) {
        const uint8x8_t in = vld1_u8(codes->row + (k + i) / 2);
        const uint8x8_t low = vand_u8(in, vdup_n_u8(15)), high = vshr_n_u8(in, 4);
        const uint8x8x2_t both = high_first ? vzip_u8(high, low) : vzip_u8(low, high);
        const uint8x16_t four = vshlq_n_u8(vcombine_u8(both.val[0], both.val[1]), 2);
        for (int j = 0; j < 4; j++)
            vst1q_f32(dst + i + 4 * j, choose(values, four, j));
    }
    for (; i < n; i++)
        dst[i] = table[nibble_get(codes, k + i, high_first)] * scale;
}

static inline float32x4_t widen(uint16x4_t in, float scale)
{
    const uint32x4_t all = vdupq_n_u32(0x7f), wide = vmovl_u16(in);
    const uint32x4_t magnitude = vandq_u32(wide, all);
    const float32x4_t value =
        vmulq_n_f32(vreinterpretq_f32_u32(vshlq_n_u32(magnitude, 20)), 0x1p120f);
    const uint32x4_t sign = vshlq_n_u32(vbicq_u32(wide, all), 24);
    const uint32x4_t bits = vorrq_u32(vorrq_u32(vreinterpretq_u32_f32(value), sign),
                                      vceqq_u32(magnitude, all));
    return vmulq_n_f32(vreinterpretq_f32_u32(bits), scale);
}

static inline void run_f8(float *dst, const struct codes *codes, int64_t k, int64_t n,
                          const float *table, float scale, int high_first)
{
    int64_t i = 0;
    (void)high_first;

    for (; i + 8 <= n; i += 8) {
        const uint16x8_t in = vmovl_u8(vld1_u8(codes->row + k + i));
        vst1q_f32(dst + i, widen(vget_low_u16(in), scale));
        vst1q_f32(dst + i + 4, widen(vget_high_u16(in), scale));
    }
    for (; i < n; i++)
        dst[i] = table[codes->row[k + i]] * scale;
}

void gram_decode_t4__neon(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                          int64_t n)
{
    decode_table_groups(dst, w, row, k0, n, 4, run_t4);
}

void gram_decode_f8__neon(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                          int64_t n)
{
    decode_table_groups(dst, w, row, k0, n, 8, run_f8);
}
