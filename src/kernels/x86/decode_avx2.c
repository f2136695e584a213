/*
 * Weights as f32: AVX2 and F16C.
 *
 * A bit stream is cut into 16 bytes that are copied to both halves of a vector; a byte shuffle
 * brings to each 32-bit lane the two bytes that its code lies in, a shift by lane and a mask leave
 * the code.
 */
#include <immintrin.h>
#include <string.h>

#include "kernels/simd/decode.h"
#include "kernels/variants.h"

static inline __m256 dequantize(__m256i codes, int bias, float scale)
{
    const __m256i centred = _mm256_sub_epi32(codes, _mm256_set1_epi32(bias));
    return _mm256_mul_ps(_mm256_cvtepi32_ps(centred), _mm256_set1_ps(scale));
}

static inline void store_n(float *dst, __m256 values, int64_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    if (n >= 8)
        _mm256_storeu_ps(dst, values);
    else
        _mm256_maskstore_ps(dst, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane), values);
}

/* 16 bytes, or all that are left. */
static inline __m128i load_piece(const uint8_t *in, int64_t left)
{
    uint8_t padded[16] = {0};
    if (left >= 16)
        return _mm_loadu_si128((const __m128i *)in);
    memcpy(padded, in, (size_t)left);
    return _mm_loadu_si128((const __m128i *)padded);
}

/* Where the code of a lane starts: its byte, that byte and the next as shuffle control, its bit. */
#define BYTE(lane)   ((lane)*bits / 8)
#define PAIR(lane)   (BYTE(lane) | (BYTE(lane) + 1) << 8)
#define BIT(lane)    ((lane)*bits % 8)
#define OF_LANES(of) _mm256_setr_epi32(of(0), of(1), of(2), of(3), of(4), of(5), of(6), of(7))

/* Codes 8 v .. 8 v + 7 of the stream piece that fills both halves of `in`. */
ALWAYS_INLINE __m256i unpack_8(__m256i in, int v, int bits)
{
    const __m256i start = _mm256_set1_epi16((short)(bits * v * 0x0101));
    const __m256i pairs = _mm256_shuffle_epi8(in, _mm256_add_epi8(OF_LANES(PAIR), start));
    const __m256i mask = _mm256_set1_epi32((1 << bits) - 1);
    return _mm256_and_si256(_mm256_srlv_epi32(pairs, OF_LANES(BIT)), mask);
}

ALWAYS_INLINE void run_stream(float *dst, const struct codes *codes, int64_t k, int64_t n, int bias,
                              float scale, int bits)
{
    enum { PIECE = 16 };
    const int vectors = PIECE / bits; /* of 8 codes in a piece */
    int64_t i = decode_head(dst, codes, k, n, bias, scale);
    const uint8_t *in = codes->row + (k + i) * bits / 8;
    const uint8_t *end = codes->row + codes->bytes;

    for (; i + 8 * vectors <= n && end - in >= PIECE; i += 8 * vectors, in += bits * vectors) {
        const __m256i piece = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)in));
        UNROLL
        for (int v = 0; v < vectors; v++)
            _mm256_storeu_ps(dst + i + 8 * v, dequantize(unpack_8(piece, v, bits), bias, scale));
    }
    for (; i < n; i += 8, in += bits) {
        const __m256i piece = _mm256_broadcastsi128_si256(load_piece(in, end - in));
        store_n(dst + i, dequantize(unpack_8(piece, 0, bits), bias, scale), n - i);
    }
}

#define STREAM(BITS)                                                                               \
    static inline void run_u##BITS(float *dst, const struct codes *codes, int64_t k, int64_t n,    \
                                   int bias, float scale)                                          \
    {                                                                                              \
        run_stream(dst, codes, k, n, bias, scale, BITS);                                           \
    }                                                                                              \
    void gram_decode_u##BITS##__avx2(float *dst, const struct gram_weight *w, int64_t row,         \
                                     int64_t k0, int64_t n)                                        \
    {                                                                                              \
        decode_groups(dst, w, row, k0, n, BITS, run_u##BITS);                                      \
    }

STREAM(2)
STREAM(3)
STREAM(4)
STREAM(5)
STREAM(6)

static inline __m128i load_8(const uint8_t *in, int64_t left)
{
    uint8_t padded[8] = {0};
    if (left >= 8)
        return _mm_loadl_epi64((const __m128i *)in);
    memcpy(padded, in, (size_t)left);
    return _mm_loadl_epi64((const __m128i *)padded);
}

static inline void run_u8(float *dst, const struct codes *codes, int64_t k, int64_t n, int bias,
                          float scale)
{
    for (int64_t i = 0; i < n; i += 8) {
        const __m256i wide = _mm256_cvtepu8_epi32(load_8(codes->row + k + i, n - i));
        store_n(dst + i, dequantize(wide, bias, scale), n - i);
    }
}

static inline void run_s8(float *dst, const struct codes *codes, int64_t k, int64_t n, int bias,
                          float scale)
{
    for (int64_t i = 0; i < n; i += 8) {
        const __m256i wide = _mm256_cvtepi8_epi32(load_8(codes->row + k + i, n - i));
        store_n(dst + i, dequantize(wide, bias, scale), n - i);
    }
}

void gram_decode_u8__avx2(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                          int64_t n)
{
    decode_groups(dst, w, row, k0, n, 8, run_u8);
}

void gram_decode_s8__avx2(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                          int64_t n)
{
    decode_groups(dst, w, row, k0, n, 8, run_s8);
}

static inline __m128i load_halves(const uint16_t *src, int64_t left)
{
    return load_piece((const uint8_t *)src, 2 * left);
}

void gram_decode_f16__avx2(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                           int64_t n)
{
    const uint16_t *src = (const uint16_t *)weight_row(w, row) + k0;
    for (int64_t i = 0; i < n; i += 8)
        store_n(dst + i, _mm256_cvtph_ps(load_halves(src + i, n - i)), n - i);
}

void gram_decode_bf16__avx2(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                            int64_t n)
{
    const uint16_t *src = (const uint16_t *)weight_row(w, row) + k0;
    for (int64_t i = 0; i < n; i += 8) {
        const __m256i wide = _mm256_cvtepu16_epi32(load_halves(src + i, n - i));
        store_n(dst + i, _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16)), n - i);
    }
}
