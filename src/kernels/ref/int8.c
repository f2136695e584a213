/* Activations as int8. */
#include <math.h>

#include "kernels/variants.h"

/* A NaN is no maximum and becomes -128: every level agrees even there. */
float gram_quantize_i8__ref(int8_t *q, const float *x, int64_t n)
{
    float top = 0.0f;
    for (int64_t i = 0; i < n; i++)
        top = fabsf(x[i]) > top ? fabsf(x[i]) : top;
    const float scale = top / 127.5f;
    const float divisor = scale > 0.0f ? scale : INFINITY; /* all codes 0 */

    for (int64_t i = 0; i < n; i++) {
        const float code = rintf(x[i] / divisor);
        const float floored = code > -128.0f ? code : -128.0f;
        q[i] = (int8_t)(floored < 127.0f ? floored : 127.0f);
    }
    return scale;
}
