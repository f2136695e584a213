/* gram quantize: a model directory in, a smaller one out. */
#include <stdlib.h>
#include <string.h>

#include "job.h"
#include "load.h"
#include "output.h"

struct quantize_options {
    struct common_options common;
    struct gram_quantize_options quantize; /* filled by the rows, the rest by quantize() */
    const char *out;
    struct text_list rules;
    bool no_act_order, no_sequential;
};

static const struct gram_choice *scale_dtypes(void)
{
    static const struct gram_choice rows[] = {
        {"f32", "single precision"}, {"f16", "half precision"}, {"bf16", "bfloat16"}, {NULL, NULL}};
    return rows;
}

/* clang-format off */
#define AT(field) offsetof(struct quantize_options, field)
#define OF(field) offsetof(struct quantize_options, quantize.field)
static const struct option_row rows[] = {
    {.name = "output", .letter = 'o', .type = OPTION_TEXT, .argument = "OUT", .is_required = true,
     .help = "directory to write", .offset = AT(out)},
    {.name = "scheme", .letter = 's', .type = OPTION_TEXT, .argument = "SCHEME",
     .choices = gram_schemes,
     .help = "how weights are stored, such as w4a16 or w4a16-g64-asym; 'gram schemes' lists more",
     .offset = OF(scheme)},
    {.name = "method", .letter = 'm', .type = OPTION_TEXT, .argument = "METHOD",
     .choices = gram_methods,
     .help = "how codes are chosen, such as gptq or gptq:block=64,no-act-order; 'gram methods' lists "
             "all and their options [the recipe's, else rtn]",
     .offset = OF(method)},
    {.name = "transform", .type = OPTION_TEXT, .argument = "NAME", .choices = gram_transforms,
     .help = "rewrite weights before they are quantized, such as awq or smoothquant:alpha=0.7; "
             "'gram transforms' lists all and their options [none]",
     .offset = OF(transform)},
    {.name = "calib", .type = OPTION_TEXT, .argument = "FILE",
     .help = "text, or JSONL records, that methods and transforms are calibrated on",
     .offset = OF(calibration)},
    {.name = "calib-tokens", .type = OPTION_INT, .argument = "N", .fallback = "32768", .low = 0,
     .high = 1e12, .help = "most tokens of it, 0 for all", .offset = OF(calibration_tokens)},
    {.name = "calib-ctx", .type = OPTION_INT, .argument = "N", .low = 2, .high = 1 << 27,
     .help = "tokens per window [the model's limit, at most 2048]", .offset = OF(calibration_context)},
    {.name = "save-stats", .type = OPTION_TEXT, .argument = "FILE",
     .help = "collect what the linears of the float model read, keep it in FILE, and quantize by it",
     .offset = OF(save_stats)},
    {.name = "stats", .type = OPTION_TEXT, .argument = "FILE",
     .help = "quantize by statistics that --save-stats kept, without running the model", .offset = OF(stats)},
    {.name = "observer", .type = OPTION_CHOICE, .argument = "NAME",
     .choices = gram_activation_observers,
     .help = "range that static activations keep [minmax]", .offset = OF(observer)},
    {.name = "memory", .type = OPTION_SIZE, .argument = "SIZE", .low = 1, .high = 1e18,
     .help = "most memory that the job may take; activations go to a file before it is refused "
             "[no limit]", .offset = OF(memory)},
    {.name = "damp", .type = OPTION_REAL, .argument = "X", .fallback = "0.01", .low = 1e-9, .high = 1,
     .help = "added to the diagonal of X'X, as a share of its mean, where the method says nothing else",
     .offset = OF(damping)},
    {.name = "no-act-order", .help = "round columns in the order of the file, not large inputs first",
     .offset = AT(no_act_order)},
    {.name = "no-sequential",
     .help = "calibrate all linears of a block at once, faster and a little less exact",
     .offset = AT(no_sequential)},
    {.name = "correct-drift",
     .help = "aim at the outputs of the float model, though inputs are those of the quantized one; "
             "blocks run twice as often", .offset = OF(correct_drift)},
    {.name = "correct-bias",
     .help = "let the biases of quantized linears, where they have one, take up the mean of what "
             "their outputs lose", .offset = OF(correct_bias)},
    {.name = "learn", .type = OPTION_INT, .argument = "N", .fallback = "0", .low = 0, .high = 1e6,
     .help = "passes over the calibration text in which codes and steps of whole blocks are learned "
             "on what leaves the float block (ZeroQuant's layer-by-layer distillation, BRECQ)",
     .offset = OF(learn_epochs)},
    {.name = "as-reference",
     .help = "gptq, ldlq, smoothquant and awq as their authors' implementations do it, without what gram "
             "does beside", .offset = OF(as_reference)},
    {.name = "iterations", .type = OPTION_INT, .argument = "N", .fallback = "0", .low = -1, .high = 1e6,
     .help = "of iterative methods, -1 for none and 0 for the method's own", .offset = OF(iterations)},
    {.name = "seed", .type = OPTION_INT, .argument = "N", .fallback = "0", .low = 0, .high = 1e15,
     .help = "of what is drawn", .offset = OF(seed)},
    {.name = "rule", .type = OPTION_LIST, .argument = "PATTERN=SCHEME[:METHOD]",
     .help = "another scheme for the linears whose name matches, 'keep' to leave them; may be "
             "repeated, the last match wins", .offset = AT(rules)},
    {.name = "recipe", .type = OPTION_TEXT, .argument = "FILE",
     .help = "JSON file with scheme, method and rules; --rule comes after its own",
     .offset = OF(recipe)},
    {.name = "scale-dtype", .type = OPTION_CHOICE, .argument = "DTYPE", .choices = scale_dtypes,
     .help = "type of the scales [the weight's own]", .offset = OF(scale_dtype)},
    {.name = "lm-head", .help = "quantize the output projection too", .offset = OF(quantize_lm_head)},
    {.name = "max-shard", .type = OPTION_SIZE, .argument = "SIZE", .fallback = "5g", .low = 1,
     .high = 1e18, .help = "largest file before the weights are split", .offset = OF(max_shard_bytes)},
    {.name = "force", .letter = 'f', .help = "replace OUT if it exists", .offset = OF(force)},
    {.name = "allow-nonfinite", .help = "carry NaN and Inf over instead of failing",
     .offset = OF(allow_nonfinite)},
    {.name = NULL},
};
#undef AT
#undef OF
/* clang-format on */

/* One "PATTERN=SCHEME[:METHOD]", cut in place. */
static enum gram_status parse_rule(char *text, struct gram_recipe_rule *rule,
                                   struct gram_error *err)
{
    char *equals = strchr(text, '=');
    char *colon = equals ? strchr(equals, ':') : NULL;

    if (!equals || equals == text || !equals[1] || colon == equals + 1 || (colon && !colon[1]))
        return refuse(err, GRAM_EINVAL,
                      "--rule: '%s' is not PATTERN=SCHEME or PATTERN=SCHEME:METHOD", text);
    *equals = '\0';
    if (colon)
        *colon = '\0';
    *rule = (struct gram_recipe_rule){text, equals + 1, colon ? colon + 1 : NULL};
    return GRAM_OK;
}

struct rules {
    struct gram_recipe_rule *at;
    char **texts;
    size_t n;
};

static void rules_reset(struct rules *rules)
{
    for (size_t i = 0; i < rules->n; i++)
        free(rules->texts[i]);
    free(rules->texts);
    free(rules->at);
}

static enum gram_status rules_init(struct rules *rules, const struct text_list *list,
                                   struct gram_error *err)
{
    rules->at = calloc(list->n + 1, sizeof rules->at[0]);
    rules->texts = calloc(list->n + 1, sizeof rules->texts[0]);
    if (!rules->at || !rules->texts)
        return refuse(err, GRAM_ENOMEM, "memory ran out");
    for (size_t i = 0; i < list->n; i++) {
        rules->texts[i] = strdup(list->at[i]);
        if (!rules->texts[i])
            return refuse(err, GRAM_ENOMEM, "memory ran out");
        rules->n++;
        const enum gram_status st = parse_rule(rules->texts[i], &rules->at[i], err);
        if (st != GRAM_OK)
            return st;
    }
    return GRAM_OK;
}

static json_t *estimate_json(const struct gram_estimate *e)
{
    return json_pack("{s:I, s:I, s:o}", "memory", (json_int_t)e->memory, "disk",
                     (json_int_t)e->disk, "seconds", json_number(e->seconds));
}

static int print_report(const struct invocation *in, const struct gram_quantize_report *r)
{
    const struct quantize_options *o = in->options;
    char after[HUMAN_SIZE], before[HUMAN_SIZE];

    if (in->common->json)
        return print_json(json_pack(
            "{s:o, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:o, s:I, s:I, s:o}", "out",
            json_text(o->out), "linears", (json_int_t)r->linears, "kept", (json_int_t)r->kept,
            "resumed", (json_int_t)r->resumed, "calibration_tokens",
            (json_int_t)r->calibration_tokens, "fallbacks", (json_int_t)r->fallbacks, "estimate",
            estimate_json(&r->estimate), "memory_peak", (json_int_t)r->memory_peak,
            "bits_per_weight", json_number(r->bits_per_weight), "bytes", (json_int_t)r->bytes_after,
            "bytes_before", (json_int_t)r->bytes_before, "seconds", json_number(r->seconds)));
    if (!in->common->quiet)
        printf("%s: %llu linears, %.2f bits/weight, %s (was %s), %.1f s\n", o->out,
               (unsigned long long)r->linears, r->bits_per_weight,
               human_bytes(after, r->bytes_after), human_bytes(before, r->bytes_before),
               r->seconds);
    return EXIT_DONE;
}

static enum gram_status quantize(const struct invocation *in, const struct rules *rules,
                                 struct gram_quantize_report *report, int *rank, struct gram_error *err)
{
    const struct quantize_options *o = in->options;
    struct gram_quantize_options options = o->quantize;
    struct loaded loaded = {0};
    struct progress progress;
    const struct gram_job job = progress_job(&progress, in->common);

    options.struct_size = sizeof options;
    options.rules = rules->at;
    options.n_rules = rules->n;
    options.act_order = !o->no_act_order;
    options.sequential = !o->no_sequential;
    loaded.join = true;
    enum gram_status st = load_runtime(&loaded, in->common, err);
    if (st == GRAM_OK)
        *rank = gram_runtime_rank(loaded.runtime);
    if (st == GRAM_OK)
        st = gram_quantize(loaded.runtime, in->operands[0], o->out, &options, report, &job, err);
    progress_end(&progress);
    loaded_close(&loaded);
    return st;
}

static int run(const struct invocation *in)
{
    const struct quantize_options *o = in->options;
    struct gram_quantize_report report = {0};
    struct gram_error err = {0};
    struct rules rules = {0};
    enum gram_status st = GRAM_OK;
    int rank = 0;

    if (!o->quantize.scheme && !o->quantize.recipe)
        st = refuse(&err, GRAM_EINVAL, "--scheme SCHEME or --recipe FILE is missing");
    if (st == GRAM_OK)
        st = rules_init(&rules, &o->rules, &err);
    if (st == GRAM_OK)
        st = quantize(in, &rules, &report, &rank, &err);
    rules_reset(&rules);
    if (st != GRAM_OK)
        return report_failure(&err);
    return rank == 0 ? print_report(in, &report) : EXIT_DONE;
}

const struct command command_quantize = {
    .name = "quantize",
    .summary = "write a smaller version of a model",
    .description =
        "Quantizes the linears of MODEL and writes OUT: a Hugging Face directory in the "
        "compressed-tensors format that vLLM and transformers load, with the tokenizer and with "
        "gram.json, which says what was done.\n\n"
        "OUT appears complete or not at all. An interrupted run goes on where it stopped when the "
        "same "
        "command is given again. The embedding is kept, and the output projection unless --lm-head "
        "is given.",
    .operands =
        (const struct operand[]){{"MODEL", "model directory, or org/name in the hub cache", false},
                                 {0}},
    .options = rows,
    .examples =
        (const struct example[]){
            {"gram quantize llama-1b -o llama-1b-w4 --scheme w4a16",
             "four bits, groups of 128, rounded to nearest"},
            {"gram quantize llama-1b -o out -s w4a16 -m mse --rule '*.mlp.down=w8a16'",
             "search the scales, and give the down projections eight bits"},
            {0}},
    .options_size = sizeof(struct quantize_options),
    .run = run,
};
