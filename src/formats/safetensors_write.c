/* The header of a safetensors file, byte for byte the same for the same tensors. */
#include <inttypes.h>

#include "base/checked.h"
#include "formats/safetensors.h"
#include "tensor/dtype.h"

enum { DATA_ALIGNMENT = 64, LENGTH_BYTES = 8 };

/* A JSON string: quotes, backslashes and control characters escaped, UTF-8 as it is. */
static void add_string(struct gram_buf *out, const char *s)
{
    gram_buf_str(out, "\"");
    for (; *s; s++) {
        const unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            gram_buf_printf(out, "\\%c", c);
        else if (c < 0x20)
            gram_buf_printf(out, "\\u%04x", c);
        else
            gram_buf_add(out, s, 1);
    }
    gram_buf_str(out, "\"");
}

static uint64_t tensor_bytes(const struct gram_tensor *t)
{
    uint64_t bits = (uint64_t)gram_dtype_bits(t->dtype);
    for (int i = 0; i < t->rank; i++)
        GRAM_ASSERT(gram_mul_u64(&bits, bits, (uint64_t)t->shape[i]));
    GRAM_ASSERT(bits % 8 == 0);
    return bits / 8;
}

static void add_tensor(struct gram_buf *out, const struct gram_tensor *t, uint64_t begin,
                       uint64_t end)
{
    add_string(out, t->name);
    gram_buf_printf(out, ":{\"dtype\":\"%s\",\"shape\":[", gram_dtype_info(t->dtype)->safetensors);
    for (int i = 0; i < t->rank; i++)
        gram_buf_printf(out, "%s%" PRId64, i ? "," : "", t->shape[i]);
    gram_buf_printf(out, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", begin, end);
}

bool gram_safetensors_header(struct gram_buf *out, const struct gram_tensor *tensors, size_t n)
{
    const size_t start = out->len;
    uint64_t at = 0;

    gram_buf_add(out, (const char[LENGTH_BYTES]){0}, LENGTH_BYTES);
    gram_buf_str(out, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < n; i++) {
        const uint64_t begin = at;
        GRAM_ASSERT(gram_add_u64(&at, at, tensor_bytes(&tensors[i])));
        gram_buf_str(out, ",");
        add_tensor(out, &tensors[i], begin, at);
    }
    gram_buf_str(out, "}");
    while (!out->failed && (out->len - start) % DATA_ALIGNMENT != 0)
        gram_buf_str(out, " ");
    if (out->failed)
        return false;
    const uint64_t length = out->len - start - LENGTH_BYTES;
    for (int i = 0; i < LENGTH_BYTES; i++)
        out->at[start + (size_t)i] = (char)(length >> 8 * i);
    return true;
}
