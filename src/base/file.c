/* Mapped files. A name is opened without blocking (a FIFO must not hang us) and must be regular. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"

struct gram_file {
    const uint8_t *bytes; /* NULL for an empty file */
    uint64_t size;
    char *path;
    bool is_mapped; /* else the bytes are someone else's */
};

static enum gram_status map_descriptor(struct gram_file *file, int fd, struct gram_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return gram_fail(err, GRAM_EIO, "%s: cannot be examined: %s", file->path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return gram_fail(err, GRAM_EFORMAT, "%s: not a regular file", file->path);
    file->size = (uint64_t)st.st_size;
    if (file->size == 0)
        return GRAM_OK;
    if (file->size > SIZE_MAX)
        return gram_fail(err, GRAM_ENOMEM, "%s: %" PRIu64 " bytes cannot be mapped", file->path,
                         file->size);
    void *at = mmap(NULL, (size_t)file->size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED)
        return gram_fail(err, gram_status_of_errno(errno), "%s: cannot be mapped: %s", file->path,
                         strerror(errno));
    file->bytes = at;
    file->is_mapped = true;
    return GRAM_OK;
}

static struct gram_file *new_file(const char *path)
{
    struct gram_file *file = calloc(1, sizeof *file);
    if (file && !(file->path = strdup(path))) {
        free(file);
        return NULL;
    }
    return file;
}

enum gram_status gram_file_from_bytes(struct gram_file **out, const void *bytes, uint64_t size,
                                      const char *path, struct gram_error *err)
{
    *out = new_file(path);
    if (!*out)
        return gram_fail_memory(err, path);
    (*out)->bytes = size > 0 ? bytes : NULL;
    (*out)->size = size;
    return GRAM_OK;
}

enum gram_status gram_file_open(struct gram_file **out, const char *path, struct gram_error *err)
{
    *out = NULL;
    struct gram_file *file = new_file(path);
    if (!file)
        return gram_fail_memory(err, path);
    int fd;
    do
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    while (fd < 0 && errno == EINTR);
    enum gram_status status;
    if (fd < 0) {
        status = gram_fail(err, gram_status_of_errno(errno), "%s: cannot be opened: %s", path,
                           strerror(errno));
    } else {
        status = map_descriptor(file, fd, err);
        close(fd);
    }
    if (status != GRAM_OK) {
        gram_file_close(&file);
        return status;
    }
    *out = file;
    return GRAM_OK;
}

void gram_file_close(struct gram_file **file)
{
    if (!file || !*file)
        return;
    if ((*file)->is_mapped)
        munmap((void *)(uintptr_t)(*file)->bytes, (size_t)(*file)->size);
    free((*file)->path);
    free(*file);
    *file = NULL;
}

uint64_t gram_file_size(const struct gram_file *file)
{
    return file->size;
}

const char *gram_file_path(const struct gram_file *file)
{
    return file->path;
}

const void *gram_file_view(const struct gram_file *file, uint64_t off, uint64_t len)
{
    static const uint8_t nothing[1];
    if (!gram_range_inside(file->size, off, len))
        return NULL;
    return file->bytes ? file->bytes + off : nothing;
}

/* Advice covers whole pages: the pages that the range touches are enough, neighbours are read again. */
static void advise(const struct gram_file *file, uint64_t off, uint64_t len, int advice)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    if (!file->is_mapped || len == 0 || !gram_range_inside(file->size, off, len))
        return;
    const uint64_t begin = off / page * page;
    madvise((void *)(uintptr_t)(file->bytes + begin), (size_t)(off + len - begin), advice);
}

void gram_file_willneed(const struct gram_file *file, uint64_t off, uint64_t len)
{
    advise(file, off, len, MADV_WILLNEED);
}

void gram_file_release(const struct gram_file *file, uint64_t off, uint64_t len)
{
    advise(file, off, len, MADV_DONTNEED);
}

bool gram_path_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

bool gram_path_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

char *gram_path_join(const char *dir, const char *name)
{
    size_t size = strlen(dir) + strlen(name) + 2;
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%s%s%s", dir, dir[0] && dir[strlen(dir) - 1] == '/' ? "" : "/", name);
    return path;
}

int gram_file_open_unlinked(const char *folder, const char *pattern)
{
    const int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0)
        return fd;
    char *path = gram_path_join(folder, pattern); /* no O_TMPFILE there */
    const int made = path ? mkostemp(path, O_CLOEXEC) : -1;
    const int code = path ? errno : ENOMEM;
    if (made >= 0)
        unlink(path);
    free(path);
    errno = code;
    return made;
}
