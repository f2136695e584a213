/*
 * Output that appears whole or not at all: a folder is filled under another name,
 * <target>.partial/model, and renamed at the end. <target>.partial also holds a journal, from which
 * the next run of the same job takes over what is finished; while a job holds it, it is locked.
 */
#ifndef GRAM_BASE_OUTPUT_H
#define GRAM_BASE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

/* A file being written, by offset. Zero bytes are a valid closed one (fd is kept plus one). */
struct gram_output_file {
    int fd_plus_1;
    char *path;
};

/* Opaque; one thread at a time, but its open files may be written by several. */
struct gram_output;

/*
 * Claim `target`, whose parent folder must exist. Nothing of that name may exist unless `force` is
 * set and it is a folder that looks like a model (or an empty one). Returns GRAM_OK, GRAM_EEXIST
 * (it exists; another job holds it; <target>.partial is not ours), GRAM_ENOENT (no parent folder),
 * GRAM_EINVAL (no name), GRAM_EIO, GRAM_ENOSPC, GRAM_ENOMEM.
 */
enum gram_status gram_output_open(struct gram_output **out, const char *target, bool force,
                                  struct gram_error *err);
/* Leave everything as it is, for a later run, and unlock. Accepts NULL. */
void gram_output_close(struct gram_output **output);
/* Remove all that was written, and unlock. */
void gram_output_discard(struct gram_output **output);

/* Would writing to the target replace `path`, lie inside it, or hold it? GRAM_EINVAL says which. */
enum gram_status gram_output_check_apart(const struct gram_output *output, const char *path,
                                         struct gram_error *err);

/* The folder being filled: "<target>.partial/model". */
const char *gram_output_folder(const struct gram_output *output);

/* What the interrupted run wrote to the journal, whole lines only; "" if nothing. Borrowed. */
const char *gram_output_journal(const struct gram_output *output);
/* Append one line (without its newline). */
enum gram_status gram_output_note(struct gram_output *output, const char *line,
                                  struct gram_error *err);
/* Forget the journal and remove all files of the folder. */
enum gram_status gram_output_start_afresh(struct gram_output *output, struct gram_error *err);
/* Did the interrupted run get as far as publishing, so that the target is already what it should
 * be? Only cleaning up is left then: gram_output_discard(). */
bool gram_output_is_published(const struct gram_output *output);

/* Bytes that can still be written below the target's parent folder. */
uint64_t gram_output_free_bytes(const struct gram_output *output);

/* Create a file in the folder (it must not exist), or open one that an interrupted run left. */
enum gram_status gram_output_file_create(struct gram_output_file *file,
                                         const struct gram_output *output, const char *name,
                                         struct gram_error *err);
enum gram_status gram_output_file_reopen(struct gram_output_file *file,
                                         const struct gram_output *output, const char *name,
                                         struct gram_error *err);
/* All n bytes at `off`, however many calls it takes. A full disk is GRAM_ENOSPC and names the free
 * space. */
enum gram_status gram_output_write(const struct gram_output_file *file, uint64_t off,
                                   const void *bytes, size_t n, struct gram_error *err);
/* Exactly n bytes; fewer in the file is GRAM_EIO. */
enum gram_status gram_output_read(const struct gram_output_file *file, uint64_t off, void *bytes,
                                  size_t n, struct gram_error *err);
/* Write, read back, compare; written once more if it reads different, then GRAM_EIO. */
enum gram_status gram_output_write_surely(const struct gram_output_file *file, uint64_t off,
                                          const void *bytes, size_t n, struct gram_error *err);
/* Make the file `size` bytes long; what was not written reads as zeros and takes no room yet. */
enum gram_status gram_output_resize(const struct gram_output_file *file, uint64_t size,
                                    struct gram_error *err);
/* Room that the file takes on disk. */
uint64_t gram_output_allocated(const struct gram_output_file *file);
/* Let the system begin to write out what it holds back, without waiting for it. */
void gram_output_flush(const struct gram_output_file *file);
/* Force to disk. */
enum gram_status gram_output_sync(const struct gram_output_file *file, struct gram_error *err);
enum gram_status gram_output_file_close(struct gram_output_file *file, struct gram_error *err);

/* A small file: created (an old one of this name is removed), surely written, forced to disk. */
enum gram_status gram_output_put(const struct gram_output *output, const char *name,
                                 const void *bytes, size_t n, struct gram_error *err);

/*
 * Make the folder the target, in one step, and remove the journal; an old target is exchanged first
 * and removed after. On failure the old state is restored. The output is closed in any case but
 * failure.
 */
enum gram_status gram_output_publish(struct gram_output **output, struct gram_error *err);

#endif
