/* What the files of the output folder share. */
#ifndef GRAM_BASE_OUTPUT_INSIDE_H
#define GRAM_BASE_OUTPUT_INSIDE_H

#include <sys/stat.h>

#include "base/buf.h"
#include "base/output.h"

#define GRAM_OUTPUT_JOURNAL "journal"
#define GRAM_OUTPUT_MODEL   "model"
#define GRAM_OUTPUT_OLD                                                                            \
    "old" /* a target that stepped aside where two folders cannot be exchanged */

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

/* "PATH: cannot be WHAT: REASON", with the free space of fd's file system when that is the reason.
 */
enum gram_status gram_output_fail(struct gram_error *err, const char *path, const char *what,
                                  int code, int fd);
/* openat that is not interrupted and follows no link; -1 and errno. */
int gram_output_openat(int dir_fd, const char *name, int flags);
int gram_output_folder_fd(const struct gram_output *output);
/* Both strings in one, yours; NULL if memory ran out. */
char *gram_output_suffixed(const char *s, const char *suffix);
/* The journal's line on the folder that is about to become the target: "publish DEVICE INODE". */
void gram_output_publish_line(char line[64], const struct stat *st);

/* Entries of an open folder; links are never followed. */
bool gram_tree_has(int dir_fd, const char *name);
bool gram_tree_is_empty(int dir_fd);
/* A file or a link, or a folder with all that is in it; as far as that goes. */
void gram_tree_remove(int dir_fd, const char *name);
/* All that is in the folder. */
void gram_tree_empty(int dir_fd);

#endif
