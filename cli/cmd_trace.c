/*
 * gram trace: logits, hidden states or single activations as .npy files, to hold against another
 * implementation. Works on ids, so that no tokenizer is between the two.
 */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "arrays.h"
#include "job.h"
#include "load.h"
#include "output.h"

struct trace_options {
    struct common_options common;
    const char *tokens, *out;
    struct text_list only;
    bool force;
};

/* clang-format off */
#define AT(field) offsetof(struct trace_options, field)
static const struct option_row rows[] = {
    {.name = "tokens", .type = OPTION_TEXT, .argument = "FILE", .is_required = true,
     .help = "ids [T] or [B, T], int32 or int64, .npy", .offset = AT(tokens)},
    {.name = "output", .letter = 'o', .type = OPTION_TEXT, .argument = "DIR", .is_required = true,
     .help = "folder for the .npy files; made if it is not there", .offset = AT(out)},
    {.name = "only", .type = OPTION_LIST, .argument = "PATTERN",
     .help = "write the ops whose name matches this shell pattern instead; may be repeated",
     .offset = AT(only)},
    {.name = "force", .letter = 'f', .help = "replace files that exist", .offset = AT(force)},
    {.name = NULL},
};
#undef AT
/* clang-format on */

/* What the callback needs. The library sees only "stop", so the reason is kept here. */
struct tracer {
    const struct trace_options *options;
    const struct gram_model_info *info;
    const struct npy_ids *ids;
    struct arrays arrays;
    int64_t sequence;     /* the row of ids that is being computed */
    int64_t seen, wanted; /* of the stages that every sequence must have */
    struct progress progress;
    struct gram_error err;
};

enum { LOGITS, HIDDEN_STATES };

/* Which of the L + 1 hidden states an op is: the embedding, the output of every block but the last,
 * the final norm. -1 for none. */
static int64_t hidden_index(const struct gram_model_info *info, const char *name, int layer)
{
    char block[48];

    if (strcmp(name, "embed") == 0)
        return 0;
    if (strcmp(name, "norm") == 0)
        return info->n_layers;
    snprintf(block, sizeof block, "layers.%d.out", layer);
    return strcmp(name, block) == 0 && layer + 1 < info->n_layers ? layer + 1 : -1;
}

static enum gram_status add_standard(struct tracer *t)
{
    const int64_t b = t->ids->batch, n = t->ids->length;

    const enum gram_status st =
        arrays_add(&t->arrays, "logits", (int64_t[]){b, n, t->info->vocab}, 3, &t->err);
    if (st != GRAM_OK)
        return st;
    return arrays_add(&t->arrays, "hidden_states",
                      (int64_t[]){t->info->n_layers + 1, b, n, t->info->hidden}, 4, &t->err);
}

static enum gram_status write_standard(struct tracer *t, const char *name, int layer,
                                       const float *values, int64_t rows_, int64_t cols)
{
    const bool is_logits = strcmp(name, "lm_head") == 0;
    const int64_t hidden = is_logits ? 0 : hidden_index(t->info, name, layer);
    const int64_t width = is_logits ? t->info->vocab : t->info->hidden;
    const int64_t row = (hidden * t->ids->batch + t->sequence) * t->ids->length;

    if (hidden < 0)
        return GRAM_OK;
    if (rows_ != t->ids->length || cols != width)
        return refuse(&t->err, GRAM_EFORMAT, "%s: [%lld, %lld] where [%lld, %lld] was expected",
                      name, (long long)rows_, (long long)cols, (long long)t->ids->length,
                      (long long)width);
    t->seen++;
    return arrays_write(&t->arrays, is_logits ? LOGITS : HIDDEN_STATES, row * width, values,
                        rows_ * width, &t->err);
}

static bool is_wanted(const struct text_list *only, const char *name)
{
    for (size_t i = 0; i < only->n; i++)
        if (fnmatch(only->at[i], name, 0) == 0)
            return true;
    return false;
}

/* NAME.npy [B, rows, cols]; made by the first sequence. */
static enum gram_status write_matching(struct tracer *t, const char *name, const float *values,
                                       int64_t rows_, int64_t cols)
{
    const size_t index = arrays_find(&t->arrays, name);
    enum gram_status st = GRAM_OK;

    if (!is_wanted(&t->options->only, name))
        return GRAM_OK;
    if (index == t->arrays.n)
        st = arrays_add(&t->arrays, name, (int64_t[]){t->ids->batch, rows_, cols}, 3, &t->err);
    const int64_t *shape = st == GRAM_OK ? t->arrays.at[index].shape : NULL;
    if (shape && (shape[1] != rows_ || shape[2] != cols))
        st = refuse(&t->err, GRAM_EFORMAT, "%s: another shape than in the first sequence", name);
    return st == GRAM_OK ? arrays_write(&t->arrays, index, t->sequence * rows_ * cols, values,
                                        rows_ * cols, &t->err)
                         : st;
}

static bool on_op(void *user, const char *name, int layer, const float *values, int64_t rows_,
                  int64_t cols)
{
    struct tracer *t = user;
    const enum gram_status st = t->options->only.n > 0
                                    ? write_matching(t, name, values, rows_, cols)
                                    : write_standard(t, name, layer, values, rows_, cols);
    const struct gram_progress report = {
        "trace", name, (uint64_t)(t->sequence * t->info->n_layers + (layer < 0 ? 0 : layer)),
        (uint64_t)(t->ids->batch * t->info->n_layers), "layers"};

    progress_report(&t->progress, &report);
    if (st == GRAM_OK && signals_received())
        refuse(&t->err, GRAM_ECANCELED, "interrupted");
    return t->err.status == GRAM_OK;
}

static enum gram_status check_ids(const struct npy_ids *ids, int64_t vocab, const char *path,
                                  struct gram_error *err)
{
    for (int64_t i = 0; i < ids->batch * ids->length; i++)
        if (ids->at[i] >= vocab)
            return refuse(err, GRAM_EFORMAT, "%s: element %lld is %d, the vocabulary has %lld",
                          path, (long long)i, ids->at[i], (long long)vocab);
    return GRAM_OK;
}

static enum gram_status trace_sequence(struct tracer *t, const struct gram_model *model)
{
    struct gram_error err = {0};

    const enum gram_status st = gram_trace(model, t->ids->at + t->sequence * t->ids->length,
                                           (size_t)t->ids->length, on_op, t, &err);
    if (t->err.status == GRAM_OK && st != GRAM_OK)
        t->err = err;
    return t->err.status;
}

static enum gram_status trace_all(struct tracer *t, const struct gram_model *model)
{
    const bool is_standard = t->options->only.n == 0;
    enum gram_status st = arrays_open(&t->arrays, t->options->out, t->options->force, &t->err);

    if (st == GRAM_OK && is_standard)
        st = add_standard(t);
    for (; st == GRAM_OK && t->sequence < t->ids->batch; t->sequence++)
        st = trace_sequence(t, model);
    if (st != GRAM_OK)
        return st;
    if (is_standard && t->seen != t->ids->batch * (t->info->n_layers + 2))
        return refuse(&t->err, GRAM_EUNSUPPORTED,
                      "%s: its graph lacks some of the hidden states; "
                      "name ops with --only",
                      t->info->path);
    if (t->arrays.n == 0)
        return refuse(&t->err, GRAM_EINVAL,
                      "--only: no op matches '%s'; ops have names such as "
                      "embed, layers.0.attn.q, norm",
                      t->options->only.at[0]);
    return arrays_publish(&t->arrays, &t->err);
}

static int print_arrays(const struct invocation *in, const struct arrays *set)
{
    const bool as_json = in->common->json;
    json_t *files = json_array();

    for (size_t i = 0; i < set->n; i++) {
        json_t *shape = json_array();
        if (!as_json && !in->common->quiet)
            printf("%s: ", set->at[i].path);
        for (int k = 0; k < set->at[i].rank; k++) {
            json_array_append_new(shape, json_integer(set->at[i].shape[k]));
            if (!as_json && !in->common->quiet)
                printf(k ? ", %lld" : "[%lld", (long long)set->at[i].shape[k]);
        }
        if (!as_json && !in->common->quiet)
            puts("]");
        json_array_append_new(files,
                              json_pack("{s:o, s:o, s:o}", "name", json_text(set->at[i].name),
                                        "file", json_text(set->at[i].path), "shape", shape));
    }
    if (as_json)
        return print_json(json_pack("{s:o, s:o}", "out", json_text(set->dir), "arrays", files));
    json_decref(files);
    return EXIT_DONE;
}

static int run(const struct invocation *in)
{
    const struct trace_options *o = in->options;
    struct npy_ids ids = {0};
    struct loaded loaded = {0};
    struct tracer t = {.options = o, .info = &loaded.info, .ids = &ids};

    progress_job(&t.progress, in->common);
    enum gram_status st = npy_read(&ids, o->tokens, &t.err);
    if (st == GRAM_OK)
        st = load_model(&loaded, in->operands[0], in->common, &t.err);
    if (st == GRAM_OK)
        st = check_ids(&ids, loaded.info.vocab, o->tokens, &t.err);
    if (st == GRAM_OK)
        st = trace_all(&t, loaded.model);
    progress_end(&t.progress);
    const int code = st == GRAM_OK ? print_arrays(in, &t.arrays) : report_failure(&t.err);
    arrays_close(&t.arrays);
    npy_ids_reset(&ids);
    loaded_close(&loaded);
    return code;
}

const struct command command_trace = {
    .name = "trace",
    .summary = "write logits and activations as .npy, to compare with another program",
    .description =
        "Runs sequences of token ids from position 0 and writes DIR/logits.npy [B, T, V] and "
        "DIR/hidden_states.npy [L+1, B, T, D] in f32, stacked as transformers' "
        "output_hidden_states. "
        "With --only, each op whose name matches instead, as NAME.npy [B, T, columns].",
    .operands =
        (const struct operand[]){{"MODEL", "model directory, or org/name in the hub cache", false},
                                 {0}},
    .options = rows,
    .examples =
        (const struct example[]){
            {"gram trace llama-1b --tokens ids.npy -o out", "logits and hidden states"},
            {"gram trace llama-1b --tokens ids.npy -o out --only 'layers.0.attn.*'",
             "the activations of one attention"},
            {0}},
    .options_size = sizeof(struct trace_options),
    .run = run,
};
