/* gram run: continue a prompt, token by token. */
#include "answer.h"
#include "output.h"

/* clang-format off */
#define AT(field) offsetof(struct run_options, field)
static const struct option_row rows[] = {
    {.name = "max-tokens", .letter = 'n', .type = OPTION_INT, .argument = "N", .fallback = "64",
     .low = 1, .high = 1 << 27, .help = "most tokens to generate", .offset = AT(n)},
    {.name = "temperature", .type = OPTION_REAL, .argument = "X", .fallback = "0", .low = 0,
     .high = 100, .help = "0 takes the most probable token, 1 samples what the model predicts",
     .offset = AT(temperature)},
    {.name = "top-k", .type = OPTION_INT, .argument = "N", .fallback = "0", .low = 0,
     .high = 1 << 27, .help = "sample from the N most probable tokens, 0 for all",
     .offset = AT(top_k)},
    {.name = "top-p", .type = OPTION_REAL, .argument = "P", .fallback = "1", .low = 0, .high = 1,
     .help = "sample from the fewest tokens whose probability reaches P", .offset = AT(top_p)},
    {.name = "min-p", .type = OPTION_REAL, .argument = "P", .fallback = "0", .low = 0, .high = 1,
     .help = "drop tokens less probable than P times the most probable", .offset = AT(min_p)},
    {.name = "seed", .type = OPTION_INT, .argument = "N", .fallback = "0", .low = 0, .high = 9e15,
     .help = "same seed, same text", .offset = AT(seed)},
    {.name = "stop", .type = OPTION_LIST, .argument = "TEXT",
     .help = "end before this text; may be repeated", .offset = AT(stops)},
    {.name = "ctx", .letter = 'c', .type = OPTION_INT, .argument = "N", .low = 1, .high = 1 << 27,
     .help = "tokens that prompt and answer may fill [the model's limit, at most 4096]",
     .offset = AT(context)},
    {.name = "kv", .type = OPTION_CHOICE, .argument = "KIND", .choices = kv_choices,
     .help = "what the cache of keys and values holds: f16, int8, f32 [f16]", .offset = AT(kv)},
    {.name = "adapter", .letter = 'a', .type = OPTION_LIST, .argument = "DIR", .help = adapter_help,
     .offset = AT(adapters)},
    {.name = "no-bos", .help = "put no special token in front of the prompt", .offset = AT(no_bos)},
    {.name = "echo", .help = "print the prompt in front of the answer", .offset = AT(echo)},
    {.name = NULL},
};
#undef AT
/* clang-format on */

/* The first token comes from the prompt's logits: n tokens take n - 1 steps. */
static double tokens_per_second(const struct answer *a)
{
    return a->n_ids > 1 && a->seconds > 0 ? (double)(a->n_ids - 1) / a->seconds : 0;
}

static int print_answer(const struct answer *a)
{
    json_t *ids = json_array();

    for (int64_t i = 0; i < a->n_ids; i++)
        json_array_append_new(ids, json_integer(a->ids[i]));
    return print_json(json_pack(
        "{s:I, s:I, s:o, s:o, s:s, s:o, s:o}", "prompt_tokens", (json_int_t)a->prompt.len, "tokens",
        (json_int_t)a->n_ids, "text", json_text(a->text), "ids", ids, "stop_reason", a->reason,
        "tokens_per_s", json_number(tokens_per_second(a)), "prompt_tokens_per_s",
        json_number((double)a->prompt.len / (a->prompt_seconds > 0 ? a->prompt_seconds : 1e-9))));
}

static int run(const struct invocation *in)
{
    const struct run_options *o = in->options;
    struct answer a = {0};
    struct gram_error err = {0};
    int code = EXIT_DONE;

    enum gram_status st = answer_open(&a, in->operands[0], in->operands[1], o, &err);
    if (st == GRAM_OK && o->echo)
        st = answer_echo(&a, &err);
    if (st == GRAM_OK)
        st = answer_generate(&a, o->n, &err);
    if (!o->common.json && a.n_ids > 0)
        putchar('\n');
    if (!output_flush())
        code = EXIT_FAILED;
    else if (st != GRAM_OK)
        code = report_failure(&err);
    else if (o->common.json)
        code = print_answer(&a);
    else
        say(in->common, "%zu prompt tokens in %.2f s, %lld tokens in %.2f s, %.1f tokens/s (%s)",
            a.prompt.len, a.prompt_seconds, (long long)a.n_ids, a.seconds, tokens_per_second(&a),
            a.reason);
    answer_close(&a);
    return code;
}

const struct command command_run_model = {
    .name = "run",
    .summary = "continue a prompt",
    .description =
        "Prints what MODEL writes after PROMPT as it appears, and the speed at the end. Without "
        "PROMPT, or with '-', the prompt is read from standard input, without its last newline. "
        "Ends after -n tokens, at the "
        "model's end-of-text token, before a --stop text, or when the context is full.",
    .operands =
        (const struct operand[]){{"MODEL", "model directory, or org/name in the hub cache", false},
                                 {"PROMPT", "text to continue [standard input]", true},
                                 {0}},
    .options = rows,
    .examples =
        (const struct example[]){
            {"gram run llama-1b-w4 \"Once upon a time\" -n 64", "the most probable continuation"},
            {"gram run llama-1b-w4 --temperature 0.8 --top-p 0.95 --seed 7 < prompt.txt",
             "a sampled one that can be repeated"},
            {0}},
    .options_size = sizeof(struct run_options),
    .run = run,
};
