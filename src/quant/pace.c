#include "quant/pace.h"

#include <math.h>
#include <time.h>

#include "base/checked.h"
#include "base/hash.h"
#include "base/rng.h"
#include "calib/stats.h"

enum {
    WIDE = 512,
    NARROW = 128,
    WIDEST = 1024, /* of trials of a solver, on models that have such linears */
    TOKENS = 512,
    SLICE = 64,    /* rows that a solver gives to a thread at a time (feedback.c, refine.c) */
    HASHED = 1 << 20,
    TIMES = 2
};

static const double long_trial = 0.1; /* seconds: such a one is not repeated, nor made wider */

double gram_pace_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* About normal, with channels of different size. */
static float *noise(int64_t rows, int64_t cols, struct gram_arena *arena)
{
    struct gram_rng rng = {(uint64_t)cols};
    float *x = gram_arena_take(arena, (size_t)(rows * cols), sizeof *x);

    for (int64_t i = 0; x && i < rows * cols; i++) {
        const double sum = gram_rng_unit(&rng) + gram_rng_unit(&rng) + gram_rng_unit(&rng) - 1.5;
        x[i] = (float)(sum * (1 + (double)(i % cols % 16)));
    }
    return x;
}

/* ---- bytes, products, sums ---- */

static double pace_of_bytes(struct gram_arena *arena)
{
    void *bytes = gram_arena_take(arena, HASHED, 1);
    struct gram_sha256 hash;
    const double begin = gram_pace_now();

    if (!bytes)
        return 0;
    gram_sha256_init(&hash);
    gram_sha256_add(&hash, bytes, HASHED);
    return (gram_pace_now() - begin) / HASHED;
}

struct product {
    struct gram_kernels kernels;
    const float *x, *w;
    float *y;
};

static void multiply(void *context, int64_t begin, int64_t end, int worker)
{
    const struct product *p = context;

    (void)worker;
    p->kernels.gemm_f32(p->y + begin * WIDE, WIDE, p->x + begin * WIDE, WIDE, p->w, WIDE, end - begin, WIDE,
                        WIDE);
}

static double pace_of_products(const struct gram_runtime *rt, struct gram_arena *arena)
{
    struct product p = {.x = noise(TOKENS, WIDE, arena), .w = noise(WIDE, WIDE, arena)};
    double least = INFINITY;

    p.y = gram_arena_take(arena, TOKENS * WIDE, sizeof *p.y);
    if (!p.x || !p.w || !p.y)
        return 0;
    gram_kernels_init(&p.kernels, rt->cpu_flags);
    for (int i = 0; i < TIMES; i++) {
        const double begin = gram_pace_now();
        gram_pool_for(rt->pool, TOKENS, 32, multiply, &p);
        least = fmin(least, gram_pace_now() - begin);
    }
    return least / TOKENS / WIDE / WIDE;
}

/* Statistics of noise, with the X'X that solvers want, and the seconds that its tokens took. False if memory
 * ran out. */
static bool observe(struct gram_input_stats *stats, double *seconds, int64_t cols,
                    const struct gram_runtime *rt, struct gram_arena *arena)
{
    const float *x = noise(TOKENS, cols, arena);
    struct gram_kernels kernels;

    gram_kernels_init(&kernels, rt->cpu_flags);
    if (!x || !gram_stats_open(stats, GRAM_NEED_GRAM, cols, arena))
        return false;
    gram_stats_add(stats, &kernels, rt->pool, x, TOKENS); /* memory is touched for the first time */
    const double begin = gram_pace_now();
    gram_stats_add(stats, &kernels, rt->pool, x, TOKENS);
    *seconds = gram_pace_now() - begin;
    gram_stats_close(stats);
    return true;
}

static double pace_of_sums(const struct gram_runtime *rt, struct gram_arena *arena)
{
    double least = INFINITY;

    for (int i = 0; i < TIMES; i++) {
        struct gram_input_stats stats;
        double seconds;
        if (!observe(&stats, &seconds, WIDE, rt, arena))
            return 0;
        least = fmin(least, seconds);
    }
    return least / TOKENS / WIDE / WIDE;
}

void gram_pace_measure(struct gram_pace *pace, bool runs, const struct gram_runtime *rt)
{
    struct gram_arena arena = {0};

    pace->byte = pace_of_bytes(&arena);
    pace->product = runs ? pace_of_products(rt, &arena) : 0;
    pace->square = runs ? pace_of_sums(rt, &arena) : 0;
    gram_arena_reset(&arena);
}

/* ---- solvers ---- */

struct trial {
    const struct gram_assignment *how;
    const struct gram_runtime *rt;
    const struct gram_input_stats *stats;
};

/* Seconds of one linear; the faster of two runs, if they are short. */
static double time_solver(const struct trial *t, int64_t rows)
{
    const int64_t cols = t->stats->cols, span = gram_min_i64(gram_scheme_span(&t->how->scheme, cols), cols);
    const struct gram_grid grid = gram_scheme_grid(&t->how->scheme, GRAM_F32);
    struct gram_solution solution = {0};
    struct gram_arena arena = {0};
    struct gram_coded coded;
    double least = INFINITY;

    for (int i = 0; i < TIMES && !(least < INFINITY && least > long_trial); i++) {
        struct gram_problem problem = {.name = "a trial", .rows = rows, .cols = cols, .stats = t->stats,
                                       .options = &t->how->options, .pool = t->rt->pool};
        problem.w = noise(rows, cols, &arena);
        if (!problem.w || !gram_coded_open(&coded, &grid, rows, cols, span, false, &arena))
            break;
        const double begin = gram_pace_now();
        if (t->how->method->solve(&coded, &problem, &solution, NULL) != GRAM_OK)
            break;
        least = fmin(least, gram_pace_now() - begin);
    }
    gram_arena_reset(&arena);
    return isfinite(least) ? least : 0;
}

/* Per row, when all threads have rows; and what is left when there are none. */
static double time_row(double *fixed, const struct trial *t)
{
    const int64_t few = SLICE * gram_pool_threads(t->rt->pool), many = 2 * few;
    const double least = time_solver(t, few), most = time_solver(t, many);
    const double row = fmax(0, most - least) / (double)(many - few);

    *fixed = fmax(0, least - (double)few * row);
    return row;
}

/* Narrow trials tell how long a wide one would be. */
static int64_t wide_columns(const struct trial *narrow, int64_t most)
{
    const double growth = (double)WIDEST * WIDEST / (NARROW * NARROW);

    return most >= WIDEST && growth * time_solver(narrow, SLICE) < 4 * long_trial ? WIDEST : WIDE;
}

/* Two widths: a row takes square cols^2 + plane cols. The time of small linears goes elsewhere than that of
 * large ones: the wide one is as wide as may be. */
static void measure_calibrated(struct gram_pace_solver *pace, struct trial *t, int64_t most,
                               struct gram_arena *arena)
{
    struct gram_input_stats narrow, wide;
    double fixed, seconds;

    if (!observe(&narrow, &seconds, NARROW, t->rt, arena))
        return;
    t->stats = &narrow;
    const double at_narrow = time_row(&fixed, t);
    const int64_t cols = wide_columns(t, most);
    if (!observe(&wide, &seconds, cols, t->rt, arena))
        return;
    t->stats = &wide;
    const double at_wide = time_row(&fixed, t), n = (double)cols;
    pace->square = fmax(0, (at_wide / n - at_narrow / NARROW) / (n - NARROW));
    pace->plane = fmax(0, at_wide / n - n * pace->square);
    pace->cube = fixed / (n * n * n);
}

void gram_pace_measure_solver(struct gram_pace_solver *pace, const struct gram_assignment *how, int64_t most,
                              const struct gram_runtime *rt)
{
    const int64_t rows = 32 * gram_pool_threads(rt->pool);
    const struct gram_input_stats nothing = {.cols = WIDE};
    struct gram_arena arena = {0};
    struct trial trial = {how, rt, &nothing};

    *pace = (struct gram_pace_solver){0};
    if (how->method->needs)
        measure_calibrated(pace, &trial, most, &arena);
    else
        pace->plane = time_solver(&trial, rows) / (double)(rows * WIDE);
    gram_arena_reset(&arena);
}
