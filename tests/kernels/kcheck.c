/* kcheck [--bench] [--only NAME] [--cpu LEVEL]: holds every kernel of every level against its
 * definition. */
#include "kcheck.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cpu.h"
#include "bench.h"

static const char *const level_names[] = {"ref",        "avx2", "avx512", "avx512vnni",
                                          "amx",        "neon", "dotprod"};
enum { N_LEVELS = sizeof level_names / sizeof level_names[0] };

#define AT(member) offsetof(struct gram_kernels, member)

static const struct kernel_row {
    const char *name;
    size_t offset; /* of its pointer in the table */
    check_fn *check;
    int variant; /* enum gram_storage of decode, enum gram_kv_kind of attention */
} rows[] = {
    {"decode_f32", AT(decode[GRAM_STORE_F32]), check_decode_dense, GRAM_STORE_F32},
    {"decode_f16", AT(decode[GRAM_STORE_F16]), check_decode_dense, GRAM_STORE_F16},
    {"decode_bf16", AT(decode[GRAM_STORE_BF16]), check_decode_dense, GRAM_STORE_BF16},
    {"decode_s8", AT(decode[GRAM_STORE_S8]), check_decode_codes, GRAM_STORE_S8},
    {"decode_u2", AT(decode[GRAM_STORE_U2]), check_decode_codes, GRAM_STORE_U2},
    {"decode_u3", AT(decode[GRAM_STORE_U3]), check_decode_codes, GRAM_STORE_U3},
    {"decode_u4", AT(decode[GRAM_STORE_U4]), check_decode_codes, GRAM_STORE_U4},
    {"decode_u5", AT(decode[GRAM_STORE_U5]), check_decode_codes, GRAM_STORE_U5},
    {"decode_u6", AT(decode[GRAM_STORE_U6]), check_decode_codes, GRAM_STORE_U6},
    {"decode_u8", AT(decode[GRAM_STORE_U8]), check_decode_codes, GRAM_STORE_U8},
    {"decode_t4", AT(decode[GRAM_STORE_T4]), check_decode_tables, GRAM_STORE_T4},
    {"decode_f8", AT(decode[GRAM_STORE_F8]), check_decode_tables, GRAM_STORE_F8},
    {"gemm_f32", AT(gemm_f32), check_gemm_f32, 0},
    {"float_linear", AT(float_linear), check_float_linear, 0},
    {"float_linear_add", AT(float_linear_add), check_float_linear_add, 0},
    {"attend_f32", AT(attend[GRAM_KV_F32]), check_attend, GRAM_KV_F32},
    {"attend_f16", AT(attend[GRAM_KV_F16]), check_attend, GRAM_KV_F16},
    {"attend_i8", AT(attend[GRAM_KV_I8]), check_attend, GRAM_KV_I8},
    {"attend_store_f32", AT(attend_store[GRAM_KV_F32]), check_attend_store, GRAM_KV_F32},
    {"attend_store_f16", AT(attend_store[GRAM_KV_F16]), check_attend_store, GRAM_KV_F16},
    {"attend_store_i8", AT(attend_store[GRAM_KV_I8]), check_attend_store, GRAM_KV_I8},
    {"quantize_i8", AT(quantize_i8), check_quantize_i8, 0},
    {"quantize_acts", AT(quantize_acts), check_quantize_acts, 0},
    {"int_linear", AT(int_linear), check_int_linear, 0},
    {"rmsnorm", AT(rmsnorm), check_rmsnorm, 0},
    {"softmax", AT(softmax), check_softmax, 0},
    {"swiglu", AT(swiglu), check_swiglu, 0},
    {"swiglu_vjp", AT(swiglu_vjp), check_swiglu_vjp, 0},
    {"add", AT(add), check_add, 0},
    {"rope", AT(rope), check_rope, 0},
    {"dot_f32", AT(dot_f32), check_dot_f32, 0},
    {"axpy", AT(axpy), check_axpy, 0},
};
enum { N_ROWS = sizeof rows / sizeof rows[0] };

struct options {
    bool bench;
    const char *only, *cpu;
};

static bool parse(struct options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bench") == 0)
            o->bench = true;
        else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
            o->only = argv[++i];
        else if (strcmp(argv[i], "--cpu") == 0 && i + 1 < argc)
            o->cpu = argv[++i];
        else
            return false;
    }
    return true;
}

/* The two tables name the same function for this kernel. */
static bool same_pointer(const struct gram_kernels *a, const struct gram_kernels *b, size_t offset)
{
    return memcmp((const char *)a + offset, (const char *)b + offset, sizeof(check_fn *)) == 0;
}

/* One level, and which of its kernels to look at: those that the level below does not share. */
struct level {
    const char *name, *only;
    struct gram_kernels kernels, below;
    bool has_below;
};

static bool wanted_row(const struct level *l, const struct kernel_row *row)
{
    return (!l->only || strcmp(l->only, row->name) == 0) &&
           !(l->has_below && same_pointer(&l->kernels, &l->below, row->offset));
}

static bool wanted_name(const char *kernel, void *context)
{
    for (int i = 0; i < N_ROWS; i++) {
        if (strcmp(kernel, rows[i].name) == 0)
            return wanted_row(context, &rows[i]);
    }
    return false;
}

/* For the line that a crash leaves: most are accesses to the page behind a buffer. */
static const char *running_level, *running_kernel;

static void tell_crash(int number)
{
    (void)number;
    dprintf(STDOUT_FILENO, "Bail out! %s %s left its buffers\n", running_level, running_kernel);
}

static void tell_crashes(void)
{
    struct sigaction once = {.sa_handler = tell_crash, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGSEGV, &once, NULL);
    sigaction(SIGBUS, &once, NULL);
}

/* Prints a TAP line per kernel; *number is that of the last one. Returns how many failed. */
static int check_level(const struct level *l, int *number)
{
    struct gram_kernels ref;
    int failed = 0;

    gram_kernels_init(&ref, 0);
    for (int i = 0; i < N_ROWS; i++) {
        if (!wanted_row(l, &rows[i]))
            continue;
        struct kcheck c = {
            .kernels = &l->kernels,
            .ref = &ref,
            .storage = (enum gram_storage)rows[i].variant,
            .kv = (enum gram_kv_kind)rows[i].variant,
            .rng = {7}};
        running_level = l->name;
        running_kernel = rows[i].name;
        rows[i].check(&c);
        printf("%sok %d - %s %s\n", c.failures ? "not " : "", ++*number, l->name, rows[i].name);
        fflush(stdout);
        failed += c.failures > 0;
    }
    return failed;
}

static int run_levels(const struct options *o)
{
    struct level l = {.only = o->only};
    int failed = 0, number = 0, levels = 0;

    for (int i = 0; i < N_LEVELS; i++) {
        unsigned flags;
        l.name = level_names[i];
        if (gram_cpu_mask(&flags, l.name, gram_cpu_detect(), NULL) != GRAM_OK) {
            printf("# %s: not on this processor, skipped\n", l.name);
            continue;
        }
        gram_kernels_init(&l.kernels, flags);
        if (!o->cpu || strcmp(o->cpu, l.name) == 0) {
            levels++;
            if (o->bench)
                bench_level(l.name, &l.kernels, wanted_name, &l);
            else
                failed += check_level(&l, &number);
        }
        l.below = l.kernels;
        l.has_below = true;
    }
    if (!o->bench)
        printf("1..%d\n", number);
    return failed || levels == 0;
}

int main(int argc, char **argv)
{
    struct options o = {0};

    if (!parse(&o, argc, argv)) {
        fprintf(stderr, "usage: kcheck [--bench] [--only NAME] [--cpu LEVEL]\n");
        return 2;
    }
    tell_crashes();
    return run_levels(&o);
}
