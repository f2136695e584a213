/* One tensor's entry in a safetensors header, as it is written: nothing is judged yet but its JSON.
 */
#ifndef GRAM_FORMATS_SAFETENSORS_ENTRY_H
#define GRAM_FORMATS_SAFETENSORS_ENTRY_H

#include <gram/tensor.h>
#include "base/json_cursor.h"

struct gram_safetensors_entry {
    struct gram_json_text dtype;
    int rank;
    int64_t shape[GRAM_MAX_RANK];
    int64_t begin, end; /* data_offsets, from the start of the data area */
};

/*
 * Read {"dtype":..., "shape":..., "data_offsets":...} at the cursor, keys in any order; others are
 * passed over. Each of the three must be there once. pool as gram_cursor_string() has it; the dtype
 * is put there. Returns GRAM_OK, GRAM_EFORMAT, GRAM_EUNSUPPORTED (more than GRAM_MAX_RANK
 * dimensions).
 */
enum gram_status gram_safetensors_entry_read(struct gram_safetensors_entry *entry,
                                             struct gram_json_cursor *json, char **pool);

#endif
