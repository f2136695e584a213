/*
 * A pool that spins briefly before it sleeps: a forward pass is hundreds of short loops, and waking a
 * sleeping thread costs more than most of them. Work is taken chunk by chunk from an atomic counter.
 */
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/checked.h"

enum { SPINS = 2000 };

struct gram_pool {
    int threads;
    pthread_t *ids; /* [threads - 1] */
    int n_started;
    pthread_mutex_t turn; /* one loop at a time */

    /* The loop at hand; written before `generation` grows, read after. */
    gram_pool_fn *fn;
    void *context;
    int64_t count, chunk;
    atomic_int_fast64_t next;
    atomic_int busy; /* workers that have not finished this generation */
    atomic_uint generation;
    atomic_bool stopping;

    pthread_mutex_t sleep_lock;
    pthread_cond_t wake, done;
    atomic_int sleepers;
};

struct worker {
    struct gram_pool *pool;
    int index;
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void take_chunks(struct gram_pool *pool, int worker)
{
    for (;;) {
        const int64_t begin = atomic_fetch_add(&pool->next, pool->chunk);
        if (begin >= pool->count)
            return;
        pool->fn(pool->context, begin, gram_min_i64(begin + pool->chunk, pool->count), worker);
    }
}

static void wait_for_generation(struct gram_pool *pool, unsigned seen)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load(&pool->generation) != seen)
            return;
        relax();
    }
    pthread_mutex_lock(&pool->sleep_lock);
    atomic_fetch_add(&pool->sleepers, 1);
    while (atomic_load(&pool->generation) == seen)
        pthread_cond_wait(&pool->wake, &pool->sleep_lock);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->sleep_lock);
}

static void *work(void *argument)
{
    struct worker me = *(struct worker *)argument;
    struct gram_pool *pool = me.pool;
    unsigned seen = 0;

    free(argument);
    for (;;) {
        wait_for_generation(pool, seen);
        seen++;
        if (atomic_load(&pool->stopping))
            return NULL;
        take_chunks(pool, me.index);
        if (atomic_fetch_sub(&pool->busy, 1) == 1) {
            pthread_mutex_lock(&pool->sleep_lock);
            pthread_cond_signal(&pool->done);
            pthread_mutex_unlock(&pool->sleep_lock);
        }
    }
}

static void next_generation(struct gram_pool *pool)
{
    atomic_fetch_add(&pool->generation, 1);
    if (atomic_load(&pool->sleepers) > 0) {
        pthread_mutex_lock(&pool->sleep_lock);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->sleep_lock);
    }
}

static void wait_until_done(struct gram_pool *pool)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load(&pool->busy) == 0)
            return;
        relax();
    }
    pthread_mutex_lock(&pool->sleep_lock);
    while (atomic_load(&pool->busy) != 0)
        pthread_cond_wait(&pool->done, &pool->sleep_lock);
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
    pthread_mutex_lock(&pool->turn);
    pool->fn = fn;
    pool->context = context;
    pool->count = count;
    pool->chunk = chunk;
    atomic_store(&pool->next, 0);
    atomic_store(&pool->busy, pool->n_started);
    next_generation(pool);
    take_chunks(pool, 0);
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
    struct gram_pool *pool = calloc(1, sizeof *pool);
    if (!pool || !(pool->ids = calloc((size_t)threads, sizeof *pool->ids))) {
        free(pool);
        return gram_fail_memory(err, "the thread pool");
    }
    pool->threads = threads;
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
    next_generation(pool);
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
