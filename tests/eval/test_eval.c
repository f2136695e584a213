/* What eval promises, on the repository's own model: windows, counting, a model against itself. */
#include "support.h"

#include <math.h>

enum { N = 1000 };

struct world {
    struct gram_runtime *rt;
    struct gram_model *model;
    int32_t tokens[N];
};

static void open_world(struct world *w)
{
    struct gram_error err;
    MUST(gram_runtime_open(&w->rt, NULL, &err));
    MUST(gram_model_open(&w->model, w->rt, source_path("models/hamlet"), &err));
    for (int i = 0; i < N; i++)
        w->tokens[i] = (i * 7919 + 13) % 2048;
}

static void close_world(struct world *w)
{
    gram_model_close(&w->model);
    gram_runtime_close(&w->rt);
}

static void every_token_but_the_first_of_a_window_counts(void **state)
{
    static const struct {
        size_t n;
        int64_t context;
        uint64_t windows, counted;
    } cases[] = {{N, 100, 10, 990}, {301, 100, 3, 297}, {302, 100, 4, 298}, {2, 100, 1, 1}};
    struct gram_eval_options options = GRAM_EVAL_OPTIONS_INIT;
    struct gram_eval_report report;
    struct gram_error err;
    struct world w;
    (void)state;

    open_world(&w);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        options.context = cases[i].context;
        MUST(gram_eval(&report, w.model, NULL, w.tokens, cases[i].n, &options, NULL, &err));
        assert_int_equal(report.windows, cases[i].windows);
        assert_int_equal(report.tokens, cases[i].counted);
        assert_false(report.has_reference);
    }
    close_world(&w);
}

/* nll of one window computed here, from a session's logits. */
static double nll_by_hand(const struct world *w, size_t n)
{
    struct gram_session *session;
    struct gram_model_info info;
    struct gram_error err;
    double nll = 0;

    gram_model_info(w->model, &info);
    float *logits = calloc(n * (size_t)info.vocab, sizeof *logits);
    MUST(gram_session_open(&session, w->model, NULL, &err));
    MUST(gram_session_feed(session, w->tokens, n, logits, n, &err));
    for (size_t t = 0; t + 1 < n; t++) {
        double sum = 0;
        for (int64_t v = 0; v < info.vocab; v++)
            sum += exp((double)logits[(int64_t)t * info.vocab + v]);
        nll += log(sum) - (double)logits[(int64_t)t * info.vocab + w->tokens[t + 1]];
    }
    gram_session_close(&session);
    free(logits);
    return nll;
}

static void likelihood_is_that_of_the_logits(void **state)
{
    struct gram_eval_options options = GRAM_EVAL_OPTIONS_INIT;
    struct gram_eval_report report;
    struct gram_error err;
    struct world w;
    (void)state;

    open_world(&w);
    options.context = 200;
    MUST(gram_eval(&report, w.model, NULL, w.tokens, 200, &options, NULL, &err));
    const double nll = nll_by_hand(&w, 200);
    assert_true(fabs(report.nll - nll) < 1e-4 * nll);
    assert_true(fabs(report.ppl - exp(nll / 199)) < 1e-3 * report.ppl);
    close_world(&w);
}

static void a_model_equals_itself(void **state)
{
    struct gram_eval_options options = GRAM_EVAL_OPTIONS_INIT;
    struct gram_eval_report report;
    struct gram_error err;
    struct world w;
    (void)state;

    open_world(&w);
    options.context = 128;
    MUST(gram_eval(&report, w.model, w.model, w.tokens, N, &options, NULL, &err));
    assert_true(report.has_reference);
    assert_true(report.kl_mean >= 0 && report.kl_mean < 1e-9 && report.kl_p99 < 1e-9);
    assert_true(report.top1_agreement == 1.0);
    assert_true(report.ppl == report.ppl_reference);
    close_world(&w);
}

/* models/hamlet-golden/ppl.json, measured by the plain implementation that trained the model. */
static void perplexity_of_the_own_text_is_that_of_the_trainer(void **state)
{
    struct gram_eval_report report;
    struct gram_tokenizer *tokenizer;
    struct gram_ids ids = {0};
    struct gram_error err;
    struct world w;
    size_t size;
    (void)state;

    open_world(&w);
    char *text = read_file(source_path("models/hamlet-text/test.txt"), &size);
    MUST(gram_tokenizer_open(&tokenizer, source_path("models/hamlet"), &err));
    MUST(gram_tokenizer_encode(tokenizer, text, size, GRAM_ENCODE_SPECIAL, &ids, &err));
    MUST(gram_eval(&report, w.model, NULL, ids.at, ids.len, NULL, NULL, &err));
    assert_int_equal(report.tokens, 24585);
    assert_true(fabs(report.ppl / 1.405026 - 1) < 1e-4);
    gram_tokenizer_close(&tokenizer);
    gram_ids_reset(&ids);
    free(text);
    close_world(&w);
}

static bool always(void *user)
{
    (void)user;
    return true;
}

static void it_stops_when_asked_and_refuses_what_cannot_be_measured(void **state)
{
    const struct gram_job job = {.cancelled = always};
    struct gram_eval_report report;
    struct gram_error err;
    struct world w;
    (void)state;

    open_world(&w);
    MUST_FAIL(GRAM_ECANCELED, "interrupted",
              gram_eval(&report, w.model, NULL, w.tokens, N, NULL, &job, &err));
    MUST_FAIL(GRAM_EINVAL, "too few",
              gram_eval(&report, w.model, NULL, w.tokens, 1, NULL, NULL, &err));
    w.tokens[700] = 1 << 20;
    MUST_FAIL(GRAM_EINVAL, "outside the vocabulary",
              gram_eval(&report, w.model, NULL, w.tokens, N, NULL, NULL, &err));
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_token_but_the_first_of_a_window_counts),
        cmocka_unit_test(likelihood_is_that_of_the_logits),
        cmocka_unit_test(a_model_equals_itself),
        cmocka_unit_test(perplexity_of_the_own_text_is_that_of_the_trainer),
        cmocka_unit_test(it_stops_when_asked_and_refuses_what_cannot_be_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
