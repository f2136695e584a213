/*
 * Things with a model's name that are no model: none hangs, each is refused in one printable
 * sentence. An alarm ends the test if something blocks.
 */
#include "support.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "formats/store.h"
#include "st.h"

enum { SECONDS = 60 }; /* far beyond any load; a FIFO would wait for ever */

static void make_fifo(const char *path)
{
    assert_int_equal(mkfifo(path, 0600), 0);
}

static void make_folder(const char *path)
{
    assert_int_equal(mkdir(path, 0700), 0);
}

static void make_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(fd >= 0 && strlen(path) < sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

static void make_empty(const char *path)
{
    write_file(path, "", 0);
}

static void link_to_null(const char *path)
{
    assert_int_equal(symlink("/dev/null", path), 0);
}

static void link_to_zero(const char *path)
{
    assert_int_equal(symlink("/dev/zero", path), 0);
}

static void link_to_memory(const char *path)
{
    assert_int_equal(symlink("/proc/self/mem", path), 0);
}

static void link_to_itself(const char *path)
{
    assert_int_equal(symlink(path, path), 0);
}

static void link_to_nothing(const char *path)
{
    assert_int_equal(symlink("/nowhere", path), 0);
}

static void make_unreadable(const char *path)
{
    write_file(path, "x", 1);
    assert_int_equal(chmod(path, 0), 0);
}

static void (*const makers[])(const char *path) = {
    make_fifo,    make_folder,    make_socket,    make_empty,      link_to_null,
    link_to_zero, link_to_memory, link_to_itself, link_to_nothing, make_unreadable,
};

static bool is_printable(const char *s)
{
    for (; *s; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return false;
    }
    return true;
}

static void must_be_refused(const char *path)
{
    struct gram_error err = {0};
    struct gram_store *store;
    const enum gram_status status = gram_store_open(&store, path, &err);
    if (status == GRAM_OK || !err.message[0] || !is_printable(err.message))
        fail_msg("%s: status %d, message '%s'", path, (int)status, err.message);
    assert_null(store);
}

/* As the file itself, as the only weights of a folder, as the index, and as a shard. */
static void special_files_are_refused_in_every_role(void **state)
{
    static const char *const names[] = {"alone.safetensors", "model.safetensors",
                                        "model.safetensors.index.json", "1.safetensors"};
    static const char index[] = "{\"weight_map\":{\"a\":\"1.safetensors\"}}";
    (void)state;
    alarm(SECONDS);
    for (size_t role = 0; role < 4; role++) {
        for (size_t i = 0; i < sizeof makers / sizeof makers[0]; i++) {
            char dir[128], path[256];
            snprintf(dir, sizeof dir, "%s", fresh_folder());
            snprintf(path, sizeof path, "%s/%s", dir, names[role]);
            makers[i](path);
            if (role == 3) {
                char index_path[256];
                snprintf(index_path, sizeof index_path, "%s/model.safetensors.index.json", dir);
                write_file(index_path, index, strlen(index));
            }
            must_be_refused(role == 0 ? path : dir);
        }
    }
    alarm(0);
}

static void control_characters_of_a_name_are_escaped_in_the_sentence(void **state)
{
    static const char *const names[] = {"new\nline", "\x1b[2Jclear", "bell\a", "\xff\xfe"};
    struct gram_error err = {0};
    struct gram_store *store;
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s.safetensors", fresh_folder(), names[i]);
        must_be_refused(path); /* not there */
        write_file(path, "oops", 4);
        must_be_refused(path);
    }
    static const char header[] = "{\"\\u001b[2J\\n\":{}}";
    struct gram_buf file = {0};
    const char *path = fresh_folder();
    char full[256];
    snprintf(full, sizeof full, "%s/model.safetensors", path);
    st_raw(&file, header, strlen(header), 0);
    write_file(full, file.at, file.len);
    gram_buf_reset(&file);
    MUST_FAIL(GRAM_EFORMAT, "\\x1b[2J\\x0a: no dtype", gram_store_open(&store, path, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_files_are_refused_in_every_role),
        cmocka_unit_test(control_characters_of_a_name_are_escaped_in_the_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
