/* What output.c and output_file.c share. */
#ifndef GRAM_BASE_OUTPUT_INSIDE_H
#define GRAM_BASE_OUTPUT_INSIDE_H

#include "base/output.h"

/* "PATH: cannot be WHAT: REASON", with the free space of fd's file system when that is the reason. */
enum gram_status gram_output_fail(struct gram_error *err, const char *path, const char *what,
                                  int code, int fd);
/* openat that is not interrupted and follows no link; -1 and errno. */
int gram_output_openat(int dir_fd, const char *name, int flags);
int gram_output_folder_fd(const struct gram_output *output);

#endif
