/*
 * Nothing is allocated per token. This program's own malloc() and its kin, which the library in it calls,
 * count; sanitizers bring theirs, so there is nothing to count there.
 */
#include "world.h"

#include <stdatomic.h>

static atomic_long allocations;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { COUNTS = 0 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
enum { COUNTS = 0 };
#else
#define OWN_MALLOC
#endif
#elif defined(__GLIBC__)
#define OWN_MALLOC
#endif

#ifdef OWN_MALLOC
enum { COUNTS = 1 };
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *at, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

__attribute__((visibility("default"))) void *malloc(size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_malloc(size);
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_calloc(n, size);
}

__attribute__((visibility("default"))) void *realloc(void *at, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_realloc(at, size);
}

__attribute__((visibility("default"))) void *aligned_alloc(size_t alignment, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_memalign(alignment, size);
}
#endif

static void need_counts(void)
{
    if (!COUNTS)
        skip();
    const long before = allocations;
    free(new_logits(&(struct world){.info.vocab = 1}, 1));
    assert_true(allocations > before);
}

static void a_session_allocates_once(void **state)
{
    const char *const paths[] = {source_path("models/hamlet"), quantized("w4a16")};
    struct gram_error err;
    (void)state;

    need_counts();
    for (size_t i = 0; i < 2; i++) {
        struct world w;
        open_threads(&w, paths[i], 2);
        struct gram_session *session = open_session(&w, 16, NULL);
        float *logits = new_logits(&w, 1);
        MUST(gram_session_feed(session, w.tokens, 1, logits, 1, &err));
        const long before = allocations;
        MUST(gram_session_feed(session, w.tokens, 50, logits, 1, &err));
        for (int t = 0; t < 40; t++)
            MUST(gram_session_feed(session, w.tokens + t, 1, logits, 1, &err));
        MUST(gram_session_prompt(session, w.tokens, 70, logits, NULL, &err));
        assert_int_equal(allocations, before);
        free(logits);
        gram_session_close(&session);
        close_world(&w);
    }
}

static void a_batch_allocates_once(void **state)
{
    enum { SESSIONS = 6 };
    struct gram_session *sessions[SESSIONS];
    struct gram_batch *batch;
    struct gram_error err;
    struct world w;
    (void)state;

    need_counts();
    open_threads(&w, quantized("w8a8"), 2);
    MUST(gram_batch_open(&batch, w.model, 64, &err));
    for (int i = 0; i < SESSIONS; i++)
        sessions[i] = open_session(&w, 512, NULL);
    float *logits = new_logits(&w, SESSIONS);
    const long before = allocations;
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < SESSIONS; i++)
            MUST(gram_batch_add(batch, sessions[i], w.tokens, round % 2 ? 1 : 5, 1, &err));
        gram_batch_run(batch, logits);
    }
    assert_int_equal(allocations, before);
    free(logits);
    gram_batch_close(&batch);
    for (int i = 0; i < SESSIONS; i++)
        gram_session_close(&sessions[i]);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_allocates_once),
        cmocka_unit_test(a_batch_allocates_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
