/* gram merge: adapters become part of the weights, and what that costs. */
#include <stdio.h>
#include <stdlib.h>

#include "job.h"
#include "load.h"
#include "output.h"

struct merge_options {
    struct common_options common;
    struct gram_merge_options merge; /* filled by the rows; struct_size and callbacks by merge() */
    const char *out;
    struct text_list adapters;
    bool is_long;
};

/* clang-format off */
#define AT(field) offsetof(struct merge_options, field)
#define OF(field) offsetof(struct merge_options, merge.field)
static const struct option_row rows[] = {
    {.name = "output", .letter = 'o', .type = OPTION_TEXT, .argument = "OUT", .is_required = true,
     .help = "directory to write", .offset = AT(out)},
    {.name = "scheme", .letter = 's', .type = OPTION_TEXT, .argument = "SCHEME", .choices = gram_schemes,
     .help = "what the linears become, such as w4a16 or bf16 [what they are]", .offset = OF(scheme)},
    {.name = "adapter", .letter = 'a', .type = OPTION_LIST, .argument = "DIR",
     .help = "further adapter to merge in the same step; may be repeated", .offset = AT(adapters)},
    {.name = "text", .type = OPTION_TEXT, .argument = "FILE",
     .help = "text to measure the merged model on, beside the unmerged one", .offset = OF(text)},
    {.name = "ctx", .letter = 'c', .type = OPTION_INT, .argument = "N", .low = 2, .high = 1 << 27,
     .help = "tokens per window [the model's limit, at most 2048]", .offset = OF(context)},
    {.name = "max-tokens", .type = OPTION_INT, .argument = "N", .low = 2, .high = 1e15,
     .help = "use only the first N tokens of the text [all]", .offset = OF(max_tokens)},
    {.name = "tensors", .help = "print a line for every linear", .offset = AT(is_long)},
    {.name = "force", .letter = 'f', .help = "replace OUT if it exists", .offset = OF(force)},
    {.name = NULL},
};
#undef AT
#undef OF
/* clang-format on */

/* The linears as they are done: for --json a list, for --tensors lines. */
struct told {
    const struct merge_options *options;
    json_t *list;
};

static void tell(void *user, const struct gram_merge_tensor *t)
{
    const struct told *told = user;

    if (told->options->common.json)
        json_array_append_new(told->list, json_pack("{s:s, s:s, s:o, s:o, s:b}", "op", t->op, "scheme",
                                                    t->scheme, "change", json_number(t->change),
                                                    "relative_error", json_number(t->error), "exact",
                                                    t->is_exact));
    else if (told->options->is_long)
        printf("%-28s %-18s change %8.4f %%   error %8.4f %%%s\n", t->op, t->scheme, 100 * t->change,
               100 * t->error, t->is_exact ? "   exact" : "");
}

static enum gram_status parse_all(const struct invocation *in, struct gram_adapter *adapters,
                                  char **paths, struct gram_error *err)
{
    const struct merge_options *o = in->options;
    enum gram_status st = GRAM_OK;

    for (size_t i = 0; i <= o->adapters.n && st == GRAM_OK; i++) {
        const char *text = i == 0 ? in->operands[1] : o->adapters.at[i - 1];
        st = parse_adapter(text, &paths[i], &adapters[i].weight, err);
        adapters[i].path = paths[i];
    }
    return st;
}

static enum gram_status merge(const struct invocation *in, const struct gram_adapter *adapters,
                              struct told *told, struct gram_merge_report *report,
                              struct gram_error *err)
{
    const struct merge_options *o = in->options;
    struct gram_merge_options options = o->merge;
    struct loaded loaded = {0};
    struct progress progress;
    const struct gram_job job = progress_job(&progress, in->common);

    options.struct_size = sizeof options;
    options.on_tensor = tell;
    options.user = told;
    enum gram_status st = load_runtime(&loaded, in->common, err);
    if (st == GRAM_OK)
        st = gram_merge(loaded.runtime, in->operands[0], o->out, adapters, o->adapters.n + 1, &options,
                        report, &job, err);
    progress_end(&progress);
    loaded_close(&loaded);
    return st;
}

static int print_merged_json(const struct merge_options *o, const struct gram_merge_report *r,
                             json_t *tensors)
{
    json_t *json = json_pack("{s:o, s:I, s:I, s:o, s:o, s:I, s:o, s:O}", "out", json_text(o->out),
                             "linears", (json_int_t)r->linears, "exact", (json_int_t)r->exact, "change",
                             json_number(r->change), "relative_error", json_number(r->error), "bytes",
                             (json_int_t)r->bytes, "seconds", json_number(r->seconds), "tensors", tensors);

    if (json && r->is_measured)
        json_object_update_new(
            json, json_pack("{s:I, s:o, s:o, s:o, s:o}", "tokens", (json_int_t)r->tokens, "ppl_unmerged",
                            json_number(r->ppl_unmerged), "ppl", json_number(r->ppl), "kl_mean",
                            json_number(r->kl_mean), "top1_agreement", json_number(r->top1_agreement)));
    return print_json(json);
}

static int print_merged(const struct invocation *in, const struct gram_merge_report *r, json_t *tensors)
{
    const struct merge_options *o = in->options;
    char text[HUMAN_SIZE];

    if (in->common->json)
        return print_merged_json(o, r, tensors);
    if (in->common->quiet)
        return EXIT_DONE;
    printf("%s: %llu linears merged, %llu of them exactly, %s, %.1f s\n", o->out,
           (unsigned long long)r->linears, (unsigned long long)r->exact, human_bytes(text, r->bytes),
           r->seconds);
    printf("adapters change the weights by %.3f %%, storing them cost %.3f %%\n", 100 * r->change,
           100 * r->error);
    if (r->is_measured)
        printf("perplexity %.4f unmerged, %.4f merged   KL divergence %.3g   same top token %.2f %%\n",
               r->ppl_unmerged, r->ppl, r->kl_mean, 100 * r->top1_agreement);
    return EXIT_DONE;
}

static int run(const struct invocation *in)
{
    const struct merge_options *o = in->options;
    struct gram_adapter *adapters = calloc(o->adapters.n + 1, sizeof *adapters);
    char **paths = calloc(o->adapters.n + 1, sizeof *paths);
    struct told told = {o, json_array()};
    struct gram_merge_report report = {0};
    struct gram_error err = {0};

    enum gram_status st = adapters && paths ? parse_all(in, adapters, paths, &err)
                                            : refuse(&err, GRAM_ENOMEM, "memory ran out");
    if (st == GRAM_OK)
        st = merge(in, adapters, &told, &report, &err);
    const int code = st == GRAM_OK ? print_merged(in, &report, told.list) : report_failure(&err);
    for (size_t i = 0; paths && i <= o->adapters.n; i++)
        free(paths[i]);
    free(paths);
    free(adapters);
    json_decref(told.list);
    return code;
}

const struct command command_merge = {
    .name = "merge",
    .summary = "merge adapters into a model, and say what that costs",
    .description =
        "Writes MODEL with ADAPTER (PEFT's format) as part of its weights. A float model keeps its types. "
        "Linears that are quantized are quantized again on their own grids, or on that of --scheme; how far "
        "the stored weights are from W + s B A is told, and with --text the perplexity of the merged model "
        "and its divergence from the unmerged one. Adapters that were trained with pooled inputs (QA-LoRA, "
        "'gram tune --method qa-lora') move only zero points and merge exactly.\n\n"
        "OUT appears complete or not at all.",
    .operands =
        (const struct operand[]){{"MODEL", "model directory, or org/name in the hub cache", false},
                                 {"ADAPTER", "adapter in PEFT's format; DIR:0.5 counts half", false},
                                 {0}},
    .options = rows,
    .examples =
        (const struct example[]){
            {"gram merge llama-1b adapter -o llama-1b-tuned", "float weights, exact but for their type"},
            {"gram merge llama-1b-w4 adapter -o tuned-w4 --text wiki.txt",
             "on the grid of the base, with what that costs"},
            {0}},
    .options_size = sizeof(struct merge_options),
    .run = run,
};
