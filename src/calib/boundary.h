/*
 * The activations between two blocks, of all windows: in memory, or in an unlinked file when they
 * would not fit the memory that the job may take.
 */
#ifndef GRAM_CALIB_BOUNDARY_H
#define GRAM_CALIB_BOUNDARY_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

/* Zero bytes are a valid closed one. */
struct gram_boundary {
    int64_t rows, cols; /* tokens of all windows; columns */
    float *data;        /* [rows][cols], or NULL when spilled */
    int fd_plus_1;
    int64_t room;       /* floats that there is memory for */
};

/* folder: where the file is made if `spill`. GRAM_ENOMEM, GRAM_ENOSPC, GRAM_EIO. */
enum gram_status gram_boundary_open(struct gram_boundary *b, int64_t rows, int64_t cols, bool spill,
                                    const char *folder, struct gram_error *err);
void gram_boundary_close(struct gram_boundary *b);
/* Where row `first` is; NULL when spilled. */
static inline float *gram_boundary_at(const struct gram_boundary *b, int64_t first)
{
    return b->data ? b->data + first * b->cols : NULL;
}
/* Rows [first, first + n). */
enum gram_status gram_boundary_read(const struct gram_boundary *b, int64_t first, int64_t n, float *x,
                                    struct gram_error *err);
enum gram_status gram_boundary_write(const struct gram_boundary *b, int64_t first, int64_t n,
                                     const float *x, struct gram_error *err);

#endif
