/* gram tune: a model, or an adapter for it, learns from text. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job.h"
#include "load.h"
#include "output.h"

struct tune_options {
    struct common_options common;
    struct gram_tune_options tune; /* filled by the rows; struct_size and callbacks by tune() */
    const char *out, *log, *init;
    int64_t loftq;
};

static const struct gram_choice *beginnings(void)
{
    static const struct gram_choice ways[] = {
        {"peft", "A at random, B zero"},
        {"loftq", "what the base's codes miss, as far as the rank goes"},
        {NULL, NULL},
    };
    return ways;
}

/* clang-format off */
#define AT(field) offsetof(struct tune_options, field)
#define OF(field) offsetof(struct tune_options, tune.field)
static const struct option_row rows[] = {
    {.name = "output", .letter = 'o', .type = OPTION_TEXT, .argument = "OUT", .is_required = true,
     .help = "directory to write", .offset = AT(out)},
    {.name = "data", .letter = 'd', .type = OPTION_TEXT, .argument = "FILE", .is_required = true,
     .help = "what to learn from: a text, or .jsonl or .json records (text, prompt and response, "
             "instruction and output, messages); self: what MODEL itself says", .offset = OF(data)},
    {.name = "self-tokens", .type = OPTION_INT, .argument = "N", .low = 2, .high = 1e12,
     .help = "tokens that MODEL (or --reference) says: for --data self [65536], or beside a file [0]",
     .offset = OF(self_tokens)},
    {.name = "method", .letter = 'm', .type = OPTION_CHOICE, .argument = "METHOD",
     .choices = gram_tune_methods, .fallback = "full",
     .help = "what is trained: full (all weights), lora (an adapter), qlora (the same on a base in 4 bits), "
             "qat (all, on the grid of --scheme), lora-qat (an adapter in the weights, on their grid), "
             "qa-lora (an adapter that moves zero points), steps (those of a quantized MODEL)",
     .offset = OF(method)},
    {.name = "eval-share", .type = OPTION_REAL, .argument = "X", .fallback = "0", .low = 0, .high = 0.9,
     .help = "share of the data that is held out and measured", .offset = OF(eval_share)},
    {.name = "eval-data", .type = OPTION_TEXT, .argument = "FILE",
     .help = "data that is measured and not learned", .offset = OF(eval_data)},
    {.name = "skip-bad", .help = "pass over bad records and count them, instead of failing",
     .offset = OF(skip_bad)},
    {.name = "ctx", .letter = 'c', .type = OPTION_INT, .argument = "N", .low = 2, .high = 1 << 27,
     .help = "tokens of a row [the model's limit, at most 512]", .offset = OF(context)},
    {.name = "batch", .letter = 'b', .type = OPTION_INT, .argument = "N", .fallback = "4", .low = 1,
     .high = 1 << 16, .help = "rows that are computed together", .offset = OF(rows)},
    {.name = "accumulate", .type = OPTION_INT, .argument = "N", .fallback = "1", .low = 1,
     .high = 1 << 20, .help = "batches of a step", .offset = OF(accumulate)},
    {.name = "epochs", .letter = 'e', .type = OPTION_INT, .argument = "N", .fallback = "1", .low = 1,
     .high = 1e6, .help = "passes over the data", .offset = OF(epochs)},
    {.name = "steps", .letter = 'n', .type = OPTION_INT, .argument = "N", .low = 1, .high = 1e12,
     .help = "steps in all, whatever --epochs says", .offset = OF(steps)},
    {.name = "lr", .type = OPTION_REAL, .argument = "X", .low = 1e-12, .high = 100,
     .help = "learning rate [1e-4 full, 2e-4 lora and qlora, 5e-3 qa-lora, 1e-3 else]", .offset = OF(lr)},
    {.name = "optimizer", .type = OPTION_TEXT, .argument = "NAME", .fallback = "adamw",
     .help = "adamw, adamw8bit, adam, adam8bit, amsgrad, sgd, rmsprop or adagrad", .offset = OF(optimizer)},
    {.name = "paged", .help = "keep the optimizer's states in a file that the system may evict",
     .offset = OF(paged)},
    {.name = "memory", .type = OPTION_SIZE, .argument = "SIZE", .low = 1, .high = 1e18,
     .help = "most memory to take; blocks are run twice, rows one by one and states paged before it is "
             "refused [no limit]", .offset = OF(memory)},
    {.name = "store", .type = OPTION_TEXT, .argument = "TYPE",
     .help = "full: type of the weights that are written, f32, f16 or bf16 [as read]",
     .offset = OF(store)},
    {.name = "schedule", .type = OPTION_TEXT, .argument = "NAME", .fallback = "cosine",
     .help = "how the learning rate moves: constant, linear, cosine, ...", .offset = OF(schedule)},
    {.name = "warmup", .type = OPTION_REAL, .argument = "X", .fallback = "0.03", .low = 0, .high = 1,
     .help = "share of the steps in which the rate grows", .offset = OF(warmup)},
    {.name = "weight-decay", .type = OPTION_REAL, .argument = "X", .fallback = "0", .low = 0,
     .high = 1e3, .help = "pull of the matrices towards zero", .offset = OF(weight_decay)},
    {.name = "clip", .type = OPTION_REAL, .argument = "X", .fallback = "1", .low = 0, .high = 1e9,
     .help = "longest gradient, 0 for any", .offset = OF(clip)},
    {.name = "seed", .type = OPTION_INT, .argument = "N", .fallback = "0", .low = 0, .high = 9e15,
     .help = "of the order of samples, what is held out, and new adapters", .offset = OF(seed)},
    {.name = "eval-every", .type = OPTION_INT, .argument = "N", .fallback = "0", .low = 0, .high = 1e12,
     .help = "steps between measurements, 0 for start and end alone", .offset = OF(eval_every)},
    {.name = "patience", .type = OPTION_INT, .argument = "N", .fallback = "0", .low = 0, .high = 1e9,
     .help = "end after N measurements without a new best one, and write the best; 0 for no end",
     .offset = OF(patience)},
    {.name = "keep-every", .type = OPTION_INT, .argument = "N", .fallback = "100", .low = 0,
     .high = 1e12, .help = "steps between checkpoints, 0 for none", .offset = OF(keep_every)},
    {.name = "distill", .type = OPTION_REAL, .argument = "X", .fallback = "0", .low = 0, .high = 1,
     .help = "share of the loss that is the divergence from the reference's logits",
     .offset = OF(distill)},
    {.name = "distill-temperature", .type = OPTION_REAL, .argument = "X", .fallback = "1", .low = 1e-3,
     .high = 1e3, .help = "of both distributions", .offset = OF(distill_temperature)},
    {.name = "block-mse", .type = OPTION_REAL, .argument = "X", .fallback = "0", .low = 0, .high = 1e6,
     .help = "weight of the relative squared error of what leaves the blocks", .offset = OF(block_mse)},
    {.name = "reference", .type = OPTION_TEXT, .argument = "MODEL",
     .help = "what --distill, --block-mse and --coreset hold against [MODEL as it is]",
     .offset = OF(reference)},
    {.name = "coreset", .type = OPTION_REAL, .argument = "X", .fallback = "1", .low = 1e-9, .high = 1,
     .help = "share of the samples that an epoch is made of, those that matter most then",
     .offset = OF(coreset)},
    {.name = "coreset-every", .type = OPTION_INT, .argument = "N", .fallback = "1", .low = 1,
     .high = 1e9, .help = "epochs between choices", .offset = OF(coreset_every)},
    {.name = "kv", .type = OPTION_CHOICE, .argument = "KIND", .choices = kv_choices,
     .help = "what the cache of keys and values holds: f16, int8, f32 [f32]", .offset = OF(kv)},
    {.name = "from-random", .help = "full, qat: MODEL gives shape and tokenizer, weights begin anew",
     .offset = OF(from_random)},
    {.name = "scheme", .letter = 's', .type = OPTION_TEXT, .argument = "SCHEME", .choices = gram_schemes,
     .help = "qat, lora-qat: the grid, such as w2a16-g64 [w4a16]; qlora: of the base [nf4-dq]",
     .offset = OF(scheme)},
    {.name = "start", .type = OPTION_TEXT, .argument = "QUANTIZED",
     .help = "qat: MODEL quantized, such as by gptq, whose codes and, without --scheme, grids it "
             "begins with",
     .offset = OF(start)},
    {.name = "channels", .type = OPTION_REAL, .argument = "X", .fallback = "1", .low = 1e-9, .high = 1,
     .help = "qat: share of the rows of each linear that is trained, the largest ones",
     .offset = OF(channels)},
    {.name = "ranges", .type = OPTION_TEXT, .argument = "HOW", .fallback = "learned",
     .help = "qat: one scale for all activations is learned, or stands once observed",
     .offset = OF(ranges)},
    {.name = "watch-steps", .type = OPTION_INT, .argument = "N", .low = 1, .high = 1e12,
     .help = "qat: steps in which it follows what is seen [a tenth of all]", .offset = OF(watch_steps)},
    {.name = "rank", .letter = 'r', .type = OPTION_INT, .argument = "N", .fallback = "16", .low = 1,
     .high = 1 << 14, .help = "of adapters: rank of the pairs", .offset = OF(rank)},
    {.name = "alpha", .type = OPTION_REAL, .argument = "X", .low = 1e-6, .high = 1e6,
     .help = "of adapters: pairs count alpha / rank times [twice the rank]", .offset = OF(alpha)},
    {.name = "targets", .type = OPTION_TEXT, .argument = "NAMES",
     .help = "of adapters: linears that get a pair, such as q_proj,v_proj, or a regular expression for whole "
             "names [all-linear: all of the blocks]", .offset = OF(targets)},
    {.name = "rank-pattern", .type = OPTION_TEXT, .argument = "LIST",
     .help = "of adapters: other ranks of some linears, such as down_proj=32", .offset = OF(rank_pattern)},
    {.name = "alpha-pattern", .type = OPTION_TEXT, .argument = "LIST",
     .help = "of adapters: the same of --alpha", .offset = OF(alpha_pattern)},
    {.name = "rslora", .help = "of adapters: pairs count alpha / sqrt(rank) times", .offset = OF(use_rslora)},
    {.name = "dropout", .type = OPTION_REAL, .argument = "X", .fallback = "0", .low = 0, .high = 0.99,
     .help = "lora, qlora: share of what the pairs read that is dropped in training",
     .offset = OF(dropout)},
    {.name = "init", .type = OPTION_CHOICE, .argument = "HOW", .choices = beginnings, .fallback = "peft",
     .help = "of adapters: how pairs begin: peft (B is zero), loftq (qlora: with what codes miss)",
     .offset = AT(init)},
    {.name = "loftq-iterations", .type = OPTION_INT, .argument = "N", .fallback = "1", .low = 1, .high = 100,
     .help = "more than one also changes the codes of the base and needs --base-out", .offset = AT(loftq)},
    {.name = "base-out", .type = OPTION_TEXT, .argument = "DIR",
     .help = "qlora: directory to write the base to that was quantized on the way", .offset = OF(base_out)},
    {.name = "log", .type = OPTION_TEXT, .argument = "FILE",
     .help = "append a line of JSON for every step", .offset = AT(log)},
    {.name = "force", .letter = 'f', .help = "replace OUT if it exists", .offset = OF(force)},
    {.name = NULL},
};
#undef AT
#undef OF
/* clang-format on */

struct listener {
    FILE *log; /* or NULL */
    bool is_quiet;
};

static void tell_memory(void *user, const struct gram_tune_memory *m)
{
    const struct listener *listener = user;
    char sizes[5][HUMAN_SIZE];

    if (listener->is_quiet)
        return;
    fprintf(stderr,
            "memory: %s; weights %s, gradients %s, states %s, activations %s (%s, %lld rows a pass)\n",
            human_bytes(sizes[0], m->total), human_bytes(sizes[1], m->weights),
            human_bytes(sizes[2], m->gradients), m->is_paged ? "paged" : human_bytes(sizes[3], m->states),
            human_bytes(sizes[4], m->activations), m->keeps_all ? "all are kept" : "blocks are run twice",
            (long long)m->rows);
}

static void log_step(void *user, const struct gram_tune_step *s)
{
    FILE *log = ((const struct listener *)user)->log;
    json_t *line = json_pack("{s:I, s:o, s:I, s:o, s:o, s:o, s:o}", "step", (json_int_t)s->step, "epoch",
                             json_number(s->epoch), "tokens", (json_int_t)s->tokens, "loss",
                             json_number(s->loss), "grad_norm", json_number(s->grad_norm), "lr",
                             json_number(s->lr), "tokens_per_s", json_number(s->tokens_per_s));
    char *text = NULL;

    if (line && !isnan(s->held_loss))
        json_object_set_new(line, "held_loss", json_number(s->held_loss));
    if (line)
        text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(10));
    if (text)
        fprintf(log, "%s\n", text);
    fflush(log);
    free(text);
    json_decref(line);
}

static enum gram_status tune(const struct invocation *in, FILE *log, struct gram_tune_report *report,
                             int *rank, struct gram_error *err)
{
    const struct tune_options *o = in->options;
    struct gram_tune_options options = o->tune;
    struct loaded loaded = {0};
    struct progress progress;
    const struct gram_job job = progress_job(&progress, in->common);

    struct listener listener = {log, in->common->quiet};
    options.struct_size = sizeof options;
    options.loftq = strcmp(o->init, "loftq") == 0 ? o->loftq : 0;
    options.on_step = log ? log_step : NULL;
    options.on_memory = tell_memory;
    options.user = &listener;
    loaded.join = true;
    enum gram_status st = load_runtime(&loaded, in->common, err);
    if (st == GRAM_OK)
        *rank = gram_runtime_rank(loaded.runtime);
    if (st == GRAM_OK)
        st = gram_tune(loaded.runtime, in->operands[0], o->out, &options, report, &job, err);
    progress_end(&progress);
    loaded_close(&loaded);
    return st;
}

static json_t *memory_json(const struct gram_tune_memory *m)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:I}", "total", (json_int_t)m->total, "weights",
                     (json_int_t)m->weights, "gradients", (json_int_t)m->gradients, "states",
                     (json_int_t)m->states, "activations", (json_int_t)m->activations, "keeps_all",
                     m->keeps_all, "paged", m->is_paged, "rows", (json_int_t)m->rows);
}

static int print_report(const struct invocation *in, const struct gram_tune_report *r)
{
    const struct tune_options *o = in->options;

    if (in->common->json)
        return print_json(json_pack(
            "{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "out",
            json_text(o->out), "steps", (json_int_t)r->steps, "resumed_from", (json_int_t)r->resumed_from,
            "samples", (json_int_t)r->samples, "held_samples", (json_int_t)r->held_samples, "skipped",
            (json_int_t)r->skipped, "cut", (json_int_t)r->cut, "tokens", (json_int_t)r->tokens, "trained",
            (json_int_t)r->trained, "parameters", (json_int_t)r->parameters, "first_loss",
            json_number(r->first_loss), "last_loss", json_number(r->last_loss), "held_before",
            json_number(r->held_before), "held_after", json_number(r->held_after), "seconds",
            json_number(r->seconds), "memory", memory_json(&r->memory)));
    if (in->common->quiet)
        return EXIT_DONE;
    printf("%s: %lld steps, %lld tokens, loss %.4f -> %.4f", o->out, (long long)r->steps,
           (long long)r->tokens, r->first_loss, r->last_loss);
    if (!isnan(r->held_after))
        printf(", held out %.4f -> %.4f", r->held_before, r->held_after);
    printf(", %.1f s\n", r->seconds);
    if (!isnan(r->loftq_before))
        printf("LoftQ: codes miss %.3f %% of the weights, with the pairs %.3f %%\n",
               100 * r->loftq_before, 100 * r->loftq_after);
    return EXIT_DONE;
}

static int run(const struct invocation *in)
{
    const struct tune_options *o = in->options;
    struct gram_tune_report report = {0};
    struct gram_error err = {0};
    enum gram_status st = GRAM_OK;
    int rank = 0;
    FILE *log = o->log ? fopen(o->log, "a") : NULL;

    if (o->log && !log)
        st = refuse_errno(&err, o->log);
    if (st == GRAM_OK)
        st = tune(in, log, &report, &rank, &err);
    if (log)
        fclose(log);
    if (st != GRAM_OK)
        return report_failure(&err);
    return rank == 0 ? print_report(in, &report) : EXIT_DONE;
}

const struct command command_tune = {
    .name = "tune",
    .summary = "train a model, or an adapter for it",
    .description =
        "Trains MODEL on text or on records and writes OUT: a Hugging Face directory (full; qat and "
        "lora-qat, whose linears are on the grid of --scheme; steps), or an adapter in PEFT's format (lora, "
        "qlora, qa-lora). Of records that hold a prompt and an answer, only the answer is learned. MODEL may "
        "be quantized for adapters, and must be for qa-lora and steps; the base of an adapter stays as it "
        "is.\n\n"
        "Under mpirun (gram built with -Dmpi=enabled) the processes share every batch; give each the same "
        "command, and files that all can read.\n\n"
        "OUT appears complete or not at all. An interrupted run goes on from its last checkpoint when the "
        "same command is given again, and ends in the same bytes.",
    .operands =
        (const struct operand[]){{"MODEL", "model directory, or org/name in the hub cache", false},
                                 {0}},
    .options = rows,
    .examples =
        (const struct example[]){
            {"gram tune llama-1b -o adapter -m lora -d train.jsonl --eval-share 0.05",
             "an adapter, measured on a twentieth of the data"},
            {"gram tune llama-1b -o adapter -m qlora --init loftq -d train.jsonl",
             "the same on a base in 4 bits"},
            {"gram tune stories -o stories-w2 -m qat -s w2a16-g64 -d stories.txt --steps 500",
             "two bits, trained on their grid"},
            {0}},
    .options_size = sizeof(struct tune_options),
    .run = run,
};
