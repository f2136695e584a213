/*
 * Cut at every byte and flipped at every bit: small control files end in an error or load, never in
 * a crash. Under sanitizers this is the test that sees a read outside the file.
 */
#include "support.h"

#include <dirent.h>

#include "base/file.h"
#include "formats/hf_index.h"
#include "st.h"

/* What a reader makes of these bytes, held in memory of exactly their size. */
typedef enum gram_status reader_fn(const struct gram_file *file, struct gram_arena *arena,
                                   struct gram_error *err);

static enum gram_status read_tensors(const struct gram_file *file, struct gram_arena *arena,
                                     struct gram_error *err)
{
    struct gram_tensor *tensors;
    size_t n;
    const enum gram_status status = gram_safetensors_read(file, arena, &tensors, &n, err);

    for (size_t i = 0; status == GRAM_OK && i < n; i++) { /* touch all that was promised */
        unsigned sum = 0;
        for (uint64_t k = 0; k < tensors[i].bytes; k++)
            sum += ((const uint8_t *)tensors[i].data)[k];
        assert_true(sum < 256 * tensors[i].bytes + 1 && strlen(tensors[i].name) <= 4096);
    }
    return status;
}

static enum gram_status read_index(const struct gram_file *file, struct gram_arena *arena,
                                   struct gram_error *err)
{
    struct gram_hf_index index;
    const enum gram_status status = gram_hf_index_read(&index, file, arena, err);

    for (size_t i = 0; status == GRAM_OK && i < index.n; i++)
        assert_true(index.shard_of[i] >= 0 && index.shard_of[i] < index.n_shards);
    return status;
}

static enum gram_status read_bytes(reader_fn *reader, const char *bytes, size_t size)
{
    struct gram_error err = {0};
    struct gram_arena arena = {0};
    struct gram_file *file;
    char *copy = malloc(size ? size : 1);

    assert_non_null(copy);
    memcpy(copy, bytes, size);
    assert_int_equal(gram_file_from_bytes(&file, copy, size, "damaged", &err), GRAM_OK);
    const enum gram_status status = reader(file, &arena, &err);
    assert_true(status == GRAM_OK || strstr(err.message, "damaged: ") == err.message);
    gram_file_close(&file);
    gram_arena_reset(&arena);
    free(copy);
    return status;
}

/* Bytes of length and header; all of an index. */
static size_t header_size(reader_fn *reader, const char *bytes, size_t size)
{
    if (reader == read_index)
        return size;
    return 8 +
           ((uint8_t)bytes[0] | (size_t)(uint8_t)bytes[1] << 8 | (size_t)(uint8_t)bytes[2] << 16);
}

static void damage(reader_fn *reader, const char *bytes, size_t size, const char *name)
{
    const size_t header = header_size(reader, bytes, size);
    char *copy = malloc(size);

    assert_non_null(copy);
    memcpy(copy, bytes, size);
    if (read_bytes(reader, bytes, size) != GRAM_OK)
        fail_msg("%s: the control itself does not load", name);
    for (size_t cut = 0; cut < size; cut += cut < header ? 1 : 1 + size / 1000) {
        if (read_bytes(reader, bytes, cut) == GRAM_OK)
            fail_msg("%s: loads when cut at byte %zu of %zu", name, cut, size);
    }
    for (size_t bit = 0; bit < 8 * header; bit++) {
        copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
        read_bytes(reader, copy, size);
        copy[bit / 8] = bytes[bit / 8];
    }
    free(copy);
}

static void our_own_controls_survive(void **state)
{
    static const char index[] =
        "{\"metadata\":{\"total_size\":96},\"weight_map\":{\"a\":\"model-1.safetensors\","
        "\"b\\u00e9\":\"model-2.safetensors\"}}";
    const struct gram_tensor tensors[] = {
        st_tensor("model.embed.weight", GRAM_BF16, 2, (const int64_t[]){5, 3}),
        st_tensor("norm \"\\\n\xc3\xa9", GRAM_F32, 1, (const int64_t[]){3}),
        st_tensor("none", GRAM_I8, 2, (const int64_t[]){0, 4}),
        st_tensor("scalar", GRAM_F4, 1, (const int64_t[]){2}),
    };
    struct gram_buf out = {0};
    (void)state;

    damage(read_index, index, strlen(index), "index");
    assert_true(gram_safetensors_header(&out, tensors, 4));
    gram_buf_str(&out, "0123456789012345678901234567890123456789012");
    damage(read_tensors, out.at, out.len, "written");
    gram_buf_reset(&out);
}

static void damage_file(reader_fn *reader, const char *path)
{
    size_t size;
    char *bytes = read_file(path, &size);
    if (size < 20000) /* the time is quadratic */
        damage(reader, bytes, size, path);
    free(bytes);
}

static void the_shared_controls_survive(void **state)
{
    (void)state;
    need_shared("hostile/safetensors");
    DIR *folder = opendir(shared_path("hostile/safetensors"));
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        char name[512];
        snprintf(name, sizeof name, "hostile/safetensors/%.200s", entry->d_name);
        if (strncmp(entry->d_name, "st_ok_", 6) == 0)
            damage_file(read_tensors, shared_path(name));
    }
    closedir(folder);
    damage_file(read_index,
                shared_path("hostile/hf_dir/ix_ok_two_shards/model.safetensors.index.json"));
    damage_file(read_tensors,
                shared_path("hostile/hf_dir/ix_ok_two_shards/model-00002-of-00002.safetensors"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_controls_survive),
        cmocka_unit_test(the_shared_controls_survive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
