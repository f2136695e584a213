/* Which folder a MODEL argument means. */
#include "support.h"

#include <sys/stat.h>
#include <unistd.h>

#include "formats/hub.h"

static const char *const variables[] = {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME",
                                        "XDG_CACHE_HOME", "HOME"};

static int forget_the_environment(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        unsetenv(variables[i]);
    return 0;
}

/* Make root/a/b/c, folder by folder. */
static void make_folders(const char *root, const char *relative)
{
    char path[800];
    for (const char *end = relative; end; end = strchr(end + 1, '/')) {
        snprintf(path, sizeof path, "%s/%.*s", root, (int)(end - relative), relative);
        mkdir(path, 0700);
    }
    snprintf(path, sizeof path, "%s/%s", root, relative);
    mkdir(path, 0700);
}

#define COMMIT "0123456789abcdef0123456789abcdef01234567"

/* A cache as huggingface_hub lays it out, under root/prefix. */
static void make_cache(const char *root, const char *prefix)
{
    char path[600];
    snprintf(path, sizeof path, "%smodels--org--name.v1/refs", prefix);
    make_folders(root, path);
    snprintf(path, sizeof path, "%smodels--org--name.v1/snapshots/" COMMIT, prefix);
    make_folders(root, path);
    snprintf(path, sizeof path, "%s/%smodels--org--name.v1/refs/main", root, prefix);
    write_file(path, COMMIT "\n", strlen(COMMIT) + 1);
}

static void an_existing_path_is_itself(void **state)
{
    struct gram_error err = {0};
    const char *dir = fresh_folder();
    char *out;
    (void)state;
    MUST(gram_hub_resolve(&out, dir, &err));
    assert_string_equal(out, dir);
    free(out);
}

static void each_variable_leads_to_the_cache(void **state)
{
    static const char *const prefixes[] = {"", "", "hub/", "huggingface/hub/",
                                           ".cache/huggingface/hub/"};
    (void)state;
    for (size_t i = 5; i-- > 0;) { /* the strongest last: it must win over those set before */
        struct gram_error err = {0};
        const char *root = fresh_folder();
        char expected[600], *out;
        make_cache(root, prefixes[i]);
        setenv(variables[i], root, 1);
        MUST(gram_hub_resolve(&out, "org/name.v1", &err));
        snprintf(expected, sizeof expected, "%s/%smodels--org--name.v1/snapshots/" COMMIT, root,
                 prefixes[i]);
        assert_string_equal(out, expected);
        free(out);
    }
}

static void what_is_not_cached_says_where_was_looked(void **state)
{
    struct gram_error err = {0};
    const char *root = fresh_folder();
    char *out;
    (void)state;
    setenv("HF_HUB_CACHE", root, 1);
    MUST_FAIL(GRAM_ENOENT, "models--org--other/refs/main",
              gram_hub_resolve(&out, "org/other", &err));
    assert_null(out);
    MUST_FAIL(GRAM_ENOENT, root, gram_hub_resolve(&out, "org/other", &err));
    forget_the_environment(NULL);
    MUST_FAIL(GRAM_ENOENT, "no HOME", gram_hub_resolve(&out, "org/other", &err));
}

static void a_ref_that_is_no_commit_leads_nowhere(void **state)
{
    static const char *const refs[] = {"", "../../..", "\n", "0123", "/etc", COMMIT COMMIT COMMIT};
    const char *root = fresh_folder();
    char path[600];
    (void)state;
    make_cache(root, "");
    setenv("HF_HUB_CACHE", root, 1);
    snprintf(path, sizeof path, "%s/models--org--name.v1/refs/main", root);
    for (size_t i = 0; i < sizeof refs / sizeof refs[0]; i++) {
        struct gram_error err = {0};
        char *out;
        write_file(path, refs[i], strlen(refs[i]));
        MUST_FAIL(GRAM_ENOENT, "org/name.v1", gram_hub_resolve(&out, "org/name.v1", &err));
    }
}

static void names_that_are_no_hub_names_are_only_paths(void **state)
{
    static const char *const names[] = {"",       "name",    "/",       "/name",  "org/",
                                        "a/b/c",  "../name", "org/..",  "./name", "org/na me",
                                        "o\n/na", "~/name",  "org\\/x", "a/b\x1b"};
    (void)state;
    setenv("HF_HUB_CACHE", fresh_folder(), 1);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct gram_error err = {0};
        char *out = NULL;
        if (strcmp(names[i], "/") == 0)
            continue;
        MUST_FAIL(GRAM_ENOENT, "no such file or directory", gram_hub_resolve(&out, names[i], &err));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_existing_path_is_itself, forget_the_environment),
        cmocka_unit_test_setup(each_variable_leads_to_the_cache, forget_the_environment),
        cmocka_unit_test_setup(what_is_not_cached_says_where_was_looked, forget_the_environment),
        cmocka_unit_test_setup(a_ref_that_is_no_commit_leads_nowhere, forget_the_environment),
        cmocka_unit_test_setup(names_that_are_no_hub_names_are_only_paths, forget_the_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
