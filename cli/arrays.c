/* Arrays grow under temporary names with a random part; fsync, then rename. Little-endian hosts
 * only, like the rest of gram. */
#include "arrays.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"

enum gram_status arrays_open(struct arrays *set, const char *dir, bool force,
                             struct gram_error *err)
{
    struct stat status;

    *set = (struct arrays){.dir = dir, .force = force};
    if (mkdir(dir, 0777) == 0)
        set->made_dir = true;
    else if (errno != EEXIST)
        return refuse_errno(err, dir);
    else if (stat(dir, &status) != 0 || !S_ISDIR(status.st_mode))
        return refuse(err, GRAM_EEXIST, "%s: exists and is not a directory", dir);
    return GRAM_OK;
}

size_t arrays_find(const struct arrays *set, const char *name)
{
    size_t i = 0;

    while (i < set->n && strcmp(set->at[i].name, name) != 0)
        i++;
    return i;
}

static enum gram_status write_all(int fd, const void *bytes, size_t n, off_t at, const char *path,
                                  struct gram_error *err)
{
    for (const char *from = bytes; n > 0;) {
        const ssize_t done = pwrite(fd, from, n, at);
        if (done < 0 && errno != EINTR)
            return refuse_errno(err, path);
        if (done > 0) {
            from += done;
            at += done;
            n -= (size_t)done;
        }
    }
    return GRAM_OK;
}

static enum gram_status close_file(int fd, enum gram_status st, const char *path,
                                   struct gram_error *err)
{
    if (close(fd) != 0 && errno != EINTR && st == GRAM_OK)
        return refuse_errno(err, path);
    return st;
}

static enum gram_status create(struct array *array, struct gram_error *err)
{
    char header[NPY_HEADER];
    const int fd = mkstemp(array->temporary);

    if (fd < 0) {
        const enum gram_status st = refuse_errno(err, array->path);
        array->temporary[0] = '\0'; /* nothing to remove */
        return st;
    }
    const mode_t mask = umask(0);
    umask(mask);
    fchmod(fd, 0666 & ~mask);
    npy_header(header, array->shape, array->rank);
    return close_file(fd, write_all(fd, header, sizeof header, 0, array->path, err), array->path,
                      err);
}

enum gram_status arrays_add(struct arrays *set, const char *name, const int64_t *shape, int rank,
                            struct gram_error *err)
{
    if (strchr(name, '/'))
        return refuse(err, GRAM_EINVAL, "%s: '%s' cannot be the name of a file", set->dir, name);
    struct array *grown = realloc(set->at, (set->n + 1) * sizeof *grown);
    if (!grown)
        return refuse(err, GRAM_ENOMEM, "%s: memory ran out", set->dir);
    set->at = grown;
    struct array *array = &set->at[set->n++];
    *array = (struct array){.name = strdup(name), .rank = rank};
    memcpy(array->shape, shape, (size_t)rank * sizeof shape[0]);
    if (asprintf(&array->path, "%s/%s.npy", set->dir, name) < 0)
        array->path = NULL;
    if (asprintf(&array->temporary, "%s/.%s.npy.XXXXXX", set->dir, name) < 0)
        array->temporary = NULL;
    if (!array->name || !array->path || !array->temporary)
        return refuse(err, GRAM_ENOMEM, "%s: memory ran out", set->dir);
    if (!set->force && access(array->path, F_OK) == 0) {
        array->temporary[0] = '\0';
        return refuse(err, GRAM_EEXIST, "%s: exists already; --force replaces it", array->path);
    }
    return create(array, err);
}

enum gram_status arrays_write(struct arrays *set, size_t index, int64_t first, const float *values,
                              int64_t n, struct gram_error *err)
{
    struct array *array = &set->at[index];
    const int fd = open(array->temporary, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    const off_t at = NPY_HEADER + (off_t)first * (off_t)sizeof(float);

    if (fd < 0)
        return refuse_errno(err, array->path);
    return close_file(fd, write_all(fd, values, (size_t)n * sizeof(float), at, array->path, err),
                      array->path, err);
}

static enum gram_status sync_path(const char *path, const char *what, struct gram_error *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return refuse_errno(err, what);
    const bool failed = fsync(fd) != 0 && errno != EINVAL;
    return close_file(fd, failed ? refuse_errno(err, what) : GRAM_OK, what, err);
}

enum gram_status arrays_publish(struct arrays *set, struct gram_error *err)
{
    for (size_t i = 0; i < set->n; i++) {
        struct array *array = &set->at[i];
        const enum gram_status st = sync_path(array->temporary, array->path, err);
        if (st != GRAM_OK)
            return st;
        if (rename(array->temporary, array->path) != 0)
            return refuse_errno(err, array->path);
        array->temporary[0] = '\0';
        set->made_dir = false;
    }
    return sync_path(set->dir, set->dir, err);
}

void arrays_close(struct arrays *set)
{
    for (size_t i = 0; i < set->n; i++) {
        struct array *array = &set->at[i];
        if (array->temporary && array->temporary[0])
            unlink(array->temporary);
        free(array->name);
        free(array->path);
        free(array->temporary);
    }
    if (set->made_dir)
        rmdir(set->dir);
    free(set->at);
    *set = (struct arrays){0};
}
