/* Transforms leave the function of a model as it is, and do what the references do. */
#include "float_model.h"

#include <math.h>

#include "formats/safetensors.h"
#include "quant/awq_clip.h"
#include "quant/rotation.h"
#include "quant/steps.h"

static const char *const models[] = {
    "llama2_mha",    "llama3_gqa_ropellama3",  "llama_bias_tied_mqa", "llama_rope_yarn", "llama_store_bf16",
    "mistral_swa8",  "qwen2_tied",             "qwen3_tied",          "qwen3_untied_bf16store",
    "tf5_llama3_newconfig",
};
enum { N_MODELS = sizeof models / sizeof models[0], WINDOWS = 6, LENGTH = 24 };

static int32_t *some_tokens(const struct float_model *m, int64_t n, int64_t factor)
{
    int32_t *tokens = calloc((size_t)n, sizeof *tokens);
    for (int64_t i = 0; i < n; i++)
        tokens[i] = (int32_t)((i * factor + 13) % m->ck.desc.hp.vocab);
    return tokens;
}

static int32_t *ids_of(const char *path, int64_t *rows, int64_t *length)
{
    const struct npy npy = npy_load(shared_path(path));
    double *all = npy_doubles(&npy);
    int32_t *ids = calloc((size_t)npy.count, sizeof *ids);

    *rows = npy.shape[0];
    *length = npy.shape[1];
    for (int64_t i = 0; i < npy.count; i++)
        ids[i] = (int32_t)all[i];
    free(all), free(npy.data);
    return ids;
}

static double distance(const float *a, const float *b, int64_t n)
{
    double worst = 0;
    for (int64_t i = 0; i < n; i++)
        worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
    return worst;
}

static double change_of(const char *model, const char *transform, const char *scheme,
                        const struct gram_transform_options *options)
{
    const struct gram_transform *t;
    struct float_model m;
    struct gram_error err;
    char path[256], note[160];

    snprintf(path, sizeof path, "golden/models/%s/hf", model);
    MUST(gram_transform_find(&t, transform, &err));
    float_model_open(&m, shared_path(path), 2, t->unties);
    float_model_assign(&m, scheme);
    int32_t *calibration = some_tokens(&m, WINDOWS * LENGTH, 7919), *tokens = some_tokens(&m, LENGTH, 104729);
    float_model_calibrate(&m, calibration, WINDOWS, LENGTH);
    float *before = float_model_logits(&m, tokens, LENGTH);
    float_model_transform(&m, transform, options, note);
    float *after = float_model_logits(&m, tokens, LENGTH);
    const double change = distance(before, after, LENGTH * m.ck.desc.hp.vocab);
    print_message("# %-11s %-24s %.1e  %s\n", transform, model, change, note);
    assert_true(note[0] != '\0');
    free(calibration), free(tokens), free(before), free(after);
    float_model_close(&m);
    return change;
}

static void hold_on_every_model(const char *transform, const char *scheme,
                                const struct gram_transform_options *options)
{
    need_shared("golden/models/llama2_mha/case.json");
    for (int i = 0; i < N_MODELS; i++) {
        if (!(change_of(models[i], transform, scheme, options) <= 1e-4))
            fail_msg("%s changes the logits of %s", transform, models[i]);
    }
}

static void smoothquant_leaves_every_architecture_as_it_is(void **state)
{
    struct gram_transform_options options = GRAM_TRANSFORM_OPTIONS_INIT;
    (void)state;
    hold_on_every_model("smoothquant", "w8a8", &options);
    options.alpha = 0.5;
    hold_on_every_model("smoothquant", "w8a8", &options);
}

static void awq_without_clipping_leaves_every_architecture_as_it_is(void **state)
{
    struct gram_transform_options options = GRAM_TRANSFORM_OPTIONS_INIT;
    (void)state;
    options.clip = false;
    hold_on_every_model("awq", "w4a16-g16", &options);
}

static void rotation_leaves_every_architecture_as_it_is(void **state)
{
    struct gram_transform_options options = GRAM_TRANSFORM_OPTIONS_INIT;
    (void)state;
    options.seed = 7;
    hold_on_every_model("rotate", "w4a16-g16", &options);
}

static void places_that_stay_float_are_left_alone(void **state)
{
    static const char *const names[] = {"smoothquant", "awq"};
    struct gram_transform_options options = GRAM_TRANSFORM_OPTIONS_INIT;
    (void)state;
    need_shared("golden/models/llama2_mha/case.json");
    for (int t = 0; t < 2; t++) {
        assert_true(change_of(models[0], names[t], "keep", &options) == 0);
        assert_true(change_of(models[0], names[t], "f16", &options) == 0);
    }
}

/* ---- references ---- */

/* A shared safetensors file. */
struct reference {
    struct gram_file *file;
    struct gram_arena arena;
    struct gram_tensor *tensors;
    size_t n;
};

static struct reference reference_open(const char *path)
{
    struct reference r = {0};
    struct gram_error err;

    MUST(gram_file_open(&r.file, shared_path(path), &err));
    MUST(gram_safetensors_read(r.file, &r.arena, &r.tensors, &r.n, &err));
    return r;
}

static void reference_close(struct reference *r)
{
    gram_arena_reset(&r->arena);
    gram_file_close(&r->file);
}

static float *reference_values(const struct reference *r, const char *name, int64_t *count)
{
    for (size_t i = 0; i < r->n; i++) {
        if (strcmp(r->tensors[i].name, name) == 0) {
            float *x = calloc((size_t)r->tensors[i].count, sizeof *x);
            gram_read_f32(x, r->tensors[i].data, r->tensors[i].dtype, 0, r->tensors[i].count);
            *count = r->tensors[i].count;
            return x;
        }
    }
    return NULL;
}

/* All but a share `outliers` within 1e-5 of the greatest value. */
static void hold_values(const char *name, const float *got, const float *right, int64_t n, double outliers)
{
    double most = 0;
    int64_t bad = 0;

    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)right[i]));
    for (int64_t i = 0; i < n; i++)
        bad += !(fabs((double)got[i] - (double)right[i]) <= 1e-5 * most);
    if ((double)bad > outliers * (double)n)
        fail_msg("%s: %lld of %lld are off", name, (long long)bad, (long long)n);
}

/* The weights of layer 0 against a file of the reference that has them by their names. */
static void hold_weights(const struct float_model *m, const char *path, double outliers)
{
    struct reference r = reference_open(path);
    size_t seen = 0;

    for (size_t i = 0; i < m->ck.desc.n_slots; i++) {
        int64_t n;
        float *right = reference_values(&r, m->ck.desc.slots[i].tensor, &n);
        if (!right)
            continue;
        hold_values(m->ck.desc.slots[i].tensor, m->values[i], right, n, outliers);
        free(right);
        seen++;
    }
    assert_int_equal(seen, r.n);
    reference_close(&r);
}

/* Mean squared difference from logits of the reference, for ids [rows][length]. */
static double logits_error(struct float_model *m, const char *ids_path, const char *logits_path)
{
    const struct npy npy = npy_load(shared_path(logits_path));
    double *right = npy_doubles(&npy), sum = 0;
    int64_t rows, length;
    int32_t *ids = ids_of(ids_path, &rows, &length);
    const int64_t n = length * m->ck.desc.hp.vocab;

    for (int64_t b = 0; b < rows; b++) {
        float *logits = float_model_logits(m, ids + b * length, length);
        for (int64_t i = 0; i < n; i++)
            sum += pow((double)logits[i] - right[b * n + i], 2);
        free(logits);
    }
    free(ids), free(right), free(npy.data);
    return sum / (double)(rows * n);
}

static void calibrate_by(struct float_model *m, const char *path)
{
    int64_t rows, length;
    int32_t *ids = ids_of(path, &rows, &length);
    float_model_calibrate(m, ids, rows, length);
    free(ids);
}

#define SMOOTH "golden/quant/smoothquant/llama/"

static void hold_act_scales(const struct float_model *m)
{
    struct reference r = reference_open(SMOOTH "act_scales.safetensors");

    for (int i = 0; i < m->graph.n_nodes; i++) {
        const int slot = m->graph.nodes[i].params[0];
        int64_t n;
        if (m->graph.nodes[i].layer < 0 || slot == GRAM_NONE)
            continue;
        float *right = reference_values(&r, m->ck.desc.slots[slot].module, &n);
        if (!right)
            continue;
        hold_values(m->graph.nodes[i].name,
                    gram_block_stats_of(&m->stats[0], &m->graph.nodes[i])->absmax, right, n, 0);
        free(right);
    }
    reference_close(&r);
}

static void smoothquant_equals_the_reference(void **state)
{
    struct gram_transform_options options = GRAM_TRANSFORM_OPTIONS_INIT;
    struct float_model m;
    char note[160];
    (void)state;

    need_shared(SMOOTH "case.json");
    options.as_reference = true;
    float_model_open(&m, shared_path(SMOOTH "hf"), 2, false);
    float_model_assign(&m, "w8a8");
    calibrate_by(&m, SMOOTH "calib_input_ids.npy");
    hold_act_scales(&m);
    float_model_transform(&m, "smoothquant", &options, note);
    assert_string_equal(note, "alpha attn 0.50, mlp 0.50");
    hold_weights(&m, SMOOTH "smoothed_a0.5.safetensors", 0);
    assert_true(logits_error(&m, SMOOTH "input_ids.npy", SMOOTH "logits_smoothed_a0.5.npy") < 1e-10);
    float_model_close(&m);
}

/* ---- awq ---- */

#define UNIT "golden/quant/awq/unit_64x96_w4g32/"
#define LLAMA "golden/quant/awq/llama_mha_w4g32/"

/* Every linear of the blocks as its codes have it. */
static void round_linears(struct float_model *m)
{
    for (size_t i = 0; i < m->ck.desc.n_slots; i++) {
        const struct gram_weight_slot *slot = &m->ck.desc.slots[i];
        const struct gram_scheme *scheme = &m->assigned[i].scheme;
        if (slot->kind != GRAM_KIND_LINEAR)
            continue;
        const struct gram_grid grid = gram_scheme_grid(scheme, GRAM_F32);
        const struct gram_step_rule rule = {0};
        struct gram_arena arena = {0};
        struct gram_coded coded;
        assert_true(gram_coded_open(&coded, &grid, slot->rows, slot->cols,
                                    gram_scheme_span(scheme, slot->cols), false, &arena));
        gram_steps_find(&coded, m->values[i], &rule, m->rt->pool);
        for (int64_t k = 0; k < slot->rows * coded.groups; k++) {
            uint8_t codes[256];
            float *w = m->values[i] + k * coded.span;
            gram_grid_encode(codes, &grid, coded.steps[k], w, coded.span);
            gram_grid_decode(w, &grid, coded.steps[k], codes, coded.span);
        }
        gram_arena_reset(&arena);
    }
}

/* The reference looks at the output of attention and of the MLP, we at that of linears. */
static void awq_is_as_good_as_the_reference(void **state)
{
    struct gram_transform_options options = GRAM_TRANSFORM_OPTIONS_INIT;
    struct float_model m, reference;
    char note[160];
    (void)state;

    need_shared(LLAMA "case.json");
    options.as_reference = true;
    float_model_open(&m, shared_path(LLAMA "hf"), 2, false);
    float_model_assign(&m, "w4a16-g32-asym");
    calibrate_by(&m, LLAMA "calib_input_ids.npy");
    float_model_transform(&m, "awq", &options, note);
    print_message("# awq %s\n", note);
    round_linears(&m);
    const double error = logits_error(&m, LLAMA "input_ids.npy", LLAMA "logits_fp32.npy");
    const double apart = logits_error(&m, LLAMA "input_ids.npy", LLAMA "logits_awq.npy");
    float_model_close(&m);

    float_model_open(&reference, shared_path(LLAMA "hf"), 2, false);
    const double right = logits_error(&reference, LLAMA "input_ids.npy", LLAMA "logits_awq.npy");
    const double rtn = logits_error(&reference, LLAMA "input_ids.npy", LLAMA "logits_rtn.npy");
    float_model_close(&reference);
    print_message("# squared error of logits: rtn %.4g, reference %.4g, ours %.4g (apart by %.4g)\n", rtn,
                  right, error, apart);
    assert_true(error <= 1.02 * right);
}

/* s is x^ratio, up to a factor, with a ratio out of the grid of 20. */
static void hold_scales(const char *name, const struct gram_rescale *at, const float *s)
{
    float *x = calloc((size_t)at->channels, sizeof *x);
    int64_t low = 0, high = 0;

    gram_rescale_gather(x, at, at->stats->mean_abs, true);
    for (int64_t j = 0; j < at->channels; j++) {
        low = x[j] < x[low] ? j : low;
        high = x[j] > x[high] ? j : high;
    }
    const double ratio = log((double)(s[high] / s[low])) / log((double)(x[high] / x[low]));
    if (!(fabs(20 * ratio - round(20 * ratio)) < 1e-3))
        fail_msg("%s has a ratio of %g", name, ratio);
    const double middle = sqrt(pow((double)x[low], ratio) * pow((double)x[high], ratio));
    for (int64_t j = 0; j < at->channels; j++)
        assert_true(fabs(pow((double)x[j], ratio) / middle - (double)s[j]) < 1e-4 * (double)s[j]);
    free(x);
}

/* The reference's scales, found by the names of maker and readers, are applied, and then ours clips. */
static void scale_as_reference(struct float_model *m, const struct reference *scales,
                               struct gram_transform_call *call)
{
    struct gram_rescale places[GRAM_RESCALES];
    const int n = gram_rescale_list(places, call);
    float *s[GRAM_RESCALES];

    assert_int_equal(n, 4);
    for (int i = 0; i < n; i++) {
        char name[512];
        int64_t count;
        snprintf(name, sizeof name, "%s|", m->ck.desc.slots[places[i].maker].module);
        for (int k = 0; k < places[i].n_readers; k++)
            snprintf(name + strlen(name), sizeof name - strlen(name), "%s%s", k ? "," : "",
                     m->ck.desc.slots[places[i].readers[k]].module);
        s[i] = reference_values(scales, name, &count);
        assert_non_null(s[i]);
        hold_scales(name, &places[i], s[i]);
        gram_rescale_apply(&places[i], call->weights, s[i]);
    }
    for (int i = 0; i < n; i++) {
        assert_true(gram_awq_clip(call, &places[i], s[i]));
        free(s[i]);
    }
}

static void awq_scales_and_clips_as_the_reference(void **state)
{
    struct gram_transform_options options = GRAM_TRANSFORM_OPTIONS_INIT;
    struct float_model m;
    (void)state;

    need_shared(LLAMA "case.json");
    float_model_open(&m, shared_path(LLAMA "hf"), 2, false);
    float_model_assign(&m, "w4a16-g32-asym");
    calibrate_by(&m, LLAMA "calib_input_ids.npy");
    struct gram_weights weights = {&m.ck.desc, m.values};
    struct reference scales = reference_open(LLAMA "awq_scales.safetensors");
    for (int i = 0; i < m.graph.n_blocks; i++) {
        struct gram_transform_call call = {&weights,     i,          &m.graph,    &m.graph.blocks[i],
                                           &m.stats[i],  m.assigned, &options,    m.rt->pool,
                                           ""};
        scale_as_reference(&m, &scales, &call);
    }
    /* a clipped range is -m .. m, its zero point 7.5: where that tie falls otherwise, so may the clipping */
    hold_weights(&m, LLAMA "weights_scaled_clipped.safetensors", 1e-3);
    assert_true(logits_error(&m, LLAMA "input_ids.npy", LLAMA "logits_scaled_clipped.npy") < 1e-3);
    reference_close(&scales);
    float_model_close(&m);
}

static float *floats_of(const char *path)
{
    const struct npy npy = npy_load(shared_path(path));
    double *all = npy_doubles(&npy);
    float *x = calloc((size_t)npy.count, sizeof *x);
    for (int64_t i = 0; i < npy.count; i++)
        x[i] = (float)all[i];
    free(all), free(npy.data);
    return x;
}

static void clipping_equals_the_reference(void **state)
{
    enum { ROWS = 64, COLS = 96, TOKENS = 600, GROUP = 32 };
    const struct gram_weight_slot slot = {
        .role = GRAM_W_DOWN, .kind = GRAM_KIND_LINEAR, .rows = ROWS, .cols = COLS};
    const struct gram_model_desc desc = {.slots = &slot, .n_slots = 1};
    struct gram_transform_options options = GRAM_TRANSFORM_OPTIONS_INIT;
    struct gram_assignment assigned = {0};
    struct gram_arena arena = {0};
    struct gram_input_stats stats;
    struct gram_kernels kernels;
    struct gram_runtime *rt;
    struct gram_error err;
    (void)state;

    need_shared(UNIT "case.json");
    float *w = floats_of(UNIT "W.npy"), *x = floats_of(UNIT "X.npy"), *right = floats_of(UNIT "clip_max.npy");
    MUST(gram_runtime_open(&rt, NULL, &err));
    gram_kernels_init(&kernels, rt->cpu_flags);
    MUST(gram_scheme_parse(&assigned.scheme, "w4a16-g32-asym", &err));
    MUST(gram_method_find(&assigned.method, "rtn", &err));
    assert_true(gram_stats_open(&stats, GRAM_NEED_GRAM, COLS, &arena));
    gram_stats_add(&stats, &kernels, rt->pool, x, TOKENS);
    gram_stats_close(&stats);

    struct gram_weights weights = {&desc, &w};
    struct gram_transform_call call = {
        .weights = &weights, .assigned = &assigned, .options = &options, .pool = rt->pool};
    const struct gram_rescale at = {
        .readers = {0}, .n_readers = 1, .cols = COLS, .channels = COLS, .head_dim = COLS, .share = 1,
        .stats = &stats};
    assert_true(gram_awq_clip(&call, &at, NULL));
    for (int64_t k = 0; k < ROWS * COLS / GROUP; k++) {
        float most = 0;
        for (int64_t i = 0; i < GROUP; i++)
            most = fmaxf(most, fabsf(w[k * GROUP + i]));
        assert_float_equal(most, right[k], 1e-6f);
    }
    free(w), free(x), free(right);
    gram_arena_reset(&arena);
    gram_runtime_close(&rt);
}

/* ---- on their own ---- */

static void a_tied_head_is_not_rotated_and_adapters_are_refused(void **state)
{
    static const char *const names[] = {"smoothquant", "awq", "rotate"};
    const struct gram_low_rank pair = {0};
    const struct gram_transform *t;
    struct float_model m;
    struct gram_error err;
    (void)state;

    need_shared("golden/models/qwen2_tied/case.json");
    float_model_open(&m, shared_path("golden/models/qwen2_tied/hf"), 1, false);
    MUST(gram_transform_find(&t, "rotate", &err));
    MUST_FAIL(GRAM_EUNSUPPORTED, "weight of its own", t->check(&m.ck.desc, &err));
    m.ck.desc.n_pairs = 1;
    m.ck.desc.pairs = &pair;
    for (int i = 0; i < 3; i++) {
        MUST(gram_transform_find(&t, names[i], &err));
        MUST_FAIL(GRAM_EUNSUPPORTED, "adapters", t->check(&m.ck.desc, &err));
    }
    MUST_FAIL(GRAM_EINVAL, "smoothquant", gram_transform_find(&t, "smooth", &err));
    MUST(gram_transform_find(&t, "none", &err));
    assert_null(t);
    m.ck.desc.n_pairs = 0;
    float_model_close(&m);
}

static void weights_do_not_depend_on_the_number_of_threads(void **state)
{
    static const char *const names[] = {"smoothquant", "awq", "rotate"};
    struct gram_transform_options options = GRAM_TRANSFORM_OPTIONS_INIT;
    struct float_model m[2];
    char note[160];
    (void)state;

    need_shared(LLAMA "case.json");
    options.alpha = -1;
    for (int t = 0; t < 3; t++) {
        for (int i = 0; i < 2; i++) {
            float_model_open(&m[i], shared_path(LLAMA "hf"), 1 + 2 * i, false);
            float_model_assign(&m[i], t == 0 ? "w8a8" : "w3a16-g32");
            calibrate_by(&m[i], LLAMA "calib_input_ids.npy");
            float_model_transform(&m[i], names[t], &options, note);
        }
        for (size_t i = 0; i < m[0].ck.desc.n_slots; i++)
            assert_true(distance(m[0].values[i], m[1].values[i],
                                 m[0].ck.desc.slots[i].rows * m[0].ck.desc.slots[i].cols) == 0);
        float_model_close(&m[0]);
        float_model_close(&m[1]);
    }
}

static void rotation_shares_out_an_outlier_at_every_size(void **state)
{
    static const int64_t sizes[] = {2, 16, 24, 45, 96, 7, 1024};
    struct gram_runtime *rt;
    struct gram_error err;
    (void)state;

    MUST(gram_runtime_open(&rt, NULL, &err));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const int64_t n = sizes[i];
        struct gram_arena arena = {0};
        struct gram_rotation rotation;
        float *x = gram_arena_take(&arena, (size_t)n, sizeof *x);
        double squares = 0, most = 0;

        x[n / 3] = 50;
        assert_true(gram_rotation_open(&rotation, n, 1, &arena));
        assert_true(gram_rotate_columns(&rotation, x, 1, 1, NULL, rt->pool));
        for (int64_t k = 0; k < n; k++) {
            squares += (double)x[k] * (double)x[k];
            most = fmax(most, fabs((double)x[k]));
        }
        assert_true(fabs(sqrt(squares) - 50) < 1e-4);
        assert_true(most <= 50 * sqrt(2.0 / (double)n) + 1e-4);
        gram_arena_reset(&arena);
    }
    gram_runtime_close(&rt);
}

static bool keep_logits(void *user, const char *name, int layer, const float *values, int64_t rows,
                        int64_t cols)
{
    (void)layer;
    if (strcmp(name, "lm_head") == 0)
        memcpy(user, values, (size_t)(rows * cols) * sizeof *values);
    return true;
}

static void hold_logits_of(const char *path, const int32_t *tokens, const float *right, int64_t n)
{
    float *logits = calloc((size_t)n, sizeof *logits);
    struct gram_model *model;
    struct gram_runtime *rt;
    struct gram_error err;

    MUST(gram_runtime_open(&rt, NULL, &err));
    MUST(gram_model_open(&model, rt, path, &err));
    MUST(gram_trace(model, tokens, LENGTH, keep_logits, logits, &err));
    print_message("# rotated and written: logits differ by %g\n", distance(logits, right, n));
    assert_true(distance(logits, right, n) < 0.02);
    gram_model_close(&model);
    gram_runtime_close(&rt);
    free(logits);
}

/* All but one linear is kept in f32, so that what differs is its rounding to f16. */
static void a_rotated_model_is_written_with_a_head_of_its_own(void **state)
{
    const struct gram_recipe_rule rules[] = {{"*", "keep", NULL}, {"layers.0.attn.q", "f16", NULL}};
    struct gram_quantize_options options = GRAM_QUANTIZE_OPTIONS_INIT;
    struct float_model before;
    struct gram_checkpoint ck;
    struct gram_runtime *rt;
    struct gram_error err;
    char out[256];
    (void)state;

    need_shared("golden/models/qwen2_tied/case.json");
    snprintf(out, sizeof out, "%s/rotated", fresh_folder());
    options.transform = "rotate";
    options.rules = rules;
    options.n_rules = 2;
    MUST(gram_runtime_open(&rt, NULL, &err));
    MUST(gram_quantize(rt, shared_path("golden/models/qwen2_tied/hf"), out, &options, NULL, NULL, &err));
    gram_runtime_close(&rt);
    MUST(gram_checkpoint_open(&ck, out, &err));
    assert_false(ck.desc.hp.tied);
    gram_checkpoint_reset(&ck);

    float_model_open(&before, shared_path("golden/models/qwen2_tied/hf"), 2, false);
    int32_t *tokens = some_tokens(&before, LENGTH, 104729);
    float *right = float_model_logits(&before, tokens, LENGTH);
    hold_logits_of(out, tokens, right, LENGTH * before.ck.desc.hp.vocab);
    free(tokens), free(right);
    float_model_close(&before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smoothquant_leaves_every_architecture_as_it_is),
        cmocka_unit_test(awq_without_clipping_leaves_every_architecture_as_it_is),
        cmocka_unit_test(smoothquant_equals_the_reference),
        cmocka_unit_test(awq_is_as_good_as_the_reference),
        cmocka_unit_test(awq_scales_and_clips_as_the_reference),
        cmocka_unit_test(clipping_equals_the_reference),
        cmocka_unit_test(a_tied_head_is_not_rotated_and_adapters_are_refused),
        cmocka_unit_test(weights_do_not_depend_on_the_number_of_threads),
        cmocka_unit_test(rotation_shares_out_an_outlier_at_every_size),
        cmocka_unit_test(a_rotated_model_is_written_with_a_head_of_its_own),
        cmocka_unit_test(rotation_leaves_every_architecture_as_it_is),
        cmocka_unit_test(places_that_stay_float_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
