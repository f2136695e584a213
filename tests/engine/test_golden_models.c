/*
 * The engine against transformers: logits, every hidden state, and greedy generation of tiny models
 * with random weights, one case per architecture, rope rule and storage; and the repository's own
 * model against the plain implementation that trained it. Prints the largest error of each.
 */
#include "support.h"

#include <math.h>
#include <unistd.h>

/* |a - b| <= 2e-4 + 1e-4 |b|: several times the reference's own f32 noise (golden/README.md). */
static const double abs_tolerance = 2e-4, rel_tolerance = 1e-4;

static const char *const cases[] = {
    "llama2_mha",        "llama3_gqa_ropellama3", "llama_bias_tied_mqa", "llama_rope_dynamic",
    "llama_rope_linear", "llama_rope_yarn",       "llama_rope_yarn_noorig", "llama_store_bf16",
    "llama_store_f16",   "llama_store_sharded",   "mistral_swa8",        "qwen2_tied",
    "qwen3_tied",        "qwen3_untied_bf16store", "tf5_llama3_newconfig", "gpt2",
};

struct fixture {
    const char *name;
    const char *(*path)(const char *name, const char *file); /* of a file of the case */
    struct gram_model *model;
    struct gram_model_info info;
    double worst;
};

static const char *case_path(const char *name, const char *file)
{
    static char path[512];
    snprintf(path, sizeof path, "golden/models/%s/%s", name, file);
    return shared_path(path);
}

static const char *own_path(const char *name, const char *file)
{
    static char path[512];
    if (strcmp(file, "hf") == 0)
        snprintf(path, sizeof path, "models/%s", name);
    else
        snprintf(path, sizeof path, "models/%s-golden/%s", name, file);
    return source_path(path);
}

static bool has_file(const struct fixture *f, const char *file)
{
    return access(f->path(f->name, file), R_OK) == 0;
}

static void hold(struct fixture *f, const char *what, double got, double want, int64_t at)
{
    const double error = fabs(got - want);
    f->worst = fmax(f->worst, error);
    if (!(error <= abs_tolerance + rel_tolerance * fabs(want)))
        fail_msg("%s: %s[%lld] is %.9g, the reference says %.9g", f->name, what, (long long)at, got,
                 want);
}

static int32_t *row_of_ids(const struct npy *ids, int64_t row, int64_t n)
{
    double *all = npy_doubles(ids);
    int32_t *tokens = malloc((size_t)n * sizeof *tokens);
    assert_non_null(tokens);
    for (int64_t i = 0; i < n; i++)
        tokens[i] = (int32_t)all[row * n + i];
    free(all);
    return tokens;
}

/* What a trace is compared with: logits [T, V] and hidden states, of one row of the batch. */
struct expected {
    struct fixture *f;
    const double *logits;
    const double *hidden; /* [layers + 1, B, T, D], or NULL */
    int64_t batch, row, length;
    int seen;
};

static bool compare_op(void *user, const char *name, int layer, const float *values, int64_t rows,
                       int64_t cols)
{
    struct expected *e = user;
    const char *end = strrchr(name, '.');
    int64_t state = -1;

    if (strcmp(name, "lm_head") == 0) {
        for (int64_t i = 0; i < rows * cols; i++)
            hold(e->f, "logits", (double)values[i], e->logits[e->row * rows * cols + i], i);
        e->seen++;
    }
    if (strcmp(name, "embed") == 0)
        state = 0;
    else if (end && strcmp(end, ".out") == 0 && layer + 1 < e->f->info.n_layers)
        state = layer + 1;
    else if (strcmp(name, "norm") == 0)
        state = e->f->info.n_layers;
    if (state < 0 || !e->hidden)
        return true;
    const double *want = e->hidden + (state * e->batch + e->row) * rows * cols;
    for (int64_t i = 0; i < rows * cols; i++)
        hold(e->f, name, (double)values[i], want[i], i);
    e->seen++;
    return true;
}

static void compare_pass(struct fixture *f, const char *ids_file, const char *logits_file,
                         const char *hidden_file)
{
    struct gram_error err;
    struct npy ids = npy_load(f->path(f->name, ids_file));
    struct npy logits = npy_load(f->path(f->name, logits_file));
    struct npy hidden = {0};
    struct expected e = {.f = f, .batch = ids.shape[0], .length = ids.shape[1]};

    e.logits = npy_doubles(&logits);
    if (hidden_file) {
        hidden = npy_load(f->path(f->name, hidden_file));
        e.hidden = npy_doubles(&hidden);
    }
    for (e.row = 0; e.row < e.batch; e.row++) {
        int32_t *tokens = row_of_ids(&ids, e.row, e.length);
        e.seen = 0;
        MUST(gram_trace(f->model, tokens, (size_t)e.length, compare_op, &e, &err));
        assert_int_equal(e.seen, hidden_file ? f->info.n_layers + 2 : 1);
        free(tokens);
    }
    free((void *)(uintptr_t)e.logits);
    free((void *)(uintptr_t)e.hidden);
    free(ids.data), free(logits.data), free(hidden.data);
}

/* Greedy generation through a session, its prompt fed in pieces of `batch`. */
static void compare_greedy(struct fixture *f, int64_t batch)
{
    struct gram_error err;
    struct npy prompt = npy_load(f->path(f->name, "gen_prompt.npy"));
    struct npy ids = npy_load(f->path(f->name, "gen_ids.npy"));
    const int64_t n_prompt = prompt.shape[prompt.rank - 1], n_ids = ids.shape[ids.rank - 1];
    int32_t *tokens = row_of_ids(&prompt, 0, n_prompt), *want = row_of_ids(&ids, 0, n_ids);
    struct gram_session_options options = GRAM_SESSION_OPTIONS_INIT;
    struct gram_session *session;
    float *logits = calloc((size_t)f->info.vocab, sizeof *logits);
    const int64_t skip = n_ids > 16 ? n_ids - 16 : 0; /* ids may repeat the prompt */

    options.context = n_prompt + 17;
    options.batch = batch;
    options.kv = "f32";
    MUST(gram_session_open(&session, f->model, &options, &err));
    MUST(gram_session_feed(session, tokens, (size_t)n_prompt, logits, 1, &err));
    for (int64_t i = skip; i < n_ids; i++) {
        int32_t best = 0;
        for (int32_t v = 1; v < f->info.vocab; v++)
            best = logits[v] > logits[best] ? v : best;
        if (best != want[i])
            fail_msg("%s: greedy token %lld is %d, the reference says %d", f->name,
                     (long long)(i - skip), (int)best, (int)want[i]);
        MUST(gram_session_feed(session, &best, 1, logits, 1, &err));
    }
    gram_session_close(&session);
    free(logits), free(tokens), free(want), free(prompt.data), free(ids.data);
}

static void compare_case(struct gram_runtime *rt, struct fixture f)
{
    struct gram_error err;

    MUST(gram_model_open(&f.model, rt, f.path(f.name, "hf"), &err));
    gram_model_info(f.model, &f.info);
    compare_pass(&f, "input_ids.npy", "logits.npy",
                 has_file(&f, "hidden_states.npy") ? "hidden_states.npy" : NULL);
    if (has_file(&f, "input_ids_long.npy"))
        compare_pass(&f, "input_ids_long.npy", "logits_long.npy", NULL);
    if (has_file(&f, "gen_ids.npy")) {
        compare_greedy(&f, 512);
        compare_greedy(&f, 3);
    }
    print_message("# %-24s largest error %.2e\n", f.name, f.worst);
    gram_model_close(&f.model);
}

static void every_case_equals_transformers(void **state)
{
    struct gram_error err;
    struct gram_runtime *rt;
    (void)state;

    need_shared("golden/models/llama2_mha/case.json");
    MUST(gram_runtime_open(&rt, NULL, &err));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        compare_case(rt, (struct fixture){.name = cases[i], .path = case_path});
    gram_runtime_close(&rt);
}

static void the_own_model_equals_its_trainer(void **state)
{
    struct gram_error err;
    struct gram_runtime *rt;
    (void)state;

    MUST(gram_runtime_open(&rt, NULL, &err));
    compare_case(rt, (struct fixture){.name = "hamlet", .path = own_path});
    gram_runtime_close(&rt);
}

static void unknown_architectures_and_storage_are_refused_by_name(void **state)
{
    struct gram_error err;
    struct gram_runtime *rt;
    struct gram_model *model;
    (void)state;

    need_shared("golden/models/opt_preln/case.json");
    MUST(gram_runtime_open(&rt, NULL, &err));
    MUST_FAIL(GRAM_EUNSUPPORTED, "OPTForCausalLM",
              gram_model_open(&model, rt, case_path("opt_preln", "hf"), &err));
    MUST_FAIL(GRAM_EUNSUPPORTED, "safetensors",
              gram_model_open(&model, rt, case_path("llama_store_torchbin", "hf"), &err));
    gram_runtime_close(&rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_equals_transformers),
        cmocka_unit_test(the_own_model_equals_its_trainer),
        cmocka_unit_test(unknown_architectures_and_storage_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
