/* Folders seen through their descriptors. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/output_inside.h"

bool gram_tree_has(int dir_fd, const char *name)
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

bool gram_tree_is_empty(int dir_fd)
{
    DIR *dir = list_folder(dir_fd);
    const bool empty = dir && !next_entry(dir);
    if (dir)
        closedir(dir);
    return empty;
}

void gram_tree_empty(int dir_fd)
{
    DIR *dir = list_folder(dir_fd);
    if (!dir)
        return;
    for (const struct dirent *entry; (entry = next_entry(dir));)
        gram_tree_remove(dir_fd, entry->d_name);
    closedir(dir);
}

void gram_tree_remove(int dir_fd, const char *name)
{
    if (unlinkat(dir_fd, name, 0) == 0 || (errno != EISDIR && errno != EPERM))
        return;
    const int fd = gram_output_openat(dir_fd, name, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return;
    gram_tree_empty(fd);
    close(fd);
    unlinkat(dir_fd, name, AT_REMOVEDIR);
}
