/* Detection by cpuid/xgetbv or the auxiliary vector: the compilers' own builtins differ too much. */
#include "base/cpu.h"

#include <string.h>

#include "base/buf.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint64_t enabled_state(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/* May threads of this process use tiles? Their state is large, so that Linux wants to be asked
 * (Documentation/arch/x86/xstate.rst). */
static int has_tile_permission(void)
{
#ifdef SYS_arch_prctl
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
    return 0;
#endif
}

/* `features` is edx of leaf 7, whose names compilers do not agree on. */
static int has_tiles(unsigned features, uint64_t state)
{
    const unsigned wanted = 1u << 22 /* bf16 */ | 1u << 24 /* tile */ | 1u << 25 /* int8 */;
    const uint64_t saved = 3u << 17; /* configuration and data */
    return (features & wanted) == wanted && (state & saved) == saved && has_tile_permission();
}

unsigned gram_cpu_detect(void)
{
    unsigned a, b, c, d, flags = 0;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return 0;
    const uint64_t state = enabled_state();
    const int has_fma_f16c = (c & bit_FMA) && (c & bit_F16C);
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return 0;
    if ((state & 0x6) == 0x6 && has_fma_f16c && (b & bit_AVX2))
        flags |= GRAM_CPU_AVX2;
    const unsigned wide = bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ;
    if ((flags & GRAM_CPU_AVX2) && (state & 0xe0) == 0xe0 && (b & wide) == wide) {
        flags |= GRAM_CPU_AVX512;
        if (c & bit_AVX512VNNI)
            flags |= GRAM_CPU_AVX512VNNI;
        if ((flags & GRAM_CPU_AVX512VNNI) && has_tiles(d, state))
            flags |= GRAM_CPU_AMX;
    }
    return flags;
}
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>

unsigned gram_cpu_detect(void)
{
    return GRAM_CPU_NEON | (getauxval(AT_HWCAP) & HWCAP_ASIMDDP ? GRAM_CPU_DOTPROD : 0u);
}
#else
unsigned gram_cpu_detect(void)
{
    return 0;
}
#endif

/* From weak to strong; `flags` are those of the level and all below. */
static const struct {
    const char *name;
    unsigned flags;
} levels[] = {
    {"ref", 0},
    {"avx2", GRAM_CPU_AVX2},
    {"avx512", GRAM_CPU_AVX2 | GRAM_CPU_AVX512},
    {"avx512vnni", GRAM_CPU_AVX2 | GRAM_CPU_AVX512 | GRAM_CPU_AVX512VNNI},
    {"amx", GRAM_CPU_AVX2 | GRAM_CPU_AVX512 | GRAM_CPU_AVX512VNNI | GRAM_CPU_AMX},
    {"neon", GRAM_CPU_NEON},
    {"dotprod", GRAM_CPU_NEON | GRAM_CPU_DOTPROD},
};
enum { N_LEVELS = sizeof levels / sizeof levels[0] };

enum gram_status gram_cpu_mask(unsigned *flags, const char *name, unsigned have,
                               struct gram_error *err)
{
    struct gram_buf known = {0};

    for (int i = 0; i < N_LEVELS; i++) {
        const int runs_here = (levels[i].flags & ~have) == 0;
        if (runs_here && strcmp(name, levels[i].name) == 0) {
            *flags = levels[i].flags;
            gram_buf_reset(&known);
            return GRAM_OK;
        }
        if (runs_here)
            gram_buf_printf(&known, "%s%s", known.len ? ", " : "", levels[i].name);
    }
    gram_fail(err, GRAM_EINVAL, "kernel level '%s' is not one that this processor has (%s)", name,
              known.at ? known.at : "ref");
    gram_buf_reset(&known);
    return GRAM_EINVAL;
}

const char *gram_cpu_name(unsigned flags)
{
    const char *name = "ref";
    for (int i = 0; i < N_LEVELS; i++) {
        if ((levels[i].flags & ~flags) == 0)
            name = levels[i].name;
    }
    return name;
}
