/* A set of .npy files of f32 in one folder: all of them appear at the end, or none. */
#ifndef GRAM_CLI_ARRAYS_H
#define GRAM_CLI_ARRAYS_H

#include "npy.h"
#include <stdbool.h>

enum { ARRAY_RANK = 4 };

struct array {
    char *name, *path,
        *temporary; /* NAME, DIR/NAME.npy and what it is called until it is complete */
    int64_t shape[ARRAY_RANK];
    int rank;
};

struct arrays {
    const char *dir;
    bool force, made_dir;
    struct array *at;
    size_t n;
};

/* Create `dir` unless it is there. force: files of the same name are replaced. */
enum gram_status arrays_open(struct arrays *set, const char *dir, bool force,
                             struct gram_error *err);

/* Index of an array by name; set->n if there is none. */
size_t arrays_find(const struct arrays *set, const char *name);
/* Add one; returns also GRAM_EEXIST. The name may not hold '/'. */
enum gram_status arrays_add(struct arrays *set, const char *name, const int64_t *shape, int rank,
                            struct gram_error *err);
/* n elements from element `first` on, in any order. */
enum gram_status arrays_write(struct arrays *set, size_t index, int64_t first, const float *values,
                              int64_t n, struct gram_error *err);

/* Give every file its name. */
enum gram_status arrays_publish(struct arrays *set, struct gram_error *err);
/* Remove what was not published, and the folder if it was made here and is empty; frees the set. */
void arrays_close(struct arrays *set);

#endif
