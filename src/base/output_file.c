/*
 * Writing and reading back by offset, until all bytes are through: calls are interrupted and write
 * less than they were given. fsync is never tried twice: after one failure the system may have
 * dropped the pages.
 */
#include "base/output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/output_inside.h"

enum { READ_BACK = 1 << 16 };

enum gram_status gram_output_fail(struct gram_error *err, const char *path, const char *what,
                                  int code, int fd)
{
    const enum gram_status status = gram_status_of_errno(code);
    struct statvfs fs;

    if (status == GRAM_ENOSPC && fd >= 0 && fstatvfs(fd, &fs) == 0)
        return gram_fail(err, status, "%s: cannot be %s: %s (%.1f MB free)", path, what,
                         strerror(code), (double)fs.f_bavail * (double)fs.f_frsize / 1e6);
    return gram_fail(err, status, "%s: cannot be %s: %s", path, what, strerror(code));
}

int gram_output_openat(int dir_fd, const char *name, int flags)
{
    int fd;
    do
        fd = openat(dir_fd, name, flags | O_CLOEXEC | O_NOFOLLOW, 0666);
    while (fd < 0 && errno == EINTR);
    return fd;
}

static enum gram_status open_file(struct gram_output_file *file, const struct gram_output *output,
                                  const char *name, int flags, struct gram_error *err)
{
    *file = (struct gram_output_file){0};
    file->path = gram_path_join(gram_output_folder(output), name);
    if (!file->path)
        return gram_fail_memory(err, name);
    const int dir_fd = gram_output_folder_fd(output);
    const int fd = gram_output_openat(dir_fd, name, flags);
    if (fd < 0) {
        const enum gram_status status = gram_output_fail(err, file->path, "opened", errno, dir_fd);
        free(file->path);
        *file = (struct gram_output_file){0};
        return status;
    }
    file->fd_plus_1 = fd + 1;
    return GRAM_OK;
}

enum gram_status gram_output_file_create(struct gram_output_file *file,
                                         const struct gram_output *output, const char *name,
                                         struct gram_error *err)
{
    return open_file(file, output, name, O_RDWR | O_CREAT | O_EXCL, err);
}

enum gram_status gram_output_file_reopen(struct gram_output_file *file,
                                         const struct gram_output *output, const char *name,
                                         struct gram_error *err)
{
    return open_file(file, output, name, O_RDWR, err);
}

enum gram_status gram_output_write(const struct gram_output_file *file, uint64_t off,
                                   const void *bytes, size_t n, struct gram_error *err)
{
    const int fd = file->fd_plus_1 - 1;

    for (size_t done = 0; done < n;) {
        const ssize_t wrote = pwrite(fd, (const char *)bytes + done, n - done, (off_t)(off + done));
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return gram_output_fail(err, file->path, "written", wrote < 0 ? errno : EIO, fd);
        done += (size_t)wrote;
    }
    return GRAM_OK;
}

enum gram_status gram_output_read(const struct gram_output_file *file, uint64_t off, void *bytes,
                                  size_t n, struct gram_error *err)
{
    const int fd = file->fd_plus_1 - 1;

    for (size_t done = 0; done < n;) {
        const ssize_t got = pread(fd, (char *)bytes + done, n - done, (off_t)(off + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return gram_output_fail(err, file->path, "read back", errno, fd);
        if (got == 0)
            return gram_fail(err, GRAM_EIO,
                             "%s: ends at byte %" PRIu64 ", before all was read back", file->path,
                             off + done);
        done += (size_t)got;
    }
    return GRAM_OK;
}

enum gram_status gram_output_sync(const struct gram_output_file *file, struct gram_error *err)
{
    int rc;
    do
        rc = fsync(file->fd_plus_1 - 1);
    while (rc != 0 && errno == EINTR);
    return rc == 0 ? GRAM_OK
                   : gram_output_fail(err, file->path, "written", errno, file->fd_plus_1 - 1);
}

enum gram_status gram_output_file_close(struct gram_output_file *file, struct gram_error *err)
{
    enum gram_status status = GRAM_OK;

    if (file->fd_plus_1 && close(file->fd_plus_1 - 1) != 0 && errno != EINTR)
        status = gram_output_fail(err, file->path, "closed", errno, -1);
    free(file->path);
    *file = (struct gram_output_file){0};
    return status;
}

static enum gram_status compare(const struct gram_output_file *file, uint64_t off,
                                const void *bytes, size_t n, struct gram_error *err)
{
    char back[READ_BACK];

    for (size_t at = 0; at < n; at += sizeof back) {
        const size_t len = n - at < sizeof back ? n - at : sizeof back;
        GRAM_TRY(gram_output_read(file, off + at, back, len, err));
        if (memcmp(back, (const char *)bytes + at, len) != 0)
            return gram_fail(err, GRAM_EIO, "%s: reads back different from what was written",
                             file->path);
    }
    return GRAM_OK;
}

enum gram_status gram_output_write_surely(const struct gram_output_file *file, uint64_t off,
                                          const void *bytes, size_t n, struct gram_error *err)
{
    GRAM_TRY(gram_output_write(file, off, bytes, n, err));
    if (compare(file, off, bytes, n, err) == GRAM_OK)
        return GRAM_OK;
    GRAM_TRY(gram_output_write(file, off, bytes, n, err));
    return compare(file, off, bytes, n, err);
}

enum gram_status gram_output_resize(const struct gram_output_file *file, uint64_t size,
                                    struct gram_error *err)
{
    int rc;
    do
        rc = ftruncate(file->fd_plus_1 - 1, (off_t)size);
    while (rc != 0 && errno == EINTR);
    return rc == 0 ? GRAM_OK
                   : gram_output_fail(err, file->path, "resized", errno, file->fd_plus_1 - 1);
}

uint64_t gram_output_allocated(const struct gram_output_file *file)
{
    struct stat st;
    return fstat(file->fd_plus_1 - 1, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

void gram_output_flush(const struct gram_output_file *file)
{
    sync_file_range(file->fd_plus_1 - 1, 0, 0, SYNC_FILE_RANGE_WRITE);
}

enum gram_status gram_output_put(const struct gram_output *output, const char *name,
                                 const void *bytes, size_t n, struct gram_error *err)
{
    struct gram_output_file file;
    struct gram_error ignored;

    unlinkat(gram_output_folder_fd(output), name, 0);
    GRAM_TRY(gram_output_file_create(&file, output, name, err));
    enum gram_status status = gram_output_write_surely(&file, 0, bytes, n, err);
    if (status == GRAM_OK)
        status = gram_output_sync(&file, err);
    const enum gram_status closed =
        gram_output_file_close(&file, status == GRAM_OK ? err : &ignored);
    return status == GRAM_OK ? closed : status;
}
