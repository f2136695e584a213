/* One function per scaling rule; all start from theta^(-2i/d). */
#include "graph/rope.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

static void plain(float *inv_freq, double theta, int64_t half)
{
    for (int64_t i = 0; i < half; i++)
        inv_freq[i] = (float)(1.0 / pow(theta, (double)i / (double)half));
}

static void rope_none(float *inv_freq, float *scale, const struct gram_rope_params *p, int64_t half,
                      int64_t length)
{
    (void)scale, (void)length;
    plain(inv_freq, p->theta, half);
}

static void rope_linear(float *inv_freq, float *scale, const struct gram_rope_params *p,
                        int64_t half, int64_t length)
{
    (void)scale, (void)length;
    plain(inv_freq, p->theta, half);
    for (int64_t i = 0; i < half; i++)
        inv_freq[i] /= (float)p->factor;
}

/* "NTK-aware": the base grows with the length, once the sequence is longer than what was trained. */
static void rope_dynamic(float *inv_freq, float *scale, const struct gram_rope_params *p,
                         int64_t half, int64_t length)
{
    const double dim = 2.0 * (double)half;
    const double ratio = fmax((double)length, p->original_context) / p->original_context;
    (void)scale;
    if (half == 1)
        plain(inv_freq, p->theta, half);
    else
        plain(inv_freq, p->theta * pow(p->factor * ratio - (p->factor - 1), dim / (dim - 2)), half);
}

/* The pair that turns `rotations` times over the original context. */
static double correction_dim(const struct gram_rope_params *p, double rotations, double dim)
{
    return dim * log(p->original_context / (rotations * 2 * pi)) / (2 * log(p->theta));
}

static double yarn_mscale(double factor, double mscale)
{
    return factor <= 1 ? 1.0 : 0.1 * mscale * log(factor) + 1.0;
}

static double yarn_attention_factor(const struct gram_rope_params *p)
{
    if (p->attention_factor > 0)
        return p->attention_factor;
    if (p->mscale > 0 && p->mscale_all_dim > 0)
        return yarn_mscale(p->factor, p->mscale) / yarn_mscale(p->factor, p->mscale_all_dim);
    return yarn_mscale(p->factor, 1.0);
}

/* Fast pairs keep their frequency, slow ones are interpolated, a linear ramp lies between. */
static void rope_yarn(float *inv_freq, float *scale, const struct gram_rope_params *p, int64_t half,
                      int64_t length)
{
    const double dim = 2.0 * (double)half;
    double low = correction_dim(p, p->beta_fast, dim);
    double high = correction_dim(p, p->beta_slow, dim);
    (void)length;

    if (p->truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, dim - 1);
    if (low == high)
        high += 0.001;
    plain(inv_freq, p->theta, half);
    for (int64_t i = 0; i < half; i++) {
        const double ramp = fmin(fmax(((double)i - low) / (high - low), 0), 1);
        const double full = (double)inv_freq[i];
        inv_freq[i] = (float)(full / p->factor * ramp + full * (1 - ramp));
    }
    *scale = (float)yarn_attention_factor(p);
}

/* By wavelength: short ones stay, long ones are divided by the factor, a smooth step lies between. */
static void rope_llama3(float *inv_freq, float *scale, const struct gram_rope_params *p,
                        int64_t half, int64_t length)
{
    const double low_wavelength = p->original_context / p->low_freq;
    const double high_wavelength = p->original_context / p->high_freq;
    (void)scale, (void)length;

    plain(inv_freq, p->theta, half);
    for (int64_t i = 0; i < half; i++) {
        const double freq = (double)inv_freq[i];
        const double wavelength = 2 * pi / freq;
        if (wavelength < high_wavelength)
            continue;
        const double smooth = (p->original_context / wavelength - p->low_freq) /
                              (p->high_freq - p->low_freq);
        inv_freq[i] = (float)(wavelength > low_wavelength
                                  ? freq / p->factor
                                  : (1 - smooth) * freq / p->factor + smooth * freq);
    }
}

typedef void rope_rule(float *inv_freq, float *scale, const struct gram_rope_params *p,
                       int64_t half, int64_t length);
static rope_rule *const rules[GRAM_N_ROPE] = {
    [GRAM_ROPE_NONE] = rope_none,       [GRAM_ROPE_LINEAR] = rope_linear,
    [GRAM_ROPE_DYNAMIC] = rope_dynamic, [GRAM_ROPE_YARN] = rope_yarn,
    [GRAM_ROPE_LLAMA3] = rope_llama3,
};

void gram_rope_frequencies(float *inv_freq, float *scale, const struct gram_rope_params *params,
                           int64_t half, int64_t length)
{
    *scale = 1.0f;
    rules[params->scaling](inv_freq, scale, params, half, length);
}
