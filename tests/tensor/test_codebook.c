/* Tables and blocks: the values and codes of bitsandbytes, and what must hold for any table. */
#include "support.h"

#include <math.h>

#include "base/half.h"
#include "base/rng.h"
#include "tensor/blockwise.h"
#include "tensor/grid.h"

#define FOLDER "golden/quant/bnb/"

static struct npy golden(const char *folder, const char *name)
{
    char path[160];
    snprintf(path, sizeof path, FOLDER "%s/%s.npy", folder, name);
    return npy_load(shared_path(path));
}

static const struct gram_codebook *const books[] = {&gram_nf4, &gram_fp4, &gram_e2m1, &gram_e4m3,
                                                    &gram_int8v};
enum { N_BOOKS = sizeof books / sizeof books[0] };

/* ---- what bitsandbytes has ---- */

static void tables_are_those_of_bitsandbytes(void **state)
{
    static const char *const names[] = {"nf4", "fp4"};

    (void)state;
    need_shared(FOLDER "tables/nf4.npy");
    for (int i = 0; i < 2; i++) {
        struct npy want = golden("tables", names[i]);
        assert_memory_equal(gram_codebook_find(names[i])->values, want.data, 16 * sizeof(float));
        free(want.data);
    }
}

static void dynamic_maps_are_those_of_bitsandbytes(void **state)
{
    static const char *const names[] = {"dynamic_map_unsigned", "dynamic_map_signed"};
    float map[256];

    (void)state;
    need_shared(FOLDER "tables/nf4.npy");
    for (int is_signed = 0; is_signed < 2; is_signed++) {
        struct npy want = golden("tables", names[is_signed]);
        gram_dynamic_map(map, is_signed);
        assert_memory_equal(map, want.data, sizeof map);
        free(want.data);
    }
}

static void expect_codes(const char *what, const uint8_t *codes, const uint8_t *packed, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const int want = i % 2 ? packed[i / 2] & 15 : packed[i / 2] >> 4;
        if (codes[i] != want)
            fail_msg("%s: code %d at %d, expected %d", what, codes[i], (int)i, want);
    }
}

/* Blocks of the flattened matrix, as bitsandbytes cuts them. */
static void check_four_bits(const char *folder, const char *tag, const struct gram_codebook *book,
                            int64_t block, bool is_half)
{
    char name[64];
    struct npy w = golden(folder, "W");
    snprintf(name, sizeof name, "%s.packed", tag);
    struct npy packed = golden(folder, name);
    snprintf(name, sizeof name, "%s.absmax", tag);
    struct npy absmax = golden(folder, name);
    const struct gram_grid grid = {.bits = 4, .scale_dtype = GRAM_F32, .codebook = book};
    uint8_t *codes = malloc((size_t)w.count);
    float *x = w.data;

    for (int64_t i = 0; is_half && i < w.count; i++)
        x[i] = gram_f32_from_bf16(gram_bf16_from_f32(x[i]));
    for (int64_t i = 0; i < w.count; i += block) {
        const int64_t n = w.count - i < block ? w.count - i : block;
        struct gram_range range = {0};
        assert_true(gram_range_add(&range, x + i, n));
        const struct gram_step step = gram_grid_step(&grid, range);
        assert_float_equal(step.scale, ((float *)absmax.data)[i / block], 0);
        gram_grid_encode(codes + i, &grid, step, x + i, n);
    }
    expect_codes(tag, codes, packed.data, w.count);
    free(codes);
    free(w.data);
    free(packed.data);
    free(absmax.data);
}

static void four_bit_codes_and_scales_are_those_of_bitsandbytes(void **state)
{
    static const char *const folders[] = {"w4_64x96", "w4_48x320", "w4_ragged_37x29"};

    (void)state;
    need_shared(FOLDER "w4_64x96/case.json");
    for (int i = 0; i < 3; i++) {
        check_four_bits(folders[i], "nf4_bs64_f32", &gram_nf4, 64, false);
        check_four_bits(folders[i], "fp4_bs64_f32", &gram_fp4, 64, false);
    }
    check_four_bits("w4_ragged_37x29", "nf4_bs32_f32", &gram_nf4, 32, false);
    check_four_bits("w4_64x96", "nf4_bs64_bf16", &gram_nf4, 64, true);
    check_four_bits("w4_64x96", "fp4_bs64_bf16", &gram_fp4, 64, true);
}

static void eight_bit_blocks_are_those_of_bitsandbytes(void **state)
{
    static const struct {
        const char *codes, *absmax, *decoded;
        int64_t block;
    } cases[] = {{"bs64.codes", "bs64.absmax", "bs64.dequant", 64},
                 {"bs256.codes", "bs256.absmax", "bs256.dequant", 256},
                 {"bs4096.codes", "bs4096.absmax", "bs4096.dequant", 4096}};
    float map[256];

    (void)state;
    need_shared(FOLDER "blockwise8/case.json");
    gram_dynamic_map(map, true);
    struct npy x = golden("blockwise8", "x");
    uint8_t *codes = malloc((size_t)x.count);
    float *absmax = malloc((size_t)x.count * sizeof *absmax);
    float *decoded = malloc((size_t)x.count * sizeof *decoded);
    for (int i = 0; i < 3; i++) {
        struct npy want_codes = golden("blockwise8", cases[i].codes);
        struct npy want_absmax = golden("blockwise8", cases[i].absmax);
        struct npy want = golden("blockwise8", cases[i].decoded);
        gram_blockwise_encode(codes, absmax, x.data, x.count, cases[i].block, map);
        gram_blockwise_decode(decoded, codes, absmax, x.count, cases[i].block, map);
        assert_memory_equal(codes, want_codes.data, (size_t)x.count);
        assert_memory_equal(absmax, want_absmax.data, (size_t)want_absmax.count * sizeof(float));
        assert_memory_equal(decoded, want.data, (size_t)x.count * sizeof(float));
        free(want_codes.data);
        free(want_absmax.data);
        free(want.data);
    }
    free(codes);
    free(absmax);
    free(decoded);
    free(x.data);
}

/* "SCB exact; CB exact": rows by their largest magnitude, 127 steps to either side. */
static void int8_vectors_are_those_of_llm_int8(void **state)
{
    static const char *const folders[] = {"llm_int8_f32", "llm_int8_f16", "llm_int8_nooutlier"};
    const struct gram_grid grid = {.bits = 8, .scale_dtype = GRAM_F32, .codebook = &gram_int8v};

    (void)state;
    need_shared(FOLDER "llm_int8_f32/case.json");
    for (int f = 0; f < 3; f++) {
        struct npy w = golden(folders[f], "W"), cb = golden(folders[f], "CB");
        struct npy scb = golden(folders[f], "SCB");
        const int64_t rows = w.shape[0], cols = w.shape[1];
        for (int64_t r = 0; r < rows; r++) {
            float *x = (float *)w.data + r * cols;
            uint8_t codes[256];
            struct gram_range range = {0};
            for (int64_t k = 0; f > 0 && k < cols; k++) /* the module was half precision */
                x[k] = gram_f32_from_f16(gram_f16_from_f32(x[k]));
            gram_range_add(&range, x, cols);
            const struct gram_step step = gram_grid_step(&grid, range);
            assert_float_equal(step.scale, ((float *)scb.data)[r], 0);
            gram_grid_encode(codes, &grid, step, x, cols);
            for (int64_t k = 0; k < cols; k++)
                assert_int_equal(codes[k] - 128, ((int8_t *)cb.data)[r * cols + k]);
        }
        free(w.data);
        free(cb.data);
        free(scb.data);
    }
}

/* ---- what holds for any table ---- */

static void every_value_of_a_table_comes_back(void **state)
{
    (void)state;
    for (int b = 0; b < N_BOOKS; b++)
        for (int c = 0; c < 1 << books[b]->bits; c++) {
            const float scale = 0.375f, value = gram_codebook_value(books[b], (uint8_t)c, scale);
            uint8_t code;
            if (!(fabsf(value) <= books[b]->top * scale)) /* no number, or -128 */
                continue;
            books[b]->encode(&code, &value, 1, scale);
            if (gram_codebook_value(books[b], code, scale) != value)
                fail_msg("%s: code %d became %d", books[b]->name, c, code);
        }
}

static float nearest_distance(const struct gram_codebook *book, float scale, float x)
{
    float least = INFINITY;

    for (int c = 0; c < 1 << book->bits; c++) {
        const float value = gram_codebook_value(book, (uint8_t)c, scale);
        if (fabsf(value) <= book->top * scale * 1.000001f)
            least = fminf(least, fabsf(value - x));
    }
    return least;
}

static void the_code_is_the_nearest_one(void **state)
{
    struct gram_rng rng = {5};

    (void)state;
    for (int b = 0; b < N_BOOKS; b++)
        for (int i = 0; i < 3000; i++) {
            const float scale = 0.01f + (float)gram_rng_unit(&rng);
            const float x = (float)(2.2 * gram_rng_unit(&rng) - 1.1) * scale * books[b]->top;
            uint8_t code;
            books[b]->encode(&code, &x, 1, scale);
            const float miss = fabsf(gram_codebook_value(books[b], code, scale) - x);
            if (miss > nearest_distance(books[b], scale, x) * 1.0001f + 1e-6f * books[b]->top * scale)
                fail_msg("%s: %a became code %d", books[b]->name, (double)x, code);
        }
}

static void ties_take_the_lower_value_of_four_bit_tables(void **state)
{
    (void)state;
    for (int b = 0; b < 3; b++)
        for (int c = 0; c < 16; c++) {
            const float low = books[b]->values[c];
            float high = INFINITY;
            uint8_t code;
            for (int d = 0; d < 16; d++)
                if (books[b]->values[d] > low)
                    high = fminf(high, books[b]->values[d]);
            if (isinf(high))
                continue;
            const float middle = (low + high) / 2;
            books[b]->encode(&code, &middle, 1, 1.0f);
            assert_float_equal(books[b]->values[code], low, 0);
        }
}

static void zeros_stay_zero_under_every_scale(void **state)
{
    static const enum gram_dtype dtypes[] = {GRAM_F32, GRAM_F16, GRAM_BF16};
    const float x[64] = {0};

    (void)state;
    for (int b = 0; b < N_BOOKS; b++)
        for (int d = 0; d < 3; d++) {
            const struct gram_grid grid = {
                .bits = books[b]->bits, .scale_dtype = dtypes[d], .codebook = books[b]};
            const struct gram_step step = gram_grid_step(&grid, (struct gram_range){0});
            uint8_t codes[64];
            float y[64];
            assert_true(step.scale == 0.0f || !books[b]->keeps_zero);
            assert_float_equal(gram_grid_encode(codes, &grid, step, x, 64), 0, 0);
            gram_grid_decode(y, &grid, step, codes, 64);
            for (int i = 0; i < 64; i++)
                assert_float_equal(y[i], 0, 0);
        }
}

static void every_byte_of_e4m3_reads_as_its_table_and_back(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        const float value = gram_f32_from_e4m3((uint8_t)c);
        if ((c & 0x7f) == 0x7f) {
            assert_true(isnan(value));
            continue;
        }
        assert_float_equal(value, gram_e4m3.values[c], 0);
        assert_int_equal(gram_e4m3_from_f32(value), c);
    }
    assert_int_equal(gram_e4m3_from_f32(17.0f), gram_e4m3_from_f32(16.0f)); /* tie to even */
    assert_int_equal(gram_e4m3_from_f32(19.0f), gram_e4m3_from_f32(20.0f));
    assert_int_equal(gram_e4m3_from_f32(464.0f), 0x7e);
    assert_int_equal(gram_e4m3_from_f32(465.0f), 0x7f);
    assert_int_equal(gram_e4m3_from_f32(0x1p-10f), 0);    /* half of the least */
    assert_int_equal(gram_e4m3_from_f32(0x1.8p-10f), 1);
}

static void ternary_codes_stand_for_the_mean_magnitude(void **state)
{
    const struct gram_grid grid = {.bits = 2, .scale_dtype = GRAM_F32, .is_ternary = true};
    const float x[8] = {0.1f, -2.0f, 1.0f, 0.4f, -0.6f, 0.9f, -1.0f, 2.0f};
    const uint8_t want[8] = {2, 1, 3, 2, 1, 3, 1, 3};
    struct gram_range range = {0};
    uint8_t codes[8];
    float y[8];

    (void)state;
    gram_range_add(&range, x, 8);
    const struct gram_step step = gram_grid_step(&grid, range);
    assert_float_equal(step.scale, 1.0f, 1e-6);
    gram_grid_encode(codes, &grid, step, x, 8);
    assert_memory_equal(codes, want, 8);
    gram_grid_decode(y, &grid, step, codes, 8);
    for (int i = 0; i < 8; i++)
        assert_true(y[i] == 0.0f || fabsf(y[i]) == step.scale);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_those_of_bitsandbytes),
        cmocka_unit_test(dynamic_maps_are_those_of_bitsandbytes),
        cmocka_unit_test(four_bit_codes_and_scales_are_those_of_bitsandbytes),
        cmocka_unit_test(eight_bit_blocks_are_those_of_bitsandbytes),
        cmocka_unit_test(int8_vectors_are_those_of_llm_int8),
        cmocka_unit_test(every_value_of_a_table_comes_back),
        cmocka_unit_test(the_code_is_the_nearest_one),
        cmocka_unit_test(ties_take_the_lower_value_of_four_bit_tables),
        cmocka_unit_test(zeros_stay_zero_under_every_scale),
        cmocka_unit_test(every_byte_of_e4m3_reads_as_its_table_and_back),
        cmocka_unit_test(ternary_codes_stand_for_the_mean_magnitude),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
