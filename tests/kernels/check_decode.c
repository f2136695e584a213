/* decode: bit for bit (float)(code - offset - zero) * scale, for every layout a weight may have. */
#include "kcheck.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/half.h"
#include "tensor/codebook.h"
#include "tensor/dtype.h"

enum { ROWS = 3, MAX_GROUPS = 256, MAX_COLS = 2200 };

static const struct storage_row {
    int bits;
    bool is_signed;
    enum gram_dtype dtype;
} storages[GRAM_N_STORAGE] = {
    [GRAM_STORE_F32] = {0, false, GRAM_F32},   [GRAM_STORE_F16] = {0, false, GRAM_F16},
    [GRAM_STORE_BF16] = {0, false, GRAM_BF16}, [GRAM_STORE_S8] = {8, true, GRAM_I8},
    [GRAM_STORE_U2] = {2, false, GRAM_I32},    [GRAM_STORE_U3] = {3, false, GRAM_I32},
    [GRAM_STORE_U4] = {4, false, GRAM_I32},    [GRAM_STORE_U5] = {5, false, GRAM_I32},
    [GRAM_STORE_U6] = {6, false, GRAM_I32},    [GRAM_STORE_U8] = {8, false, GRAM_I32},
    [GRAM_STORE_T4] = {4, false, GRAM_I32},    [GRAM_STORE_F8] = {8, false, GRAM_I32},
};

static bool same_float(float a, float b)
{
    return (isnan(a) && isnan(b)) || gram_f32_bits(a) == gram_f32_bits(b);
}

/* Columns [k0, k0 + n) of a row against want[0..cols-1] of that row. */
static void check_window(struct kcheck *c, const struct gram_weight *w, const float *want,
                         int64_t row, int64_t k0, int64_t n)
{
    float *dst = place(c, OUT, n * (int64_t)sizeof *dst);

    c->kernels->decode[c->storage](dst, w, row, k0, n);
    for (int64_t i = 0; i < n; i++) {
        if (!same_float(dst[i], want[k0 + i])) {
            fail(c, "bits %d group %lld cols %lld row %lld columns %lld + %lld: %a at %lld, not %a",
                 w->bits, (long long)w->group, (long long)w->cols, (long long)row, (long long)k0,
                 (long long)n, (double)dst[i], (long long)i, (double)want[k0 + i]);
            return;
        }
    }
    check_canaries(c, "decode");
}

static void check_windows(struct kcheck *c, const struct gram_weight *w, const float *want)
{
    for (int64_t row = 0; row < w->rows; row++) {
        const float *want_row = want + row * w->cols;
        check_window(c, w, want_row, row, 0, w->cols);
        for (int i = 0; i < 12; i++) {
            const int64_t k0 = (int64_t)(gram_rng_u64(&c->rng) % (uint64_t)w->cols);
            const int64_t n = (int64_t)(gram_rng_u64(&c->rng) % (uint64_t)(w->cols - k0 + 1));
            check_window(c, w, want_row, row, k0, n);
        }
    }
}

/* Every pattern of 16 bits, or random ones of 32. */
void check_decode_dense(struct kcheck *c)
{
    static float want[1 << 16];
    const enum gram_dtype dtype = storages[c->storage].dtype;
    const int64_t bytes = gram_dtype_bits(dtype) / 8, cols = 1 << 16;
    uint8_t *data = place(c, LEFT, cols * bytes);
    const struct gram_weight w = {
        .rows = 1, .cols = cols, .data = data, .row_bytes = cols * bytes, .dtype = dtype};

    for (int64_t i = 0; i < cols; i++) {
        const uint32_t bits = bytes == 2 ? (uint32_t)i : (uint32_t)gram_rng_u64(&c->rng);
        memcpy(data + i * bytes, &bits,
               (size_t)bytes); /* little-endian hosts only, as everywhere */
    }
    gram_read_f32(want, data, dtype, 0, cols);
    check_windows(c, &w, want);
    for (int n = 0; n < n_sizes; n++)
        check_window(c, &w, want, 0, cols - sizes[n], sizes[n]);
}

/* Scales of any size, from subnormal to large, as the type stores them. */
static void fill_scales(struct kcheck *c, struct gram_weight *w, int64_t n, bool zeros)
{
    uint8_t *scales = place(c, RIGHT, n * gram_dtype_bits(w->scale_dtype) / 8);
    int8_t *zero = zeros ? place(c, THIRD, n) : NULL;

    for (int64_t i = 0; i < n; i++) {
        const float scale = i % 7 == 3 ? 0x1p-22f : fabsf(random_float(c, i % 3 ? UNIT : WIDE));
        gram_write_f32(scales, w->scale_dtype, i, &scale, 1);
        if (zeros)
            zero[i] =
                (int8_t)((int)(gram_rng_u64(&c->rng) >> (64 - w->bits)) - (1 << (w->bits - 1)));
    }
    w->scales = scales;
    w->zeros = zero;
}

/* Random codes in w, and what they stand for. */
static void fill_codes(struct kcheck *c, struct gram_weight *w, float *want)
{
    static uint8_t codes[MAX_COLS];
    uint8_t *data = place(c, LEFT, w->rows * w->row_bytes);

    for (int64_t row = 0; row < w->rows; row++) {
        for (int64_t k = 0; k < w->cols; k++) {
            const int64_t at = row * w->scale_stride + k / w->group;
            const int code = (int)(gram_rng_u64(&c->rng) >> (64 - w->bits));
            const int zero = w->zeros ? w->zeros[at] : 0;
            float scale;
            gram_read_f32(&scale, w->scales, w->scale_dtype, at, 1);
            codes[k] = (uint8_t)code;
            want[row * w->cols + k] =
                (float)((w->is_signed ? (int8_t)code : code - (1 << (w->bits - 1))) - zero) * scale;
        }
        if (w->is_signed)
            memcpy(data + row * w->row_bytes, codes, (size_t)w->cols);
        else
            gram_codes_pack(data + row * w->row_bytes, codes, w->cols, w->bits);
    }
    w->data = data;
}

static void check_layout(struct kcheck *c, int64_t cols, int64_t group, enum gram_dtype scale_dtype,
                         bool zeros)
{
    static float want[ROWS * MAX_COLS];
    const struct storage_row *s = &storages[c->storage];
    struct gram_weight w = {.rows = ROWS,
                            .cols = cols,
                            .row_bytes = s->is_signed ? cols : gram_code_row_bytes(cols, s->bits),
                            .bits = s->bits,
                            .is_signed = s->is_signed,
                            .group = group,
                            .scale_dtype = scale_dtype};

    const int64_t groups = gram_weight_groups(&w);
    w.scale_stride = group == cols && zeros ? 0 : groups; /* one for the tensor, sometimes */
    fill_scales(c, &w, w.scale_stride ? ROWS * groups : groups, zeros);
    fill_codes(c, &w, want);
    check_windows(c, &w, want);
}

void check_decode_codes(struct kcheck *c)
{
    static const int64_t columns[] = {1, 5, 16, 31, 64, 100, 129, 256, 300, 1024, 2187};
    static const int64_t groups[] = {16, 17, 24, 32, 100, 128, 0};
    static const enum gram_dtype scale_dtypes[] = {GRAM_F32, GRAM_F16, GRAM_BF16};

    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++)
            for (int d = 0; d < 3; d++)
                for (int zeros = 0; zeros < 2; zeros++)
                    check_layout(c, columns[i], groups[g] ? groups[g] : columns[i], scale_dtypes[d],
                                 zeros);
}

/* Codes that choose from a table, the first of a byte in its low or its high half. */
static void fill_choices(struct kcheck *c, struct gram_weight *w, float *want)
{
    uint8_t *data = place(c, LEFT, w->rows * w->row_bytes);

    for (int64_t i = 0; i < w->rows * w->row_bytes; i++)
        data[i] = (uint8_t)gram_rng_u64(&c->rng);
    w->data = data;
    for (int64_t row = 0; row < w->rows; row++)
        for (int64_t k = 0; k < w->cols; k++) {
            const int byte = data[row * w->row_bytes + k * w->bits / 8];
            const int half = k % 2 == w->high_first ? byte & 15 : byte >> 4;
            want[row * w->cols + k] = w->table[w->bits == 4 ? half : byte] *
                                      gram_weight_scale(w, row, k / w->group);
        }
}

static void check_table(struct kcheck *c, int64_t cols, int64_t group, enum gram_dtype scale_dtype,
                        bool high_first)
{
    static float want[ROWS * MAX_COLS];
    const int bits = storages[c->storage].bits;
    struct gram_weight w = {.rows = ROWS,
                            .cols = cols,
                            .row_bytes = (cols * bits + 7) / 8,
                            .bits = bits,
                            .high_first = high_first,
                            .table = bits == 8 ? gram_e4m3.values
                                     : high_first ? gram_nf4.values : gram_fp4.values,
                            .group = group,
                            .scale_dtype = scale_dtype};

    w.scale_stride = group == cols && high_first ? 0 : gram_weight_groups(&w);
    fill_scales(c, &w, w.scale_stride ? ROWS * w.scale_stride : 1, false);
    fill_choices(c, &w, want);
    check_windows(c, &w, want);
}

void check_decode_tables(struct kcheck *c)
{
    static const int64_t columns[] = {1, 5, 16, 31, 64, 100, 129, 256, 300, 1024, 2187};
    static const int64_t groups[] = {1, 16, 17, 32, 64, 100, 0};
    static const enum gram_dtype scale_dtypes[] = {GRAM_F32, GRAM_F16, GRAM_BF16};

    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++)
            for (int d = 0; d < 3; d++)
                for (int high = 0; high < 2; high++)
                    check_table(c, columns[i], groups[g] ? groups[g] : columns[i], scale_dtypes[d],
                                high);
}
