/*
 * Kernel checks: every pointer of every level against what it must compute. After the idea of
 * checkasm.
 *
 * A check runs one kernel over many sizes and kinds of input. Buffers come from slots whose last
 * byte lies against an unreadable page and whose first follows a canary, so reading or writing
 * outside shows.
 */
#ifndef GRAM_TESTS_KCHECK_H
#define GRAM_TESTS_KCHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/rng.h"
#include "kernels/kernels.h"

enum slot { OUT, LEFT, RIGHT, THIRD, FOURTH, FIFTH, N_SLOTS };

struct kcheck {
    const struct gram_kernels *kernels; /* the level under test */
    const struct gram_kernels *ref;
    enum gram_storage storage; /* for decode */
    enum gram_kv_kind kv;      /* for attention */
    struct gram_rng rng;
    uint8_t *slots[N_SLOTS];
    int64_t used[N_SLOTS]; /* bytes last placed */
    int failures;
};

typedef void check_fn(struct kcheck *c);
check_fn check_decode_dense, check_decode_codes, check_decode_tables;
check_fn check_gemm_f32, check_dot_f32, check_axpy;
check_fn check_float_linear, check_float_linear_add;
check_fn check_attend, check_attend_store;
check_fn check_quantize_i8, check_quantize_acts, check_int_linear;
check_fn check_rmsnorm, check_softmax, check_swiglu, check_swiglu_vjp, check_add, check_rope;

/* Count a failure; the first few are printed as diagnostics. */
__attribute__((format(printf, 2, 3))) void fail(struct kcheck *c, const char *format, ...);

/* `bytes` of a slot, ending at the unreadable page; what was placed there before is gone. */
void *place(struct kcheck *c, enum slot slot, int64_t bytes);
/* Fails when the canary before any placed buffer was touched. */
void check_canaries(struct kcheck *c, const char *after);

/* What inputs are made of. */
enum kind { UNIT, WIDE, TINY, HUGE_VALUES, N_KINDS }; /* [-1,1], 2^+-20, subnormal, 2^56 */
float random_float(struct kcheck *c, enum kind kind);
float *place_floats(struct kcheck *c, enum slot slot, int64_t n, enum kind kind);

/* |got - want| <= bound, both Inf of one sign, or both NaN. */
bool near(float got, double want, double bound);

/* Sizes that end in every lane of every vector, then larger ones. */
extern const int64_t sizes[];
extern const int n_sizes;

#endif
