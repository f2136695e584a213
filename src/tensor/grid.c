/*
 * Encoding in loops that a compiler can vectorize without leave to reorder floats: maxima are taken
 * on bit patterns, rounding is an addition of 1.5 * 2^23 (which leaves the integer in the low
 * bits), sums run in LANES fixed lanes that are added up at the end.
 */
#include "tensor/grid.h"

#include <math.h>

#include "base/half.h"
#include "tensor/dtype.h"

enum { LANES = 8 };

static const float round_magic = 12582912.0f; /* 1.5 * 2^23: |value| must stay below 2^22 */

/* Bits as an integer that sorts like the float; its own inverse. */
static inline int32_t ordered(int32_t bits)
{
    return bits ^ ((bits >> 31) & 0x7fffffff);
}

static double add_up(const double lanes[LANES])
{
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
           ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

static double sum_magnitudes(const float *x, int64_t n)
{
    const int64_t whole = n / LANES * LANES;
    double lanes[LANES] = {0};

    for (int64_t i = 0; i < whole; i += LANES) {
        for (int j = 0; j < LANES; j++)
            lanes[j] += (double)fabsf(x[i + j]);
    }
    for (int64_t i = whole; i < n; i++)
        lanes[i - whole] += (double)fabsf(x[i]);
    return add_up(lanes);
}

bool gram_range_add(struct gram_range *range, const float *x, int64_t n)
{
    const int32_t infinity = 0x7f800000;
    int32_t low = ordered((int32_t)gram_f32_bits(range->low));
    int32_t high = ordered((int32_t)gram_f32_bits(range->high));

    for (int64_t i = 0; i < n; i++) {
        const int32_t key = ordered((int32_t)gram_f32_bits(x[i]));
        low = key < low ? key : low;
        high = key > high ? key : high;
    }
    if (high >= infinity || low <= ordered((int32_t)0xff800000))
        return false;
    range->low = gram_f32_from_bits((uint32_t)ordered(low));
    range->high = gram_f32_from_bits((uint32_t)ordered(high));
    range->magnitude += sum_magnitudes(x, n);
    range->count += n;
    return true;
}

void gram_range_merge(struct gram_range *range, const struct gram_range *other)
{
    range->low = other->low < range->low ? other->low : range->low;
    range->high = other->high > range->high ? other->high : range->high;
    range->magnitude += other->magnitude;
    range->count += other->count;
}

struct gram_range gram_range_scaled(struct gram_range range, float share)
{
    return (struct gram_range){range.low * share, range.high * share,
                               range.magnitude * (double)share, range.count};
}

/* What matters of the types a scale is stored in. */
static const struct {
    float least, greatest, epsilon;
} scale_limits[GRAM_N_DTYPE] = {
    [GRAM_F32] = {0x1p-149f, 0x1.fffffep127f, 0x1p-23f},
    [GRAM_F16] = {0x1p-24f, 65504.0f, 0x1p-10f},
    [GRAM_BF16] = {0x1p-133f, 0x1.fep127f, 0x1p-7f},
};

/* The greatest scale whose every multiple on the grid is a finite f32. */
static float greatest_scale(const struct gram_grid *grid)
{
    const float greatest = scale_limits[grid->scale_dtype].greatest;
    if (grid->scale_dtype == GRAM_F16)
        return greatest;
    if (grid->codebook)
        return greatest / grid->codebook->top;
    return greatest / (float)(1 << (grid->asymmetric ? grid->bits : grid->bits - 1));
}

static float as_stored(const struct gram_grid *grid, float scale)
{
    const float greatest = greatest_scale(grid);
    uint32_t bytes;
    float value;

    gram_write_f32(&bytes, grid->scale_dtype, 0, &scale, 1);
    gram_read_f32(&value, &bytes, grid->scale_dtype, 0, 1);
    if (value == 0.0f)
        return scale_limits[grid->scale_dtype].least;
    return value > greatest ? greatest : value;
}

static inline float clamp(float value, float low, float high)
{
    value = value < low ? low : value;
    return value > high ? high : value;
}

/* The scale of a grid without zero points, before it is rounded. */
static float plain_scale(const struct gram_grid *grid, struct gram_range range)
{
    const float absmax = -range.low > range.high ? -range.low : range.high;

    if (grid->codebook)
        return absmax / grid->codebook->top;
    if (grid->is_ternary && range.count > 0)
        return (float)(range.magnitude / (double)range.count);
    return absmax / ((float)((1 << grid->bits) - 1) / 2);
}

struct gram_step gram_grid_step(const struct gram_grid *grid, struct gram_range range)
{
    const float levels = (float)((1 << grid->bits) - 1);
    const float bottom = -(float)(1 << (grid->bits - 1));

    if (range.low == 0.0f && range.high == 0.0f) {
        const bool keeps_zero = grid->codebook && grid->codebook->keeps_zero;
        return (struct gram_step){keeps_zero ? 0 : scale_limits[grid->scale_dtype].epsilon, 0};
    }
    if (!grid->asymmetric)
        return (struct gram_step){as_stored(grid, plain_scale(grid, range)), 0};
    const float span = range.high - range.low;
    const float scale = span <= scale_limits[GRAM_F32].greatest
                            ? span / levels
                            : range.high / levels - range.low / levels;
    const float stored = as_stored(grid, scale);
    const float zero = clamp(bottom - range.low / stored, bottom, bottom + levels);
    return (struct gram_step){stored, (int)((zero + round_magic) - round_magic)};
}

bool gram_step_is_saturated(const struct gram_grid *grid, struct gram_step step)
{
    return step.scale >= greatest_scale(grid);
}

/* The constants of a loop over one run. */
struct ladder {
    float scale, zero, bottom, top;
};

static struct ladder ladder_of(const struct gram_grid *grid, struct gram_step step)
{
    const float half = (float)(1 << (grid->bits - 1));

    if (grid->is_ternary)
        return (struct ladder){step.scale, 0, -1, 1};
    return (struct ladder){step.scale, (float)step.zero, -half, half - 1};
}

/* The code of x, still with the magic number added. */
static inline float code_of(const struct ladder *l, float x)
{
    return clamp(x / l->scale + l->zero, l->bottom, l->top) + round_magic;
}

static inline double squared_miss(const struct ladder *l, float x, float code)
{
    const double miss = (double)x - (double)((code - round_magic - l->zero) * l->scale);
    return miss * miss;
}

/* Add the squared misses of n weights, i-th to lane i modulo LANES. */
static void add_misses(double lanes[LANES], const struct ladder *l, const float *x,
                       const float *code, int64_t n)
{
    const int64_t whole = n / LANES * LANES;

    for (int64_t i = 0; i < whole; i += LANES) {
        for (int j = 0; j < LANES; j++)
            lanes[j] += squared_miss(l, x[i + j], code[i + j]);
    }
    for (int64_t i = whole; i < n; i++)
        lanes[i - whole] += squared_miss(l, x[i], code[i]);
}

/* The sum of squared misses of codes on a codebook, found first where `codes` is NULL. */
static double encode_by_book(uint8_t *codes, const struct gram_codebook *book, float scale,
                             const float *x, int64_t n)
{
    enum {
        BLOCK = 256
    }; /* a multiple of LANES */
    uint8_t found[BLOCK];
    double lanes[LANES] = {0};

    for (int64_t begin = 0; begin < n; begin += BLOCK) {
        const int64_t count = n - begin < BLOCK ? n - begin : BLOCK;
        uint8_t *to = codes ? codes + begin : found;
        book->encode(to, x + begin, count, scale);
        for (int64_t i = 0; i < count; i++) {
            const double miss =
                (double)x[begin + i] - (double)gram_codebook_value(book, to[i], scale);
            lanes[i % LANES] += miss * miss;
        }
    }
    return add_up(lanes);
}

double gram_grid_encode(uint8_t *codes, const struct gram_grid *grid, struct gram_step step,
                        const float *x, int64_t n)
{
    enum {
        BLOCK = 64
    }; /* a multiple of LANES; three short loops vectorize where one long does not */
    const struct ladder l = ladder_of(grid, step);
    const uint32_t offset = 1u << (grid->bits - 1);
    double lanes[LANES] = {0};
    float code[BLOCK];

    if (grid->codebook)
        return encode_by_book(codes, grid->codebook, step.scale, x, n);
    for (int64_t begin = 0; begin < n; begin += BLOCK) {
        const int64_t count = n - begin < BLOCK ? n - begin : BLOCK;
        for (int64_t i = 0; i < count; i++)
            code[i] = code_of(&l, x[begin + i]);
        for (int64_t i = 0; i < count; i++)
            codes[begin + i] = (uint8_t)(gram_f32_bits(code[i]) + offset);
        add_misses(lanes, &l, x + begin, code, count);
    }
    return add_up(lanes);
}

double gram_grid_error(const struct gram_grid *grid, struct gram_step step, const float *x,
                       int64_t n)
{
    const struct ladder l = ladder_of(grid, step);
    const int64_t whole = n / LANES * LANES;
    double lanes[LANES] = {0};

    if (grid->codebook)
        return encode_by_book(NULL, grid->codebook, step.scale, x, n);
    for (int64_t i = 0; i < whole; i += LANES) {
        for (int j = 0; j < LANES; j++)
            lanes[j] += squared_miss(&l, x[i + j], code_of(&l, x[i + j]));
    }
    for (int64_t i = whole; i < n; i++)
        lanes[i - whole] += squared_miss(&l, x[i], code_of(&l, x[i]));
    return add_up(lanes);
}

void gram_grid_decode(float *x, const struct gram_grid *grid, struct gram_step step,
                      const uint8_t *codes, int64_t n)
{
    const int base = (1 << (grid->bits - 1)) + step.zero;

    for (int64_t i = 0; grid->codebook && i < n; i++)
        x[i] = gram_codebook_value(grid->codebook, codes[i], step.scale);
    for (int64_t i = 0; !grid->codebook && i < n; i++)
        x[i] = (float)(codes[i] - base) * step.scale;
}

double gram_sum_squares(const float *x, int64_t n)
{
    const int64_t whole = n / LANES * LANES;
    double lanes[LANES] = {0};

    for (int64_t i = 0; i < whole; i += LANES) {
        for (int j = 0; j < LANES; j++)
            lanes[j] += (double)x[i + j] * (double)x[i + j];
    }
    for (int64_t i = whole; i < n; i++)
        lanes[i - whole] += (double)x[i] * (double)x[i];
    return add_up(lanes);
}
