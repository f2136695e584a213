#include "quant/spec.h"

#include <string.h>

#include "base/buf.h"

enum { MOST = 64 }; /* characters of an option */

size_t gram_spec_name(const char *text)
{
    return strcspn(text, ":");
}

/* Is the name one of those in the list, which are separated by spaces? */
static bool takes(const struct gram_option *option, const char *name)
{
    const size_t n = strlen(name);

    for (const char *at = option->takers; (at = strstr(at, name)) != NULL; at += n) {
        if ((at == option->takers || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
            return true;
    }
    return false;
}

/* ---- reading ---- */

/* Who is read for, and the option at hand: "block=64". */
struct reading {
    const struct gram_spec_table *table;
    const char *name;
    char key[MOST];
    const char *value; /* NULL: none */
    struct gram_error *err;
};

static enum gram_status fail_unknown(const struct reading *r)
{
    struct gram_buf names = {0};

    for (const struct gram_option *o = r->table->options; o->name; o++) {
        if (takes(o, r->name))
            gram_buf_printf(&names, "%s%s", names.len ? ", " : "", o->name);
    }
    const enum gram_status status =
        names.len && !names.failed
            ? gram_fail(r->err, GRAM_EINVAL, "%s '%s' has no option '%s'; it has %s", r->table->kind, r->name,
                        r->key, names.at)
            : gram_fail(r->err, GRAM_EINVAL, "%s '%s' has no options, such as '%s'", r->table->kind, r->name,
                        r->key);
    gram_buf_reset(&names);
    return status;
}

/* The option's index; *is_off for "no-<flag>". -1 if there is none. */
static int find(const struct reading *r, bool *is_off)
{
    const char *bare = strncmp(r->key, "no-", 3) == 0 ? r->key + 3 : NULL;

    for (int i = 0; r->table->options[i].name; i++) {
        const struct gram_option *option = &r->table->options[i];
        if (!takes(option, r->name))
            continue;
        *is_off = bare && r->table->fields[i].type == GRAM_FIELD_FLAG && strcmp(bare, option->name) == 0;
        if (*is_off || strcmp(r->key, option->name) == 0)
            return i;
    }
    return -1;
}

static enum gram_status read_number(const struct reading *r, const struct gram_field *field, double *number)
{
    const bool is_whole = field->type == GRAM_FIELD_COUNT;
    struct gram_error ignored;
    json_t *value = NULL;

    if (r->value && field->word && strcmp(r->value, field->word) == 0) {
        *number = field->meaning;
        return GRAM_OK;
    }
    bool ok = r->value && gram_json_parse(&value, r->value, strlen(r->value), r->key, &ignored) == GRAM_OK &&
              (is_whole ? json_is_integer(value) : json_is_number(value));
    *number = json_number_value(value);
    json_decref(value);
    if (ok && *number >= field->low && *number <= field->high)
        return GRAM_OK;
    return gram_fail(r->err, GRAM_EINVAL, "%s '%s': %s is %s%s%s, must be a %snumber from %g to %g%s%s",
                     r->table->kind, r->name, r->key, r->value ? "'" : "", r->value ? r->value : "not given",
                     r->value ? "'" : "", is_whole ? "whole " : "", field->low, field->high,
                     field->word ? " or " : "", field->word ? field->word : "");
}

static enum gram_status set(void *out, const struct reading *r)
{
    bool is_off = false;
    const int i = find(r, &is_off);
    double number;

    if (i < 0)
        return fail_unknown(r);
    const struct gram_field *field = &r->table->fields[i];
    char *at = (char *)out + field->offset;
    const bool is_number = field->type == GRAM_FIELD_COUNT || field->type == GRAM_FIELD_REAL;
    if (!is_number && r->value)
        return gram_fail(r->err, GRAM_EINVAL, "%s '%s': %s takes no value", r->table->kind, r->name, r->key);
    if (field->type == GRAM_FIELD_ALIAS)
        return gram_spec_read(out, r->table, r->name, field->alias, r->err);
    if (field->type == GRAM_FIELD_FLAG) {
        memcpy(at, &(bool){!is_off}, sizeof(bool));
        return GRAM_OK;
    }
    GRAM_TRY(read_number(r, field, &number));
    if (field->type == GRAM_FIELD_COUNT)
        memcpy(at, &(int64_t){(int64_t)number}, sizeof(int64_t));
    else
        memcpy(at, &number, sizeof number);
    return GRAM_OK;
}

enum gram_status gram_spec_read(void *out, const struct gram_spec_table *table, const char *name,
                                const char *text, struct gram_error *err)
{
    const char *at = text + gram_spec_name(text);

    while (*at) {
        struct reading r = {.table = table, .name = name, .err = err};
        const size_t n = strcspn(++at, ",");
        snprintf(r.key, sizeof r.key, "%.*s", (int)(n < MOST ? n : MOST), at);
        char *equals = strchr(r.key, '=');
        if (equals) {
            *equals = '\0';
            r.value = equals + 1;
        }
        GRAM_TRY(set(out, &r));
        at += n;
    }
    return GRAM_OK;
}

/* ---- writing ---- */

static json_t *value_of(const struct gram_field *field, const void *at)
{
    bool flag;
    int64_t count;
    double real;

    if (field->type == GRAM_FIELD_FLAG) {
        memcpy(&flag, at, sizeof flag);
        return json_boolean(flag);
    }
    if (field->type == GRAM_FIELD_COUNT) {
        memcpy(&count, at, sizeof count);
        return json_integer((json_int_t)count);
    }
    memcpy(&real, at, sizeof real);
    return field->word && real == field->meaning ? json_string(field->word) : json_real(real);
}

json_t *gram_spec_json(const void *fields, const struct gram_spec_table *table, const char *name)
{
    json_t *object = json_object();

    for (int i = 0; table->options[i].name; i++) {
        const struct gram_field *field = &table->fields[i];
        if (field->type != GRAM_FIELD_ALIAS && (!name || takes(&table->options[i], name)))
            json_object_set_new(object, table->options[i].name,
                                value_of(field, (const char *)fields + field->offset));
    }
    return object;
}
