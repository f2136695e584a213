/* The shared hostile files of kind safetensors and hf_dir: each refused with a sentence, or opened,
 * as stated. */
#include "support.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/store.h"

static bool is_kind(const char *kind)
{
    return strcmp(kind, "safetensors") == 0 || strcmp(kind, "hf_dir") == 0;
}

/* Copy a folder, file by file; a file that only holds the name of another one becomes the link that
 * it stands for (some ways of copying the corpus flatten links so). */
static void copy_with_links(const char *from, const char *to)
{
    DIR *folder = opendir(from);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        char source[4096], target[4096], linked[8192];
        struct stat st;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(source, sizeof source, "%s/%s", from, entry->d_name);
        snprintf(target, sizeof target, "%s/%s", to, entry->d_name);
        assert_int_equal(stat(source, &st), 0);
        if (S_ISDIR(st.st_mode)) {
            assert_int_equal(mkdir(target, 0700), 0);
            copy_with_links(source, target);
            continue;
        }
        size_t n;
        char *bytes = read_file(source, &n);
        snprintf(linked, sizeof linked, "%s/%.200s", from, bytes);
        if (n < 200 && strstr(bytes, "/") && access(linked, R_OK) == 0)
            assert_int_equal(symlink(bytes, target), 0);
        else
            write_file(target, bytes, n);
        free(bytes);
    }
    closedir(folder);
}

/* NULL when the case ended as expected ("ok", "error" or "any"), else what it did. */
static const char *verdict(const char *path, const char *expected)
{
    static char text[600];
    struct gram_store *store;
    struct gram_error err = {0};
    const enum gram_status status = gram_store_open(&store, path, &err);
    const bool is_ok = status == GRAM_OK;

    gram_store_close(&store);
    if (!is_ok && (err.message[0] == '\0' || err.status != status || status == GRAM_ENOMEM))
        return "failed without a proper sentence";
    if (strcmp(expected, "any") == 0 || strcmp(expected, is_ok ? "ok" : "error") == 0)
        return NULL;
    snprintf(text, sizeof text, "%s %s", is_ok ? "opened" : "refused:", err.message);
    return text;
}

static void walk(const char *manifest, int *n_cases, int *n_wrong)
{
    char *text = read_file(shared_path(manifest), NULL);
    char *save = NULL;

    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char path[256], kind[64], expected[16] = "any", full[512];
        const char *last = strrchr(line, '\t');
        if (sscanf(line, "%255[^\t]\t%63[^\t]", path, kind) != 2 || !is_kind(kind))
            continue;
        if (strstr(manifest, "MANIFEST"))
            snprintf(expected, sizeof expected, "%.15s", last + 1);
        snprintf(full, sizeof full, "hostile/%s", path);
        const char *at = shared_path(full);
        if (strcmp(kind, "hf_dir") == 0) {
            const char *copy = fresh_folder();
            copy_with_links(at, copy);
            at = copy;
        }
        ++*n_cases;
        const char *wrong = verdict(at, expected);
        if (wrong) {
            ++*n_wrong;
            print_message("# %s: must be %s: %s\n", path, expected, wrong);
        }
    }
    free(text);
}

static void every_hostile_file_ends_as_the_manifest_says(void **state)
{
    int n_cases = 0, n_wrong = 0;
    (void)state;
    need_shared("hostile/MANIFEST.tsv");
    walk("hostile/MANIFEST.tsv", &n_cases, &n_wrong);
    walk("hostile/AMBIGUOUS.tsv", &n_cases, &n_wrong);
    print_message("# %d hostile files, %d ended wrong\n", n_cases, n_wrong);
    assert_true(n_cases > 90);
    assert_int_equal(n_wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_hostile_file_ends_as_the_manifest_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
