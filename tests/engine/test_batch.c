/* Batches: what a session computes among others is what it computes alone, to the bit. */
#include "world.h"

enum { SESSIONS = 5, ROWS = 64 };

struct crowd {
    struct gram_batch *batch;
    struct gram_session *sessions[SESSIONS];
    int64_t at[SESSIONS]; /* tokens of each that were computed */
    float *logits[SESSIONS]; /* [N, vocab] */
    float *result;           /* [ROWS, vocab] */
};

/* Every session reads the tokens from another place on. */
static const int32_t *tokens_of(const struct world *w, int session, int32_t *turned)
{
    for (int i = 0; i < N; i++)
        turned[i] = w->tokens[(i + 11 * session) % N];
    return turned;
}

static void open_crowd(struct crowd *c, const struct world *w)
{
    static const char *const kinds[SESSIONS] = {"f16", "int8", "f16", "f32", "f16"};
    struct gram_error err;

    *c = (struct crowd){0};
    MUST(gram_batch_open(&c->batch, w->model, ROWS, &err));
    c->result = new_logits(w, ROWS);
    for (int i = 0; i < SESSIONS; i++) {
        c->sessions[i] = open_session(w, 512, kinds[i]);
        c->logits[i] = new_logits(w, N);
    }
}

static void close_crowd(struct crowd *c)
{
    gram_batch_close(&c->batch);
    gram_batch_close(&c->batch);
    free(c->result);
    for (int i = 0; i < SESSIONS; i++) {
        gram_session_close(&c->sessions[i]);
        free(c->logits[i]);
    }
}

/* One call with pieces of any lengths, which differ by round and session, some of none. */
static bool run_round(struct crowd *c, const struct world *w, int round)
{
    const size_t vocab = (size_t)w->info.vocab;
    int64_t n[SESSIONS];
    int32_t turned[N];
    struct gram_error err;
    bool is_over = true;

    for (int i = 0; i < SESSIONS; i++) {
        const int64_t left = N - c->at[i], wanted = (round * 7 + i * 5) % 17;
        n[i] = wanted < left ? wanted : left;
        if (n[i] > gram_batch_room(c->batch))
            n[i] = gram_batch_room(c->batch);
        if (n[i] > 0)
            MUST(gram_batch_add(c->batch, c->sessions[i], tokens_of(w, i, turned) + c->at[i],
                                (size_t)n[i], (size_t)n[i], &err));
        is_over = is_over && left == 0;
    }
    gram_batch_run(c->batch, c->result);
    const float *from = c->result;
    for (int i = 0; i < SESSIONS; from += (size_t)n[i++] * vocab) {
        memcpy(c->logits[i] + (size_t)c->at[i] * vocab, from, (size_t)n[i] * vocab * sizeof *from);
        c->at[i] += n[i];
        assert_int_equal(gram_session_length(c->sessions[i]), c->at[i]);
    }
    return !is_over;
}

static void hold_batch(const char *path, int threads)
{
    struct world w;
    struct crowd c;
    struct gram_error err;
    int32_t turned[N];

    open_threads(&w, path, threads);
    open_crowd(&c, &w);
    for (int round = 0; run_round(&c, &w, round); round++)
        assert_true(round < 1000);
    float *alone = new_logits(&w, N);
    for (int i = 0; i < SESSIONS; i++) {
        gram_session_rewind(c.sessions[i], 0);
        MUST(gram_session_feed(c.sessions[i], tokens_of(&w, i, turned), N, alone, N, &err));
        must_be_equal(&w, alone, c.logits[i], N);
    }
    free(alone);
    close_crowd(&c);
    close_world(&w);
}

static void sessions_do_not_feel_each_other(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 3; threads++)
        hold_batch(source_path("models/hamlet"), threads);
    hold_batch(windowed(), 2);
    hold_batch(quantized("w8a8"), 2);
    hold_batch(quantized("w4a16"), 2);
}

/* The frequencies of dynamic rope depend on each session's own length. */
static void sessions_turn_by_their_own_length(void **state)
{
    struct world w;
    struct gram_error err;
    struct gram_batch *batch;
    int32_t tokens[N];
    (void)state;

    need_shared("golden/models/llama_rope_dynamic/case.json");
    open_threads(&w, shared_path("golden/models/llama_rope_dynamic/hf"), 2);
    for (int i = 0; i < N; i++)
        tokens[i] = w.tokens[i];
    struct gram_session *few = open_session(&w, 512, "f32"), *many = open_session(&w, 512, "f32");
    float *alone = new_logits(&w, 2), *both = new_logits(&w, 2);
    MUST(gram_session_feed(few, tokens, 20, alone, 1, &err));
    MUST(gram_session_feed(many, tokens, N, alone + w.info.vocab, 1, &err));
    gram_session_rewind(few, 0);
    gram_session_rewind(many, 0);
    MUST(gram_batch_open(&batch, w.model, 2 * N, &err));
    MUST(gram_batch_add(batch, few, tokens, 20, 1, &err));
    MUST(gram_batch_add(batch, many, tokens, N, 1, &err));
    gram_batch_run(batch, both);
    must_be_equal(&w, alone, both, 2);
    free(alone), free(both);
    gram_batch_close(&batch);
    gram_session_close(&few);
    gram_session_close(&many);
    close_world(&w);
}

static void logits_come_only_where_they_are_wanted(void **state)
{
    struct world w;
    struct crowd c;
    struct gram_error err;
    (void)state;

    open_threads(&w, source_path("models/hamlet"), 2);
    open_crowd(&c, &w);
    const size_t vocab = (size_t)w.info.vocab;
    MUST(gram_session_feed(c.sessions[4], w.tokens, 30, c.logits[0], 2, &err));
    MUST(gram_batch_add(c.batch, c.sessions[0], w.tokens, 30, 1, &err));
    MUST(gram_batch_add(c.batch, c.sessions[3], w.tokens, 7, 0, &err));
    MUST(gram_batch_add(c.batch, c.sessions[2], w.tokens, 20, 0, &err));
    gram_batch_run(c.batch, c.result);
    assert_memory_equal(c.result, c.logits[0] + vocab, vocab * sizeof(float));
    MUST(gram_batch_add(c.batch, c.sessions[2], w.tokens + 20, 10, 2, &err));
    gram_batch_run(c.batch, c.result);
    must_be_equal(&w, c.result, c.logits[0], 2);
    MUST(gram_batch_add(c.batch, c.sessions[0], w.tokens, 3, 0, &err));
    gram_batch_run(c.batch, NULL);
    assert_int_equal(gram_session_length(c.sessions[0]), 33);
    close_crowd(&c);
    close_world(&w);
}

static void what_does_not_fit_is_refused_and_changes_nothing(void **state)
{
    struct world w, other;
    struct crowd c;
    struct gram_batch *batch;
    struct gram_error err;
    const int32_t negative = -1;
    (void)state;

    open_threads(&w, source_path("models/hamlet"), 1);
    open_threads(&other, source_path("models/hamlet"), 1);
    open_crowd(&c, &w);
    MUST_FAIL(GRAM_EINVAL, "rows", gram_batch_open(&batch, w.model, 0, &err));
    MUST(gram_batch_add(c.batch, c.sessions[0], w.tokens, 60, 0, &err));
    MUST_FAIL(GRAM_EINVAL, "room for 4",
              gram_batch_add(c.batch, c.sessions[1], w.tokens, 5, 0, &err));
    MUST_FAIL(GRAM_EINVAL, "already", gram_batch_add(c.batch, c.sessions[0], w.tokens, 1, 0, &err));
    MUST_FAIL(GRAM_EINVAL, "-1", gram_batch_add(c.batch, c.sessions[1], &negative, 1, 0, &err));
    MUST_FAIL(GRAM_EINVAL, "no tokens", gram_batch_add(c.batch, c.sessions[1], w.tokens, 0, 0, &err));
    struct gram_session *stranger = open_session(&other, 512, NULL);
    MUST_FAIL(GRAM_EINVAL, "another model", gram_batch_add(c.batch, stranger, w.tokens, 1, 0, &err));
    assert_int_equal(gram_batch_room(c.batch), 4);
    gram_batch_clear(c.batch);
    gram_batch_run(c.batch, NULL);
    assert_int_equal(gram_session_length(c.sessions[0]), 0);
    MUST(gram_session_feed(c.sessions[1], w.tokens, N - 1, NULL, 0, &err));
    MUST_FAIL(GRAM_EINVAL, "do not fit: the context",
              gram_batch_add(c.batch, c.sessions[1], w.tokens, 2, 0, &err));
    gram_session_close(&stranger);
    close_crowd(&c);
    close_world(&w);
    close_world(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_do_not_feel_each_other),
        cmocka_unit_test(sessions_turn_by_their_own_length),
        cmocka_unit_test(logits_come_only_where_they_are_wanted),
        cmocka_unit_test(what_does_not_fit_is_refused_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
