/* The three fields of an entry. */
#include "formats/safetensors_entry.h"

#include <string.h>

typedef enum gram_status read_fn(struct gram_safetensors_entry *entry,
                                 struct gram_json_cursor *json, char **pool);

static enum gram_status read_dtype(struct gram_safetensors_entry *entry,
                                   struct gram_json_cursor *json, char **pool)
{
    return gram_cursor_string(json, pool, &entry->dtype);
}

static enum gram_status read_shape(struct gram_safetensors_entry *entry,
                                   struct gram_json_cursor *json, char **pool)
{
    (void)pool;
    GRAM_TRY(gram_cursor_enter(json, '['));
    for (bool more;;) {
        GRAM_TRY(gram_cursor_more(json, &more));
        if (!more)
            return GRAM_OK;
        if (entry->rank == GRAM_MAX_RANK)
            return gram_fail(json->err, GRAM_EUNSUPPORTED, "%s: %s: more than %d dimensions",
                             json->where, json->item, GRAM_MAX_RANK);
        GRAM_TRY(gram_cursor_int(json, &entry->shape[entry->rank++]));
    }
}

static enum gram_status read_offsets(struct gram_safetensors_entry *entry,
                                     struct gram_json_cursor *json, char **pool)
{
    int64_t *const offsets[] = {&entry->begin, &entry->end};
    bool more;

    (void)pool;
    GRAM_TRY(gram_cursor_enter(json, '['));
    for (int i = 0; i < 2; i++) {
        GRAM_TRY(gram_cursor_more(json, &more));
        if (!more)
            return gram_cursor_fail(json, "data_offsets are fewer than two");
        GRAM_TRY(gram_cursor_int(json, offsets[i]));
    }
    GRAM_TRY(gram_cursor_more(json, &more));
    return more ? gram_cursor_fail(json, "data_offsets are more than two") : GRAM_OK;
}

static const struct {
    const char *key;
    read_fn *read;
} fields[] = {
    {"dtype", read_dtype},
    {"shape", read_shape},
    {"data_offsets", read_offsets},
};
enum { N_FIELDS = sizeof fields / sizeof fields[0] };

static enum gram_status read_field(struct gram_safetensors_entry *entry,
                                   struct gram_json_cursor *json, char **pool,
                                   const struct gram_json_text *key, bool seen[N_FIELDS])
{
    for (int i = 0; i < N_FIELDS; i++) {
        if (!gram_json_text_is(key, fields[i].key))
            continue;
        if (seen[i])
            return gram_cursor_fail(json, "a field that is given twice");
        seen[i] = true;
        return fields[i].read(entry, json, pool);
    }
    return gram_cursor_skip(json); /* later versions of the format may add some */
}

enum gram_status gram_safetensors_entry_read(struct gram_safetensors_entry *entry,
                                             struct gram_json_cursor *json, char **pool)
{
    bool seen[N_FIELDS] = {false};
    struct gram_json_text key;

    *entry = (struct gram_safetensors_entry){0};
    GRAM_TRY(gram_cursor_enter(json, '{'));
    for (bool more;;) {
        GRAM_TRY(gram_cursor_more(json, &more));
        if (!more)
            break;
        char *scratch = *pool; /* the key is not kept */
        GRAM_TRY(gram_cursor_key(json, &scratch, &key));
        GRAM_TRY(read_field(entry, json, pool, &key, seen));
    }
    for (int i = 0; i < N_FIELDS; i++) {
        if (!seen[i])
            return gram_fail(json->err, GRAM_EFORMAT, "%s: %s: no %s", json->where, json->item,
                             fields[i].key);
    }
    return GRAM_OK;
}
