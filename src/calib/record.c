/*
 * Forms of records. The first field that a record has tells its form; the parts of a record follow each
 * other, with a space between those that would run together. Chat templates are not applied.
 */
#include "calib/record.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_FIELDS = 3 };

/* Either fields that are strings, or a list of turns. */
struct form {
    const char *fields[MOST_FIELDS]; /* the first one is the mark, and must be there */
    const char *answer;              /* the field that answers the others */
    const char *role, *content;      /* of a turn; NULL: no list */
};

static const struct form forms[] = {
    {{"text"}, "text", NULL, NULL},
    {{"messages"}, NULL, "role", "content"},
    {{"conversations"}, NULL, "from", "value"}, /* ShareGPT */
    {{"instruction", "input", "output"}, "output", NULL, NULL}, /* Alpaca */
    {{"prompt", "response"}, "response", NULL, NULL},
};

static const struct {
    const char *name;
    bool answers;
} roles[] = {
    {"system", false}, {"developer", false}, {"user", false},     {"assistant", true},
    {"tool", false},   {"human", false},     {"gpt", true},       {"function", false},
    {"function_call", true}, {"observation", false},
};

static enum gram_status wrong_type(const char *where, const char *field, const char *wanted,
                                   struct gram_error *err)
{
    return gram_fail(err, GRAM_EFORMAT, "%s: %s is not %s", where, field, wanted);
}

static enum gram_status add_part(struct gram_buf *text, const json_t *part, const char *field,
                                 const char *where, struct gram_error *err)
{
    if (!json_is_string(part))
        return wrong_type(where, field, "a string", err);
    const char *s = json_string_value(part);
    const size_t n = json_string_length(part);
    const bool runs_together = n > 0 && text->len > 0 && !isspace((unsigned char)s[0]) &&
                               !isspace((unsigned char)text->at[text->len - 1]);
    if (runs_together)
        gram_buf_str(text, " ");
    gram_buf_add(text, s, n);
    return GRAM_OK;
}

/* What was added from `begin` on is an answer. */
static enum gram_status mark_answer(struct gram_record *out, size_t begin, const char *where,
                                    struct gram_error *err)
{
    void *answers = out->answers;

    if (!gram_grow(&answers, &out->cap_answers, out->n_answers + 1, sizeof *out->answers))
        return gram_fail_memory(err, where);
    out->answers = answers;
    out->answers[out->n_answers++] = (struct gram_record_answer){begin, out->text.len};
    return GRAM_OK;
}

static enum gram_status add_fields(struct gram_record *out, const json_t *record,
                                   const struct form *form, const char *where,
                                   struct gram_error *err)
{
    for (int i = 0; i < MOST_FIELDS && form->fields[i]; i++) {
        const json_t *part = json_object_get(record, form->fields[i]);
        const size_t begin = out->text.len;
        if (!part && i > 0)
            continue;
        GRAM_TRY(add_part(&out->text, part, form->fields[i], where, err));
        if (strcmp(form->fields[i], form->answer) == 0)
            GRAM_TRY(mark_answer(out, begin, where, err));
    }
    return GRAM_OK;
}

static enum gram_status find_role(bool *answers, const json_t *role, const char *field,
                                  const char *where, struct gram_error *err)
{
    if (!json_is_string(role))
        return wrong_type(where, field, "a string", err);
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        *answers = roles[i].answers;
        if (strcmp(json_string_value(role), roles[i].name) == 0)
            return GRAM_OK;
    }
    return gram_fail(err, GRAM_EFORMAT, "%s: '%s' is not a role that is known (user, assistant, ...)",
                     where, json_string_value(role));
}

/* A string, or a list of {"type":"text","text":...}. */
static enum gram_status add_content(struct gram_buf *text, const json_t *content, const char *field,
                                    const char *where, struct gram_error *err)
{
    size_t i;
    const json_t *part;

    if (!json_is_array(content))
        return add_part(text, content, field, where, err);
    json_array_foreach(content, i, part) {
        const char *type = json_string_value(json_object_get(part, "type"));
        if (!type || strcmp(type, "text") != 0)
            return gram_fail(err, GRAM_EFORMAT,
                             "%s: %s holds a part of type '%s', only text can be used", where, field,
                             type ? type : "?");
        GRAM_TRY(add_part(text, json_object_get(part, "text"), "text", where, err));
    }
    return GRAM_OK;
}

static enum gram_status add_turn(struct gram_record *out, const json_t *turn, const struct form *form,
                                 const char *where, struct gram_error *err)
{
    const size_t begin = out->text.len;
    bool answers = false;

    if (!json_is_object(turn))
        return wrong_type(where, form->fields[0], "a list of objects", err);
    GRAM_TRY(find_role(&answers, json_object_get(turn, form->role), form->role, where, err));
    GRAM_TRY(add_content(&out->text, json_object_get(turn, form->content), form->content, where, err));
    return answers ? mark_answer(out, begin, where, err) : GRAM_OK;
}

static enum gram_status add_turns(struct gram_record *out, const json_t *turns,
                                  const struct form *form, const char *where,
                                  struct gram_error *err)
{
    size_t i;
    const json_t *turn;

    if (!json_is_array(turns))
        return wrong_type(where, form->fields[0], "a list", err);
    json_array_foreach(turns, i, turn)
        GRAM_TRY(add_turn(out, turn, form, where, err));
    return GRAM_OK;
}

static enum gram_status add_record(struct gram_record *out, const json_t *record, const char *where,
                                   struct gram_error *err)
{
    if (!json_is_object(record))
        return gram_fail(err, GRAM_EFORMAT, "%s: a record must be an object", where);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const json_t *mark = json_object_get(record, forms[i].fields[0]);
        if (mark)
            return forms[i].role ? add_turns(out, mark, &forms[i], where, err)
                                 : add_fields(out, record, &forms[i], where, err);
    }
    return gram_fail(err, GRAM_EFORMAT,
                     "%s: no field text, messages, conversations, instruction or prompt", where);
}

enum gram_status gram_record_read(struct gram_record *out, const json_t *record, const char *where,
                                  struct gram_error *err)
{
    out->text.len = 0;
    out->n_answers = 0;
    GRAM_TRY(add_record(out, record, where, err));
    return out->text.failed ? gram_fail_memory(err, where) : GRAM_OK;
}

void gram_record_reset(struct gram_record *record)
{
    gram_buf_reset(&record->text);
    free(record->answers);
    *record = (struct gram_record){0};
}
