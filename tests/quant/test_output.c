/* Output folders: whole or not at all, one job at a time, resumable. */
#include "support.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/output.h"

static struct gram_error err;
static char target[256], partial[300];

static void in_fresh_folder(void)
{
    snprintf(target, sizeof target, "%s/out", fresh_folder());
    snprintf(partial, sizeof partial, "%s.partial", target);
}

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static const char *inside(const char *folder, const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void expect_file(const char *path, const char *content)
{
    size_t n;
    char *bytes = read_file(path, &n);
    assert_string_equal(bytes, content);
    free(bytes);
}

static void nothing_has_the_final_name_before_publishing(void **state)
{
    struct gram_output *o;

    (void)state;
    in_fresh_folder();
    MUST(gram_output_open(&o, target, false, &err));
    MUST(gram_output_put(o, "config.json", "{}", 2, &err));
    assert_false(exists(target));
    MUST(gram_output_publish(&o, &err));
    assert_null(o);
    expect_file(inside(target, "config.json"), "{}");
    assert_false(exists(partial));
}

static void a_discarded_output_leaves_nothing(void **state)
{
    struct gram_output *o;

    (void)state;
    in_fresh_folder();
    MUST(gram_output_open(&o, target, false, &err));
    MUST(gram_output_put(o, "a", "1", 1, &err));
    MUST(gram_output_note(o, "a", &err));
    gram_output_discard(&o);
    assert_false(exists(partial));
    assert_false(exists(target));
}

static void an_existing_target_is_kept_unless_forced(void **state)
{
    struct gram_output *o;

    (void)state;
    in_fresh_folder();
    mkdir(target, 0777);
    write_file(inside(target, "config.json"), "old", 3);
    MUST_FAIL(GRAM_EEXIST, "--force", gram_output_open(&o, target, false, &err));
    assert_false(exists(partial));
    MUST(gram_output_open(&o, target, true, &err));
    MUST(gram_output_put(o, "config.json", "new", 3, &err));
    expect_file(inside(target, "config.json"), "old");
    MUST(gram_output_publish(&o, &err));
    expect_file(inside(target, "config.json"), "new");
    assert_false(exists(partial));
}

static void a_folder_that_holds_no_model_is_never_replaced(void **state)
{
    struct gram_output *o;

    (void)state;
    in_fresh_folder();
    mkdir(target, 0777);
    write_file(inside(target, "thesis.tex"), "x", 1);
    MUST_FAIL(GRAM_EEXIST, "holds no model", gram_output_open(&o, target, true, &err));
    in_fresh_folder();
    write_file(target, "x", 1);
    MUST_FAIL(GRAM_EEXIST, "not a folder", gram_output_open(&o, target, true, &err));
    in_fresh_folder();
    assert_int_equal(symlink("/tmp", target), 0);
    MUST_FAIL(GRAM_EEXIST, "not a folder", gram_output_open(&o, target, true, &err));
}

static void a_second_job_on_one_output_is_refused(void **state)
{
    struct gram_output *first, *second;

    (void)state;
    in_fresh_folder();
    MUST(gram_output_open(&first, target, false, &err));
    MUST_FAIL(GRAM_EEXIST, "another job", gram_output_open(&second, target, false, &err));
    gram_output_close(&first);
    MUST(gram_output_open(&second, target, false, &err));
    gram_output_discard(&second);
}

static void a_later_run_sees_the_whole_lines_of_the_journal(void **state)
{
    struct gram_output *o;
    struct gram_output_file file;
    char byte;

    (void)state;
    in_fresh_folder();
    MUST(gram_output_open(&o, target, false, &err));
    MUST(gram_output_file_create(&file, o, "data", &err));
    MUST(gram_output_write(&file, 5, "x", 1, &err));
    MUST(gram_output_file_close(&file, &err));
    MUST(gram_output_note(o, "first", &err));
    gram_output_close(&o);
    FILE *f = fopen(inside(partial, "journal"), "a");
    fputs("torn li", f);
    fclose(f);
    MUST(gram_output_open(&o, target, false, &err));
    assert_string_equal(gram_output_journal(o), "first\n");
    MUST(gram_output_note(o, "second", &err));
    MUST(gram_output_file_reopen(&file, o, "data", &err));
    MUST(gram_output_read(&file, 5, &byte, 1, &err));
    assert_int_equal(byte, 'x');
    MUST_FAIL(GRAM_EIO, "byte 6", gram_output_read(&file, 6, &byte, 1, &err));
    MUST(gram_output_file_close(&file, &err));
    expect_file(inside(partial, "journal"), "first\nsecond\n");
    MUST(gram_output_start_afresh(o, &err));
    assert_string_equal(gram_output_journal(o), "");
    assert_false(exists(inside(partial, "model/data")));
    gram_output_discard(&o);
}

static void a_folder_of_that_name_from_elsewhere_is_not_touched(void **state)
{
    struct gram_output *o;

    (void)state;
    in_fresh_folder();
    mkdir(partial, 0777);
    write_file(inside(partial, "mine"), "x", 1);
    MUST_FAIL(GRAM_EEXIST, "move it away", gram_output_open(&o, target, false, &err));
    assert_true(exists(inside(partial, "mine")));
}

/* A run killed between the rename and the clean-up left the journal behind. */
static void a_finished_run_is_recognized(void **state)
{
    struct gram_output *o;
    struct stat st;
    char line[128];

    (void)state;
    in_fresh_folder();
    mkdir(target, 0777);
    mkdir(partial, 0777);
    stat(target, &st);
    snprintf(line, sizeof line, "publish %ju %ju\n", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    write_file(inside(partial, "journal"), line, strlen(line));
    MUST(gram_output_open(&o, target, false, &err));
    assert_true(gram_output_is_published(o));
    gram_output_discard(&o);
    assert_false(exists(partial));
    assert_true(exists(target));
}

static void links_in_the_folder_are_not_followed(void **state)
{
    struct gram_output_file file;
    struct gram_output *o;

    (void)state;
    in_fresh_folder();
    MUST(gram_output_open(&o, target, false, &err));
    assert_int_equal(symlink("/etc/passwd", inside(gram_output_folder(o), "data")), 0);
    MUST_FAIL(GRAM_EIO, "cannot be opened", gram_output_file_create(&file, o, "data", &err));
    MUST_FAIL(GRAM_EIO, "cannot be opened", gram_output_file_reopen(&file, o, "data", &err));
    gram_output_discard(&o);
}

static void input_and_output_are_kept_apart(void **state)
{
    struct gram_output *o;
    char root[128], path[300];

    (void)state;
    in_fresh_folder();
    snprintf(root, sizeof root, "%.*s", (int)(strrchr(target, '/') - target), target);
    MUST(gram_output_open(&o, target, false, &err));
    MUST_FAIL(GRAM_EINVAL, "inside the input", gram_output_check_apart(o, root, &err));
    MUST_FAIL(GRAM_EINVAL, "inside the output", gram_output_check_apart(o, partial, &err));
    mkdir(target, 0777);
    MUST_FAIL(GRAM_EINVAL, "same folder", gram_output_check_apart(o, target, &err));
    snprintf(path, sizeof path, "%s/deep", target);
    mkdir(path, 0777);
    MUST_FAIL(GRAM_EINVAL, "inside the output", gram_output_check_apart(o, path, &err));
    snprintf(path, sizeof path, "%s-2", target); /* a common beginning is no relation */
    mkdir(path, 0777);
    MUST(gram_output_check_apart(o, path, &err));
    gram_output_discard(&o);
}

static void a_target_needs_a_name_and_a_parent(void **state)
{
    struct gram_output *o;

    (void)state;
    in_fresh_folder();
    MUST_FAIL(GRAM_EINVAL, "new name", gram_output_open(&o, "/", false, &err));
    MUST_FAIL(GRAM_EINVAL, "new name", gram_output_open(&o, "..", false, &err));
    MUST_FAIL(GRAM_EINVAL, "new name", gram_output_open(&o, "", false, &err));
    MUST_FAIL(GRAM_ENOENT, "does not exist",
              gram_output_open(&o, inside(target, "x"), false, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_has_the_final_name_before_publishing),
        cmocka_unit_test(a_discarded_output_leaves_nothing),
        cmocka_unit_test(an_existing_target_is_kept_unless_forced),
        cmocka_unit_test(a_folder_that_holds_no_model_is_never_replaced),
        cmocka_unit_test(a_second_job_on_one_output_is_refused),
        cmocka_unit_test(a_later_run_sees_the_whole_lines_of_the_journal),
        cmocka_unit_test(a_folder_of_that_name_from_elsewhere_is_not_touched),
        cmocka_unit_test(a_finished_run_is_recognized),
        cmocka_unit_test(links_in_the_folder_are_not_followed),
        cmocka_unit_test(input_and_output_are_kept_apart),
        cmocka_unit_test(a_target_needs_a_name_and_a_parent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
