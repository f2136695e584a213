/* The pool: every element once, the same chunks for any number of threads, also when several
 * threads share it. */
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/pool.h"

enum { MOST = 5000, THREADS = 4 };

struct loop {
    atomic_int hits[MOST];
    int64_t count, chunk;
    int threads;
    atomic_int bad; /* chunks that are not what the contract says */
};

static void count_hits(void *context, int64_t begin, int64_t end, int worker)
{
    struct loop *loop = context;
    const int64_t whole = begin + loop->chunk;

    if (begin % loop->chunk != 0 || end != (whole < loop->count ? whole : loop->count) ||
        worker < 0 || worker >= loop->threads)
        atomic_fetch_add(&loop->bad, 1);
    for (int64_t i = begin; i < end; i++)
        atomic_fetch_add(&loop->hits[i], 1);
}

static int elements_not_seen_once(const struct loop *loop)
{
    int wrong = 0;
    for (int64_t i = 0; i < MOST; i++)
        wrong += loop->hits[i] != (i < loop->count ? 1 : 0);
    return wrong + loop->bad;
}

static int run_loop(struct gram_pool *pool, int64_t count, int64_t chunk)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return 1;
    loop->count = count;
    loop->chunk = chunk;
    loop->threads = gram_pool_threads(pool);
    gram_pool_for(pool, count, chunk, count_hits, loop);
    const int wrong = elements_not_seen_once(loop);
    free(loop);
    return wrong;
}

static void every_element_is_done_once_in_the_same_chunks(void **state)
{
    static const int64_t counts[] = {0, 1, 2, 7, 64, 999, MOST},
                         chunks[] = {1, 3, 64, MOST, 1 << 20};
    (void)state;
    for (int threads = 1; threads <= THREADS; threads++) {
        struct gram_error err = {0};
        struct gram_pool *pool;
        MUST(gram_pool_open(&pool, threads, &err));
        assert_int_equal(gram_pool_threads(pool), threads);
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
            for (size_t k = 0; k < sizeof chunks / sizeof chunks[0]; k++)
                assert_int_equal(run_loop(pool, counts[i], chunks[k]), 0);
        }
        gram_pool_close(&pool);
        assert_null(pool);
    }
}

static void add_up(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        atomic_fetch_add((atomic_llong *)context, i);
}

static void thousands_of_short_loops_end(void **state)
{
    struct gram_error err = {0};
    struct gram_pool *pool;
    (void)state;
    MUST(gram_pool_open(&pool, THREADS, &err));
    for (int i = 0; i < 5000; i++) {
        atomic_llong sum = 0;
        gram_pool_for(pool, 20, 1, add_up, &sum);
        assert_int_equal(sum, 190);
    }
    gram_pool_close(&pool);
}

static void nap_and_add(void *context, int64_t begin, int64_t end, int worker)
{
    usleep(500);
    add_up(context, begin, end, worker);
}

/* Longer than anybody spins: workers sleep between loops, the caller while the last chunk is done. */
static void sleepers_are_woken(void **state)
{
    struct gram_error err = {0};
    struct gram_pool *pool;
    (void)state;
    MUST(gram_pool_open(&pool, THREADS, &err));
    for (int i = 0; i < 100; i++) {
        atomic_llong sum = 0;
        gram_pool_for(pool, THREADS + 1, 1, nap_and_add, &sum);
        assert_int_equal(sum, 10);
        usleep(i % 3 * 300);
    }
    gram_pool_close(&pool);
}

static void *loops_of_one_thread(void *pool)
{
    intptr_t wrong = 0;
    for (int i = 0; i < 300; i++) {
        atomic_llong sum = 0;
        gram_pool_for(pool, 100, 7, add_up, &sum);
        wrong += sum != 4950;
    }
    return (void *)wrong;
}

static void threads_that_share_a_pool_take_turns(void **state)
{
    struct gram_error err = {0};
    struct gram_pool *pool;
    pthread_t ids[THREADS];
    (void)state;
    MUST(gram_pool_open(&pool, 3, &err));
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&ids[i], NULL, loops_of_one_thread, pool), 0);
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(ids[i], &wrong);
        assert_null(wrong);
    }
    gram_pool_close(&pool);
}

static void pools_open_and_close_without_work(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        struct gram_error err = {0};
        struct gram_pool *pool;
        MUST(gram_pool_open(&pool, 1 + i % THREADS, &err));
        gram_pool_close(&pool);
        gram_pool_close(&pool);
    }
    gram_pool_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_element_is_done_once_in_the_same_chunks),
        cmocka_unit_test(thousands_of_short_loops_end),
        cmocka_unit_test(sleepers_are_woken),
        cmocka_unit_test(threads_that_share_a_pool_take_turns),
        cmocka_unit_test(pools_open_and_close_without_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
