/* Reading files: mapped, regular files only, never outside their bytes. */
#ifndef GRAM_BASE_FILE_H
#define GRAM_BASE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"

/* A mapped file. Opaque, immutable, shared by threads. */
struct gram_file;

/* Map `path` read-only. Anything but a regular file is refused without blocking (GRAM_EFORMAT). Symbolic
 * links are followed, as the hub cache needs. Returns also GRAM_ENOENT, GRAM_EIO, GRAM_ENOMEM. */
enum gram_status gram_file_open(struct gram_file **out, const char *path, struct gram_error *err);
void gram_file_close(struct gram_file **file);

/* A file of borrowed bytes that only `path` names: for readers that take a file and have its bytes
 * already. GRAM_OK or GRAM_ENOMEM. */
enum gram_status gram_file_from_bytes(struct gram_file **out, const void *bytes, uint64_t size,
                                      const char *path, struct gram_error *err);

uint64_t gram_file_size(const struct gram_file *file);
const char *gram_file_path(const struct gram_file *file);

/* The only way to the bytes: `len` of them at `off`, or NULL if they are not all inside the file. */
const void *gram_file_view(const struct gram_file *file, uint64_t off, uint64_t len);

/* Tell the system that a range will be read from front to back, or that its pages are no longer
 * needed: what keeps a streaming job small. */
void gram_file_willneed(const struct gram_file *file, uint64_t off, uint64_t len);
void gram_file_release(const struct gram_file *file, uint64_t off, uint64_t len);

/* A new file, to be read and written, that no folder lists: gone when it is closed, or when the program dies.
 * `pattern` is its name for a moment where the system has no such files; it ends in XXXXXX. -1 and errno on
 * failure. */
int gram_file_open_unlinked(const char *folder, const char *pattern);

bool gram_path_exists(const char *path);
bool gram_path_is_dir(const char *path);
/* dir/name in fresh memory, free() it; NULL if memory ran out. */
char *gram_path_join(const char *dir, const char *name);

#endif
