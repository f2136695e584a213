/*
 * The files beside the tokenizer that say which tokens begin and end a text.
 *
 * BOS, the first that speaks: bos_token of tokenizer_config.json (null there means none), bos_token
 * of special_tokens_map.json, bos_token_id of generation_config.json, of config.json, of the
 * tokenizer's own file. EOS, all together: eos_token_id (one or a list) of generation_config.json
 * and config.json, eos_token of tokenizer_config.json, else of special_tokens_map.json, and of the
 * tokenizer's own file.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "tokenizer/parts.h"

static size_t number_length(const char *text, size_t len)
{
    size_t n = 0;

    while (n < len && text[n] != '\0' && strchr("0123456789.eE+-", text[n]))
        n++;
    return n;
}

/*
 * Copy JSON text, with ".0" behind integers of more than 18 digits. transformers writes "no limit"
 * as model_max_length 1000000000000000019884624838656, which fits no integer; as a real it can be
 * read.
 */
static void copy_with_reals(struct gram_buf *out, const char *text, size_t len)
{
    bool in_string = false;

    for (size_t i = 0, step; i < len; i += step) {
        const char c = text[i];
        step = in_string && c == '\\' && i + 1 < len ? 2 : 1;
        if (c == '"')
            in_string = !in_string;
        if (!in_string && c >= '0' && c <= '9')
            step = number_length(text + i, len - i);
        gram_buf_add(out, text + i, step);
        if (!in_string && step > 18 && !memchr(text + i, '.', step) &&
            !memchr(text + i, 'e', step) && !memchr(text + i, 'E', step))
            gram_buf_str(out, ".0");
    }
}

static enum gram_status parse_file(json_t **out, const char *path, struct gram_error *err)
{
    struct gram_buf text = {0};
    struct gram_file *file;

    GRAM_TRY(gram_file_open(&file, path, err));
    const size_t size = (size_t)gram_file_size(file);
    if (size > 0)
        copy_with_reals(&text, gram_file_view(file, 0, size), size);
    enum gram_status status = size == 0
                                  ? gram_fail(err, GRAM_EFORMAT, "%s: the file is empty", path)
                              : text.failed ? gram_fail_memory(err, path)
                                            : gram_json_parse(out, text.at, text.len, path, err);
    gram_buf_reset(&text);
    gram_file_close(&file);
    return status;
}

static enum gram_status load_one(json_t **out, const char *folder, const char *name,
                                 struct gram_error *err)
{
    enum gram_status status = GRAM_OK;
    char *path = gram_path_join(folder, name);

    if (!path)
        return gram_fail_memory(err, folder);
    if (gram_path_exists(path))
        status = parse_file(out, path, err);
    if (status == GRAM_OK && *out && !json_is_object(*out))
        status = gram_fail(err, GRAM_EFORMAT, "%s: expected an object", path);
    free(path);
    return status;
}

enum gram_status gram_companions_load(struct gram_companions *files, const char *folder,
                                      struct gram_error *err)
{
    *files = (struct gram_companions){0};
    const struct {
        json_t **out;
        const char *name;
    } list[] = {
        {&files->tokenizer_config, "tokenizer_config.json"},
        {&files->special_tokens_map, "special_tokens_map.json"},
        {&files->generation_config, "generation_config.json"},
        {&files->config, "config.json"},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        GRAM_TRY(load_one(list[i].out, folder, list[i].name, err));
    return GRAM_OK;
}

void gram_companions_reset(struct gram_companions *files)
{
    json_decref(files->tokenizer_config);
    json_decref(files->special_tokens_map);
    json_decref(files->generation_config);
    json_decref(files->config);
    *files = (struct gram_companions){0};
}

/* A token written as "text" or {"content": "text"}; -1 when there is none in the vocabulary. */
static int32_t token_of(const struct gram_tokenizer *tokenizer, const json_t *value)
{
    const json_t *content = json_is_object(value) ? json_object_get(value, "content") : value;
    return json_is_string(content) ? gram_tokenizer_find(tokenizer, json_string_value(content))
                                   : -1;
}

static enum gram_status read_bos(struct gram_tokenizer *tokenizer, const struct gram_source *source,
                                 const struct gram_companions *files)
{
    const json_t *named[] = {files->tokenizer_config, files->special_tokens_map};
    const json_t *numbered[] = {files->generation_config, files->config};

    for (int i = 0; i < 2; i++) {
        const json_t *value = json_object_get(named[i], "bos_token");
        if (!value)
            continue;
        tokenizer->bos = token_of(tokenizer, value);
        return GRAM_OK;
    }
    for (int i = 0; i < 2; i++) {
        int64_t id;
        if (!gram_json_has(numbered[i], "bos_token_id"))
            continue;
        GRAM_TRY(gram_json_int(numbered[i], "bos_token_id", INT64_MIN, INT64_MAX, -1, &id,
                               source->where, source->err));
        tokenizer->bos = id >= 0 && id < tokenizer->vocab.n ? (int32_t)id : -1;
        return GRAM_OK;
    }
    return GRAM_OK;
}

static void add_eos(struct gram_tokenizer *tokenizer, int64_t id)
{
    if (id >= 0 && id < tokenizer->vocab.n && !gram_tokenizer_is_eos(tokenizer, (int32_t)id))
        tokenizer->eos[tokenizer->n_eos++] = (int32_t)id;
}

static enum gram_status add_numbered_eos(struct gram_tokenizer *tokenizer,
                                         const struct gram_source *source, const json_t *value)
{
    const bool is_list = json_is_array(value);
    const size_t n = is_list ? json_array_size(value) : value && !json_is_null(value);

    for (size_t i = 0; i < n; i++) {
        const json_t *id = is_list ? json_array_get(value, i) : value;
        if (!json_is_integer(id))
            return gram_fail(source->err, GRAM_EFORMAT,
                             "%s: eos_token_id beside it must be an integer or a list of integers",
                             source->where);
        add_eos(tokenizer, json_integer_value(id));
    }
    return GRAM_OK;
}

static enum gram_status read_eos(struct gram_tokenizer *tokenizer, const struct gram_source *source,
                                 const struct gram_companions *files)
{
    const json_t *numbered[] = {json_object_get(files->generation_config, "eos_token_id"),
                                json_object_get(files->config, "eos_token_id")};
    const json_t *named = json_object_get(files->tokenizer_config, "eos_token");
    const int32_t own = tokenizer->n_eos > 0 ? tokenizer->eos[0] : -1;
    const size_t room = 4 + json_array_size(numbered[0]) + json_array_size(numbered[1]);

    tokenizer->n_eos = 0;
    tokenizer->eos = gram_arena_take(source->arena, room, sizeof *tokenizer->eos);
    if (!tokenizer->eos)
        return gram_fail_memory(source->err, source->where);
    for (int i = 0; i < 2; i++)
        GRAM_TRY(add_numbered_eos(tokenizer, source, numbered[i]));
    if (!named)
        named = json_object_get(files->special_tokens_map, "eos_token");
    add_eos(tokenizer, token_of(tokenizer, named));
    add_eos(tokenizer, own);
    return GRAM_OK;
}

enum gram_status gram_tokenizer_read_specials(struct gram_tokenizer *tokenizer,
                                              const struct gram_source *source,
                                              const struct gram_companions *files)
{
    GRAM_TRY(read_bos(tokenizer, source, files));
    return read_eos(tokenizer, source, files);
}

/* "151643" -> 151643; -1 if it is no such number. */
static int64_t id_of_key(const char *key)
{
    int64_t id = 0;

    for (const char *c = key; *c; c++) {
        if (*c < '0' || *c > '9' || c - key >= 10)
            return -1;
        id = id * 10 + (*c - '0');
    }
    return *key ? id : -1;
}

enum gram_status gram_companions_added(json_t **out, const struct gram_source *source,
                                       const json_t *config)
{
    json_t *decoder = json_object_get(config, "added_tokens_decoder");

    *out = json_array();
    for (void *it = json_object_iter(decoder); it; it = json_object_iter_next(decoder, it)) {
        const char *key = json_object_iter_key(it);
        json_t *token = json_copy(json_object_iter_value(it));
        const bool bad = id_of_key(key) < 0 || !json_is_object(token) ||
                         json_object_set_new(token, "id", json_integer(id_of_key(key))) != 0;

        json_array_append_new(*out, token);
        if (bad) {
            json_decref(*out);
            *out = NULL;
            return gram_fail(source->err, GRAM_EFORMAT,
                             "%s: added_tokens_decoder beside it: '%s' is not a token by its id",
                             source->where, key);
        }
    }
    return *out ? GRAM_OK : gram_fail_memory(source->err, source->where);
}
