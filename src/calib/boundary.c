#include "calib/boundary.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/file.h"

static enum gram_status fail(struct gram_error *err, const char *what, int code, int fd)
{
    const enum gram_status status = gram_status_of_errno(code);
    struct statvfs fs;

    if (status == GRAM_ENOSPC && fd >= 0 && fstatvfs(fd, &fs) == 0)
        return gram_fail(err, status,
                         "the activations of a block boundary cannot be %s: %s (%.1f MB free)", what,
                         strerror(code), (double)fs.f_bavail * (double)fs.f_frsize / 1e6);
    return gram_fail(err, status, "the activations of a block boundary cannot be %s: %s", what,
                     strerror(code));
}

enum gram_status gram_boundary_open(struct gram_boundary *b, int64_t rows, int64_t cols, bool spill,
                                    const char *folder, struct gram_error *err)
{
    int64_t count, bytes;

    *b = (struct gram_boundary){.rows = rows, .cols = cols};
    if (!gram_mul_i64(&count, rows, cols) || !gram_mul_i64(&bytes, count, sizeof *b->data))
        return gram_fail_memory(err, "activations of a block boundary");
    b->room = count;
    if (!spill) {
        b->data = malloc((size_t)(bytes > 0 ? bytes : 1));
        return b->data ? GRAM_OK : gram_fail_memory(err, "activations of a block boundary");
    }
    const int fd = gram_file_open_unlinked(folder, "gram-activations-XXXXXX");
    if (fd < 0)
        return gram_fail(err, gram_status_of_errno(errno),
                         "%s: a file for the activations of a block boundary cannot be made: %s",
                         folder, strerror(errno));
    b->fd_plus_1 = fd + 1;
    /* A full disk is better found now than in the middle of a block. */
    const int code = posix_fallocate(fd, 0, (off_t)(bytes > 0 ? bytes : 1));
    if (code != 0 && code != EOPNOTSUPP && code != EINVAL) {
        const enum gram_status status = fail(err, "written", code, fd);
        gram_boundary_close(b);
        return status;
    }
    return GRAM_OK;
}

void gram_boundary_close(struct gram_boundary *b)
{
    free(b->data);
    if (b->fd_plus_1)
        close(b->fd_plus_1 - 1);
    *b = (struct gram_boundary){0};
}

/* All bytes, however many calls it takes; the end of the file counts as an error of the device. */
static enum gram_status transfer(int fd, char *in, const char *out, int64_t at, int64_t bytes,
                                 struct gram_error *err)
{
    while (bytes > 0) {
        const ssize_t n = in ? pread(fd, in, (size_t)bytes, (off_t)at)
                             : pwrite(fd, out, (size_t)bytes, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail(err, in ? "read back" : "written", n < 0 ? errno : EIO, fd);
        in = in ? in + n : NULL;
        out = out ? out + n : NULL;
        at += n;
        bytes -= n;
    }
    return GRAM_OK;
}

enum gram_status gram_boundary_read(const struct gram_boundary *b, int64_t first, int64_t n, float *x,
                                    struct gram_error *err)
{
    const int64_t row = b->cols * (int64_t)sizeof *x;

    GRAM_ASSERT(first >= 0 && n >= 0 && first <= b->rows - n);
    if (!b->data)
        return transfer(b->fd_plus_1 - 1, (char *)x, NULL, first * row, n * row, err);
    memcpy(x, b->data + first * b->cols, (size_t)(n * row));
    return GRAM_OK;
}

enum gram_status gram_boundary_write(const struct gram_boundary *b, int64_t first, int64_t n,
                                     const float *x, struct gram_error *err)
{
    const int64_t row = b->cols * (int64_t)sizeof *x;

    GRAM_ASSERT(first >= 0 && n >= 0 && first <= b->rows - n);
    if (!b->data)
        return transfer(b->fd_plus_1 - 1, NULL, (const char *)x, first * row, n * row, err);
    memcpy(b->data + first * b->cols, x, (size_t)(n * row));
    return GRAM_OK;
}
