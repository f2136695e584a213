/*
 * kcheck --bench: what each kernel does with one thread, in the sizes of a small language model,
 * and what part of the machine's ceiling that is. Operands lie in the caches but for the rows named
 * "stream".
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { ROWS = 32, COLS = 4096, DEPTH = 1024, MOST_T = 128 };
static const int64_t STREAM_BYTES = 512 << 20; /* larger than the caches */

/* Everything a timing needs; one is reused for all. */
struct bench {
    const struct gram_kernels *kernels;
    const struct bench_row *row;
    struct gram_weight weight;
    float *x, *y, *w;
    float *angle; /* 64 cosines and sines of a right angle: turning on changes no magnitude */
    int8_t *codes;
    uint8_t *stream;
};

struct bench_row {
    const char *kernel, *what;
    void (*work)(void *context);
    double ops, bytes; /* of one call; ops 0: not a multiply-add kernel */
    bool integer;
    int64_t T, group;
    enum gram_storage storage;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double time_calls(void (*work)(void *context), void *context, int64_t calls)
{
    const double start = now();
    for (int64_t i = 0; i < calls; i++)
        work(context);
    return now() - start;
}

double time_of(void (*work)(void *context), void *context)
{
    int64_t calls = 1;
    double best = time_calls(work, context, 1); /* and warms up */

    while (time_calls(work, context, calls) < 1e-3)
        calls *= 2;
    for (int i = 0; i < 15; i++) {
        const double t = time_calls(work, context, calls) / (double)calls;
        best = t < best ? t : best;
    }
    return best;
}

static void bench_gemm(void *context)
{
    struct bench *b = context;
    b->kernels->gemm_f32(b->y, ROWS, b->x, DEPTH, b->w, DEPTH, b->row->T, ROWS, DEPTH);
}

static void bench_gemm_stream(void *context)
{
    struct bench *b = context;
    const int64_t row_bytes = COLS * (int64_t)sizeof(float);
    b->kernels->gemm_f32(b->y, COLS, b->x, COLS, (const float *)(void *)b->stream, COLS, 1,
                         STREAM_BYTES / row_bytes, COLS);
}

static void bench_decode(void *context)
{
    struct bench *b = context;
    struct gram_weight *w = &b->weight;

    w->group = b->row->group;
    w->scale_stride = w->group ? gram_weight_groups(w) : 0;
    for (int64_t row = 0; row < ROWS; row++)
        b->kernels->decode[b->row->storage](b->y, w, row, 0, DEPTH);
}

static void bench_quantize_i8(void *context)
{
    struct bench *b = context;
    b->kernels->quantize_i8(b->codes, b->x, COLS);
}

static void bench_rmsnorm(void *context)
{
    struct bench *b = context;
    b->kernels->rmsnorm(b->y, b->x, b->w, COLS, 1e-5f);
}

static void bench_softmax(void *context)
{
    struct bench *b = context;
    b->kernels->softmax(b->y, COLS);
}

static void bench_swiglu(void *context)
{
    struct bench *b = context;
    b->kernels->swiglu(b->y, b->x, b->w, COLS);
}

static void bench_add(void *context)
{
    struct bench *b = context;
    b->kernels->add(b->y, b->x, b->w, COLS);
}

static void bench_rope(void *context)
{
    struct bench *b = context;
    for (int64_t head = 0; head < ROWS; head++)
        b->kernels->rope(b->y + head * 128, b->y + head * 128, b->angle, b->angle + 64, 64);
}

static void bench_dot_f32(void *context)
{
    struct bench *b = context;
    b->y[0] = b->kernels->dot_f32(b->x, b->w, COLS);
}

static void bench_axpy(void *context)
{
    struct bench *b = context;
    b->kernels->axpy(b->y, 1e-9f, b->x, COLS);
}

/* Bytes of a decode: codes read and floats written. */
#define DECODED(bits) (ROWS * DEPTH * (4.0 + (bits) / 8.0))
#define FLOPS(T)      (2.0 * (T)*ROWS * DEPTH)
#define GEMM_BYTES(T) (4.0 * DEPTH * (ROWS + (T)))

static const struct bench_row bench_rows[] = {
    {.kernel = "gemm_f32",
     "T 128, N 32, K 1024",
     bench_gemm,
     FLOPS(128),
     GEMM_BYTES(128),
     .T = 128},
    {.kernel = "gemm_f32", "T 8, N 32, K 1024", bench_gemm, FLOPS(8), GEMM_BYTES(8), .T = 8},
    {.kernel = "gemm_f32", "T 1, N 32, K 1024", bench_gemm, FLOPS(1), GEMM_BYTES(1), .T = 1},
    {.kernel = "gemm_f32", "T 1, stream 512 MiB", bench_gemm_stream, 2.0 * (128 << 20), 512 << 20},
    {.kernel = "decode_f16", "1024", bench_decode, 0, DECODED(16), .storage = GRAM_STORE_F16},
    {.kernel = "decode_bf16", "1024", bench_decode, 0, DECODED(16), .storage = GRAM_STORE_BF16},
    {.kernel = "decode_s8",
     "1024, channel",
     bench_decode,
     0,
     DECODED(8),
     .group = COLS,
     .storage = GRAM_STORE_S8},
    {.kernel = "decode_u8",
     "1024, g128",
     bench_decode,
     0,
     DECODED(8),
     .group = 128,
     .storage = GRAM_STORE_U8},
    {.kernel = "decode_u6",
     "1024, g128",
     bench_decode,
     0,
     DECODED(6),
     .group = 128,
     .storage = GRAM_STORE_U6},
    {.kernel = "decode_u5",
     "1024, g128",
     bench_decode,
     0,
     DECODED(5),
     .group = 128,
     .storage = GRAM_STORE_U5},
    {.kernel = "decode_u4",
     "1024, g128",
     bench_decode,
     0,
     DECODED(4),
     .group = 128,
     .storage = GRAM_STORE_U4},
    {.kernel = "decode_u4",
     "1024, g32",
     bench_decode,
     0,
     DECODED(4),
     .group = 32,
     .storage = GRAM_STORE_U4},
    {.kernel = "decode_u3",
     "1024, g128",
     bench_decode,
     0,
     DECODED(3),
     .group = 128,
     .storage = GRAM_STORE_U3},
    {.kernel = "decode_u2",
     "1024, g64",
     bench_decode,
     0,
     DECODED(2),
     .group = 64,
     .storage = GRAM_STORE_U2},
    {.kernel = "quantize_i8", "4096", bench_quantize_i8, 0, 5.0 * COLS},
    {.kernel = "rmsnorm", "4096", bench_rmsnorm, 0, 12.0 * COLS},
    {.kernel = "softmax", "4096", bench_softmax, 0, 8.0 * COLS},
    {.kernel = "swiglu", "4096", bench_swiglu, 0, 12.0 * COLS},
    {.kernel = "add", "4096", bench_add, 0, 12.0 * COLS},
    {.kernel = "rope", "32 heads of 128", bench_rope, 0, 8.0 * 128 * ROWS},
    {.kernel = "dot_f32", "4096", bench_dot_f32, 2.0 * COLS, 8.0 * COLS},
    {.kernel = "axpy", "4096", bench_axpy, 2.0 * COLS, 12.0 * COLS},
};
enum { N_BENCH_ROWS = sizeof bench_rows / sizeof bench_rows[0] };

static void *mapped(int64_t bytes)
{
    void *at =
        mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        perror("kcheck: mmap");
        exit(1);
    }
    return at;
}

static float *floats(int64_t n)
{
    float *at = mapped(n * (int64_t)sizeof *at);
    for (int64_t i = 0; i < n; i++)
        at[i] = (float)(i % 251 - 125) / 64.0f;
    return at;
}

static void bench_init(struct bench *b)
{
    b->x = floats(MOST_T * COLS);
    b->w = floats(ROWS * COLS);
    b->y = floats(1 << 20);
    b->angle = mapped(128 * (int64_t)sizeof *b->angle);
    for (int i = 64; i < 128; i++)
        b->angle[i] = 1.0f;
    b->codes = mapped(ROWS * COLS);
    b->stream = mapped(STREAM_BYTES);
    memset(b->stream, 0x3c, (size_t)STREAM_BYTES); /* as floats: 0.0115 */
    b->weight = (struct gram_weight){.rows = ROWS,
                                     .cols = COLS,
                                     .data = b->w,
                                     .row_bytes = 2 * COLS,
                                     .dtype = GRAM_F16,
                                     .scales = b->x,
                                     .scale_dtype = GRAM_F16};
}

static double time_at(struct bench *b, const struct bench_row *row,
                      const struct gram_kernels *kernels)
{
    b->kernels = kernels;
    b->row = row;
    b->weight.bits =
        row->group ? 8 : 0; /* the decoder knows its own width; a row has room for all */
    b->weight.is_signed = row->storage == GRAM_STORE_S8;
    return time_of(row->work, b);
}

void bench_report(const struct timing *t, const struct gram_ceilings *top)
{
    const double peak = t->integer ? top->iops : top->flops;

    printf("%-11s %-12s %-24s %11.2f us", t->level, t->kernel, t->what, t->seconds * 1e6);
    if (t->ops > 0)
        printf(" %8.1f GOP/s %3.0f%%", t->ops / t->seconds / 1e9,
               peak > 0 ? 100 * t->ops / t->seconds / peak : 0.0);
    else
        printf(" %19s", "");
    printf(" %7.1f GB/s", t->bytes / t->seconds / 1e9);
    if (strstr(t->what, "stream"))
        printf(" %3.0f%% of memory", 100 * t->bytes / t->seconds / top->read);
    putchar('\n');
    fflush(stdout);
}

static void bench_one(struct bench *b, const char *level, const struct bench_row *row,
                      const struct gram_kernels *kernels, const struct gram_ceilings *top)
{
    bench_report(&(struct timing){level, row->kernel, row->what, time_at(b, row, kernels), row->ops,
                                  row->bytes, row->integer},
                 top);
}

static void measure_on_one_thread(struct gram_ceilings *top, unsigned cpu_flags, const void *stream)
{
    struct gram_pool *pool;

    if (gram_pool_open(&pool, 1, NULL) != GRAM_OK)
        exit(1);
    gram_measure_ceilings(top, pool, cpu_flags, stream, STREAM_BYTES);
    gram_pool_close(&pool);
}

void bench_level(const char *level, const struct gram_kernels *kernels,
                 bool (*wanted)(const char *kernel, void *context), void *context)
{
    static struct bench b;
    struct gram_ceilings top;

    if (!b.stream)
        bench_init(&b);
    measure_on_one_thread(&top, kernels->cpu_flags, b.stream);
    printf("# ceilings of %s, one thread: f32 %.0f GFLOP/s, int8 %.0f GOP/s, memory %.1f GB/s\n",
           level, top.flops / 1e9, top.iops / 1e9, top.read / 1e9);
    for (int i = 0; i < N_BENCH_ROWS; i++) {
        if (wanted(bench_rows[i].kernel, context))
            bench_one(&b, level, &bench_rows[i], kernels, &top);
    }
    if (wanted("float_linear", context))
        bench_float_linear(level, kernels, &top, b.stream, STREAM_BYTES);
    if (wanted("int_linear", context))
        bench_int_linear(level, kernels, &top, b.stream, STREAM_BYTES);
    if (wanted("quantize_acts", context))
        bench_quantize_acts(level, kernels, &top);
    if (wanted("attend_f32", context))
        bench_attend(level, kernels, GRAM_KV_F32, &top);
    if (wanted("attend_f16", context))
        bench_attend(level, kernels, GRAM_KV_F16, &top);
    if (wanted("attend_i8", context))
        bench_attend(level, kernels, GRAM_KV_I8, &top);
}
