#include "train/keep.h"

#include <string.h>
#include <unistd.h>

#include <gram/api.h>
#include "base/file.h"
#include "base/json.h"
#include "base/xxh64.h"

static const char *const names[] = {"checkpoint-0", "checkpoint-1"};

/* ---- the file: every weight and state, one after the other ---- */

struct tape {
    const struct gram_output_file *file;
    bool is_reading;
    uint64_t at;
    struct gram_xxh64 sum;
};

static enum gram_status run_bytes(struct tape *tape, void *x, size_t bytes, struct gram_error *err)
{
    GRAM_TRY(tape->is_reading ? gram_output_read(tape->file, tape->at, x, bytes, err)
                              : gram_output_write(tape->file, tape->at, x, bytes, err));
    gram_xxh64_add(&tape->sum, x, bytes);
    tape->at += bytes;
    return GRAM_OK;
}

static enum gram_status run_floats(struct tape *tape, float *x, int64_t n, struct gram_error *err)
{
    return run_bytes(tape, x, (size_t)n * sizeof *x, err);
}

static enum gram_status run_tape(struct tape *tape, const struct gram_keeper *k,
                                 struct gram_error *err)
{
    gram_xxh64_init(&tape->sum);
    for (size_t i = 0; i < k->params->n; i++) {
        const struct gram_param *p = &k->params->at[i];
        GRAM_TRY(run_floats(tape, p->w, p->n, err));
        GRAM_TRY(run_bytes(tape, p->states.at, gram_states_bytes(k->params->optimizer, p->n), err));
        gram_params_release(k->params, p);
        if (k->best)
            GRAM_TRY(run_floats(tape, k->best[i], p->n, err));
    }
    for (size_t i = 0; i < k->n_extras; i++)
        GRAM_TRY(run_floats(tape, k->extras[i].at, k->extras[i].n, err));
    return GRAM_OK;
}

/* ---- the journal ---- */

static enum gram_status note(struct gram_keeper *k, json_t *line, struct gram_error *err)
{
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    const enum gram_status status =
        text ? gram_output_note(k->output, text, err) : gram_fail_memory(err, "the journal");

    free(text);
    json_decref(line);
    return status;
}

enum gram_status gram_keeper_begin(struct gram_keeper *k, const char *job, struct gram_error *err)
{
    return note(k, json_pack("{s:s, s:s}", "gram", GRAM_VERSION, "job", job), err);
}

/* Numbers of a standing, all of 8 bytes; doubles go as their bits, so that a resumed run ends the same. */
static const struct field {
    const char *name;
    size_t offset;
} fields[] = {
    {"step", offsetof(struct gram_standing, step)},
    {"epoch", offsetof(struct gram_standing, position.epoch)},
    {"at", offsetof(struct gram_standing, position.at)},
    {"first_loss", offsetof(struct gram_standing, first_loss)},
    {"last_loss", offsetof(struct gram_standing, last_loss)},
    {"held_before", offsetof(struct gram_standing, held_before)},
    {"held", offsetof(struct gram_standing, held)},
    {"best", offsetof(struct gram_standing, best)},
    {"best_step", offsetof(struct gram_standing, best_step)},
    {"waited", offsetof(struct gram_standing, waited)},
    {"tokens", offsetof(struct gram_standing, tokens)},
};
enum { FIELDS = sizeof fields / sizeof fields[0] };

static json_t *print_standing(const struct gram_standing *s)
{
    json_t *line = json_object();

    for (int i = 0; i < FIELDS; i++) {
        int64_t bits;
        memcpy(&bits, (const char *)s + fields[i].offset, sizeof bits);
        json_object_set_new(line, fields[i].name, json_integer(bits));
    }
    return line;
}

static void parse_standing(struct gram_standing *s, const json_t *line)
{
    for (int i = 0; i < FIELDS; i++) {
        const int64_t bits = json_integer_value(json_object_get(line, fields[i].name));
        memcpy((char *)s + fields[i].offset, &bits, sizeof bits);
    }
}

/* ---- saving and going on ---- */

static enum gram_status write_file(struct gram_keeper *k, uint64_t *sum, struct gram_error *err)
{
    struct gram_output_file file;
    struct gram_error missing;

    if (gram_output_file_reopen(&file, k->output, names[k->turn], &missing) != GRAM_OK)
        GRAM_TRY(gram_output_file_create(&file, k->output, names[k->turn], err));
    struct tape tape = {.file = &file};
    enum gram_status status = run_tape(&tape, k, err);
    if (status == GRAM_OK)
        status = gram_output_sync(&file, err);
    *sum = gram_xxh64_value(&tape.sum);
    struct gram_error closing;
    const enum gram_status closed = gram_output_file_close(&file, &closing);
    return status == GRAM_OK && closed != GRAM_OK ? gram_fail(err, closed, "%s", closing.message)
                                                  : status;
}

enum gram_status gram_keeper_save(struct gram_keeper *k, const struct gram_standing *standing,
                                  struct gram_error *err)
{
    uint64_t sum;

    if (!k->output) {
        k->kept = standing->step; /* by another rank */
        return GRAM_OK;
    }
    GRAM_TRY(write_file(k, &sum, err));
    json_t *line = print_standing(standing);
    json_object_set_new(line, "file", json_integer(k->turn));
    json_object_set_new(line, "sum", json_integer((json_int_t)sum));
    GRAM_TRY(note(k, line, err));
    k->kept = standing->step;
    k->turn = !k->turn;
    return GRAM_OK;
}

/* The first line, and the last two behind it; lines that are no JSON count for nothing. */
struct ends {
    json_t *first, *last, *older;
};

static struct ends read_ends(const char *text)
{
    struct ends ends = {0};
    struct gram_error ignored;

    for (const char *end; (end = strchr(text, '\n')); text = end + 1) {
        json_t *line;
        if (gram_json_parse(&line, text, (size_t)(end - text), "journal", &ignored) != GRAM_OK)
            continue;
        if (!ends.first) {
            ends.first = line;
            continue;
        }
        json_decref(ends.older);
        ends.older = ends.last;
        ends.last = line;
    }
    return ends;
}

static void forget_ends(struct ends *ends)
{
    json_decref(ends->first);
    json_decref(ends->last);
    json_decref(ends->older);
}

static bool is_same_job(const json_t *line, const char *job)
{
    const char *version = json_string_value(json_object_get(line, "gram"));
    const char *mine = json_string_value(json_object_get(line, "job"));
    return version && mine && strcmp(version, GRAM_VERSION) == 0 && strcmp(mine, job) == 0;
}

static bool read_file(struct gram_keeper *k, const json_t *line)
{
    const int turn = json_integer_value(json_object_get(line, "file")) == 1;
    const uint64_t sum = (uint64_t)json_integer_value(json_object_get(line, "sum"));
    struct gram_output_file file;
    struct gram_error ignored;

    if (gram_output_file_reopen(&file, k->output, names[turn], &ignored) != GRAM_OK)
        return false;
    struct tape tape = {.file = &file, .is_reading = true};
    const bool ok = run_tape(&tape, k, &ignored) == GRAM_OK && gram_xxh64_value(&tape.sum) == sum;
    gram_output_file_close(&file, &ignored);
    k->turn = !turn;
    return ok;
}

/* The checkpoint that a line speaks of, if its file is whole. */
static bool take_up(struct gram_keeper *k, const json_t *line, struct gram_standing *standing)
{
    if (!line || !read_file(k, line))
        return false;
    parse_standing(standing, line);
    k->kept = standing->step;
    return true;
}

static enum gram_found find_kept(struct gram_keeper *k, const struct ends *ends, const char *job,
                                 struct gram_standing *standing)
{
    if (ends->first && !is_same_job(ends->first, job))
        return GRAM_FOUND_OTHER_JOB;
    if (take_up(k, ends->last, standing))
        return GRAM_FOUND_LAST;
    return take_up(k, ends->older, standing) ? GRAM_FOUND_OLDER : GRAM_FOUND_NOTHING;
}

enum gram_status gram_keeper_resume(struct gram_keeper *k, const char *job,
                                    struct gram_standing *standing, enum gram_found *found,
                                    struct gram_error *err)
{
    struct ends ends = read_ends(gram_output_journal(k->output));
    const bool is_begun = ends.last != NULL;

    *found = find_kept(k, &ends, job, standing);
    forget_ends(&ends);
    if (is_begun && *found == GRAM_FOUND_NOTHING)
        return gram_fail(err, GRAM_EIO,
                         "%s: the checkpoints of an interrupted run are damaged; remove the folder to "
                         "start afresh",
                         gram_output_folder(k->output));
    return GRAM_OK;
}

void gram_keeper_clear(const struct gram_keeper *k)
{
    for (int i = 0; i < 2; i++) {
        char *path = gram_path_join(gram_output_folder(k->output), names[i]);
        if (path)
            unlink(path);
        free(path);
    }
}
