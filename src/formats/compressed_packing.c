#include "formats/compressed_packing.h"

#include <string.h>

#include "base/checked.h"
#include "tensor/weight.h"

enum gram_packing gram_packing_find(int64_t n, int64_t words, int bits, bool is_old)
{
    const bool fits_dense = words == gram_code_row_bytes(n, bits) / 4;
    const bool fits_sparse = words == gram_ceil_div(n, 32 / bits);

    if (fits_sparse && (!fits_dense || is_old))
        return GRAM_PACKED_SPARSELY;
    return fits_dense ? GRAM_PACKED_DENSELY : GRAM_PACKED_WRONGLY;
}

uint32_t gram_packed_word(const void *words, int64_t i)
{
    uint32_t word;

    memcpy(&word, (const char *)words + 4 * i, sizeof word);
    return word;
}

void gram_sparse_unpack(uint8_t *codes, const void *words, int64_t first_word, int64_t stride,
                        int64_t n, int bits)
{
    const int per_word = 32 / bits;

    for (int64_t i = 0; i < n; i++) {
        const uint32_t word = gram_packed_word(words, first_word + i / per_word * stride);
        codes[i] = (uint8_t)(word >> (int)(i % per_word * bits) & ((1u << bits) - 1));
    }
}
