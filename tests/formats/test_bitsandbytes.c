/* The container of bitsandbytes: what it wrote is read to its values, what gram writes is read back,
 * what contradicts itself is refused. */
#include "support.h"

#include <math.h>

#include "base/arena.h"
#include "base/half.h"
#include "formats/bitsandbytes.h"
#include "graph/acts.h"
#include "kernels/kernels.h"
#include "st.h"
#include "tensor/blockwise.h"
#include "tensor/dtype.h"

#define FOLDER "golden/quant/bnb/"

static struct gram_arena arena;
static struct gram_error err;

static int reset_arena(void **state)
{
    (void)state;
    gram_arena_reset(&arena);
    return 0;
}

static struct npy golden(const char *folder, const char *name)
{
    char path[160];
    snprintf(path, sizeof path, FOLDER "%s/%s.npy", folder, name);
    return npy_load(shared_path(path));
}

static enum gram_status bind(const char *path, const char *config, int64_t rows, int64_t cols,
                             struct gram_weight *w)
{
    json_t *json = json_loads(config, 0, NULL);
    struct gram_store *store;
    void *state;
    bool found;

    assert_non_null(json);
    MUST(gram_store_open(&store, path, &err));
    MUST(gram_bnb_open(json, "config.json", &arena, &state, &err));
    const enum gram_status status =
        gram_bnb_bind(state, store, "layer", rows, cols, &arena, w, &found, &err);
    if (status == GRAM_OK) { /* what is used in place must outlive the store here */
        assert_true(found);
        void *copy = gram_arena_take(&arena, (size_t)(rows * w->row_bytes), 1);
        memcpy(copy, w->data, (size_t)(rows * w->row_bytes));
        w->data = copy;
    }
    json_decref(json);
    gram_store_close(&store);
    return status;
}

static void decode(float *out, const struct gram_weight *w)
{
    struct gram_kernels kernels;

    gram_kernels_init(&kernels, 0);
    for (int64_t r = 0; r < w->rows; r++)
        kernels.decode[gram_weight_storage(w)](out + r * w->cols, w, r, 0, w->cols);
}

static void expect_values(const struct gram_weight *w, const float *want)
{
    float *values = malloc((size_t)(w->rows * w->cols) * sizeof *values);

    decode(values, w);
    for (int64_t i = 0; i < w->rows * w->cols; i++) {
        if (values[i] != want[i])
            fail_msg("%d: %a, expected %a", (int)i, (double)values[i], (double)want[i]);
    }
    free(values);
}

static const char *const four_bits = "{\"load_in_4bit\": true}";
static const char *const eight_bits = "{\"load_in_8bit\": true, \"llm_int8_threshold\": 6.0}";

static void checkpoints_of_four_bits_decode_to_what_bitsandbytes_decodes(void **state)
{
    static const struct {
        const char *folder, *file, *scheme;
    } cases[] = {
        {"linear4bit_nf4_dq", FOLDER "linear4bit_nf4_dq/bnb4bit.safetensors", "nf4-dq"},
        {"linear4bit_fp4", FOLDER "linear4bit_fp4/bnb4bit.safetensors", "fp4-g32"},
    };

    (void)state;
    need_shared(cases[0].file);
    for (int i = 0; i < 2; i++) {
        struct npy want = golden(cases[i].folder, "W_dequant");
        struct gram_weight w;
        char name[GRAM_SCHEME_NAME];
        MUST(bind(shared_path(cases[i].file), four_bits, want.shape[0], want.shape[1], &w));
        expect_values(&w, want.data);
        gram_weight_scheme(name, &w);
        assert_string_equal(name, cases[i].scheme); /* 96 inputs: blocks of 64 cross the rows */
        free(want.data);
    }
}

/* ---- LLM.int8() ---- */

/* The weight that the stored products are of: the checkpoint's was rounded to f16 before, and has other
 * codes where W is f32. */
static struct gram_weight golden_weight(const char *folder, const struct gram_weight *like)
{
    struct npy cb = golden(folder, "CB"), scb = golden(folder, "SCB");
    const size_t bytes = (size_t)cb.count, rows = (size_t)scb.count;
    struct gram_weight w = *like;
    int8_t *codes = gram_arena_take(&arena, bytes, 1);
    float *scales = gram_arena_take(&arena, rows, sizeof *scales);

    assert_true(codes && scales && w.scale_dtype == GRAM_F32);
    memcpy(codes, cb.data, bytes);
    for (size_t r = 0; r < rows; r++)
        scales[r] = ((float *)scb.data)[r] / 127.0f;
    w.data = codes;
    w.scales = scales;
    free(cb.data), free(scb.data);
    return w;
}

/* One token as the engine has it: codes by the rule, an exact sum, the outliers in float. */
static void llm_int8_row(float *y, const struct gram_weight *w, const float *x, float threshold)
{
    int8_t codes[256];
    const float scale = gram_acts_llm_int8(codes, x, w->cols, threshold);

    for (int64_t n = 0; n < w->rows; n++) {
        const int8_t *row = (const int8_t *)w->data + n * w->row_bytes;
        int32_t sum = 0;
        float outliers = 0;
        for (int64_t k = 0; k < w->cols; k++) {
            sum += codes[k] * row[k];
            outliers += fabsf(x[k]) >= threshold ? x[k] * (float)row[k] : 0.0f;
        }
        y[n] = ((float)sum * scale + outliers) * gram_weight_scale(w, n, 0);
    }
}

static void the_mixed_product_of_llm_int8_is_that_of_bitsandbytes(void **state)
{
    static const char *const folders[] = {"llm_int8_f32", "llm_int8_f16"};

    (void)state;
    need_shared(FOLDER "llm_int8_f32/bnb8bit.safetensors");
    for (int f = 0; f < 2; f++) {
        char file[96];
        snprintf(file, sizeof file, FOLDER "%s/bnb8bit.safetensors", folders[f]);
        struct npy x = golden(folders[f], "X"), want = golden(folders[f], "y_mixed");
        struct npy bias = golden(folders[f], "bias"), exact = golden(folders[f], "y_fp32_exact");
        const int64_t rows = want.shape[1], cols = x.shape[1];
        double far = 0, theirs = 0, ours = 0;
        struct gram_weight w;
        float y[256];
        MUST(bind(shared_path(file), eight_bits, rows, cols, &w));
        w = golden_weight(folders[f], &w);
        for (int64_t t = 0; t < x.shape[0]; t++) {
            llm_int8_row(y, &w, (float *)x.data + t * cols, 6.0f);
            for (int64_t n = 0; n < rows; n++) {
                const double value = (double)(y[n] + ((float *)bias.data)[n]);
                const double true_value = (double)((float *)exact.data)[t * rows + n];
                const double golden_value = (double)((float *)want.data)[t * rows + n];
                far = fmax(far, fabs(value - golden_value));
                ours += pow(value - true_value, 2);
                theirs += pow(golden_value - true_value, 2);
            }
        }
        /* Inputs of an outlier's column that are small themselves are coded here, and float there. */
        print_message("%s: at most %.4f from bitsandbytes; error %.3g, theirs %.3g\n", folders[f], far,
                      sqrt(ours), sqrt(theirs));
        assert_true(far < 0.02); /* case.json */
        assert_true(ours < 1.05 * theirs);
        free(x.data);
        free(want.data);
        free(bias.data);
        free(exact.data);
    }
}

/*
 * The same as bitsandbytes has it: the columns where any token of the batch has an outlier are float for all
 * of them, though a token's own scale still comes from all that is below the threshold.
 */
static void llm_int8_row_of_batch(float *y, const struct gram_weight *w, const float *x, float threshold,
                                  const bool *is_float, const int8_t *want_codes, float want_scale)
{
    int8_t codes[256];
    const float scale = gram_acts_llm_int8(codes, x, w->cols, threshold);

    for (int64_t k = 0; k < w->cols; k++)
        codes[k] = is_float[k] ? 0 : codes[k];
    assert_memory_equal(codes, want_codes, (size_t)w->cols);
    assert_float_equal(scale, want_scale / 127.0f, 0);
    for (int64_t n = 0; n < w->rows; n++) {
        const int8_t *row = (const int8_t *)w->data + n * w->row_bytes;
        int32_t sum = 0;
        float outliers = 0;
        for (int64_t k = 0; k < w->cols; k++) {
            sum += codes[k] * row[k];
            outliers += is_float[k] ? x[k] * (float)row[k] : 0.0f;
        }
        y[n] = ((float)sum * scale + outliers) * gram_weight_scale(w, n, 0);
    }
}

static void outliers_by_columns_of_the_batch_give_the_product_of_bitsandbytes(void **state)
{
    static const char *const folders[] = {"llm_int8_f32", "llm_int8_f16"};

    (void)state;
    need_shared(FOLDER "llm_int8_f32/bnb8bit.safetensors");
    for (int f = 0; f < 2; f++) {
        char file[96];
        snprintf(file, sizeof file, FOLDER "%s/bnb8bit.safetensors", folders[f]);
        struct npy x = golden(folders[f], "X"), want = golden(folders[f], "y_mixed");
        struct npy bias = golden(folders[f], "bias"), ca = golden(folders[f], "CA");
        struct npy sca = golden(folders[f], "SCA");
        const int64_t rows = want.shape[1], cols = x.shape[1];
        bool is_float[256] = {false};
        struct gram_weight w;
        double far = 0;
        float y[256];

        MUST(bind(shared_path(file), eight_bits, rows, cols, &w));
        w = golden_weight(folders[f], &w);
        for (int64_t i = 0; i < x.count; i++) {
            float *value = (float *)x.data + i;
            *value = f == 1 ? gram_f32_from_f16(gram_f16_from_f32(*value)) : *value;
            is_float[i % cols] |= fabsf(*value) >= 6.0f;
        }
        for (int64_t t = 0; t < x.shape[0]; t++) {
            llm_int8_row_of_batch(y, &w, (float *)x.data + t * cols, 6.0f, is_float,
                                  (int8_t *)ca.data + t * cols, ((float *)sca.data)[t]);
            for (int64_t n = 0; n < rows; n++)
                far = fmax(far, fabs((double)(y[n] + ((float *)bias.data)[n]) -
                                     (double)((float *)want.data)[t * rows + n]));
        }
        print_message("%s: at most %.4f from bitsandbytes\n", folders[f], far);
        assert_true(far < (f == 0 ? 1e-4 : 0.02)); /* case.json: f16 arithmetic */
        free(x.data), free(want.data), free(bias.data), free(ca.data), free(sca.data);
    }
}

static void codes_of_activations_are_those_of_llm_int8(void **state)
{
    (void)state;
    need_shared(FOLDER "llm_int8_nooutlier/X.npy");
    struct npy x = golden("llm_int8_nooutlier", "X"), ca = golden("llm_int8_nooutlier", "CA");
    struct npy sca = golden("llm_int8_nooutlier", "SCA");
    const int64_t cols = x.shape[1];
    for (int64_t t = 0; t < x.shape[0]; t++) {
        int8_t codes[256];
        float *row = (float *)x.data + t * cols;
        for (int64_t k = 0; k < cols; k++)
            row[k] = gram_f32_from_f16(gram_f16_from_f32(row[k]));
        const float scale = gram_acts_llm_int8(codes, row, cols, 100.0f);
        assert_memory_equal(codes, (int8_t *)ca.data + t * cols, (size_t)cols);
        assert_float_equal(scale, ((float *)sca.data)[t] / 127.0f, 0);
    }
    free(x.data);
    free(ca.data);
    free(sca.data);
}

static void static_codes_are_rounded_to_even_and_clipped(void **state)
{
    const float x[6] = {0.25f, 0.75f, -0.25f, 63.5f, 900.0f, -900.0f};
    const int8_t want[6] = {0, 2, 0, 127, 127, -128};
    int8_t codes[6];

    (void)state;
    gram_acts_static(codes, x, 6, 0.5f);
    assert_memory_equal(codes, want, 6);
}

/* ---- writing ---- */

enum { ROWS = 12, COLS = 192 };

/* A file with the parts of one linear under this scheme; what each weight should read as. */
static void write_linear(const char *path, const char *name, float *want)
{
    struct gram_tensor parts[GRAM_BNB_N_PART], present[GRAM_BNB_N_PART];
    void *out[GRAM_BNB_N_PART] = {0};
    struct gram_scheme scheme;
    struct gram_buf file = {0};
    uint8_t codes[COLS];
    float scales[ROWS * COLS / 32], x[COLS];
    size_t n = 0;

    MUST(gram_scheme_parse(&scheme, name, &err));
    const struct gram_grid grid = gram_scheme_grid(&scheme, GRAM_F16);
    const int64_t span = gram_scheme_span(&scheme, COLS), groups = COLS / span;
    assert_true(gram_bnb_parts(parts, &scheme, "layer", ROWS, COLS, &arena));
    for (int p = 0; p < GRAM_BNB_N_PART; p++)
        out[p] = parts[p].name ? gram_arena_take(&arena, (size_t)parts[p].bytes, 1) : NULL;
    for (int64_t r = 0; r < ROWS; r++) {
        for (int64_t k = 0; k < COLS; k++)
            x[k] = sinf((float)(r * COLS + k)) * (r == 3 && k < span ? 0.0f : 1.0f + (float)r);
        for (int64_t g = 0; g < groups; g++) {
            struct gram_range range = {0};
            gram_range_add(&range, x + g * span, span);
            const struct gram_step step = gram_grid_step(&grid, range);
            scales[r * groups + g] = step.scale;
            gram_grid_encode(codes + g * span, &grid, step, x + g * span, span);
            gram_grid_decode(want + r * COLS + g * span, &grid, step, codes + g * span, span);
        }
        gram_bnb_pack((char *)out[0] + r * (int64_t)parts[0].bytes / ROWS, &scheme, codes, COLS);
    }
    MUST(gram_bnb_fill(out, &scheme, scales, ROWS * groups, ROWS, COLS, GRAM_BF16, &err));
    for (int p = 0; p < GRAM_BNB_N_PART; p++)
        if (parts[p].name)
            present[n++] = parts[p];
    assert_true(gram_safetensors_header(&file, present, n));
    for (int p = 0; p < GRAM_BNB_N_PART; p++)
        if (parts[p].name)
            gram_buf_add(&file, out[p], (size_t)parts[p].bytes);
    write_file(path, file.at, file.len);
    gram_buf_reset(&file);
}

static char *config_text(const char *name)
{
    static const char *const skipped[] = {"lm_head"};
    struct gram_scheme scheme;

    MUST(gram_scheme_parse(&scheme, name, &err));
    json_t *config = gram_bnb_config(&scheme, skipped, 1, GRAM_BF16);
    assert_non_null(config);
    char *text = json_dumps(config, 0);
    json_decref(config);
    return text;
}

static void what_is_written_is_read_back_to_the_same_values(void **state)
{
    static const char *const names[] = {"nf4", "fp4", "nf4-g32", "llm.int8"};
    static float want[ROWS * COLS];
    char path[256];

    (void)state;
    snprintf(path, sizeof path, "%s/model.safetensors", fresh_folder());
    for (int i = 0; i < 4; i++) {
        char *config = config_text(names[i]), read[GRAM_SCHEME_NAME];
        struct gram_weight w;
        write_linear(path, names[i], want);
        MUST(bind(path, config, ROWS, COLS, &w));
        expect_values(&w, want);
        gram_weight_scheme(read, &w);
        assert_string_equal(read, names[i]);
        free(config);
    }
}

/* Their largest error: half the coarsest step of the map (0.007), of the largest deviation of a scale. */
static void nested_scales_are_read_back_nearly(void **state)
{
    static float want[ROWS * COLS], got[ROWS * COLS];
    char path[256];
    struct gram_weight w;

    (void)state;
    snprintf(path, sizeof path, "%s/model.safetensors", fresh_folder());
    write_linear(path, "nf4-dq", want);
    MUST(bind(path, four_bits, ROWS, COLS, &w));
    decode(got, &w);
    for (int i = 0; i < ROWS * COLS; i++)
        assert_float_equal(got[i], want[i], 0.008 * ROWS);
}

/* ---- files that contradict themselves ---- */

/* Replace the first `from` of the file by `to`, of the same length. */
static void patch(const char *path, const char *from, const char *to)
{
    size_t n;
    char *bytes = read_file(path, &n);
    char *at = memmem(bytes, n, from, strlen(from));

    assert_non_null(at);
    assert_int_equal(strlen(from), strlen(to));
    memcpy(at, to, strlen(to));
    write_file(path, bytes, n);
    free(bytes);
}

static void contradictions_are_refused(void **state)
{
    static const struct {
        const char *scheme, *from, *to, *message;
    } cases[] = {
        {"nf4", "{\"quant_type\"", "[\"quant_type\"", "quant_state"},
        {"nf4", "\"blocksize\": 64", "\"blocksize\": 32", "expected"},
        {"nf4", "\"blocksize\": 64", "\"blocksize\":  0", "blocksize"},
        {"nf4", "\"blocksize\": 64", "\"blocksize\": -4", "blocksize"},
        {"nf4", "\"shape\": [12, 192]", "\"shape\": [192, 12]", "shape"},
        {"nf4", "\"shape\": [12, 192]", "\"shape\":         3", "shape"},
        {"nf4", "layer.weight.quant_map", "layer.weight.quant_mop", "quant_map"},
        {"nf4", "bitsandbytes__nf4", "bitsandbytes__fp4", "quant_map"},
        {"nf4-dq", "nested_quant_map", "nested_quant_mop", "nested_quant_map"},
        {"nf4-dq", "\"nested_blocksize\": 256", "\"nested_blocksize\":   2", "nested_absmax"},
    };
    static float want[ROWS * COLS];
    char path[256];

    (void)state;
    snprintf(path, sizeof path, "%s/model.safetensors", fresh_folder());
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct gram_weight w;
        write_linear(path, cases[i].scheme, want);
        patch(path, cases[i].from, cases[i].to);
        MUST_FAIL(GRAM_EFORMAT, cases[i].message, bind(path, four_bits, ROWS, COLS, &w));
    }
}

static void a_linear_of_another_size_is_refused(void **state)
{
    static float want[ROWS * COLS];
    char path[256];
    struct gram_weight w;

    (void)state;
    snprintf(path, sizeof path, "%s/model.safetensors", fresh_folder());
    write_linear(path, "nf4", want);
    MUST_FAIL(GRAM_EFORMAT, "shape", bind(path, four_bits, ROWS, 2 * COLS, &w));
    write_linear(path, "llm.int8", want);
    MUST_FAIL(GRAM_EFORMAT, "expected", bind(path, eight_bits, ROWS, 2 * COLS, &w));
}

static void a_config_of_both_or_neither_width_is_refused(void **state)
{
    static const char *const texts[] = {"{}", "{\"load_in_4bit\": true, \"load_in_8bit\": true}"};
    void *ignored;

    (void)state;
    for (int i = 0; i < 2; i++) {
        json_t *json = json_loads(texts[i], 0, NULL);
        MUST_FAIL(GRAM_EFORMAT, "load_in_4bit", gram_bnb_open(json, "c", &arena, &ignored, &err));
        json_decref(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checkpoints_of_four_bits_decode_to_what_bitsandbytes_decodes),
        cmocka_unit_test(the_mixed_product_of_llm_int8_is_that_of_bitsandbytes),
        cmocka_unit_test(outliers_by_columns_of_the_batch_give_the_product_of_bitsandbytes),
        cmocka_unit_test(codes_of_activations_are_those_of_llm_int8),
        cmocka_unit_test(static_codes_are_rounded_to_even_and_clipped),
        cmocka_unit_test(what_is_written_is_read_back_to_the_same_values),
        cmocka_unit_test(nested_scales_are_read_back_nearly),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(a_linear_of_another_size_is_refused),
        cmocka_unit_test(a_config_of_both_or_neither_width_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, reset_arena);
}
