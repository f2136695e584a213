/*
 * The kernels behind one table of function pointers. ref/ is the specification: plain loops that
 * define the result; x86/ and arm/ override entries for the levels that the processor has. Integer
 * kernels and decode equal ref bit for bit; float kernels differ by at most c * n * FLT_EPSILON *
 * sum |a_i b_i| (kcheck states c). Kernels start no threads and allocate nothing; pointers need
 * only the alignment of their element. Letters: T tokens (rows of x), N outputs, K inputs.
 */
#ifndef GRAM_KERNELS_KERNELS_H
#define GRAM_KERNELS_KERNELS_H

#include <stdint.h>
#include "kernels/attend.h"
#include "kernels/panels.h"
#include "tensor/weight.h"

/* Columns of a weight row that are decoded at a time; callers cut K into pieces of this. A multiple
 * of 128. */
enum { GRAM_K_BLOCK = 1024 };

enum gram_storage {
    GRAM_STORE_F32,
    GRAM_STORE_F16,
    GRAM_STORE_BF16,
    GRAM_STORE_S8, /* is_signed */
    GRAM_STORE_U2,
    GRAM_STORE_U3,
    GRAM_STORE_U4,
    GRAM_STORE_U5,
    GRAM_STORE_U6,
    GRAM_STORE_U8,
    GRAM_STORE_T4, /* with a table of 16 */
    GRAM_STORE_F8, /* f8_e4m3 */
    GRAM_N_STORAGE
};

/*
 * Columns [k0, k0 + n) of row `row` as f32, exactly (code - zero) * scale, or table[code] * scale,
 * rounded once: dst[n].
 * One pointer per storage form, see gram_weight_storage(). Reads nothing outside the row.
 */
typedef void gram_decode_fn(float *dst, const struct gram_weight *w, int64_t row, int64_t k0,
                            int64_t n);

/*
 * y[t][n] += sum_k x[t][k] * w[n][k], for t < T (any), n < N (any), k < K. Row strides in elements.
 * The bits of y[t][n] depend on its own rows and K alone: not on T, N or the place in them.
 */
typedef void gram_gemm_f32_fn(float *y, int64_t y_stride, const float *x, int64_t x_stride,
                              const float *w, int64_t w_stride, int64_t T, int64_t N, int64_t K);

/*
 * Symmetric int8 quantization of one row: scale = max|x| / 127.5, q = round half to even of
 * x / scale, clamped to -128..127 (compressed-tensors' dynamic per-token rule). A row that is all
 * zero, or so small that its scale underflows, has scale 0 and codes 0. Returns the scale. q[n],
 * x[n].
 */
typedef float gram_quantize_i8_fn(int8_t *q, const float *x, int64_t n);

/* y[i] = x[i] / sqrt(mean(x^2) + eps) * weight[i]; mean in double (Zhang, Sennrich 2019). n > 0 */
typedef void gram_rmsnorm_fn(float *y, const float *x, const float *weight, int64_t n, float eps);

/*
 * In place: subtract the maximum, exponentiate, divide by the sum; entries of -Inf become 0, also
 * when there is nothing else. n > 0
 */
typedef void gram_softmax_fn(float *x, int64_t n);

/* y[i] = silu(gate[i]) * up[i], silu(z) = z / (1 + exp(-z)) (Shazeer 2020). y may be gate or up. */
typedef void gram_swiglu_fn(float *y, const float *gate, const float *up, int64_t n);

/*
 * Its gradients, given dy: with s = 1 / (1 + exp(-gate)),
 *     d_gate[i] = dy up s (1 + gate (1 - s))     d_up[i] = dy gate s
 * The outputs overlap no input.
 */
typedef void gram_swiglu_vjp_fn(float *d_gate, float *d_up, const float *gate, const float *up,
                                const float *dy, int64_t n);

/* y[i] = a[i] + b[i]; y may be a or b. */
typedef void gram_add_fn(float *y, const float *a, const float *b, int64_t n);

/*
 * Rotate the vector of a head: for i < half, (x[i], x[i + half]) by the angle whose cosine and sine
 * are cs[i] and sn[i], into y, which may be x (Su et al. 2021, head-half layout of transformers).
 */
typedef void gram_rope_fn(float *y, const float *x, const float *cs, const float *sn, int64_t half);

/* sum a[i] * b[i]; y[i] += s * x[i] */
typedef float gram_dot_f32_fn(const float *a, const float *b, int64_t n);
typedef void gram_axpy_fn(float *y, float s, const float *x, int64_t n);

struct gram_kernels {
    unsigned cpu_flags;
    gram_decode_fn *decode[GRAM_N_STORAGE];
    gram_gemm_f32_fn *gemm_f32;
    gram_quantize_i8_fn *quantize_i8;
    gram_acts_layout_fn *acts_layout;
    gram_quantize_acts_fn *quantize_acts;
    gram_int_linear_fn *int_linear;
    gram_rmsnorm_fn *rmsnorm;
    gram_softmax_fn *softmax;
    gram_swiglu_fn *swiglu;
    gram_swiglu_vjp_fn *swiglu_vjp;
    gram_add_fn *add;
    gram_rope_fn *rope;
    gram_dot_f32_fn *dot_f32;
    gram_axpy_fn *axpy;
    gram_float_linear_fn *float_linear, *float_linear_add; /* the latter adds to y */
    gram_attend_fn *attend[GRAM_N_KV];
    gram_attend_store_fn *attend_store[GRAM_N_KV];
};

/* Fill the table for a processor with these flags (enum gram_cpu_flag); unknown flags are ignored.
 */
void gram_kernels_init(struct gram_kernels *kernels, unsigned cpu_flags);

/* Which storage form a weight has. */
enum gram_storage gram_weight_storage(const struct gram_weight *w);

#endif
