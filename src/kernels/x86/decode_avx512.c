/*
 * Weights as f32: AVX-512.
 *
 * A bit stream is cut into 16 bytes that are copied to all four quarters of a vector; a byte
 * shuffle brings to each 32-bit lane the two bytes that its code lies in, a shift by lane brings
 * the code down. Codes of at most 4 bits then choose among the group's 16 values; wider ones become
 * numbers first.
 */
#include <immintrin.h>
#include <string.h>

#include "kernels/simd/decode.h"
#include "kernels/variants.h"

static inline __mmask16 first_n(int64_t n)
{
    return (__mmask16)(n < 16 ? (1u << n) - 1 : 0xffffu);
}

static inline __m512i lanes(void)
{
    return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

static inline __m512 dequantize(__m512i codes, int bias, float scale)
{
    const __m512i centred = _mm512_sub_epi32(codes, _mm512_set1_epi32(bias));
    return _mm512_mul_ps(_mm512_cvtepi32_ps(centred), _mm512_set1_ps(scale));
}

/* What differs between bit widths, all constant after inlining. */
struct unpack {
    __m512i bytes; /* per lane, the two bytes of its code among the 16 */
    __m512i shift;
    __m512 values; /* up to 4 bits: of the codes, repeated over 16 lanes */
    int bits, bias;
    float scale;
};

/* Where the code of a lane starts: its byte, that byte and the next as shuffle control, its bit. */
#define BYTE(lane) ((lane)*bits / 8)
#define PAIR(lane) (BYTE(lane) | (BYTE(lane) + 1) << 8)
#define BIT(lane)  ((lane)*bits % 8)
#define OF_LANES(of)                                                                               \
    _mm512_setr_epi32(of(0), of(1), of(2), of(3), of(4), of(5), of(6), of(7), of(8), of(9),        \
                      of(10), of(11), of(12), of(13), of(14), of(15))

ALWAYS_INLINE struct unpack unpack_init(int bits, int bias, float scale)
{
    const __m512i codes = _mm512_and_si512(lanes(), _mm512_set1_epi32((1 << bits) - 1));
    return (struct unpack){
        .bytes = OF_LANES(PAIR),
        .shift = OF_LANES(BIT),
        .values = dequantize(codes, bias, scale),
        .bits = bits,
        .bias = bias,
        .scale = scale,
    };
}

/* Values of codes 16 v .. 16 v + 15 of the stream piece that fills every quarter of `in`. */
ALWAYS_INLINE __m512 unpack_16(__m512i in, int v, const struct unpack *u)
{
    const __m512i start = _mm512_set1_epi16((short)(2 * u->bits * v * 0x0101));
    const __m512i pairs = _mm512_shuffle_epi8(in, _mm512_add_epi8(u->bytes, start));
    const __m512i codes = _mm512_srlv_epi32(pairs, u->shift);
    if (u->bits <= 4) /* the choice looks at 4 bits only, and the values repeat */
        return _mm512_permutexvar_ps(codes, u->values);
    const __m512i mask = _mm512_set1_epi32((1 << u->bits) - 1);
    return dequantize(_mm512_and_si512(codes, mask), u->bias, u->scale);
}

ALWAYS_INLINE void run_stream(float *dst, const struct codes *codes, int64_t k, int64_t n, int bias,
                              float scale, int bits)
{
    enum { PIECE = 16 };
    const int vectors = PIECE / (2 * bits); /* of 16 codes in a piece */
    const struct unpack u = unpack_init(bits, bias, scale);
    int64_t i = decode_head(dst, codes, k, n, bias, scale);
    const uint8_t *in = codes->row + (k + i) * bits / 8;
    const uint8_t *end = codes->row + codes->bytes;

    for (; i + 16 * vectors <= n && end - in >= PIECE;
         i += 16 * vectors, in += 2 * bits * vectors) {
        const __m512i piece = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)in));
        UNROLL
        for (int v = 0; v < vectors; v++)
            _mm512_storeu_ps(dst + i + 16 * v, unpack_16(piece, v, &u));
    }
    for (; i < n; i += 16, in += 2 * bits) {
        const __m128i piece = _mm_maskz_loadu_epi8(first_n(end - in), in);
        const __m512 values = unpack_16(_mm512_broadcast_i32x4(piece), 0, &u);
        _mm512_mask_storeu_ps(dst + i, first_n(n - i), values);
    }
}

#define STREAM(BITS)                                                                               \
    static inline void run_u##BITS(float *dst, const struct codes *codes, int64_t k, int64_t n,    \
                                   int bias, float scale)                                          \
    {                                                                                              \
        run_stream(dst, codes, k, n, bias, scale, BITS);                                           \
    }                                                                                              \
    void gram_decode_u##BITS##__avx512(float *dst, const struct gram_weight *w, int64_t row,       \
                                       int64_t k0, int64_t n)                                      \
    {                                                                                              \
        decode_groups(dst, w, row, k0, n, BITS, run_u##BITS);                                      \
    }

STREAM(2)
STREAM(3)
STREAM(4)
STREAM(5)
STREAM(6)

static inline void run_bytes(float *dst, const struct codes *codes, int64_t k, int64_t n, int bias,
                             float scale, int is_signed)
{
    for (int64_t i = 0; i < n; i += 16) {
        const __m128i in = _mm_maskz_loadu_epi8(first_n(n - i), codes->row + k + i);
        const __m512i wide = is_signed ? _mm512_cvtepi8_epi32(in) : _mm512_cvtepu8_epi32(in);
        _mm512_mask_storeu_ps(dst + i, first_n(n - i), dequantize(wide, bias, scale));
    }
}

static inline void run_u8(float *dst, const struct codes *codes, int64_t k, int64_t n, int bias,
                          float scale)
{
    run_bytes(dst, codes, k, n, bias, scale, 0);
}

static inline void run_s8(float *dst, const struct codes *codes, int64_t k, int64_t n, int bias,
                          float scale)
{
    run_bytes(dst, codes, k, n, bias, scale, 1);
}

void gram_decode_u8__avx512(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                            int64_t n)
{
    decode_groups(dst, w, row, k0, n, 8, run_u8);
}

void gram_decode_s8__avx512(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                            int64_t n)
{
    decode_groups(dst, w, row, k0, n, 8, run_s8);
}

void gram_decode_f16__avx512(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                             int64_t n)
{
    const uint16_t *src = (const uint16_t *)weight_row(w, row) + k0;
    for (int64_t i = 0; i < n; i += 16) {
        const __m256i half = _mm256_maskz_loadu_epi16(first_n(n - i), src + i);
        _mm512_mask_storeu_ps(dst + i, first_n(n - i), _mm512_cvtph_ps(half));
    }
}

void gram_decode_bf16__avx512(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                              int64_t n)
{
    const uint16_t *src = (const uint16_t *)weight_row(w, row) + k0;
    for (int64_t i = 0; i < n; i += 16) {
        const __m256i half = _mm256_maskz_loadu_epi16(first_n(n - i), src + i);
        const __m512i wide = _mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16);
        _mm512_mask_storeu_ps(dst + i, first_n(n - i), _mm512_castsi512_ps(wide));
    }
}
