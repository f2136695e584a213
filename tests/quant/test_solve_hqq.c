/* HQQ's optimizer against the reference implementation (golden/quant/hqq): every case there is. */
#include "quant/hqq.h"
#include "solving.h"

struct golden {
    const char *name, *tag;
    int bits;
    int64_t span; /* 0: all columns */
    bool is_optimized, round_zero;
    bool is_axis_0; /* runs are the columns of [span][weights / span] */
};

static const struct golden goldens[] = {
    {"w64x96", "b1_g32_ax1", 1, 32, true, false, false},
    {"w64x96", "b2_g32_ax1", 2, 32, true, false, false},
    {"w64x96", "b3_g32_ax1", 3, 32, true, false, false},
    {"w64x96", "b4_g32_ax1", 4, 32, true, false, false},
    {"w64x96", "b8_g32_ax1", 8, 32, true, false, false},
    {"w64x96", "b4_g32_ax1_noopt", 4, 32, false, false, false},
    {"w64x96", "b4_g32_ax1_rz", 4, 32, true, true, false},
    {"w64x96", "b3_g32_ax0", 3, 32, true, false, true},
    {"w64x96", "b4_g32_ax0", 4, 32, true, false, true},
    {"w64x96", "b4_gNone_ax1", 4, 0, true, false, false},
    {"w128x256", "b2_g64_ax1", 2, 64, true, false, false},
    {"w128x256", "b4_g64_ax1", 4, 64, true, false, false},
};

static struct npy golden_array(const struct golden *g, const char *what)
{
    char path[256];
    if (what[0] == 'W')
        snprintf(path, sizeof path, "golden/quant/hqq/%s/W.npy", g->name);
    else
        snprintf(path, sizeof path, "golden/quant/hqq/%s/%s.%s.npy", g->name, g->tag, what);
    return npy_load(shared_path(path));
}

/* [rows][cols] to [cols][rows], in place; elements of 1 or 4 bytes. */
static void turn(struct npy *npy, int64_t rows, int64_t cols, size_t size)
{
    char *turned = malloc((size_t)npy->count * size);

    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < cols; c++)
            memcpy(turned + (size_t)(c * rows + r) * size,
                   (char *)npy->data + (size_t)(r * cols + c) * size, size);
    }
    free(npy->data);
    npy->data = turned;
}

/* Of n floats, the share that is off by more than 1e-4 of the greatest. */
static double share_off(const float *got, const struct npy *want)
{
    const float *x = want->data;
    float top = 0;
    int64_t off = 0;

    for (int64_t i = 0; i < want->count; i++)
        top = fmaxf(top, fabsf(x[i]));
    for (int64_t i = 0; i < want->count; i++)
        off += fabsf(got[i] - x[i]) > 1e-4f * fmaxf(fabsf(x[i]), 1e-2f * top);
    return (double)off / (double)want->count;
}

static void check(const struct golden *g)
{
    struct gram_hqq_options options = GRAM_HQQ_OPTIONS_INIT;
    struct npy w = golden_array(g, "W"), codes = golden_array(g, "codes");
    struct npy scale = golden_array(g, "scale"), zero = golden_array(g, "zero");
    const int64_t n = g->span ? g->span : w.shape[1], runs = w.count / n;
    uint8_t *got = malloc((size_t)w.count);
    float *scales = malloc((size_t)runs * sizeof *scales), *zeros = malloc((size_t)runs * sizeof *zeros);
    int64_t wrong = 0;

    if (g->is_axis_0) {
        turn(&w, n, runs, sizeof(float));
        turn(&codes, n, runs, 1);
    }
    options.iterations = g->is_optimized ? options.iterations : 0;
    options.round_zero = g->round_zero;
    gram_hqq_optimize(got, scales, zeros, w.data, runs, n, g->bits, &options);
    for (int64_t i = 0; i < w.count; i++)
        wrong += got[i] != ((uint8_t *)codes.data)[i];
    const double off_scale = share_off(scales, &scale), off_zero = share_off(zeros, &zero);
    print_message("# %s %s: %lld codes, %.4f of scales, %.4f of zeros differ\n", g->name, g->tag,
                  (long long)wrong, off_scale, off_zero);
    if (wrong > 0 || off_scale > 0 || off_zero > 0)
        fail_msg("%s %s is not the reference's", g->name, g->tag);
    free(w.data), free(codes.data), free(scale.data), free(zero.data);
    free(got), free(scales), free(zeros);
}

static void codes_scales_and_float_zeros_equal_the_reference_implementation(void **state)
{
    (void)state;
    need_shared("golden/quant/hqq/w64x96/case.json");
    for (size_t i = 0; i < sizeof goldens / sizeof goldens[0]; i++)
        check(&goldens[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_scales_and_float_zeros_equal_the_reference_implementation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
