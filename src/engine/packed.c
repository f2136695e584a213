/* The file of packed weights: where it may be, whether it is the right one, and writing it. */
#include "engine/packed.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/output.h"
#include "kernels/panels.h"

enum { PAGE = 4096, PLACES = 2 };

static const char magic[16] = "gram packed\n";

struct header {
    char magic[sizeof magic];
    char key[GRAM_SHA256_HEX];
    uint64_t bytes;
};

/* Beside the model. */
static char *place_beside(const struct gram_checkpoint *ck)
{
    return gram_path_join(ck->path, "gram-packed.bin");
}

/* In the cache folder, under the hash of the model's real path; NULL without a HOME. */
static char *place_in_cache(const struct gram_checkpoint *ck)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    struct gram_sha256 hash;
    struct gram_buf path = {0};
    char hex[GRAM_SHA256_HEX];
    char *real = realpath(ck->path, NULL);
    const bool has_cache = cache && cache[0] == '/';

    if (real && (has_cache || (home && home[0] == '/'))) {
        gram_sha256_init(&hash);
        gram_sha256_add(&hash, real, strlen(real));
        gram_sha256_hex(&hash, hex);
        gram_buf_printf(&path, "%s%s/gram/packed-%.16s.bin", has_cache ? cache : home,
                        has_cache ? "" : "/.cache", hex);
    }
    free(real);
    if (path.failed)
        gram_buf_reset(&path);
    return path.at;
}

static char *(*const places[PLACES])(const struct gram_checkpoint *) = {place_beside,
                                                                        place_in_cache};

static enum gram_status identify_file(struct gram_sha256 *key, const char *path,
                                      struct gram_error *err)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return gram_fail(err, gram_status_of_errno(errno), "%s: cannot be examined: %s", path,
                         strerror(errno));
    const int64_t facts[] = {st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec};
    gram_sha256_add(key, facts, sizeof facts);
    return GRAM_OK;
}

enum gram_status gram_packed_identify(struct gram_sha256 *key, const struct gram_checkpoint *ck,
                                      struct gram_error *err)
{
    const int version = GRAM_PANELS_VERSION;

    gram_sha256_add(key, &version, sizeof version);
    GRAM_TRY(identify_file(key, ck->config_path, err));
    for (int i = 0; i < gram_store_files(ck->store); i++)
        GRAM_TRY(identify_file(key, gram_store_file_path(ck->store, i), err));
    for (size_t i = 0; i < gram_store_count(ck->store); i++) {
        const struct gram_tensor *t = gram_store_at(ck->store, i);
        gram_sha256_add(key, t->name, strlen(t->name) + 1);
        gram_sha256_add(key, &t->dtype, sizeof t->dtype);
        gram_sha256_add(key, t->shape, (size_t)t->rank * sizeof t->shape[0]);
    }
    return GRAM_OK;
}

static enum gram_status check_file(const struct gram_file *file, const char *key, size_t bytes,
                                   struct gram_error *err)
{
    const struct header *header = gram_file_view(file, 0, PAGE);
    const char *path = gram_file_path(file);

    if (!header || memcmp(header->magic, magic, sizeof magic) != 0)
        return gram_fail(err, GRAM_EFORMAT, "%s: not a file of packed weights", path);
    if (memcmp(header->key, key, GRAM_SHA256_HEX) != 0)
        return gram_fail(err, GRAM_EFORMAT,
                         "%s: made of another state of the model, for other activations, or by another "
                         "version",
                         path);
    if (header->bytes != bytes || gram_file_size(file) - PAGE != bytes)
        return gram_fail(err, GRAM_EFORMAT,
                         "%s: holds %" PRIu64 " bytes of packed weights, expected %zu", path,
                         gram_file_size(file) - PAGE, bytes);
    return GRAM_OK;
}

enum gram_status gram_packed_open(struct gram_file **out, const struct gram_checkpoint *ck,
                                  const char key[GRAM_SHA256_HEX], size_t bytes,
                                  struct gram_error *err)
{
    enum gram_status status = GRAM_OK;

    *out = NULL;
    for (int i = 0; i < PLACES && !*out; i++) {
        char *path = places[i](ck);
        if (path && gram_path_exists(path)) {
            status = gram_file_open(out, path, err);
            if (status == GRAM_OK)
                status = check_file(*out, key, bytes, err);
            if (status != GRAM_OK)
                gram_file_close(out);
        }
        free(path);
    }
    return *out ? GRAM_OK : status;
}

const void *gram_packed_block(const struct gram_file *file)
{
    return gram_file_view(file, PAGE, gram_file_size(file) - PAGE);
}

/* Of the folders above path, the last two, where they are missing. */
static void make_folders(char *path)
{
    char *last = strrchr(path, '/');
    char *before = last ? memrchr(path, '/', (size_t)(last - path)) : NULL;
    char *const ends[] = {before, last};

    for (int i = 0; i < 2; i++) {
        if (!ends[i] || ends[i] == path)
            continue;
        *ends[i] = '\0';
        mkdir(path, 0700); /* a failure shows when the file is created */
        *ends[i] = '/';
    }
}

/* Is the descriptor still what the name leads to? Who locks late may hold what was just renamed away. */
static bool is_current(int fd, const char *path)
{
    struct stat mine, now;
    return fstat(fd, &mine) == 0 && stat(path, &now) == 0 && mine.st_dev == now.st_dev &&
           mine.st_ino == now.st_ino;
}

static enum gram_status write_locked(const struct gram_output_file *file, const char *target,
                                     const char *key, const void *block, size_t bytes,
                                     struct gram_error *err)
{
    char page[PAGE] = {0};
    struct header header = {.bytes = bytes};

    memcpy(header.magic, magic, sizeof magic);
    memcpy(header.key, key, GRAM_SHA256_HEX);
    memcpy(page, &header, sizeof header);
    GRAM_TRY(gram_output_resize(file, 0, err));
    GRAM_TRY(gram_output_write(file, 0, page, sizeof page, err));
    GRAM_TRY(gram_output_write(file, PAGE, block, bytes, err));
    GRAM_TRY(gram_output_sync(file, err));
    if (rename(file->path, target) != 0)
        return gram_fail(err, gram_status_of_errno(errno), "%s: cannot be renamed: %s", file->path,
                         strerror(errno));
    return GRAM_OK;
}

/* The file under its temporary name is locked while it is written; one that was left is written over. */
static enum gram_status write_at(char *target, const char *key, const void *block, size_t bytes,
                                 struct gram_error *err)
{
    struct gram_buf partial = {0};
    enum gram_status status = GRAM_OK;

    make_folders(target);
    gram_buf_printf(&partial, "%s.partial", target);
    if (partial.failed)
        return gram_fail_memory(err, target);
    const int fd = open(partial.at, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
    if (fd < 0) {
        status = gram_fail(err, gram_status_of_errno(errno), "%s: cannot be created: %s", partial.at,
                           strerror(errno));
    } else if (flock(fd, LOCK_EX | LOCK_NB) == 0 && is_current(fd, partial.at)) {
        const struct gram_output_file file = {.fd_plus_1 = fd + 1, .path = partial.at};
        status = write_locked(&file, target, key, block, bytes, err);
        if (status != GRAM_OK)
            unlink(partial.at);
    }
    if (fd >= 0)
        close(fd);
    gram_buf_reset(&partial);
    return status;
}

enum gram_status gram_packed_write(const struct gram_checkpoint *ck, const char key[GRAM_SHA256_HEX],
                                   const void *block, size_t bytes, struct gram_error *err)
{
    enum gram_status status = GRAM_ENOENT;

    for (int i = 0; i < PLACES && status != GRAM_OK; i++) {
        char *path = places[i](ck);
        if (path)
            status = write_at(path, key, block, bytes, err);
        else if (i == 0)
            status = gram_fail_memory(err, ck->path);
        free(path);
    }
    return status;
}
