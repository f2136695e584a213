/* Paths, folders and files for tests. */
#include "support.h"

#include <ftw.h>
#include <unistd.h>

static const char *join(const char *root, const char *relative)
{
    static char paths[8][4096];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", root, relative);
    return path;
}

const char *shared_path(const char *relative)
{
    const char *root = getenv("GRAM_SHARED");
    return join(root ? root : "../shared", relative);
}

const char *source_path(const char *relative)
{
    const char *root = getenv("GRAM_SOURCE");
    return join(root ? root : ".", relative);
}

void need_shared(const char *relative)
{
    if (access(shared_path(relative), R_OK) == 0)
        return;
    print_message("# skipped: %s is not there\n", shared_path(relative));
    skip();
}

/*
 * Stands in for cmocka's own, through which all its output goes: cmocka 1.1.5 reports a skipped test as
 * "not ok 1 # SKIP", which TAP readers take for a failure.
 */
__attribute__((visibility("default"))) void print_message(const char *const format, ...)
{
    static const char skipped[] = "not ok %u # SKIP";
    const bool is_skip = strncmp(format, skipped, sizeof skipped - 1) == 0;
    va_list args;

    va_start(args, format);
    vprint_message(is_skip ? format + strlen("not ") : format, args);
    va_end(args);
}

static char folders[256][64];
static int n_folders;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st, (void)type, (void)walk;
    return remove(path);
}

static void remove_folders(void)
{
    for (int i = 0; i < n_folders; i++)
        nftw(folders[i], remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fresh_folder(void)
{
    if (n_folders == 0)
        atexit(remove_folders);
    assert_true(n_folders < 256);
    char *name = folders[n_folders++];
    snprintf(name, sizeof folders[0], "/tmp/gram-test-XXXXXX");
    assert_non_null(mkdtemp(name));
    return name;
}

void write_file(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    if (!f)
        fail_msg("%s: cannot be written", path);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

char *read_file(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("%s: cannot be read", path);
    fseek(f, 0, SEEK_END);
    const long size = ftell(f);
    rewind(f);
    char *bytes = malloc((size_t)size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, (size_t)size, f), (size_t)size);
    fclose(f);
    bytes[size] = '\0';
    if (n)
        *n = (size_t)size;
    return bytes;
}
