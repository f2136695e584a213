/*
 * What one thread of this machine can do: independent chains of the level's own multiply-add in
 * registers, and a sum over memory. Compiled for the instructions by attribute, and only called
 * where the processor has them.
 */
#include "bench.h"

#include <stdlib.h>

#include "base/cpu.h"

enum { CHAINS = 12, TURNS = 4096 };

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
static void read_memory(void *context)
{
    enum { STREAMS = 8, PIECE = 2048, LINE = 8 };
    struct peak_job *job = context;
    uint64_t sum[STREAMS] = {0}, all = 0;

    for (int64_t at = 0; at + STREAMS * PIECE <= job->words; at += STREAMS * PIECE)
        for (int64_t i = at; i < at + PIECE; i += LINE)
            for (int64_t j = 0; j < STREAMS; j++)
                sum[j] += job->memory[i + j * PIECE];
    for (int j = 0; j < STREAMS; j++)
        all ^= sum[j];
    job->sink = (int)all;
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

static const struct peak {
    unsigned flag;
    void (*work)(void *context);
    int products; /* an instruction */
} flop_peaks[] = {{GRAM_CPU_AVX2, fma_256, 8}, {GRAM_CPU_AVX512, fma_512, 16}},
  iop_peaks[] = {{GRAM_CPU_AVX2, madd_256, 16},
                 {GRAM_CPU_AVX512, madd_512, 32},
                 {GRAM_CPU_AVX512VNNI, dpbusd_512, 64}};
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

/* That of the strongest flag; the level without flags is held against the strongest there is. */
static double peak_of(const struct peak *peaks, size_t n, unsigned cpu_flags)
{
    const unsigned flags = cpu_flags ? cpu_flags : gram_cpu_detect();
    double best = 0.0;

    for (size_t i = 0; i < n; i++) {
        if (flags & peaks[i].flag)
            best = 2.0 * CHAINS * TURNS * peaks[i].products / time_of(peaks[i].work, NULL);
    }
    return best;
}

void measure_ceilings(struct ceilings *out, unsigned cpu_flags, const void *memory, int64_t bytes)
{
    struct peak_job job = {.memory = memory, .words = bytes / 8};

    out->flops = peak_of(flop_peaks, sizeof flop_peaks / sizeof flop_peaks[0], cpu_flags);
    out->iops = peak_of(iop_peaks, sizeof iop_peaks / sizeof iop_peaks[0], cpu_flags);
    out->read = (double)bytes / time_of(read_memory, &job);
}
