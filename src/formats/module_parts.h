/* The tensors that a linear has in a checkpoint: found by name, held against its shape. */
#ifndef GRAM_FORMATS_MODULE_PARTS_H
#define GRAM_FORMATS_MODULE_PARTS_H

#include "base/arena.h"
#include "formats/store.h"

/* A linear [rows, cols] called `name` whose parts are "<name>.<part>". All borrowed. */
struct gram_module {
    const struct gram_store *store;
    const char *name;
    const char
        *where; /* what said that there is such a linear: begins the sentence on a missing part */
    int64_t rows, cols;
    struct gram_arena *arena; /* of what is decoded or copied */
    struct gram_error *err;
};

/* NULL if there is none. */
const struct gram_tensor *gram_module_part(const struct gram_module *m, const char *part);
/* The part, of this type and with this many elements. GRAM_EFORMAT. */
enum gram_status gram_module_get(const struct gram_module *m, const char *part,
                                 enum gram_dtype dtype, int64_t count,
                                 const struct gram_tensor **out);

/* The file that a part lies in, for sentences. */
const char *gram_module_path(const struct gram_module *m, const struct gram_tensor *t);

/* GRAM_EFORMAT: there is no such part; a part has another type than wanted. */
enum gram_status gram_module_missing(const struct gram_module *m, const char *part);
enum gram_status gram_module_wrong_dtype(const struct gram_module *m, const struct gram_tensor *t,
                                         const char *wanted);

/* The part's bytes at an address that is a multiple of `align`: a copy in the arena where the file
 * has them elsewhere. NULL if memory ran out. */
const void *gram_module_aligned(const struct gram_module *m, const struct gram_tensor *t,
                                size_t align);

#endif
