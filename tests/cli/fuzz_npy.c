/* Any bytes as a file of token ids. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct npy_ids ids;
    struct gram_error err;

    if (npy_parse(&ids, data, size, "fuzz.npy", &err) == GRAM_OK &&
        (ids.batch < 1 || ids.length < 1 || ids.at[ids.batch * ids.length - 1] < 0))
        __builtin_trap();
    npy_ids_reset(&ids);
    return 0;
}
