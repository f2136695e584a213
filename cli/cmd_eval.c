/* gram eval: what a model is worth on a text, alone and beside its reference. */
#include <math.h>
#include <stdlib.h>

#include "job.h"
#include "load.h"
#include "output.h"

struct eval_options {
    struct common_options common;
    const char *text, *reference, *kv;
    struct text_list adapters;
    int64_t context, max_tokens;
    double fail_if_ppl, fail_if_kl;
};

/* clang-format off */
#define AT(field) offsetof(struct eval_options, field)
static const struct option_row rows[] = {
    {.name = "text", .type = OPTION_TEXT, .argument = "FILE", .is_required = true,
     .help = "text to measure on, '-' for standard input", .offset = AT(text)},
    {.name = "reference", .letter = 'r', .type = OPTION_TEXT, .argument = "MODEL",
     .help = "model to hold it against, usually the unquantized one", .offset = AT(reference)},
    {.name = "adapter", .letter = 'a', .type = OPTION_LIST, .argument = "DIR", .help = adapter_help,
     .offset = AT(adapters)},
    {.name = "ctx", .letter = 'c', .type = OPTION_INT, .argument = "N", .low = 2, .high = 1 << 27,
     .help = "tokens per window [the model's limit, at most 2048]", .offset = AT(context)},
    {.name = "kv", .type = OPTION_CHOICE, .argument = "KIND", .choices = kv_choices,
     .help = "what the cache of keys and values holds: f16, int8, f32 [f16]", .offset = AT(kv)},
    {.name = "max-tokens", .type = OPTION_INT, .argument = "N", .low = 2, .high = 1e15,
     .help = "use only the first N tokens of the text [all]", .offset = AT(max_tokens)},
    {.name = "fail-if-ppl", .type = OPTION_REAL, .argument = "X", .low = 1, .high = 1e15,
     .help = "exit 3 if the perplexity is above X", .offset = AT(fail_if_ppl)},
    {.name = "fail-if-kl", .type = OPTION_REAL, .argument = "X", .low = 1e-12, .high = 1e15,
     .help = "exit 3 if the mean KL divergence from the reference is above X",
     .offset = AT(fail_if_kl)},
    {.name = NULL},
};
#undef AT
/* clang-format on */

struct measured {
    struct gram_eval_report report;
    struct gram_model_info info; /* numbers only: the model is closed */
};

static enum gram_status encode_file(const struct gram_tokenizer *tokenizer, const char *path,
                                    struct gram_ids *ids, struct gram_error *err)
{
    char *text;
    size_t len;

    enum gram_status st = read_text(path, &text, &len, err);
    if (st == GRAM_OK)
        st = encode_text(tokenizer, text, len, true, ids, err);
    free(text);
    if (st == GRAM_OK && ids->len < 2)
        return refuse(err, GRAM_EFORMAT, "%s: %zu tokens; at least 2 are needed", path, ids->len);
    return st;
}

/* The model, and beside it the reference, which shares its runtime. */
static enum gram_status measure(const struct invocation *in, struct loaded *loaded,
                                struct measured *m, const struct gram_job *job,
                                struct gram_error *err)
{
    const struct eval_options *o = in->options;
    struct gram_eval_options options = GRAM_EVAL_OPTIONS_INIT;
    struct gram_model *reference = NULL;
    struct gram_ids ids = {0};

    options.context = o->context;
    options.max_tokens = o->max_tokens;
    options.kv = o->kv;
    enum gram_status st = load_adapted(loaded, in->operands[0], o->adapters, in->common, err);
    if (st == GRAM_OK)
        st = load_tokenizer(loaded, in->operands[0], err);
    if (st == GRAM_OK && o->reference)
        st = gram_model_open(&reference, loaded->runtime, o->reference, err);
    if (st == GRAM_OK)
        st = encode_file(loaded->tokenizer, o->text, &ids, err);
    if (st == GRAM_OK)
        st = gram_eval(&m->report, loaded->model, reference, ids.at, ids.len, &options, job, err);
    m->info = loaded->info;
    gram_ids_reset(&ids);
    gram_model_close(&reference);
    return st;
}

static int print_measured_json(const struct measured *m)
{
    const struct gram_eval_report *r = &m->report;
    json_t *json =
        json_pack("{s:I, s:I, s:o, s:o, s:o, s:I, s:o}", "tokens", (json_int_t)r->tokens, "windows",
                  (json_int_t)r->windows, "nll", json_number(r->nll), "ppl", json_number(r->ppl),
                  "bits_per_weight", json_number(m->info.bits_per_weight), "bytes",
                  (json_int_t)m->info.weight_bytes, "seconds", json_number(r->seconds));

    if (json && r->has_reference)
        json_object_update_new(
            json, json_pack("{s:o, s:o, s:o, s:o}", "ppl_reference", json_number(r->ppl_reference),
                            "kl_mean", json_number(r->kl_mean), "kl_p99", json_number(r->kl_p99),
                            "top1_agreement", json_number(r->top1_agreement)));
    return print_json(json);
}

static int print_measured(const struct measured *m)
{
    const struct gram_eval_report *r = &m->report;
    char text[HUMAN_SIZE];

    printf("perplexity       %12.4f\n", r->ppl);
    if (r->has_reference)
        printf("  of reference   %12.4f   %+.2f %%\n"
               "KL divergence    %12.6f   mean, nats\n"
               "                 %12.6f   99th percentile\n"
               "same top token   %12.2f %%\n",
               r->ppl_reference, 100 * (r->ppl / r->ppl_reference - 1), r->kl_mean, r->kl_p99,
               100 * r->top1_agreement);
    printf("tokens           %12s   %llu windows\n", human_count(text, r->tokens),
           (unsigned long long)r->windows);
    printf("weights          %12s   %.2f bits each\n", human_bytes(text, m->info.weight_bytes),
           m->info.bits_per_weight);
    return EXIT_DONE;
}

/* A figure that is not a number passes no gate. */
static int check_gates(const struct eval_options *o, const struct gram_eval_report *r)
{
    int code = EXIT_DONE;

    if (o->fail_if_ppl > 0 && !(r->ppl <= o->fail_if_ppl)) {
        complain("the perplexity %.6g is above the limit %.6g", r->ppl, o->fail_if_ppl);
        code = EXIT_GATE;
    }
    if (o->fail_if_kl > 0 && !(r->kl_mean <= o->fail_if_kl)) {
        complain("the mean KL divergence %.6g is above the limit %.6g", r->kl_mean, o->fail_if_kl);
        code = EXIT_GATE;
    }
    return code;
}

static int run(const struct invocation *in)
{
    const struct eval_options *o = in->options;
    struct loaded loaded = {0};
    struct measured m = {0};
    struct gram_error err = {0};
    struct progress progress;
    const struct gram_job job = progress_job(&progress, in->common);

    if (o->fail_if_kl > 0 && !o->reference) {
        refuse(&err, GRAM_EINVAL, "--fail-if-kl needs --reference MODEL");
        return report_failure(&err);
    }
    const enum gram_status st = measure(in, &loaded, &m, &job, &err);
    progress_end(&progress);
    loaded_close(&loaded);
    if (st != GRAM_OK)
        return report_failure(&err);
    const int printed = in->common->json ? print_measured_json(&m) : print_measured(&m);
    if (printed == EXIT_DONE)
        say(in->common, "%llu tokens in %.1f s, %.0f tokens/s", (unsigned long long)m.report.tokens,
            m.report.seconds, (double)m.report.tokens / fmax(m.report.seconds, 1e-9));
    return printed == EXIT_DONE ? check_gates(o, &m.report) : printed;
}

const struct command command_eval = {
    .name = "eval",
    .summary = "measure a model on a text, alone or beside its reference",
    .description =
        "Prints the perplexity of MODEL on a text, and with --reference how far its predictions "
        "are "
        "from those of another model with the same tokenizer: mean and 99th percentile of the "
        "Kullback-Leibler divergence, and how often both find the same token most probable.\n\n"
        "The text is tokenized once, with the tokenizer's own BOS at its start, and cut into "
        "independent windows; every token but the first of a window counts. What is measured is "
        "what "
        "'gram run' computes.",
    .operands =
        (const struct operand[]){{"MODEL", "model directory, or org/name in the hub cache", false},
                                 {0}},
    .options = rows,
    .examples =
        (const struct example[]){{"gram eval llama-1b-w4 --text wiki.txt --reference llama-1b",
                                  "what quantization cost"},
                                 {"gram eval llama-1b-w4 --text wiki.txt --fail-if-ppl 10.5",
                                  "for scripts: exit 3 if the perplexity is above 10.5"},
                                 {0}},
    .options_size = sizeof(struct eval_options),
    .run = run,
};
