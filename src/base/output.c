/*
 * The life of an output folder: claim, fill, discard. Everything below it is named relative to open
 * folders, so that nothing that is renamed or linked meanwhile leads the writes astray.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/output_inside.h"

char *gram_output_suffixed(const char *s, const char *suffix)
{
    struct gram_buf buf = {0};
    gram_buf_printf(&buf, "%s%s", s, suffix);
    if (!buf.failed)
        return buf.at;
    gram_buf_reset(&buf);
    return NULL;
}

static enum gram_status split_target(struct gram_output *o, const char *target,
                                     struct gram_error *err)
{
    size_t n = strlen(target);
    while (n > 1 && target[n - 1] == '/')
        n--;
    o->target = strndup(target, n);
    if (!o->target)
        return gram_fail_memory(err, target);
    const char *slash = strrchr(o->target, '/');
    const char *name = slash ? slash + 1 : o->target;
    if (!name[0] || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return gram_fail(err, GRAM_EINVAL, "output '%s': the path must end in a new name", target);
    o->name = strdup(name);
    o->parent = !slash               ? strdup(".")
                : slash == o->target ? strdup("/")
                                     : strndup(o->target, (size_t)(slash - o->target));
    o->holder = gram_output_suffixed(o->target, ".partial");
    o->holder_name = gram_output_suffixed(name, ".partial");
    o->folder = o->holder ? gram_path_join(o->holder, GRAM_OUTPUT_MODEL) : NULL;
    if (!o->name || !o->parent || !o->holder_name || !o->folder)
        return gram_fail_memory(err, target);
    return GRAM_OK;
}

static enum gram_status open_parent(struct gram_output *o, struct gram_error *err)
{
    int fd;
    do
        fd = open(o->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    o->parent_fd = fd;
    if (fd < 0 && errno == ENOENT)
        return gram_fail(err, GRAM_ENOENT, "%s: the folder %s does not exist", o->target,
                         o->parent);
    return fd < 0 ? gram_output_fail(err, o->parent, "opened", errno, -1) : GRAM_OK;
}

/* ---- the old target ---- */

/* May the old target be replaced? What does not look like a model is never removed. */
static enum gram_status check_replaceable(struct gram_output *o, struct gram_error *err)
{
    const int fd = gram_output_openat(o->parent_fd, o->name, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return gram_fail(err, GRAM_EEXIST, "%s: exists and is not a folder; remove it first",
                         o->target);
    const bool ours = gram_tree_has(fd, "config.json") || gram_tree_has(fd, "gram.json") ||
                      gram_tree_is_empty(fd);
    close(fd);
    if (!ours)
        return gram_fail(err, GRAM_EEXIST,
                         "%s: exists and holds no model; remove it first if it may go", o->target);
    o->replaces = true;
    return GRAM_OK;
}

static enum gram_status check_target(struct gram_output *o, bool force, struct gram_error *err)
{
    if (!gram_tree_has(o->parent_fd, o->name))
        return GRAM_OK;
    if (!force)
        return gram_fail(err, GRAM_EEXIST,
                         "%s: exists already; choose another name, or --force to "
                         "replace it",
                         o->target);
    return check_replaceable(o, err);
}

/* ---- the holder ---- */

static enum gram_status lock_holder(struct gram_output *o, struct gram_error *err)
{
    struct stat held, named;
    int rc;

    do
        rc = flock(o->holder_fd, LOCK_EX | LOCK_NB);
    while (rc != 0 && errno == EINTR);
    if (rc != 0 && errno != EWOULDBLOCK)
        return gram_output_fail(err, o->holder, "locked", errno, -1);
    /* the job that held it may have removed it between open and lock */
    if (rc != 0 || fstat(o->holder_fd, &held) != 0 ||
        fstatat(o->parent_fd, o->holder_name, &named, AT_SYMLINK_NOFOLLOW) != 0 ||
        held.st_ino != named.st_ino || held.st_dev != named.st_dev)
        return gram_fail(err, GRAM_EEXIST, "%s: another job is writing it", o->target);
    if (!gram_tree_has(o->holder_fd, GRAM_OUTPUT_JOURNAL) && !gram_tree_is_empty(o->holder_fd))
        return gram_fail(err, GRAM_EEXIST,
                         "%s: exists and was not left by an interrupted job; "
                         "move it away",
                         o->holder);
    return GRAM_OK;
}

static enum gram_status open_holder(struct gram_output *o, struct gram_error *err)
{
    if (mkdirat(o->parent_fd, o->holder_name, 0777) != 0 && errno != EEXIST)
        return gram_output_fail(err, o->holder, "created", errno, o->parent_fd);
    o->holder_fd = gram_output_openat(o->parent_fd, o->holder_name, O_RDONLY | O_DIRECTORY);
    if (o->holder_fd < 0)
        return gram_output_fail(err, o->holder, "opened", errno, -1);
    return lock_holder(o, err);
}

/* Keep the whole lines; what a killed run wrote of the next one is cut off. */
static enum gram_status read_journal(struct gram_output *o, struct gram_error *err)
{
    struct stat st;

    o->journal.path = gram_path_join(o->holder, GRAM_OUTPUT_JOURNAL);
    if (!o->journal.path)
        return gram_fail_memory(err, o->holder);
    const int fd = gram_output_openat(o->holder_fd, GRAM_OUTPUT_JOURNAL, O_RDWR | O_CREAT);
    if (fd < 0)
        return gram_output_fail(err, o->journal.path, "opened", errno, o->holder_fd);
    o->journal.fd_plus_1 = fd + 1;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return gram_fail(err, GRAM_EIO, "%s: not a regular file", o->journal.path);
    const size_t size = (size_t)st.st_size;
    char *room = gram_buf_room(&o->notes, size);
    if (!room)
        return gram_fail_memory(err, o->journal.path);
    GRAM_TRY(gram_output_read(&o->journal, 0, room, size, err));
    for (o->notes.len = size; o->notes.len > 0 && room[o->notes.len - 1] != '\n';)
        o->notes.len--;
    room[o->notes.len] = '\0';
    if (memchr(room, '\0', o->notes.len)) /* blocks that never reached the disk */
        room[o->notes.len = 0] = '\0';
    return gram_output_resize(&o->journal, o->notes.len, err);
}

static bool was_published(const struct gram_output *o)
{
    struct stat st;
    char line[64];

    if (o->notes.len == 0 || fstatat(o->parent_fd, o->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    gram_output_publish_line(line, &st);
    const size_t n = strlen(line);
    return o->notes.len > n && o->notes.at[o->notes.len - 1] == '\n' &&
           memcmp(o->notes.at + o->notes.len - 1 - n, line, n) == 0;
}

static enum gram_status open_folder(struct gram_output *o, struct gram_error *err)
{
    if (mkdirat(o->holder_fd, GRAM_OUTPUT_MODEL, 0777) != 0 && errno != EEXIST)
        return gram_output_fail(err, o->folder, "created", errno, o->holder_fd);
    o->folder_fd = gram_output_openat(o->holder_fd, GRAM_OUTPUT_MODEL, O_RDONLY | O_DIRECTORY);
    return o->folder_fd < 0 ? gram_output_fail(err, o->folder, "opened", errno, -1) : GRAM_OK;
}

/* ---- opening and closing ---- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void gram_output_close(struct gram_output **output)
{
    struct gram_output *o = output ? *output : NULL;
    struct gram_error ignored;

    if (!o)
        return;
    gram_output_file_close(&o->journal, &ignored);
    close_fd(&o->folder_fd);
    close_fd(&o->holder_fd);
    close_fd(&o->parent_fd);
    gram_buf_reset(&o->notes);
    free(o->target);
    free(o->parent);
    free(o->name);
    free(o->holder);
    free(o->holder_name);
    free(o->folder);
    free(o);
    *output = NULL;
}

/* With the lock held: what did an earlier run leave, and may this one go on? */
static enum gram_status take_over(struct gram_output *o, bool force, struct gram_error *err)
{
    GRAM_TRY(read_journal(o, err));
    o->is_published = was_published(o);
    if (o->is_published)
        return GRAM_OK;
    GRAM_TRY(check_target(o, force, err));
    return open_folder(o, err);
}

static enum gram_status claim(struct gram_output *o, const char *target, bool force,
                              struct gram_error *err)
{
    GRAM_TRY(split_target(o, target, err));
    GRAM_TRY(open_parent(o, err));
    const bool is_new = !gram_tree_has(o->parent_fd, o->holder_name);
    if (is_new) /* refuse before anything is created */
        GRAM_TRY(check_target(o, force, err));
    GRAM_TRY(open_holder(o, err));
    const enum gram_status status = take_over(o, force, err);
    if (status != GRAM_OK && o->notes.len == 0 && !gram_tree_has(o->holder_fd, GRAM_OUTPUT_MODEL)) {
        unlinkat(o->holder_fd, GRAM_OUTPUT_JOURNAL, 0);
        unlinkat(o->parent_fd, o->holder_name, AT_REMOVEDIR);
    }
    return status;
}

enum gram_status gram_output_open(struct gram_output **out, const char *target, bool force,
                                  struct gram_error *err)
{
    struct gram_output *o = calloc(1, sizeof *o);

    *out = NULL;
    if (!o)
        return gram_fail_memory(err, target);
    o->parent_fd = o->holder_fd = o->folder_fd = -1;
    const enum gram_status status = claim(o, target, force, err);
    if (status != GRAM_OK)
        gram_output_close(&o);
    *out = o;
    return status;
}

const char *gram_output_folder(const struct gram_output *o)
{
    return o->folder;
}

int gram_output_folder_fd(const struct gram_output *o)
{
    return o->folder_fd;
}

bool gram_output_is_published(const struct gram_output *o)
{
    return o->is_published;
}

uint64_t gram_output_free_bytes(const struct gram_output *o)
{
    struct statvfs fs;
    return fstatvfs(o->parent_fd, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : UINT64_MAX;
}

/* ---- the journal ---- */

const char *gram_output_journal(const struct gram_output *o)
{
    return o->notes.at ? o->notes.at : "";
}

enum gram_status gram_output_note(struct gram_output *o, const char *line, struct gram_error *err)
{
    const size_t at = o->notes.len;

    gram_buf_printf(&o->notes, "%s\n", line);
    if (o->notes.failed)
        return gram_fail_memory(err, o->journal.path);
    return gram_output_write(&o->journal, at, o->notes.at + at, o->notes.len - at, err);
}

void gram_output_discard(struct gram_output **output)
{
    struct gram_output *o = output ? *output : NULL;
    if (!o)
        return;
    gram_tree_remove(o->holder_fd, GRAM_OUTPUT_MODEL);
    gram_tree_remove(o->holder_fd, GRAM_OUTPUT_OLD);
    unlinkat(o->holder_fd, GRAM_OUTPUT_JOURNAL, 0);
    unlinkat(o->parent_fd, o->holder_name, AT_REMOVEDIR);
    gram_output_close(output);
}

enum gram_status gram_output_start_afresh(struct gram_output *o, struct gram_error *err)
{
    GRAM_TRY(gram_output_resize(&o->journal, 0, err));
    o->notes.len = 0;
    if (o->notes.at)
        o->notes.at[0] = '\0';
    gram_tree_empty(o->folder_fd);
    return gram_tree_is_empty(o->folder_fd)
               ? GRAM_OK
               : gram_fail(err, GRAM_EIO, "%s: cannot be emptied", o->folder);
}
