#include "graph/activation.h"

#include <math.h>

static const float sqrt_half = 0.70710678118654752f;     /* sqrt(1 / 2) */
static const float density_at_0 = 0.39894228040143268f;  /* 1 / sqrt(2 pi) */
static const float sqrt_2_over_pi = 0.79788456080286536f;
static const float cubic = 0.044715f;

static float gelu(float x)
{
    return 0.5f * x * (1.0f + erff(x * sqrt_half));
}

static float gelu_derivative(float x)
{
    return 0.5f * (1.0f + erff(x * sqrt_half)) + x * density_at_0 * expf(-0.5f * x * x);
}

static float gelu_tanh(float x)
{
    return 0.5f * x * (1.0f + tanhf(sqrt_2_over_pi * (x + cubic * x * x * x)));
}

static float gelu_tanh_derivative(float x)
{
    const float t = tanhf(sqrt_2_over_pi * (x + cubic * x * x * x));
    const float slope = sqrt_2_over_pi * (1.0f + 3.0f * cubic * x * x);
    return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * slope;
}

static float relu(float x)
{
    return x > 0.0f ? x : 0.0f;
}

static float relu_derivative(float x)
{
    return x > 0.0f ? 1.0f : 0.0f;
}

static float tanh_derivative(float x)
{
    const float t = tanhf(x);
    return 1.0f - t * t;
}

const struct gram_activation_row gram_activations[GRAM_N_ACTIVATION] = {
    [GRAM_GELU] = {gelu, gelu_derivative},
    [GRAM_GELU_TANH] = {gelu_tanh, gelu_tanh_derivative},
    [GRAM_RELU] = {relu, relu_derivative},
    [GRAM_TANH] = {tanhf, tanh_derivative},
};
