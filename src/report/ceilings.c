/*
 * What this machine can do: independent chains of the level's own multiply-add in registers, and a sum over
 * memory, on all threads of a pool. Compiled for the instructions by attribute, and only called where the
 * processor has them.
 */
#include "report/ceilings.h"

#include <time.h>

#include <gram/bench.h>
#include "base/checked.h"
#include "base/cpu.h"
#include "engine/model.h"
#include "engine/packed.h"

enum { CHAINS = 12, TURNS = 4096, CALLS = 64, TRIES = 7 };

struct peak_job {
    volatile int sink;
    const uint64_t *memory;
    int64_t words;
};

/* Keeps a value alive without storing it. */
#define KEEP(value) __asm__ volatile("" ::"x"(value))
#define FOR_CHAINS  _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++)

/* Eight pieces at a time, as the kernels read rows: one stream alone does not fill the memory bus.
 */
static void read_words(struct peak_job *job, int64_t begin, int64_t end)
{
    enum { STREAMS = 8, PIECE = 2048, LINE = 8 };
    uint64_t sum[STREAMS] = {0}, all = 0;

    for (int64_t at = begin; at + STREAMS * PIECE <= end; at += STREAMS * PIECE)
        for (int64_t i = at; i < at + PIECE; i += LINE)
            for (int64_t j = 0; j < STREAMS; j++)
                sum[j] += job->memory[i + j * PIECE];
    for (int j = 0; j < STREAMS; j++)
        all ^= sum[j];
    job->sink = (int)all;
}

static void read_share(void *context, int64_t begin, int64_t end, int worker)
{
    (void)worker;
    read_words(context, begin, end);
}

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx2,fma"))) static void fma_256(void *context)
{
    __m256 acc[CHAINS], a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(0.25f);
    (void)context;
    FOR_CHAINS acc[i] = _mm256_set1_ps((float)i);
    for (int turn = 0; turn < TURNS; turn++)
        FOR_CHAINS acc[i] = _mm256_fmadd_ps(acc[i], a, b);
    FOR_CHAINS KEEP(acc[i]);
}

__attribute__((target("avx512f"))) static void fma_512(void *context)
{
    __m512 acc[CHAINS], a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(0.25f);
    (void)context;
    FOR_CHAINS acc[i] = _mm512_set1_ps((float)i);
    for (int turn = 0; turn < TURNS; turn++)
        FOR_CHAINS acc[i] = _mm512_fmadd_ps(acc[i], a, b);
    FOR_CHAINS KEEP(_mm512_castps512_ps128(acc[i]));
}

/* Words, as exact products of signed bytes need: 16 of them an instruction, and an add. */
__attribute__((target("avx2"))) static void madd_256(void *context)
{
    __m256i acc[CHAINS], a = _mm256_set1_epi16(3);
    (void)context;
    FOR_CHAINS acc[i] = _mm256_set1_epi16((short)i);
    for (int turn = 0; turn < TURNS; turn++)
        FOR_CHAINS acc[i] = _mm256_add_epi32(acc[i], _mm256_madd_epi16(acc[i], a));
    FOR_CHAINS KEEP(acc[i]);
}

__attribute__((target("avx512f,avx512bw"))) static void madd_512(void *context)
{
    __m512i acc[CHAINS], a = _mm512_set1_epi16(3);
    (void)context;
    FOR_CHAINS acc[i] = _mm512_set1_epi16((short)i);
    for (int turn = 0; turn < TURNS; turn++)
        FOR_CHAINS acc[i] = _mm512_add_epi32(acc[i], _mm512_madd_epi16(acc[i], a));
    FOR_CHAINS KEEP(_mm512_castsi512_si128(acc[i]));
}

__attribute__((target("avx512f,avx512vnni"))) static void dpbusd_512(void *context)
{
    __m512i acc[CHAINS], a = _mm512_set1_epi8(3);
    (void)context;
    FOR_CHAINS acc[i] = _mm512_set1_epi8((char)i);
    for (int turn = 0; turn < TURNS; turn++)
        FOR_CHAINS acc[i] = _mm512_dpbusd_epi32(acc[i], a, a);
    FOR_CHAINS KEEP(_mm512_castsi512_si128(acc[i]));
}

/* Four tiles of sums, as many multiplications as the loops above have. */
__attribute__((target("amx-tile,amx-int8"))) static void tiles_int8(void *context)
{
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } shapes = {.palette = 1};
    (void)context;
    for (int i = 0; i < 8; i++) {
        shapes.row_bytes[i] = 64;
        shapes.rows[i] = 16;
    }
    __asm__ volatile("" ::"r"(&shapes) : "memory"); /* gcc does not know that all of it is read */
    _tile_loadconfig(&shapes);
    for (int turn = 0; turn < TURNS * CHAINS / 4; turn++) {
        _tile_dpbsud(0, 4, 6);
        _tile_dpbsud(1, 4, 7);
        _tile_dpbsud(2, 5, 6);
        _tile_dpbsud(3, 5, 7);
    }
    _tile_release();
}

static const struct peak {
    unsigned flag;
    void (*work)(void *context);
    int products; /* an instruction */
} flop_peaks[] = {{GRAM_CPU_AVX2, fma_256, 8}, {GRAM_CPU_AVX512, fma_512, 16}},
  iop_peaks[] = {{GRAM_CPU_AVX2, madd_256, 16},
                 {GRAM_CPU_AVX512, madd_512, 32},
                 {GRAM_CPU_AVX512VNNI, dpbusd_512, 64},
                 {GRAM_CPU_AMX, tiles_int8, 16 * 16 * 64}};
#elif defined(__aarch64__)
#include <arm_neon.h>
#undef KEEP
#define KEEP(value) __asm__ volatile("" ::"w"(value))

static void fma_neon(void *context)
{
    float32x4_t acc[CHAINS], a = vdupq_n_f32(0.5f), b = vdupq_n_f32(0.25f);
    (void)context;
    FOR_CHAINS acc[i] = vdupq_n_f32((float)i);
    for (int turn = 0; turn < TURNS; turn++)
        FOR_CHAINS acc[i] = vfmaq_f32(b, acc[i], a);
    FOR_CHAINS KEEP(acc[i]);
}

static void mull_neon(void *context)
{
    int32x4_t acc[CHAINS];
    (void)context;
    FOR_CHAINS acc[i] = vdupq_n_s32(i);
    for (int turn = 0; turn < TURNS; turn++)
        FOR_CHAINS
        {
            const int8x8_t a = vget_low_s8(vreinterpretq_s8_s32(acc[i]));
            acc[i] = vpadalq_s16(acc[i], vmull_s8(a, a));
        }
    FOR_CHAINS KEEP(acc[i]);
}

static const struct peak {
    unsigned flag;
    void (*work)(void *context);
    int products; /* an instruction */
} flop_peaks[] = {{GRAM_CPU_NEON, fma_neon, 4}}, iop_peaks[] = {{GRAM_CPU_NEON, mull_neon, 8}};
#else
static const struct peak {
    unsigned flag;
    void (*work)(void *context);
    int products;
} flop_peaks[] = {{0}}, iop_peaks[] = {{0}};
#endif

/* Every thread calls it so often. */
static void repeat(void *context, int64_t begin, int64_t end, int worker)
{
    const struct peak *peak = context;
    (void)worker;
    for (int64_t i = begin; i < end; i++)
        for (int call = 0; call < CALLS; call++)
            peak->work(NULL);
}

/* Smallest of several timings of one loop, in seconds. */
static double time_loop(struct gram_pool *pool, int64_t count, int64_t chunk, gram_pool_fn *fn,
                        void *context)
{
    double best = 1e9;

    for (int i = 0; i < TRIES; i++) {
        struct timespec from, to;
        clock_gettime(CLOCK_MONOTONIC, &from);
        gram_pool_for(pool, count, chunk, fn, context);
        clock_gettime(CLOCK_MONOTONIC, &to);
        const double t = (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
        best = t < best ? t : best;
    }
    return best;
}

/* That of the strongest flag; the level without flags is held against the strongest there is. */
static double peak_of(const struct peak *peaks, size_t n, unsigned cpu_flags, struct gram_pool *pool)
{
    const unsigned flags = cpu_flags ? cpu_flags : gram_cpu_detect();
    const int threads = gram_pool_threads(pool);
    double best = 0.0;

    for (size_t i = 0; i < n; i++) {
        struct peak peak = peaks[i];
        if (flags & peak.flag)
            best = 2.0 * CHAINS * TURNS * CALLS * threads * peak.products /
                   time_loop(pool, threads, 1, repeat, &peak);
    }
    return best;
}

void gram_measure_ceilings(struct gram_ceilings *out, struct gram_pool *pool, unsigned cpu_flags,
                           const void *memory, int64_t bytes)
{
    enum { SHARE = 1 << 18 }; /* words that a thread takes at a time */
    struct peak_job job = {.memory = memory, .words = bytes / 8};

    out->flops = peak_of(flop_peaks, sizeof flop_peaks / sizeof flop_peaks[0], cpu_flags, pool);
    out->iops = peak_of(iop_peaks, sizeof iop_peaks / sizeof iop_peaks[0], cpu_flags, pool);
    out->read = (double)bytes / time_loop(pool, job.words, SHARE, read_share, &job);
}

void gram_ceilings(const struct gram_model *model, struct gram_ceilings *out)
{
    const void *block = model->packed_file ? gram_packed_block(model->packed_file) : model->packed;

    gram_measure_ceilings(out, model->rt->pool, model->rt->cpu_flags, block,
                          (int64_t)model->packed_bytes);
}
