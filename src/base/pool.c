/*
 * A pool that spins briefly before it sleeps: a forward pass is hundreds of short loops, and waking a
 * sleeping thread costs more than most of them. Chunks are taken from an atomic word that also
 * names the loop, so a worker that comes late finds nothing to do, and nobody waits for it: a loop is over
 * when its chunks are done, not when every worker has seen it.
 */
#include "base/pool.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "base/checked.h"

enum { SPIN_NS = 100000, PAUSES = 32, LINE = 64 };

struct gram_pool {
    int threads;
    pthread_t *ids; /* [threads - 1] */
    int n_started;
    pthread_mutex_t turn; /* one loop at a time */

    /* The loop at hand: written before its ticket, read by those who hold one of its chunks. */
    gram_pool_fn *fn;
    void *context;
    int64_t count, chunk, n_chunks;

    /* Number of the loop in the upper half, chunks not yet taken in the lower. */
    alignas(LINE) atomic_uint_fast64_t ticket;
    alignas(LINE) atomic_int_fast64_t unfinished; /* chunks of the loop at hand */
    alignas(LINE) atomic_bool stopping;
    atomic_bool is_caller_asleep;
    atomic_int sleepers;
    pthread_mutex_t sleep_lock;
    pthread_cond_t wake, done;
};

struct worker {
    struct gram_pool *pool;
    int index;
};

static uint32_t loop_of(uint64_t ticket)
{
    return (uint32_t)(ticket >> 32);
}

static uint32_t chunks_of(uint64_t ticket)
{
    return (uint32_t)ticket;
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Spin until is_over() or for SPIN_NS, looking at the clock now and then: how long a pause takes differs
 * tenfold between processors. */
static bool spin(const struct gram_pool *pool, bool (*is_over)(const struct gram_pool *, uint32_t),
                 uint32_t loop)
{
    int64_t until = 0;
    for (;;) {
        for (int i = 0; i < PAUSES; i++) {
            if (is_over(pool, loop))
                return true;
            relax();
        }
        const int64_t now = now_ns();
        if (until == 0)
            until = now + SPIN_NS;
        else if (now > until)
            return false;
    }
}

/* How many chunks are taken at once: fewer and fewer, so that threads seldom meet and yet end together
 * (Polychronopoulos & Kuck 1987, guided self-scheduling). */
static uint32_t portion(const struct gram_pool *pool, uint32_t left)
{
    const uint32_t share = left / (2 * (uint32_t)pool->threads);
    return share > 0 ? share : 1;
}

static void do_chunks(struct gram_pool *pool, int64_t first, int64_t n, int worker)
{
    for (int64_t begin = first * pool->chunk; n > 0; n--, begin += pool->chunk)
        pool->fn(pool->context, begin, gram_min_i64(begin + pool->chunk, pool->count), worker);
}

/* Take and do chunks of `loop` until none is left or another loop has begun. */
static void take_chunks(struct gram_pool *pool, uint32_t loop, int worker)
{
    uint64_t ticket = atomic_load(&pool->ticket);

    while (loop_of(ticket) == loop && chunks_of(ticket) > 0) {
        const uint32_t n = portion(pool, chunks_of(ticket));
        if (!atomic_compare_exchange_weak(&pool->ticket, &ticket, ticket - n))
            continue;
        do_chunks(pool, pool->n_chunks - chunks_of(ticket), n, worker);
        if (atomic_fetch_sub(&pool->unfinished, n) == n && atomic_load(&pool->is_caller_asleep)) {
            pthread_mutex_lock(&pool->sleep_lock);
            pthread_cond_signal(&pool->done);
            pthread_mutex_unlock(&pool->sleep_lock);
        }
        ticket = atomic_load(&pool->ticket);
    }
}

static bool has_new_loop(const struct gram_pool *pool, uint32_t seen)
{
    return loop_of(atomic_load(&pool->ticket)) != seen;
}

static bool is_finished(const struct gram_pool *pool, uint32_t loop)
{
    (void)loop;
    return atomic_load(&pool->unfinished) == 0;
}

static void wait_for_loop(struct gram_pool *pool, uint32_t seen)
{
    if (spin(pool, has_new_loop, seen))
        return;
    pthread_mutex_lock(&pool->sleep_lock);
    atomic_fetch_add(&pool->sleepers, 1);
    while (!has_new_loop(pool, seen))
        pthread_cond_wait(&pool->wake, &pool->sleep_lock);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->sleep_lock);
}

static void *work(void *argument)
{
    const struct worker me = *(struct worker *)argument;
    struct gram_pool *pool = me.pool;
    uint32_t loop = 0;

    free(argument);
    for (;;) {
        wait_for_loop(pool, loop);
        if (atomic_load(&pool->stopping))
            return NULL;
        loop = loop_of(atomic_load(&pool->ticket));
        take_chunks(pool, loop, me.index);
    }
}

/* Publish a loop of so many chunks; returns its number. */
static uint32_t begin_loop(struct gram_pool *pool, uint32_t n_chunks)
{
    const uint32_t loop = loop_of(atomic_load(&pool->ticket)) + 1;

    atomic_store(&pool->unfinished, n_chunks);
    atomic_store(&pool->ticket, (uint64_t)loop << 32 | n_chunks);
    if (atomic_load(&pool->sleepers) > 0) {
        pthread_mutex_lock(&pool->sleep_lock);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->sleep_lock);
    }
    return loop;
}

static void wait_until_done(struct gram_pool *pool)
{
    if (spin(pool, is_finished, 0))
        return;
    pthread_mutex_lock(&pool->sleep_lock);
    atomic_store(&pool->is_caller_asleep, true);
    while (!is_finished(pool, 0))
        pthread_cond_wait(&pool->done, &pool->sleep_lock);
    atomic_store(&pool->is_caller_asleep, false);
    pthread_mutex_unlock(&pool->sleep_lock);
}

void gram_pool_for(struct gram_pool *pool, int64_t count, int64_t chunk, gram_pool_fn *fn,
                   void *context)
{
    GRAM_ASSERT(chunk >= 1);
    if (count <= 0)
        return;
    if (pool->threads == 1 || count <= chunk) {
        for (int64_t begin = 0; begin < count; begin += chunk)
            fn(context, begin, gram_min_i64(begin + chunk, count), 0);
        return;
    }
    const int64_t n_chunks = gram_ceil_div(count, chunk);
    GRAM_ASSERT(n_chunks <= UINT32_MAX);
    pthread_mutex_lock(&pool->turn);
    pool->fn = fn;
    pool->context = context;
    pool->count = count;
    pool->chunk = chunk;
    pool->n_chunks = n_chunks;
    take_chunks(pool, begin_loop(pool, (uint32_t)n_chunks), 0);
    wait_until_done(pool);
    pthread_mutex_unlock(&pool->turn);
}

static bool start_worker(struct gram_pool *pool, int index)
{
    struct worker *worker = malloc(sizeof *worker);
    if (!worker)
        return false;
    *worker = (struct worker){pool, index};
    if (pthread_create(&pool->ids[index - 1], NULL, work, worker) != 0) {
        free(worker);
        return false;
    }
    pool->n_started++;
    return true;
}

enum gram_status gram_pool_open(struct gram_pool **out, int threads, struct gram_error *err)
{
    *out = NULL;
    struct gram_pool *pool = aligned_alloc(LINE, sizeof *pool);
    if (pool)
        *pool = (struct gram_pool){.threads = threads};
    if (!pool || !(pool->ids = calloc((size_t)threads, sizeof *pool->ids))) {
        free(pool);
        return gram_fail_memory(err, "the thread pool");
    }
    pthread_mutex_init(&pool->turn, NULL);
    pthread_mutex_init(&pool->sleep_lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);
    for (int i = 1; i < threads; i++) {
        if (!start_worker(pool, i)) {
            gram_pool_close(&pool);
            return gram_fail(err, GRAM_ENOMEM, "thread %d of %d cannot be started", i + 1, threads);
        }
    }
    *out = pool;
    return GRAM_OK;
}

void gram_pool_close(struct gram_pool **pool_at)
{
    if (!pool_at || !*pool_at)
        return;
    struct gram_pool *pool = *pool_at;

    atomic_store(&pool->stopping, true);
    begin_loop(pool, 0);
    for (int i = 0; i < pool->n_started; i++)
        pthread_join(pool->ids[i], NULL);
    pthread_mutex_destroy(&pool->turn);
    pthread_mutex_destroy(&pool->sleep_lock);
    pthread_cond_destroy(&pool->wake);
    pthread_cond_destroy(&pool->done);
    free(pool->ids);
    free(pool);
    *pool_at = NULL;
}

int gram_pool_threads(const struct gram_pool *pool)
{
    return pool->threads;
}
