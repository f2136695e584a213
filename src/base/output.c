/*
 * The life of an output folder: claim, fill, publish or discard. Everything below it is named
 * relative to open folders, so that nothing that is renamed or linked meanwhile leads the writes
 * astray.
 *
 * Publishing is one rename, after a line in the journal that says which inode is about to be the
 * target: a run that was killed right after it can tell that it had finished.
 */
#include "base/output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/output_inside.h"

static const char journal_name[] = "journal", model_name[] = "model";

struct gram_output {
    char *target; /* without trailing slashes */
    char *parent; /* folder of target */
    char *name;   /* of target, in parent */
    char *holder, *holder_name;
    char *folder; /* holder/model */
    int parent_fd, holder_fd, folder_fd;
    struct gram_output_file journal;
    struct gram_buf notes; /* whole lines of the journal */
    bool replaces;         /* an old target is exchanged */
    bool is_published;
};

static char *with_suffix(const char *s, const char *suffix)
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
    o->parent = !slash              ? strdup(".")
                : slash == o->target ? strdup("/")
                                     : strndup(o->target, (size_t)(slash - o->target));
    o->holder = with_suffix(o->target, ".partial");
    o->holder_name = with_suffix(name, ".partial");
    o->folder = o->holder ? gram_path_join(o->holder, model_name) : NULL;
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

static bool has_entry(int dir_fd, const char *name)
{
    struct stat st;
    return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A folder to list; its descriptor is separate from dir_fd's position. */
static DIR *list_folder(int dir_fd)
{
    const int fd = gram_output_openat(dir_fd, ".", O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir && fd >= 0)
        close(fd);
    return dir;
}

/* The next entry that is not "." or ".."; NULL at the end. */
static const struct dirent *next_entry(DIR *dir)
{
    const struct dirent *entry;
    do
        entry = readdir(dir);
    while (entry && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    return entry;
}

static bool is_empty(int dir_fd)
{
    DIR *dir = list_folder(dir_fd);
    const bool empty = dir && !next_entry(dir);
    if (dir)
        closedir(dir);
    return empty;
}

/* May the old target be replaced? What does not look like a model is never removed. */
static enum gram_status check_replaceable(struct gram_output *o, struct gram_error *err)
{
    const int fd = gram_output_openat(o->parent_fd, o->name, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return gram_fail(err, GRAM_EEXIST, "%s: exists and is not a folder; remove it first",
                         o->target);
    const bool ours = has_entry(fd, "config.json") || has_entry(fd, "gram.json") || is_empty(fd);
    close(fd);
    if (!ours)
        return gram_fail(err, GRAM_EEXIST,
                         "%s: exists and holds no model; remove it first if it may go", o->target);
    o->replaces = true;
    return GRAM_OK;
}

static enum gram_status check_target(struct gram_output *o, bool force, struct gram_error *err)
{
    if (!has_entry(o->parent_fd, o->name))
        return GRAM_OK;
    if (!force)
        return gram_fail(err, GRAM_EEXIST, "%s: exists already; choose another name, or --force to "
                         "replace it", o->target);
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
    if (!has_entry(o->holder_fd, journal_name) && !is_empty(o->holder_fd))
        return gram_fail(err, GRAM_EEXIST, "%s: exists and was not left by an interrupted job; "
                         "move it away", o->holder);
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

    o->journal.path = gram_path_join(o->holder, journal_name);
    if (!o->journal.path)
        return gram_fail_memory(err, o->holder);
    const int fd = gram_output_openat(o->holder_fd, journal_name, O_RDWR | O_CREAT);
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

/* "publish DEVICE INODE" of the folder that is about to become the target. */
static void publish_line(char line[64], const struct stat *st)
{
    snprintf(line, 64, "publish %" PRIuMAX " %" PRIuMAX, (uintmax_t)st->st_dev,
             (uintmax_t)st->st_ino);
}

static bool was_published(const struct gram_output *o)
{
    struct stat st;
    char line[64];

    if (o->notes.len == 0 || fstatat(o->parent_fd, o->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    publish_line(line, &st);
    const size_t n = strlen(line);
    return o->notes.len > n && o->notes.at[o->notes.len - 1] == '\n' &&
           memcmp(o->notes.at + o->notes.len - 1 - n, line, n) == 0;
}

static enum gram_status open_folder(struct gram_output *o, struct gram_error *err)
{
    if (mkdirat(o->holder_fd, model_name, 0777) != 0 && errno != EEXIST)
        return gram_output_fail(err, o->folder, "created", errno, o->holder_fd);
    o->folder_fd = gram_output_openat(o->holder_fd, model_name, O_RDONLY | O_DIRECTORY);
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
    const bool is_new = !has_entry(o->parent_fd, o->holder_name);
    if (is_new) /* refuse before anything is created */
        GRAM_TRY(check_target(o, force, err));
    GRAM_TRY(open_holder(o, err));
    const enum gram_status status = take_over(o, force, err);
    if (status != GRAM_OK && o->notes.len == 0 && !has_entry(o->holder_fd, model_name)) {
        unlinkat(o->holder_fd, journal_name, 0);
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

/* ---- removing ---- */

static void remove_tree(int dir_fd, const char *name);

static void empty_folder(int dir_fd)
{
    DIR *dir = list_folder(dir_fd);
    if (!dir)
        return;
    for (const struct dirent *entry; (entry = next_entry(dir));)
        remove_tree(dir_fd, entry->d_name);
    closedir(dir);
}

/* A file or a link, or a folder with all that is in it. */
static void remove_tree(int dir_fd, const char *name)
{
    if (unlinkat(dir_fd, name, 0) == 0 || (errno != EISDIR && errno != EPERM))
        return;
    int fd = gram_output_openat(dir_fd, name, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return;
    empty_folder(fd);
    close_fd(&fd);
    unlinkat(dir_fd, name, AT_REMOVEDIR);
}

void gram_output_discard(struct gram_output **output)
{
    struct gram_output *o = output ? *output : NULL;
    if (!o)
        return;
    remove_tree(o->holder_fd, model_name);
    remove_tree(o->holder_fd, "old");
    unlinkat(o->holder_fd, journal_name, 0);
    unlinkat(o->parent_fd, o->holder_name, AT_REMOVEDIR);
    gram_output_close(output);
}

enum gram_status gram_output_start_afresh(struct gram_output *o, struct gram_error *err)
{
    GRAM_TRY(gram_output_resize(&o->journal, 0, err));
    o->notes.len = 0;
    if (o->notes.at)
        o->notes.at[0] = '\0';
    empty_folder(o->folder_fd);
    return is_empty(o->folder_fd) ? GRAM_OK
                                  : gram_fail(err, GRAM_EIO, "%s: cannot be emptied", o->folder);
}

/* ---- keeping input and output apart ---- */

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
    char *holder = target ? with_suffix(target, ".partial") : NULL;
    enum gram_status status = GRAM_OK;

    if (!input || !holder)
        status = gram_fail_memory(err, o->target);
    else if (strcmp(input, target) == 0)
        status = gram_fail(err, GRAM_EINVAL, "%s: output and input are the same folder", o->target);
    else if (is_below(target, input))
        status = gram_fail(err, GRAM_EINVAL, "%s: output lies inside the input %s", o->target, path);
    else if (is_below(input, target) || is_below(input, holder))
        status = gram_fail(err, GRAM_EINVAL, "%s: the input %s lies inside the output", o->target,
                           path);
    free(input);
    free(parent);
    free(target);
    free(holder);
    return status;
}

/* ---- publishing ---- */

static enum gram_status sync_folder(int fd, const char *path, struct gram_error *err)
{
    int rc;
    do
        rc = fsync(fd);
    while (rc != 0 && errno == EINTR);
    return rc == 0 ? GRAM_OK : gram_output_fail(err, path, "written", errno, fd);
}

/* Without an exchange the old target steps aside first; it is put back if the new one cannot follow. */
static int replace_in_two_steps(const struct gram_output *o)
{
    if (renameat(o->parent_fd, o->name, o->holder_fd, "old") != 0)
        return -1;
    if (renameat(o->holder_fd, model_name, o->parent_fd, o->name) == 0)
        return 0;
    const int code = errno;
    renameat(o->holder_fd, "old", o->parent_fd, o->name);
    errno = code;
    return -1;
}

static int put_in_place(const struct gram_output *o)
{
    const unsigned how = o->replaces ? RENAME_EXCHANGE : RENAME_NOREPLACE;
    int rc;

    do
        rc = renameat2(o->holder_fd, model_name, o->parent_fd, o->name, how);
    while (rc != 0 && errno == EINTR);
    if (rc == 0 || (errno != EINVAL && errno != ENOSYS))
        return rc;
    return o->replaces ? replace_in_two_steps(o)
                       : renameat(o->holder_fd, model_name, o->parent_fd, o->name);
}

static void take_back(const struct gram_output *o)
{
    if (has_entry(o->holder_fd, "old")) {
        renameat(o->parent_fd, o->name, o->holder_fd, model_name);
        renameat(o->holder_fd, "old", o->parent_fd, o->name);
    } else if (o->replaces) {
        renameat2(o->holder_fd, model_name, o->parent_fd, o->name, RENAME_EXCHANGE);
    } else {
        renameat(o->parent_fd, o->name, o->holder_fd, model_name);
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
    publish_line(line, &st);
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
