/* Lines of JSON. Sums are kept as the bits of the double, so that a resumed run certifies the same.
 */
#include "quant/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <gram/api.h>
#include "base/json.h"

/* Keys of the first line, and what to call them when they differ. */
static const struct {
    const char *key, *meaning;
} identity[] = {
    {"gram", "the version of gram"},
    {"sources", "the source files"},
    {"recipe", "the recipe"},
    {"calibration", "the calibration text or an option of it"},
    {"allow_nonfinite", "an option"},
};

static json_t *identity_of(const struct gram_fingerprint *f)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:b}", "gram", GRAM_VERSION, "sources", f->sources, "recipe",
                     f->recipe, "calibration", f->calibration, "allow_nonfinite",
                     f->allow_nonfinite);
}

/* ---- writing ---- */

static enum gram_status note(struct gram_output *output, json_t *line, struct gram_error *err)
{
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    const enum gram_status status =
        text ? gram_output_note(output, text, err) : gram_fail_memory(err, "the journal");
    free(text);
    json_decref(line);
    return status;
}

enum gram_status gram_journal_begin(struct gram_output *output,
                                    const struct gram_fingerprint *fingerprint,
                                    struct gram_error *err)
{
    return note(output, identity_of(fingerprint), err);
}

static json_int_t bits_of(double value)
{
    json_int_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

enum gram_status gram_journal_add(struct gram_output *output, const struct gram_unit *unit,
                                  struct gram_error *err)
{
    const struct gram_unit_result *r = &unit->result;
    json_t *parts = json_array();

    for (int p = 0; p < GRAM_MAX_PARTS; p++)
        json_array_append_new(parts, json_integer((json_int_t)r->part_sum[p]));
    return note(output,
                json_pack("{s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "tensor",
                          unit->source->name, "source", r->source_hash, "parts", parts,
                          "squared_error", bits_of(r->squared_error), "squares",
                          bits_of(r->squares), "nonfinite", (json_int_t)r->nonfinite, "clipped",
                          (json_int_t)r->clipped, "output_error", bits_of(r->output_error),
                          "damping", bits_of(r->damping), "tokens", (json_int_t)r->tokens,
                          "fell_back", r->fell_back),
                err);
}

enum gram_status gram_journal_add_note(struct gram_output *output, int layer, const char *text,
                                       struct gram_error *err)
{
    return note(output, json_pack("{s:i, s:s}", "layer", layer, "note", text), err);
}

/* ---- reading ---- */

static double get_double(const json_t *line, const char *key)
{
    const json_int_t bits = json_integer_value(json_object_get(line, key));
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* A line that does not say all of it leaves its unit undone, which is always right. */
static void take_result(struct gram_unit *unit, const json_t *line)
{
    struct gram_unit_result r = {.is_done = true, .is_resumed = true};
    const char *source = json_string_value(json_object_get(line, "source"));
    const json_t *parts = json_object_get(line, "parts");

    if (!source || strlen(source) != GRAM_SHA256_HEX - 1 || json_array_size(parts) != GRAM_MAX_PARTS)
        return;
    memcpy(r.source_hash, source, GRAM_SHA256_HEX);
    for (size_t p = 0; p < GRAM_MAX_PARTS; p++)
        r.part_sum[p] = (uint64_t)json_integer_value(json_array_get(parts, p));
    r.squared_error = get_double(line, "squared_error");
    r.squares = get_double(line, "squares");
    r.nonfinite = (uint64_t)json_integer_value(json_object_get(line, "nonfinite"));
    r.clipped = (uint64_t)json_integer_value(json_object_get(line, "clipped"));
    r.output_error = get_double(line, "output_error");
    r.damping = get_double(line, "damping");
    r.tokens = (uint64_t)json_integer_value(json_object_get(line, "tokens"));
    r.fell_back = json_is_true(json_object_get(line, "fell_back"));
    unit->result = r;
}

static void take_note(struct gram_layout *layout, const json_t *line)
{
    const char *text = json_string_value(json_object_get(line, "note"));
    const json_int_t layer = json_integer_value(json_object_get(line, "layer"));

    if (text && layer >= 0 && layer < layout->n_notes)
        snprintf(layout->notes[layer], sizeof layout->notes[layer], "%s", text);
}

/* Units were finished in the order of the layout, so the one that is looked for is mostly the next.
 */
static void take_line(struct gram_layout *layout, const json_t *line, int64_t *next)
{
    const char *name = json_string_value(json_object_get(line, "tensor"));

    for (int64_t n = 0; name && n < layout->n_units; n++) {
        struct gram_unit *unit = &layout->units[(*next + n) % layout->n_units];
        if (strcmp(unit->source->name, name) != 0)
            continue;
        take_result(unit, line);
        *next += n + 1;
        return;
    }
}

static const char *what_differs(const json_t *line, const struct gram_fingerprint *fingerprint)
{
    const char *meaning = NULL;
    json_t *now = identity_of(fingerprint);

    for (size_t i = 0; i < sizeof identity / sizeof identity[0] && !meaning; i++) {
        if (!json_equal(json_object_get(line, identity[i].key),
                        json_object_get(now, identity[i].key)))
            meaning = identity[i].meaning;
    }
    json_decref(now);
    return meaning;
}

enum gram_status gram_journal_read(const char *text, const struct gram_fingerprint *fingerprint,
                                   struct gram_layout *layout, const char **changed,
                                   struct gram_error *err)
{
    bool is_first = true;
    int64_t next = 0;

    *changed = NULL;
    for (const char *end; (end = strchr(text, '\n')); text = end + 1) {
        struct gram_error ignored;
        json_t *line;

        if (gram_json_parse(&line, text, (size_t)(end - text), "journal", &ignored) != GRAM_OK) {
            if (ignored.status == GRAM_ENOMEM)
                return gram_fail_memory(err, "the journal");
            continue;
        }
        if (is_first)
            *changed = what_differs(line, fingerprint);
        else if (json_object_get(line, "note"))
            take_note(layout, line);
        else
            take_line(layout, line, &next);
        is_first = false;
        json_decref(line);
        if (*changed)
            return GRAM_OK;
    }
    return GRAM_OK;
}
