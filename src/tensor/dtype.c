/* Element types. */
#include "tensor/dtype.h"

#include <string.h>

#include "base/error.h"
#include "base/half.h"

static const struct gram_dtype_info dtypes[GRAM_N_DTYPE] = {
    /*                 name        safetensors  bits  float */
    [GRAM_F64] = {"f64", "F64", 64, true},
    [GRAM_F32] = {"f32", "F32", 32, true},
    [GRAM_F16] = {"f16", "F16", 16, true},
    [GRAM_BF16] = {"bf16", "BF16", 16, true},
    [GRAM_F8_E4M3] = {"f8_e4m3", "F8_E4M3", 8, false},
    [GRAM_F8_E5M2] = {"f8_e5m2", "F8_E5M2", 8, false},
    [GRAM_F8_E8M0] = {"f8_e8m0", "F8_E8M0", 8, false},
    [GRAM_F4] = {"f4", "F4", 4, false},
    [GRAM_I64] = {"i64", "I64", 64, false},
    [GRAM_I32] = {"i32", "I32", 32, false},
    [GRAM_I16] = {"i16", "I16", 16, false},
    [GRAM_I8] = {"i8", "I8", 8, false},
    [GRAM_U64] = {"u64", "U64", 64, false},
    [GRAM_U32] = {"u32", "U32", 32, false},
    [GRAM_U16] = {"u16", "U16", 16, false},
    [GRAM_U8] = {"u8", "U8", 8, false},
    [GRAM_BOOL] = {"bool", "BOOL", 8, false},
};

const struct gram_dtype_info *gram_dtype_info(enum gram_dtype dtype)
{
    return (unsigned)dtype < GRAM_N_DTYPE ? &dtypes[dtype] : NULL;
}

const char *gram_dtype_name(enum gram_dtype dtype)
{
    return (unsigned)dtype < GRAM_N_DTYPE ? dtypes[dtype].name : NULL;
}

int gram_dtype_bits(enum gram_dtype dtype)
{
    return (unsigned)dtype < GRAM_N_DTYPE ? dtypes[dtype].bits : 0;
}

bool gram_dtype_from_safetensors(enum gram_dtype *out, const char *name)
{
    for (int i = 0; i < GRAM_N_DTYPE; i++) {
        if (strcmp(dtypes[i].safetensors, name) == 0) {
            *out = (enum gram_dtype)i;
            return true;
        }
    }
    return false;
}

bool gram_dtype_from_name(enum gram_dtype *out, const char *name)
{
    for (int i = 0; i < GRAM_N_DTYPE; i++) {
        if (strcmp(dtypes[i].name, name) == 0) {
            *out = (enum gram_dtype)i;
            return true;
        }
    }
    return false;
}

void gram_read_f32(float *dst, const void *src, enum gram_dtype dtype, int64_t first, int64_t n)
{
    const char *from = (const char *)src + first * (gram_dtype_bits(dtype) / 8);
    uint16_t half;
    double wide;

    switch (dtype) {
    case GRAM_F32:
        memcpy(dst, from, (size_t)n * sizeof *dst);
        return;
    case GRAM_BF16:
        for (int64_t i = 0; i < n; i++) {
            memcpy(&half, from + 2 * i, 2);
            dst[i] = gram_f32_from_bf16(half);
        }
        return;
    case GRAM_F16:
        for (int64_t i = 0; i < n; i++) {
            memcpy(&half, from + 2 * i, 2);
            dst[i] = gram_f32_from_f16(half);
        }
        return;
    case GRAM_F64:
        for (int64_t i = 0; i < n; i++) {
            memcpy(&wide, from + 8 * i, 8);
            dst[i] = (float)wide;
        }
        return;
    default:
        GRAM_ASSERT(false && "a floating dtype");
    }
}

void gram_write_f32(void *dst, enum gram_dtype dtype, int64_t first, const float *src, int64_t n)
{
    char *to = (char *)dst + first * (gram_dtype_bits(dtype) / 8);
    uint16_t half;

    switch (dtype) {
    case GRAM_F32:
        memcpy(to, src, (size_t)n * sizeof *src);
        return;
    case GRAM_BF16:
        for (int64_t i = 0; i < n; i++) {
            half = gram_bf16_from_f32(src[i]);
            memcpy(to + 2 * i, &half, 2);
        }
        return;
    case GRAM_F16:
        for (int64_t i = 0; i < n; i++) {
            half = gram_f16_from_f32(src[i]);
            memcpy(to + 2 * i, &half, 2);
        }
        return;
    default:
        GRAM_ASSERT(false && "f32, f16 or bf16");
    }
}
