/*
 * The last step, and the check that it will not eat the input. Publishing is one rename, after a
 * line in the journal that says which inode is about to be the target: a run that was killed right
 * after it can tell that it had finished.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/output_inside.h"

void gram_output_publish_line(char line[64], const struct stat *st)
{
    snprintf(line, 64, "publish %" PRIuMAX " %" PRIuMAX, (uintmax_t)st->st_dev,
             (uintmax_t)st->st_ino);
}

/* Is `path` the folder `root` or inside it? Both are canonical. */
static bool is_below(const char *path, const char *root)
{
    const size_t n = strlen(root);
    return strncmp(path, root, n) == 0 && (path[n] == '\0' || path[n] == '/' || root[n - 1] == '/');
}

enum gram_status gram_output_check_apart(const struct gram_output *o, const char *path,
                                         struct gram_error *err)
{
    char *input = realpath(path, NULL);
    char *parent = realpath(o->parent, NULL);
    char *target = parent ? gram_path_join(parent, o->name) : NULL;
    char *holder = target ? gram_output_suffixed(target, ".partial") : NULL;
    enum gram_status status = GRAM_OK;

    if (!input || !holder)
        status = gram_fail_memory(err, o->target);
    else if (strcmp(input, target) == 0)
        status = gram_fail(err, GRAM_EINVAL, "%s: output and input are the same folder", o->target);
    else if (is_below(target, input))
        status =
            gram_fail(err, GRAM_EINVAL, "%s: output lies inside the input %s", o->target, path);
    else if (is_below(input, target) || is_below(input, holder))
        status =
            gram_fail(err, GRAM_EINVAL, "%s: the input %s lies inside the output", o->target, path);
    free(input);
    free(parent);
    free(target);
    free(holder);
    return status;
}

static enum gram_status sync_folder(int fd, const char *path, struct gram_error *err)
{
    int rc;
    do
        rc = fsync(fd);
    while (rc != 0 && errno == EINTR);
    return rc == 0 ? GRAM_OK : gram_output_fail(err, path, "written", errno, fd);
}

/* Without an exchange the old target steps aside first; it is put back if the new one cannot
 * follow. */
static int replace_in_two_steps(const struct gram_output *o)
{
    if (renameat(o->parent_fd, o->name, o->holder_fd, GRAM_OUTPUT_OLD) != 0)
        return -1;
    if (renameat(o->holder_fd, GRAM_OUTPUT_MODEL, o->parent_fd, o->name) == 0)
        return 0;
    const int code = errno;
    renameat(o->holder_fd, GRAM_OUTPUT_OLD, o->parent_fd, o->name);
    errno = code;
    return -1;
}

static int put_in_place(const struct gram_output *o)
{
    const unsigned how = o->replaces ? RENAME_EXCHANGE : RENAME_NOREPLACE;
    int rc;

    do
        rc = renameat2(o->holder_fd, GRAM_OUTPUT_MODEL, o->parent_fd, o->name, how);
    while (rc != 0 && errno == EINTR);
    if (rc == 0 || (errno != EINVAL && errno != ENOSYS))
        return rc;
    return o->replaces ? replace_in_two_steps(o)
                       : renameat(o->holder_fd, GRAM_OUTPUT_MODEL, o->parent_fd, o->name);
}

static void take_back(const struct gram_output *o)
{
    if (gram_tree_has(o->holder_fd, GRAM_OUTPUT_OLD)) {
        renameat(o->parent_fd, o->name, o->holder_fd, GRAM_OUTPUT_MODEL);
        renameat(o->holder_fd, GRAM_OUTPUT_OLD, o->parent_fd, o->name);
    } else if (o->replaces) {
        renameat2(o->holder_fd, GRAM_OUTPUT_MODEL, o->parent_fd, o->name, RENAME_EXCHANGE);
    } else {
        renameat(o->parent_fd, o->name, o->holder_fd, GRAM_OUTPUT_MODEL);
    }
}

enum gram_status gram_output_publish(struct gram_output **output, struct gram_error *err)
{
    struct gram_output *o = *output;
    struct stat st;
    char line[64];

    GRAM_TRY(sync_folder(o->folder_fd, o->folder, err));
    if (fstat(o->folder_fd, &st) != 0)
        return gram_output_fail(err, o->folder, "examined", errno, -1);
    gram_output_publish_line(line, &st);
    GRAM_TRY(gram_output_note(o, line, err));
    GRAM_TRY(gram_output_sync(&o->journal, err));
    if (put_in_place(o) != 0)
        return gram_output_fail(err, o->target, "put in place", errno, o->parent_fd);
    const enum gram_status status = sync_folder(o->parent_fd, o->parent, err);
    if (status != GRAM_OK) {
        take_back(o);
        return status;
    }
    gram_output_discard(output);
    return GRAM_OK;
}
