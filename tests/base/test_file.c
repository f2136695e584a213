/* Mapped files: only regular ones, never outside their bytes. */
#include "support.h"

#include <unistd.h>

#include "base/file.h"

static void a_view_stays_inside_the_file(void **state)
{
    struct gram_error err = {0};
    struct gram_file *file;
    char path[256];
    (void)state;

    snprintf(path, sizeof path, "%s/a", fresh_folder());
    write_file(path, "0123456789", 10);
    MUST(gram_file_open(&file, path, &err));
    assert_true(gram_file_size(file) == 10);
    assert_string_equal(gram_file_path(file), path);
    assert_memory_equal(gram_file_view(file, 0, 10), "0123456789", 10);
    assert_memory_equal(gram_file_view(file, 7, 3), "789", 3);
    assert_non_null(gram_file_view(file, 10, 0));
    assert_ptr_equal(gram_file_view(file, 4, 0), (const char *)gram_file_view(file, 0, 10) + 4);
    assert_null(gram_file_view(file, 0, 11));
    assert_null(gram_file_view(file, 11, 0));
    assert_null(gram_file_view(file, UINT64_MAX, 2));
    assert_null(gram_file_view(file, 2, UINT64_MAX));
    gram_file_close(&file);
    assert_null(file);
    gram_file_close(&file);
    gram_file_close(NULL);
}

static void an_empty_file_has_only_empty_views(void **state)
{
    struct gram_error err = {0};
    struct gram_file *file;
    char path[256];
    (void)state;

    snprintf(path, sizeof path, "%s/a", fresh_folder());
    write_file(path, "", 0);
    MUST(gram_file_open(&file, path, &err));
    assert_non_null(gram_file_view(file, 0, 0));
    assert_null(gram_file_view(file, 0, 1));
    gram_file_release(file, 0, 0);
    gram_file_close(&file);
}

static void released_pages_are_read_again(void **state)
{
    enum { SIZE = 300000 };
    struct gram_error err = {0};
    struct gram_file *file;
    char path[256], *bytes = malloc(SIZE);
    (void)state;

    assert_non_null(bytes);
    for (int i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 7 + i / 251);
    snprintf(path, sizeof path, "%s/a", fresh_folder());
    write_file(path, bytes, SIZE);
    MUST(gram_file_open(&file, path, &err));
    for (uint64_t at = 0; at < SIZE; at += 12345) {
        gram_file_willneed(file, at, SIZE - at);
        assert_memory_equal(gram_file_view(file, 0, SIZE), bytes, SIZE);
        gram_file_release(file, at, 10000);
        gram_file_release(file, at, SIZE); /* past the end: nothing happens */
        assert_memory_equal(gram_file_view(file, 0, SIZE), bytes, SIZE);
    }
    gram_file_close(&file);
    free(bytes);
}

static void a_file_of_bytes_borrows_them(void **state)
{
    static const char bytes[] = "header";
    struct gram_error err = {0};
    struct gram_file *file;
    (void)state;

    MUST(gram_file_from_bytes(&file, bytes, 6, "memory", &err));
    assert_ptr_equal(gram_file_view(file, 1, 5), bytes + 1);
    assert_null(gram_file_view(file, 1, 6));
    gram_file_release(file, 0, 6);
    assert_string_equal(bytes, "header");
    gram_file_close(&file);
    MUST(gram_file_from_bytes(&file, NULL, 0, "memory", &err));
    assert_non_null(gram_file_view(file, 0, 0));
    gram_file_close(&file);
}

static void what_is_missing_is_named(void **state)
{
    struct gram_error err = {0};
    struct gram_file *file;
    (void)state;
    MUST_FAIL(GRAM_ENOENT, "/nowhere/at/all", gram_file_open(&file, "/nowhere/at/all", &err));
    assert_null(file);
    MUST_FAIL(GRAM_EFORMAT, "not a regular file", gram_file_open(&file, "/dev/null", &err));
    MUST_FAIL(GRAM_EFORMAT, "not a regular file", gram_file_open(&file, "/tmp", &err));
}

static void paths_are_joined_with_one_slash(void **state)
{
    static const struct {
        const char *dir, *name, *path;
    } cases[] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"}, {"a/b", "c/d", "a/b/c/d"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *path = gram_path_join(cases[i].dir, cases[i].name);
        assert_string_equal(path, cases[i].path);
        free(path);
    }
}

static void existence_is_of_the_name_and_folders_are_followed(void **state)
{
    const char *dir = fresh_folder();
    char link[256];
    (void)state;
    snprintf(link, sizeof link, "%s/link", dir);
    assert_false(gram_path_exists(link));
    assert_int_equal(symlink("/nowhere", link), 0);
    assert_true(gram_path_exists(link));
    assert_false(gram_path_is_dir(link));
    assert_int_equal(unlink(link), 0);
    assert_int_equal(symlink(dir, link), 0);
    assert_true(gram_path_is_dir(link));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_view_stays_inside_the_file),
        cmocka_unit_test(an_empty_file_has_only_empty_views),
        cmocka_unit_test(released_pages_are_read_again),
        cmocka_unit_test(a_file_of_bytes_borrows_them),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(paths_are_joined_with_one_slash),
        cmocka_unit_test(existence_is_of_the_name_and_folders_are_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
