/* A model's tensors by name, from one file or from shards; and the many ways in which shards can
 * lie. */
#include "support.h"

#include <sys/stat.h>
#include <unistd.h>

#include "formats/store.h"
#include "st.h"

static const char *path_in(const char *dir, const char *name)
{
    static char paths[8][512];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static void write_text(const char *dir, const char *name, const char *text)
{
    write_file(path_in(dir, name), text, strlen(text));
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
#define INDEX     "model.safetensors.index.json"

/* Shards "1.safetensors" (a, b) and "2.safetensors" (c), and this weight_map. */
static const char *sharded(const char *weight_map)
{
    const char *dir = fresh_folder();
    char index[2048];
    st_write(path_in(dir, "1.safetensors"), LIST("a", "b"));
    st_write(path_in(dir, "2.safetensors"), LIST("c"));
    snprintf(index, sizeof index, "{\"metadata\":{\"total_size\":1},\"weight_map\":%s}",
             weight_map);
    write_text(dir, INDEX, index);
    return dir;
}

static void must_fail(const char *dir, enum gram_status status, const char *part)
{
    struct gram_error err = {0};
    struct gram_store *store;
    MUST_FAIL(status, part, gram_store_open(&store, dir, &err));
    assert_null(store);
}

static struct gram_store *must_open(const char *path)
{
    struct gram_error err = {0};
    struct gram_store *store;
    MUST(gram_store_open(&store, path, &err));
    return store;
}

static void shards_are_one_store_in_the_order_of_their_names(void **state)
{
    const char *dir =
        sharded("{\"c\":\"2.safetensors\",\"b\":\"1.safetensors\",\"a\":\"1.safetensors\"}");
    struct gram_store *store = must_open(dir);
    (void)state;

    assert_int_equal(gram_store_files(store), 2);
    assert_string_equal(gram_store_file_path(store, 1), path_in(dir, "2.safetensors"));
    assert_int_equal(gram_store_file_size(store, 1) % 64, 24);
    assert_int_equal(gram_store_count(store), 3);
    assert_int_equal(gram_store_bytes(store), 3 * 24);
    for (size_t i = 0; i < 3; i++) {
        const struct gram_tensor *t = gram_store_at(store, i);
        assert_string_equal(t->name, LIST("a", "b", "c")[i]);
        assert_ptr_equal(gram_store_find(store, t->name), t);
        assert_int_equal(t->file, i == 2);
    }
    assert_true(((const float *)gram_store_find(store, "b")->data)[0] == 6.0f);
    assert_null(gram_store_find(store, "d"));
    assert_null(gram_store_find(store, ""));
    gram_store_close(&store);
    assert_null(store);
    gram_store_close(&store);
    gram_store_close(NULL);
}

static void a_lone_file_and_a_folder_with_one_are_opened(void **state)
{
    static const char *const names[] = {"model.safetensors", "adapter_model.safetensors"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const char *dir = fresh_folder();
        st_write(path_in(dir, names[i]), LIST("a"));
        write_text(dir, "config.json", "{}");
        write_text(dir, ".hidden.safetensors", "");
        const char *paths[] = {dir, path_in(dir, names[i])};
        for (size_t k = 0; k < 2; k++) {
            struct gram_store *store = must_open(paths[k]);
            assert_non_null(gram_store_find(store, "a"));
            gram_store_close(&store);
        }
    }
}

static void the_index_comes_first_then_model_safetensors(void **state)
{
    const char *dir = sharded("{\"c\":\"2.safetensors\"}");
    (void)state;
    st_write(path_in(dir, "model.safetensors"), LIST("x"));
    struct gram_store *store = must_open(dir);
    assert_non_null(gram_store_find(store, "c"));
    assert_null(gram_store_find(store, "x"));
    assert_int_equal(gram_store_files(store), 1); /* only what the index names */
    gram_store_close(&store);
    unlink(path_in(dir, INDEX));
    store = must_open(dir);
    assert_non_null(gram_store_find(store, "x"));
    gram_store_close(&store);
}

static void a_folder_without_weights_says_what_was_looked_for(void **state)
{
    const char *dir = fresh_folder();
    (void)state;
    must_fail(dir, GRAM_ENOENT, "model.safetensors.index.json");
    write_text(dir, "pytorch_model.bin", "PK");
    must_fail(dir, GRAM_EUNSUPPORTED, "pytorch_model.bin (PyTorch)");
    must_fail(dir, GRAM_EUNSUPPORTED, "convert the weights to safetensors");
    must_fail(path_in(dir, "pytorch_model.bin"), GRAM_EUNSUPPORTED, "PyTorch");
    st_write(path_in(dir, "1.safetensors"), LIST("a"));
    st_write(path_in(dir, "2.safetensors"), LIST("b"));
    must_fail(dir, GRAM_ENOENT, "2 safetensors files, but no " INDEX);
    must_fail(path_in(dir, "nothing"), GRAM_ENOENT, "nothing");
    must_fail(path_in(dir, "nothing.bin"), GRAM_ENOENT, "nothing.bin");
}

static void an_index_that_disagrees_with_its_shards_names_the_tensor(void **state)
{
    static const struct {
        const char *map, *part;
        enum gram_status status;
    } cases[] = {
        {"{\"a\":\"1.safetensors\",\"z\":\"1.safetensors\"}",
         "z should be in 1.safetensors, but is in no shard", GRAM_EFORMAT},
        {"{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}",
         "b should be in 2.safetensors, but is in 1.safetensors", GRAM_EFORMAT},
        {"{\"a\":\"3.safetensors\"}",
         "3.safetensors: the index names this file, but it is not there", GRAM_ENOENT},
        {"{\"a\":\"1.safetensors\",\"\\u0061\":\"1.safetensors\"}",
         "weight_map: 'a' is there twice", GRAM_EFORMAT},
        {"{}", "no weight_map with tensors", GRAM_EFORMAT},
        {"[]", "weight_map: JSON byte 42: an object expected", GRAM_EFORMAT},
        {"{\"a\":1}", "a string expected", GRAM_EFORMAT},
        {"{\"a\":\"1.safetensors\"},\"weight_map\":{}", "weight_map is there twice", GRAM_EFORMAT},
        {"{\"a\":\"" INDEX "\"}", INDEX ": a header of", GRAM_EFORMAT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        must_fail(sharded(cases[i].map), cases[i].status, cases[i].part);
}

static void a_tensor_in_two_shards_is_refused(void **state)
{
    const char *dir = sharded("{\"a\":\"1.safetensors\",\"c\":\"2.safetensors\"}");
    (void)state;
    st_write(path_in(dir, "2.safetensors"), LIST("c", "a"));
    must_fail(dir, GRAM_EFORMAT, "a is in two files");
}

/* Each of these would lead to evil.safetensors, which stands beside the model's folder and is well
 * formed. */
static void shard_names_stay_in_their_folder(void **state)
{
    static const struct {
        const char *name, *part;
    } cases[] = {
        {"../evil.safetensors", "path separator"},
        {"./evil.safetensors", "path separator"},
        {"sub/../../evil.safetensors", "path separator"},
        {"%s/evil.safetensors", "path separator"},
        {"..\\\\evil.safetensors", "path separator"},
        {"", "is empty"},
        {".", "is a folder"},
        {"..", "is a folder"},
        {"1.safetensors\\u0000", "NUL"},
        {"\\u0000", "NUL"},
    };
    const char *outer = fresh_folder();
    char dir[300], sub[320];
    (void)state;

    snprintf(dir, sizeof dir, "%s/model", outer);
    snprintf(sub, sizeof sub, "%s/sub", dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(mkdir(sub, 0700), 0);
    st_write(path_in(outer, "evil.safetensors"), LIST("a"));
    st_write(path_in(dir, "1.safetensors"), LIST("a"));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[400], index[600];
        snprintf(name, sizeof name, cases[i].name[0] == '%' ? "%s/evil.safetensors" : "%.0s%s",
                 outer, cases[i].name);
        snprintf(index, sizeof index, "{\"weight_map\":{\"a\":\"%s\"}}", name);
        write_text(dir, INDEX, index);
        must_fail(dir, GRAM_EFORMAT, cases[i].part);
    }
}

static void links_to_regular_files_are_shards(void **state)
{
    const char *dir = fresh_folder(), *blobs = fresh_folder();
    (void)state;
    st_write(path_in(blobs, "0123"), LIST("a"));
    assert_int_equal(symlink(path_in(blobs, "0123"), path_in(dir, "1.safetensors")), 0);
    assert_int_equal(symlink(path_in(blobs, "index"), path_in(dir, INDEX)), 0);
    write_text(blobs, "index", "{\"weight_map\":{\"a\":\"1.safetensors\"}}");
    struct gram_store *store = must_open(dir);
    gram_store_close(&store);
    unlink(path_in(blobs, "0123"));
    must_fail(dir, GRAM_ENOENT, "1.safetensors");
    assert_int_equal(symlink(dir, path_in(blobs, "0123")), 0);
    must_fail(dir, GRAM_EFORMAT, "not a regular file");
}

static void rows_are_released_and_read_again(void **state)
{
    const struct gram_tensor shapes[] = {
        st_tensor("head", GRAM_U8, 1, (const int64_t[]){100}),
        st_tensor("big", GRAM_F32, 2, (const int64_t[]){64, 1000}),
        st_tensor("scalar", GRAM_F32, 0, NULL),
        st_tensor("none", GRAM_F32, 2, (const int64_t[]){0, 4}),
    };
    const char *path = path_in(fresh_folder(), "model.safetensors");
    struct gram_buf out = {0};
    (void)state;

    assert_true(gram_safetensors_header(&out, shapes, 4));
    const size_t start = out.len;
    for (int i = 0; i < 100 + 64 * 1000 * 4 + 4; i++)
        gram_buf_add(&out, &(const char){(char)(i * 31 + i / 256)}, 1);
    write_file(path, out.at, out.len);
    struct gram_store *store = must_open(path);
    const struct gram_tensor *big = gram_store_find(store, "big");
    for (int64_t begin = 0; begin < 64; begin += 7) {
        gram_store_willneed(store, big, begin, 64);
        gram_store_release(store, big, begin, begin + 1);
        gram_store_release(store, big, begin, begin);
    }
    gram_store_release(store, gram_store_find(store, "scalar"), 0, 1);
    gram_store_willneed(store, gram_store_find(store, "none"), 0, 0);
    assert_memory_equal(big->data, out.at + start + 100, (size_t)big->bytes);
    gram_store_close(&store);
    gram_buf_reset(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_are_one_store_in_the_order_of_their_names),
        cmocka_unit_test(a_lone_file_and_a_folder_with_one_are_opened),
        cmocka_unit_test(the_index_comes_first_then_model_safetensors),
        cmocka_unit_test(a_folder_without_weights_says_what_was_looked_for),
        cmocka_unit_test(an_index_that_disagrees_with_its_shards_names_the_tensor),
        cmocka_unit_test(a_tensor_in_two_shards_is_refused),
        cmocka_unit_test(shard_names_stay_in_their_folder),
        cmocka_unit_test(links_to_regular_files_are_shards),
        cmocka_unit_test(rows_are_released_and_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
