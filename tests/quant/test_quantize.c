/* The whole job on a small model: what is written, resumed, refused. */
#include "model.h"

#include <fcntl.h>
#include <math.h>
#include <unistd.h>

#include "base/half.h"
#include "base/json.h"
#include "engine/checkpoint.h"
#include "quant/method.h"
#include "tensor/scheme.h"

static struct gram_error err;
static struct model model;
static char out[256], warning[512];
static struct gram_quantize_report report;

static int fresh_model(void **state)
{
    (void)state;
    model_init(&model, 11);
    snprintf(out, sizeof out, "%s/out", sub_folder());
    warning[0] = '\0';
    return 0;
}

static int drop_model(void **state)
{
    (void)state;
    model_reset(&model);
    return 0;
}

/* ---- running the job ---- */

static void remember_warning(void *user, const char *sentence)
{
    (void)user;
    snprintf(warning, sizeof warning, "%s", sentence);
}

static bool count_down(void *user)
{
    int *left = user;
    return left && (*left)-- <= 0;
}

/* polls: how often the job may look before it is stopped; -1 for ever. */
static enum gram_status quantize_to(const char *in, const char *target, int threads, int polls,
                                    const struct gram_quantize_options *options)
{
    struct gram_runtime_options runtime = GRAM_RUNTIME_OPTIONS_INIT;
    struct gram_job job = {.warn = remember_warning, .user = &polls};
    struct gram_runtime *rt;

    if (polls >= 0)
        job.cancelled = count_down;
    runtime.threads = threads;
    MUST(gram_runtime_open(&rt, &runtime, &err));
    const enum gram_status status = gram_quantize(rt, in, target, options, &report, &job, &err);
    gram_runtime_close(&rt);
    return status;
}

static enum gram_status quantize(const char *in, const char *scheme)
{
    struct gram_quantize_options options = GRAM_QUANTIZE_OPTIONS_INIT;
    options.scheme = scheme;
    return quantize_to(in, out, 2, -1, &options);
}

static bool exists(const char *format, const char *folder)
{
    char path[512];
    struct stat st;
    snprintf(path, sizeof path, format, folder);
    return lstat(path, &st) == 0;
}

/* The certificate holds the hash of every other file, so equal ones mean equal folders. */
static char *certificate_of(const char *folder)
{
    char path[512];
    snprintf(path, sizeof path, "%s/gram.json", folder);
    return read_file(path, NULL);
}

static void expect_same_output(const char *a, const char *b)
{
    char *x = certificate_of(a), *y = certificate_of(b);
    assert_string_equal(x, y);
    free(x);
    free(y);
}

static json_t *json_of(const char *folder, const char *name)
{
    char path[512];
    json_t *value;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    MUST(gram_json_load(&value, path, &err));
    return value;
}

/* ---- what is written ---- */

static const struct gram_weight_slot *slot_of(const struct gram_checkpoint *ck, const char *op)
{
    for (size_t i = 0; i < ck->desc.n_slots; i++) {
        if (strcmp(ck->desc.slots[i].op, op) == 0)
            return &ck->desc.slots[i];
    }
    fail_msg("no op %s", op);
    return NULL;
}

/* Weight [r][k] by the definition in tensor/weight.h. */
static float value_of(const struct gram_weight *w, int64_t r, int64_t k)
{
    const int64_t at = r * w->scale_stride + k / w->group;
    int code;
    float scale;

    if (w->is_signed)
        code = ((const int8_t *)w->data)[r * w->row_bytes + k];
    else
        code = (int)gram_code_get((const char *)w->data + r * w->row_bytes, k, w->bits) -
               (1 << (w->bits - 1));
    gram_read_f32(&scale, w->scales, w->scale_dtype, at, 1);
    return (float)(code - (w->zeros ? w->zeros[at] : 0)) * scale;
}

/* Every weight of the linear is what the grid makes of the source's, scale by scale. */
static void expect_on_grid(const struct gram_weight *w, const struct gram_tensor *source,
                           const struct gram_scheme *scheme, enum gram_dtype scale_dtype)
{
    const struct gram_grid grid = {.bits = scheme->bits,
                                   .asymmetric = scheme->asymmetric,
                                   .scale_dtype = scale_dtype};
    const bool is_one = scheme->granularity == GRAM_PER_TENSOR;
    const int64_t n = is_one ? source->count : gram_scheme_span(scheme, w->cols);
    float *x = malloc((size_t)n * sizeof *x), *y = malloc((size_t)n * sizeof *y);
    uint8_t *codes = malloc((size_t)n);

    assert_true(x && y && codes);
    for (int64_t begin = 0; begin < source->count; begin += n) {
        struct gram_range range = {0};
        gram_read_f32(x, source->data, source->dtype, begin, n);
        gram_range_add(&range, x, n);
        const struct gram_step step = gram_grid_step(&grid, range);
        gram_grid_encode(codes, &grid, step, x, n);
        gram_grid_decode(y, &grid, step, codes, n);
        for (int64_t i = 0; i < n; i++)
            assert_true(value_of(w, (begin + i) / w->cols, (begin + i) % w->cols) == y[i]);
    }
    free(x);
    free(y);
    free(codes);
}

static void expect_scheme(const char *text, const char *scale_dtype)
{
    static const char *const ops[] = {"layers.0.attn.q", "layers.0.attn.k", "layers.1.mlp.down",
                                      "layers.1.mlp.up"};
    struct gram_quantize_options options = GRAM_QUANTIZE_OPTIONS_INIT;
    enum gram_dtype dtype = GRAM_BF16;
    struct gram_checkpoint ck;
    struct gram_scheme scheme;

    options.scheme = text;
    options.scale_dtype = scale_dtype;
    options.force = true;
    if (scale_dtype)
        gram_dtype_from_name(&dtype, scale_dtype);
    MUST(gram_scheme_parse(&scheme, text, &err));
    MUST(quantize_to(model_write(&model, 1), out, 2, -1, &options));
    MUST(gram_checkpoint_open(&ck, out, &err));
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        const struct gram_weight_slot *slot = slot_of(&ck, ops[i]);
        char expected[GRAM_SCHEME_NAME], found[GRAM_SCHEME_NAME];
        struct gram_weight w;
        MUST(gram_checkpoint_bind(&ck, slot, &ck.arena, &w, &err));
        gram_scheme_name(expected, &scheme);
        gram_weight_scheme(found, &w);
        if (!(scheme.granularity == GRAM_PER_GROUP && scheme.group == w.cols))
            assert_string_equal(found, expected);
        expect_on_grid(&w, model_tensor(&model, slot->tensor), &scheme, dtype);
    }
    gram_checkpoint_reset(&ck);
}

static void every_scheme_reads_back_as_its_grid(void **state)
{
    static const char *const spread[] = {"-g16", "-g32", "-channel", "-tensor"};
    static const int widths[] = {2, 3, 4, 5, 6, 8};

    (void)state;
    for (size_t b = 0; b < sizeof widths / sizeof widths[0]; b++) {
        for (size_t s = 0; s < 4; s++) {
            char text[64];
            snprintf(text, sizeof text, "w%da16%s", widths[b], spread[s]);
            expect_scheme(text, NULL);
            snprintf(text, sizeof text, "w%da16%s-asym", widths[b], spread[s]);
            expect_scheme(text, s % 2 ? "f16" : "f32");
        }
    }
    expect_scheme("w8a8", NULL);
    expect_scheme("w8a8-tensor", "f32");
}

static void the_bytes_do_not_depend_on_threads_or_runs(void **state)
{
    static const int threads[] = {1, 2, 3, 8, 16};
    static const char *const schemes[] = {"w4a16-g64", "w3a16-tensor-asym", "w8a8", "f16"};
    const char *in = model_write(&model, 2);
    char first[256];

    (void)state;
    for (size_t s = 0; s < 4; s++) {
        struct gram_quantize_options options = GRAM_QUANTIZE_OPTIONS_INIT;
        options.scheme = schemes[s];
        options.method = "mse";
        for (int i = 0; i < 5; i++) {
            snprintf(out, sizeof out, "%s/out", sub_folder());
            MUST(quantize_to(in, out, threads[i], -1, &options));
            if (i == 0)
                memcpy(first, out, sizeof first);
            expect_same_output(first, out);
        }
    }
}

static double error_of(const char *folder, size_t i)
{
    json_t *certificate = json_of(folder, "gram.json");
    const json_t *tensor = json_array_get(json_object_get(certificate, "tensors"), i);
    const double mse = json_real_value(json_object_get(tensor, "mse"));
    json_decref(certificate);
    return mse;
}

static void the_certified_error_of_mse_is_never_above_that_of_rtn(void **state)
{
    static const char *const schemes[] = {"w2a16-g64", "w4a16-g32-asym", "w3a16-channel",
                                          "w4a16-tensor"};
    const char *in = model_write(&model, 1);
    struct gram_quantize_options options = GRAM_QUANTIZE_OPTIONS_INIT;

    (void)state;
    options.force = true;
    for (size_t s = 0; s < 4; s++) {
        double rtn[14];
        options.scheme = schemes[s];
        options.method = "rtn";
        MUST(quantize_to(in, out, 2, -1, &options));
        for (size_t i = 0; i < 14; i++)
            rtn[i] = error_of(out, i);
        options.method = "mse";
        MUST(quantize_to(in, out, 2, -1, &options));
        for (size_t i = 0; i < 14; i++)
            assert_true(error_of(out, i) <= rtn[i] && rtn[i] > 0);
    }
}

static void a_cast_changes_every_tensor_and_the_config(void **state)
{
    struct gram_checkpoint ck;

    (void)state;
    MUST(quantize(model_write(&model, 1), "f16"));
    MUST(gram_checkpoint_open(&ck, out, &err));
    for (size_t i = 0; i < gram_store_count(ck.store); i++) {
        const struct gram_tensor *t = gram_store_at(ck.store, i);
        const struct gram_tensor *source = model_tensor(&model, t->name);
        assert_int_equal(t->dtype, GRAM_F16);
        for (int64_t k = 0; k < t->count; k++) {
            float x, y;
            gram_read_f32(&x, source->data, GRAM_BF16, k, 1);
            gram_read_f32(&y, t->data, GRAM_F16, k, 1);
            assert_true(y == gram_f32_from_f16(gram_f16_from_f32(x)));
        }
    }
    assert_string_equal(json_string_value(json_object_get(ck.config, "torch_dtype")), "float16");
    assert_null(ck.container);
    gram_checkpoint_reset(&ck);
}

static bool lists(const json_t *array, const char *name)
{
    size_t i;
    json_t *value;
    json_array_foreach(array, i, value)
    {
        if (strcmp(json_string_value(value), name) == 0)
            return true;
    }
    return false;
}

static void several_schemes_make_several_groups(void **state)
{
    static const struct gram_recipe_rule rules[] = {
        {"layers.*", "w4a16-g32", NULL},
        {"*.down", "w8a8", NULL},
        {"layers.1.attn.o", "keep", NULL},
    };
    struct gram_quantize_options options = GRAM_QUANTIZE_OPTIONS_INIT;

    (void)state;
    options.scheme = "w2a16-g64";
    options.rules = rules;
    options.n_rules = 3;
    MUST(quantize_to(model_write(&model, 1), out, 2, -1, &options));
    json_t *config = json_of(out, "config.json");
    const json_t *q = json_object_get(config, "quantization_config");
    const json_t *groups = json_object_get(q, "config_groups");
    assert_string_equal(json_string_value(json_object_get(q, "format")), "mixed-precision");
    assert_true(lists(json_object_get(q, "ignore"), "lm_head"));
    assert_true(lists(json_object_get(q, "ignore"), "model.layers.1.self_attn.o_proj"));
    assert_int_equal(json_object_size(groups), 2);
    const json_t *plain = json_object_get(groups, "group_1");
    const char *formats[2] = {
        json_string_value(json_object_get(json_object_get(groups, "group_0"), "format")),
        json_string_value(json_object_get(plain, "format"))};
    assert_string_not_equal(formats[0], formats[1]);
    json_decref(config);
    assert_int_equal(report.kept, 2);
    assert_int_equal(report.linears, 13);
}

static void small_shards_get_an_index(void **state)
{
    struct gram_quantize_options options = GRAM_QUANTIZE_OPTIONS_INIT;
    struct gram_checkpoint ck;

    (void)state;
    options.scheme = "w4a16-g32";
    options.max_shard_bytes = 10000;
    MUST(quantize_to(model_write(&model, 1), out, 2, -1, &options));
    MUST(gram_checkpoint_open(&ck, out, &err));
    assert_true(gram_store_files(ck.store) > 3);
    gram_checkpoint_reset(&ck);
}

static void small_files_go_along_but_not_the_model_card(void **state)
{
    (void)state;
    MUST(quantize(model_write(&model, 1), "w4a16-g32"));
    assert_true(exists("%s/tokenizer.json", out));
    assert_true(exists("%s/LICENSE", out));
    assert_false(exists("%s/README.md", out));
    assert_false(exists("%s.partial", out));
}

static void lm_head_is_kept_unless_asked_for(void **state)
{
    struct gram_quantize_options options = GRAM_QUANTIZE_OPTIONS_INIT;
    const struct gram_recipe_rule rule = {"lm_head", "w8a16", NULL};
    const char *in = model_write(&model, 1);

    (void)state;
    options.force = true;
    options.scheme = "w4a16-g32";
    MUST(quantize_to(in, out, 2, -1, &options));
    assert_int_equal(report.kept, 1);
    options.quantize_lm_head = true;
    MUST(quantize_to(in, out, 2, -1, &options));
    assert_int_equal(report.kept, 0);
    options.quantize_lm_head = false;
    options.rules = &rule;
    options.n_rules = 1;
    MUST(quantize_to(in, out, 2, -1, &options));
    assert_int_equal(report.kept, 0);
}

static void a_tied_head_is_ignored_by_name_and_cannot_be_quantized(void **state)
{
    struct gram_quantize_options options = GRAM_QUANTIZE_OPTIONS_INIT;

    (void)state;
    model.tied = true;
    const char *in = model_write(&model, 1);
    MUST(quantize(in, "w4a16-g32"));
    json_t *config = json_of(out, "config.json");
    assert_true(lists(json_object_get(json_object_get(config, "quantization_config"), "ignore"),
                      "lm_head"));
    json_decref(config);
    options.scheme = "w4a16-g32";
    options.force = options.quantize_lm_head = true;
    MUST_FAIL(GRAM_EINVAL, "tied", quantize_to(in, out, 2, -1, &options));
}

/* ---- what is not finite ---- */

static void set_value(const char *tensor, int64_t at, uint16_t bits)
{
    uint16_t *data = (uint16_t *)(uintptr_t)model_tensor(&model, tensor)->data;
    data[at] = bits;
}

static void not_a_number_is_refused_wherever_it_is(void **state)
{
    static const struct {
        const char *tensor, *part;
        int64_t at;
        uint16_t bits;
    } cases[] = {
        {"model.layers.0.mlp.down_proj.weight", "down_proj.weight[0, 0] is nan", 0, 0x7fc0},
        {"model.layers.0.mlp.down_proj.weight", "[63, 191] is inf", 64 * 192 - 1, 0x7f80},
        {"model.layers.1.self_attn.q_proj.weight", "[3, 17] is -inf", 3 * 64 + 17, 0xff80},
        {"model.embed_tokens.weight", "embed_tokens.weight[95, 63] is nan", 96 * 64 - 1, 0x7f81},
        {"model.norm.weight", "model.norm.weight[5] is -nan", 5, 0xffc0},
    };
    static const char *const schemes[] = {"w4a16-g32", "w8a8-tensor", "bf16", "f16"};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        drop_model(NULL);
        model_init(&model, 5);
        set_value(cases[i].tensor, cases[i].at, cases[i].bits);
        const char *in = model_write(&model, 1);
        for (size_t s = 0; s < 4; s++) {
            MUST_FAIL(GRAM_ENONFINITE, cases[i].part, quantize(in, schemes[s]));
            assert_false(exists("%s", out));
            assert_false(exists("%s.partial", out));
        }
    }
}

static void it_goes_through_when_it_is_allowed(void **state)
{
    struct gram_quantize_options options = GRAM_QUANTIZE_OPTIONS_INIT;

    (void)state;
    set_value("model.layers.0.mlp.down_proj.weight", 7, 0x7fc0);
    set_value("model.layers.0.mlp.down_proj.weight", 8, 0xff80);
    set_value("model.norm.weight", 0, 0x7f80);
    options.scheme = "w4a16-g32";
    options.allow_nonfinite = true;
    MUST(quantize_to(model_write(&model, 1), out, 2, -1, &options));
    json_t *certificate = json_of(out, "gram.json");
    const json_t *tensor = json_array_get(json_object_get(certificate, "tensors"), 0);
    assert_int_equal(json_integer_value(json_object_get(tensor, "nonfinite")), 2);
    assert_true(isfinite(json_real_value(json_object_get(tensor, "mse"))));
    json_decref(certificate);
}

static void a_value_beyond_f16_is_an_error_of_the_cast(void **state)
{
    (void)state;
    set_value("model.layers.0.mlp.up_proj.weight", 64, gram_bf16_from_f32(70000.0f));
    const char *in = model_write(&model, 1);
    MUST_FAIL(GRAM_ENONFINITE, "up_proj.weight[1, 0] is 70144, which f16 cannot hold",
              quantize(in, "f16"));
    MUST(quantize(in, "bf16"));
}

static void extreme_weights_give_finite_output(void **state)
{
    static const float extremes[] = {1e30f, -1e38f, 1e-38f};

    (void)state;
    for (int i = 0; i < 3; i++)
        set_value("model.layers.0.mlp.up_proj.weight", 100 * i, gram_bf16_from_f32(extremes[i]));
    for (int64_t k = 0; k < 64 * 3; k++)
        set_value("model.layers.0.mlp.gate_proj.weight", k, 0); /* three rows of zeros */
    expect_scheme("w4a16-g16", "f16");
    expect_scheme("w3a16-channel-asym", NULL);
    expect_scheme("w8a8", NULL);
}

/* ---- interruption ---- */

static void an_interrupted_run_is_taken_over_and_ends_in_the_same_bytes(void **state)
{
    struct gram_quantize_options options = GRAM_QUANTIZE_OPTIONS_INIT;
    const char *in = model_write(&model, 2);
    char whole[256];
    int n_resumed = 0;

    (void)state;
    options.scheme = "w4a16-g32";
    options.max_shard_bytes = 20000;
    memcpy(whole, out, sizeof whole);
    MUST(quantize_to(in, whole, 2, -1, &options));
    const char *folder = sub_folder();
    for (int polls = 0; polls < 200; polls++) {
        snprintf(out, sizeof out, "%s/out-%d", folder, polls);
        const enum gram_status status = quantize_to(in, out, 1 + polls % 3, polls, &options);
        if (status == GRAM_OK)
            break;
        assert_int_equal(status, GRAM_ECANCELED);
        assert_non_null(strstr(err.message, "goes on from there"));
        assert_false(exists("%s", out));
        assert_true(exists("%s.partial", out));
        MUST(quantize_to(in, out, 2, -1, &options));
        expect_same_output(whole, out);
        n_resumed += (int)report.resumed;
        if (polls > 0 && polls <= MODEL_TENSORS)
            assert_int_equal(report.resumed, polls);
    }
    assert_true(n_resumed > 100);
    assert_string_equal(warning, "");
}

static void stop_half_way(const char *in, const char *scheme)
{
    struct gram_quantize_options options = GRAM_QUANTIZE_OPTIONS_INIT;
    options.scheme = scheme;
    MUST_FAIL(GRAM_ECANCELED, "interrupted", quantize_to(in, out, 2, 10, &options));
}

static void expect_fresh_result(const char *in, const char *scheme)
{
    struct gram_quantize_options options = GRAM_QUANTIZE_OPTIONS_INIT;
    char fresh[256];
    options.scheme = scheme;
    snprintf(fresh, sizeof fresh, "%s/fresh", sub_folder());
    MUST(quantize_to(in, fresh, 1, -1, &options));
    expect_same_output(fresh, out);
}

static void another_recipe_starts_afresh_and_says_so(void **state)
{
    const char *in = model_write(&model, 1);

    (void)state;
    stop_half_way(in, "w4a16-g32");
    MUST(quantize(in, "w4a16-g64"));
    assert_non_null(strstr(warning, "the recipe changed"));
    assert_int_equal(report.resumed, 0);
    expect_fresh_result(in, "w4a16-g64");
}

static void a_source_that_changed_is_noticed_by_its_bytes(void **state)
{
    char path[512];
    struct stat st;

    (void)state;
    const char *in = model_write(&model, 1);
    snprintf(path, sizeof path, "%s/model.safetensors", in);
    stop_half_way(in, "w4a16-g32");
    assert_int_equal(stat(path, &st), 0);
    set_value("model.layers.0.mlp.down_proj.weight", 9, 0x3f80);
    write_tensors(path, model.tensors, MODEL_TENSORS);
    const struct timespec times[2] = {st.st_atim, st.st_mtim};
    utimensat(AT_FDCWD, path, times, 0); /* not even the time tells */
    MUST(quantize(in, "w4a16-g32"));
    assert_non_null(strstr(warning, "changed since the interrupted run"));
    assert_non_null(strstr(warning, "model.layers.0.mlp.down_proj.weight"));
    expect_fresh_result(in, "w4a16-g32");
}

static void what_was_damaged_meanwhile_is_made_anew(void **state)
{
    const char *in = model_write(&model, 1);
    char path[512];
    struct stat st;

    (void)state;
    stop_half_way(in, "w4a16-g32");
    snprintf(path, sizeof path, "%s.partial/model/model.safetensors", out);
    assert_int_equal(stat(path, &st), 0);
    FILE *f = fopen(path, "r+b");
    fseek(f, 4000, SEEK_SET);
    for (int i = 0; i < 8000; i++)
        fputc(0x55, f);
    fclose(f);
    MUST(quantize(in, "w4a16-g32"));
    assert_non_null(strstr(warning, "damaged"));
    assert_true(report.resumed > 0);
    expect_fresh_result(in, "w4a16-g32");
}

static void a_job_that_fails_leaves_nothing(void **state)
{
    (void)state;
    set_value("model.norm.weight", 0, 0x7f80);
    const char *in = model_write(&model, 1);
    stop_half_way(in, "w4a16-g32");
    MUST_FAIL(GRAM_ENONFINITE, "model.norm.weight[0] is inf", quantize(in, "w4a16-g32"));
    assert_false(exists("%s", out));
    assert_false(exists("%s.partial", out));
}

/* ---- refusals ---- */

static void what_cannot_work_is_refused_before_anything_is_written(void **state)
{
    const char *in = model_write(&model, 1);
    char inside[512];

    (void)state;
    MUST_FAIL(GRAM_EINVAL, "did you mean 'w4a16'", quantize(in, "int4"));
    MUST_FAIL(GRAM_EINVAL, "would take -g16, -g32, -g64 or -channel", quantize(in, "w4a16"));
    MUST_FAIL(GRAM_EINVAL, "layers.0.attn.q: no scheme", quantize(in, NULL));
    MUST_FAIL(GRAM_EINVAL, "keeps every tensor", quantize(in, "keep"));
    MUST_FAIL(GRAM_ENOENT, "", quantize("/nowhere/at/all", "w4a16"));
    assert_false(exists("%s.partial", out));
    snprintf(inside, sizeof inside, "%s/out", in);
    memcpy(out, inside, sizeof out);
    MUST_FAIL(GRAM_EINVAL, "inside the input", quantize(in, "w4a16-g32"));
    assert_false(exists("%s.partial", out));
    snprintf(out, sizeof out, "%s", in);
    MUST_FAIL(GRAM_EEXIST, "exists already", quantize(in, "w4a16-g32"));
}

static void a_quantized_model_is_not_quantized_again(void **state)
{
    char once[256];

    (void)state;
    MUST(quantize(model_write(&model, 1), "w4a16-g32"));
    memcpy(once, out, sizeof once);
    snprintf(out, sizeof out, "%s/out", sub_folder());
    MUST_FAIL(GRAM_EUNSUPPORTED, "quantized already", quantize(once, "w4a16-g64"));
}

static void force_replaces_an_older_output(void **state)
{
    struct gram_quantize_options options = GRAM_QUANTIZE_OPTIONS_INIT;
    const char *in = model_write(&model, 1);

    (void)state;
    MUST(quantize(in, "w8a16"));
    MUST_FAIL(GRAM_EEXIST, "exists already", quantize(in, "w4a16-g32"));
    options.scheme = "w4a16-g32";
    options.force = true;
    MUST(quantize_to(in, out, 2, -1, &options));
    expect_fresh_result(in, "w4a16-g32");
    MUST_FAIL(GRAM_EINVAL, "same folder", quantize_to(in, in, 2, -1, &options));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh_model, drop_model)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_scheme_reads_back_as_its_grid),
        TEST(the_bytes_do_not_depend_on_threads_or_runs),
        TEST(the_certified_error_of_mse_is_never_above_that_of_rtn),
        TEST(a_cast_changes_every_tensor_and_the_config),
        TEST(several_schemes_make_several_groups),
        TEST(small_shards_get_an_index),
        TEST(small_files_go_along_but_not_the_model_card),
        TEST(lm_head_is_kept_unless_asked_for),
        TEST(a_tied_head_is_ignored_by_name_and_cannot_be_quantized),
        TEST(not_a_number_is_refused_wherever_it_is),
        TEST(it_goes_through_when_it_is_allowed),
        TEST(a_value_beyond_f16_is_an_error_of_the_cast),
        TEST(extreme_weights_give_finite_output),
        TEST(an_interrupted_run_is_taken_over_and_ends_in_the_same_bytes),
        TEST(another_recipe_starts_afresh_and_says_so),
        TEST(a_source_that_changed_is_noticed_by_its_bytes),
        TEST(what_was_damaged_meanwhile_is_made_anew),
        TEST(a_job_that_fails_leaves_nothing),
        TEST(what_cannot_work_is_refused_before_anything_is_written),
        TEST(a_quantized_model_is_not_quantized_again),
        TEST(force_replaces_an_older_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
