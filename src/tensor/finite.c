/* An element is not finite when all bits of its exponent are set: compare magnitudes as integers.
 */
#include "tensor/finite.h"

#include <stdbool.h>
#include <string.h>

#include "tensor/dtype.h"

/* Elements looked at before the verdict is read: long enough to vectorize, short enough to stop
 * early. */
enum { STRIDE = 4096 };

typedef bool holds_fn(const char *at, int64_t n);

/* bool NAME(at, n): is one of n elements of TYPE at least LIMIT once its sign is masked? */
#define DEFINE_HOLDS(NAME, TYPE, LIMIT)                                                            \
    static bool NAME(const char *at, int64_t n)                                                    \
    {                                                                                              \
        const TYPE sign = (TYPE)((TYPE)1 << (8 * sizeof(TYPE) - 1));                               \
        TYPE found = 0;                                                                            \
        for (int64_t i = 0; i < n; i++) {                                                          \
            TYPE bits;                                                                             \
            memcpy(&bits, at + (int64_t)sizeof bits * i, sizeof bits);                             \
            /* carries into the sign bit exactly when the exponent is full */                      \
            found |= (TYPE)((TYPE)(bits & (TYPE)~sign) + (TYPE)(sign - (LIMIT)));                  \
        }                                                                                          \
        return (found & sign) != 0;                                                                \
    }

DEFINE_HOLDS(holds_bf16, uint16_t, 0x7f80)
DEFINE_HOLDS(holds_f16, uint16_t, 0x7c00)
DEFINE_HOLDS(holds_f32, uint32_t, 0x7f800000)
DEFINE_HOLDS(holds_f64, uint64_t, 0x7ff0000000000000)

static holds_fn *const holds[GRAM_N_DTYPE] = {
    [GRAM_F64] = holds_f64,
    [GRAM_F32] = holds_f32,
    [GRAM_F16] = holds_f16,
    [GRAM_BF16] = holds_bf16,
};

int64_t gram_find_nonfinite(const void *data, enum gram_dtype dtype, int64_t n)
{
    const int64_t size = gram_dtype_bits(dtype) / 8;
    const char *bytes = data;

    if (!holds[dtype])
        return n;
    for (int64_t begin = 0; begin < n; begin += STRIDE) {
        const int64_t count = n - begin < STRIDE ? n - begin : STRIDE;
        if (!holds[dtype](bytes + begin * size, count))
            continue;
        for (int64_t i = 0; i < count; i++) {
            if (holds[dtype](bytes + (begin + i) * size, 1))
                return begin + i;
        }
    }
    return n;
}
