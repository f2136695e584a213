#include "train/paged.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"

/* Room is taken now: a full disk is better found here than as a signal in the middle of a step. */
static enum gram_status map_file(struct gram_paged *p, int fd, const char *folder, size_t bytes,
                                 struct gram_error *err)
{
    const int code = posix_fallocate(fd, 0, (off_t)bytes);

    if (code != 0 && code != EOPNOTSUPP && code != EINVAL)
        return gram_fail(err, gram_status_of_errno(code),
                         "%s: %.1f MB for the states of the optimizer cannot be had: %s", folder,
                         (double)bytes / 1e6, strerror(code));
    if (code != 0 && ftruncate(fd, (off_t)bytes) != 0)
        return gram_fail(err, gram_status_of_errno(errno),
                         "%s: the file for the states of the optimizer cannot grow: %s", folder,
                         strerror(errno));
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return gram_fail(err, gram_status_of_errno(errno),
                         "%s: the states of the optimizer cannot be mapped: %s", folder,
                         strerror(errno));
    *p = (struct gram_paged){at, bytes};
    return GRAM_OK;
}

enum gram_status gram_paged_open(struct gram_paged *p, const char *folder, size_t bytes,
                                 struct gram_error *err)
{
    *p = (struct gram_paged){0};
    const int fd = gram_file_open_unlinked(folder, "gram-states-XXXXXX");
    if (fd < 0)
        return gram_fail(err, gram_status_of_errno(errno),
                         "%s: a file for the states of the optimizer cannot be made: %s", folder,
                         strerror(errno));
    const enum gram_status status = map_file(p, fd, folder, bytes > 0 ? bytes : 1, err);
    close(fd); /* the mapping keeps it */
    return status;
}

void gram_paged_close(struct gram_paged *p)
{
    if (p->at)
        munmap(p->at, p->bytes);
    *p = (struct gram_paged){0};
}

void gram_paged_release(const struct gram_paged *p, const void *from, size_t bytes)
{
    const size_t begin = (size_t)((const char *)from - p->at) / GRAM_PAGE * GRAM_PAGE;
    const size_t end = (size_t)((const char *)from - p->at) + bytes;

    madvise(p->at + begin, end - begin, MADV_DONTNEED); /* of a shared mapping: nothing is lost */
}
