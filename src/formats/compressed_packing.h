/*
 * How compressed-tensors packs codes into I32 words: densely, one bit stream, since 0.18; before,
 * 32 / bits codes in each word, the other bits unused.
 */
#ifndef GRAM_FORMATS_COMPRESSED_PACKING_H
#define GRAM_FORMATS_COMPRESSED_PACKING_H

#include <stdbool.h>
#include <stdint.h>

enum gram_packing { GRAM_PACKED_WRONGLY, GRAM_PACKED_DENSELY, GRAM_PACKED_SPARSELY };

/* How n codes come to lie in `words` words. Where both ways give the same number, is_old decides:
 * was the file written before 0.18? */
enum gram_packing gram_packing_find(int64_t n, int64_t words, int bits, bool is_old);

/* Word i at any address. */
uint32_t gram_packed_word(const void *words, int64_t i);

/* codes[n] from sparse words: those from first_word on that are `stride` apart. */
void gram_sparse_unpack(uint8_t *codes, const void *words, int64_t first_word, int64_t stride,
                        int64_t n, int bits);

#endif
