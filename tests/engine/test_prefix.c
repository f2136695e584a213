/* Timelines that share a beginning: kept when a prompt goes on from it, copied when a session is forked. */
#include "world.h"

enum { SHARED = 53 };

/* Another text that starts as w->tokens does. */
static void make_other(const struct world *w, int32_t *other)
{
    for (int i = 0; i < N; i++)
        other[i] = i < SHARED ? w->tokens[i] : (w->tokens[i] + 1) % (int32_t)w->info.vocab;
}

static void a_timeline_knows_what_it_has_in_common(void **state)
{
    struct world w;
    struct gram_error err;
    int32_t other[N];
    (void)state;

    open_threads(&w, source_path("models/hamlet"), 1);
    make_other(&w, other);
    struct gram_session *session = open_session(&w, 512, NULL);
    assert_int_equal(gram_session_match(session, w.tokens, N), 0);
    MUST(gram_session_feed(session, w.tokens, 80, NULL, 0, &err));
    assert_int_equal(gram_session_match(session, w.tokens, N), 80);
    assert_int_equal(gram_session_match(session, w.tokens, 7), 7);
    assert_int_equal(gram_session_match(session, w.tokens, 0), 0);
    assert_int_equal(gram_session_match(session, other, N), SHARED);
    gram_session_rewind(session, 20);
    assert_int_equal(gram_session_match(session, w.tokens, N), 20);
    gram_session_close(&session);
    close_world(&w);
}

/* Prompts one after the other in one session, each against a session of its own. */
static void hold_prompts(const char *path, const char *kv)
{
    struct world w;
    struct gram_error err;
    int32_t other[N];
    int64_t kept;

    open_threads(&w, path, 2);
    make_other(&w, other);
    const struct {
        const int32_t *tokens;
        size_t n;
        int64_t kept;
    } prompts[] = {{w.tokens, 100, 0}, {other, N, SHARED},       {other, N, N - 1},
                   {other, 40, 39},    {w.tokens + 1, 60, 0},    {w.tokens + 1, 61, 60},
                   {w.tokens, 1, 0},   {w.tokens, N, 1}};
    struct gram_session *session = open_session(&w, 512, kv), *fresh = open_session(&w, 16, kv);
    float *got = new_logits(&w, 1), *want = new_logits(&w, 1);
    for (size_t i = 0; i < sizeof prompts / sizeof prompts[0]; i++) {
        MUST(gram_session_prompt(session, prompts[i].tokens, prompts[i].n, got, &kept, &err));
        assert_int_equal(kept, prompts[i].kept);
        assert_int_equal(gram_session_length(session), prompts[i].n);
        gram_session_rewind(fresh, 0);
        MUST(gram_session_feed(fresh, prompts[i].tokens, prompts[i].n, want, 1, &err));
        must_be_equal(&w, got, want, 1);
    }
    MUST(gram_session_prompt(session, other, N, NULL, NULL, &err));
    free(got), free(want);
    gram_session_close(&session);
    gram_session_close(&fresh);
    close_world(&w);
}

static void a_kept_prefix_changes_no_bit(void **state)
{
    (void)state;
    hold_prompts(source_path("models/hamlet"), "f16");
    hold_prompts(windowed(), "int8");
    hold_prompts(quantized("w4a16"), "f32");
}

static void a_refused_prompt_leaves_the_timeline(void **state)
{
    struct world w;
    struct gram_error err;
    int32_t wrong[N];
    (void)state;

    open_threads(&w, source_path("models/hamlet"), 1);
    struct gram_session *session = open_session(&w, 512, NULL);
    memcpy(wrong, w.tokens, sizeof wrong);
    wrong[30] = -5;
    MUST(gram_session_feed(session, w.tokens, 80, NULL, 0, &err));
    MUST_FAIL(GRAM_EINVAL, "-5", gram_session_prompt(session, wrong, 60, NULL, NULL, &err));
    MUST_FAIL(GRAM_EINVAL, "no tokens", gram_session_prompt(session, wrong, 0, NULL, NULL, &err));
    assert_int_equal(gram_session_match(session, w.tokens, N), 80);
    gram_session_close(&session);
    close_world(&w);
}

/* Both branches of a fork go on as if they had been fed whole, and the first is as it was. */
static void hold_fork(const char *path, const char *kv, int64_t length)
{
    struct world w;
    struct gram_error err;
    int32_t other[N];

    open_threads(&w, path, 2);
    make_other(&w, other);
    struct gram_session *trunk = open_session(&w, 512, kv), *branch = open_session(&w, 512, kv);
    float *got = new_logits(&w, 1), *want = new_logits(&w, 1);
    MUST(gram_session_feed(trunk, w.tokens, 80, NULL, 0, &err));
    MUST(gram_session_feed(branch, w.tokens + 5, 90, NULL, 0, &err));
    MUST(gram_session_copy_prefix(branch, trunk, length, &err));
    assert_int_equal(gram_session_length(branch), length);
    assert_int_equal(gram_session_match(branch, w.tokens, N), length);
    MUST(gram_session_feed(branch, other + length, (size_t)(N - length), got, 1, &err));
    MUST(gram_session_feed(trunk, w.tokens + 80, N - 80, want, 1, &err));

    struct gram_session *fresh = open_session(&w, 512, kv);
    float *alone = new_logits(&w, 1);
    MUST(gram_session_feed(fresh, w.tokens, N, alone, 1, &err));
    must_be_equal(&w, want, alone, 1);
    memcpy(other, w.tokens, (size_t)length * sizeof other[0]);
    gram_session_rewind(fresh, 0);
    MUST(gram_session_feed(fresh, other, N, alone, 1, &err));
    must_be_equal(&w, got, alone, 1);
    free(got), free(want), free(alone);
    gram_session_close(&trunk);
    gram_session_close(&branch);
    gram_session_close(&fresh);
    close_world(&w);
}

static void forks_go_their_own_ways(void **state)
{
    static const char *const kinds[] = {"f32", "f16", "int8"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        hold_fork(source_path("models/hamlet"), kinds[i], 80);
        hold_fork(windowed(), kinds[i], 37);
    }
    hold_fork(source_path("models/hamlet"), NULL, 0);
}

static void prefixes_that_do_not_fit_are_refused(void **state)
{
    struct gram_session_options options = GRAM_SESSION_OPTIONS_INIT;
    struct gram_session *small;
    struct gram_error err;
    struct world w;
    (void)state;

    open_threads(&w, source_path("models/hamlet"), 1);
    struct gram_session *from = open_session(&w, 512, "f16"), *ints = open_session(&w, 512, "int8");
    options.context = 10;
    MUST(gram_session_open(&small, w.model, &options, &err));
    MUST(gram_session_feed(from, w.tokens, 20, NULL, 0, &err));
    MUST_FAIL(GRAM_EINVAL, "does not fit", gram_session_copy_prefix(small, from, 11, &err));
    MUST_FAIL(GRAM_EINVAL, "kind of cache", gram_session_copy_prefix(ints, from, 5, &err));
    MUST(gram_session_copy_prefix(small, from, 10, &err));
    MUST(gram_session_copy_prefix(from, from, 10, &err));
    assert_int_equal(gram_session_length(from), 10);
    gram_session_close(&from);
    gram_session_close(&ints);
    gram_session_close(&small);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_timeline_knows_what_it_has_in_common),
        cmocka_unit_test(a_kept_prefix_changes_no_bit),
        cmocka_unit_test(a_refused_prompt_leaves_the_timeline),
        cmocka_unit_test(forks_go_their_own_ways),
        cmocka_unit_test(prefixes_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
