/* gram bench: how fast a model reads a prompt and generates, and what it takes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "crowd.h"
#include "job.h"
#include "load.h"
#include "output.h"

struct bench_options {
    struct common_options common;
    int64_t prompt, generate, repeat, parallel;
    const char *kv;
    struct text_list adapters;
    bool csv;
};

enum { MAX_REPEAT = 100, MAX_PARALLEL = 4096, CHUNK = 512, DEFAULT_PROMPT = 512, DEFAULT_GENERATE = 128 };

/* clang-format off */
#define AT(field) offsetof(struct bench_options, field)
static const struct option_row rows[] = {
    {.name = "prompt", .letter = 'p', .type = OPTION_INT, .argument = "N", .low = 1,
     .high = 1 << 27, .help = "tokens of the prompt [512, or what the context holds]",
     .offset = AT(prompt)},
    {.name = "generate", .letter = 'n', .type = OPTION_INT, .argument = "N", .low = 1,
     .high = 1 << 27, .help = "tokens to generate [128, or what the context holds]",
     .offset = AT(generate)},
    {.name = "repeat", .letter = 'r', .type = OPTION_INT, .argument = "N", .fallback = "3",
     .low = 1, .high = MAX_REPEAT, .help = "runs; the median counts", .offset = AT(repeat)},
    {.name = "parallel", .type = OPTION_INT, .argument = "N", .low = 1, .high = MAX_PARALLEL,
     .help = "also generate N sequences together", .offset = AT(parallel)},
    {.name = "kv", .type = OPTION_CHOICE, .argument = "KIND", .choices = kv_choices,
     .help = "what the cache of keys and values holds: f16, int8, f32 [f16]", .offset = AT(kv)},
    {.name = "adapter", .letter = 'a', .type = OPTION_LIST, .argument = "DIR", .help = adapter_help,
     .offset = AT(adapters)},
    {.name = "csv", .help = "print a line of names and a line of values", .offset = AT(csv)},
    {.name = NULL},
};
#undef AT
/* clang-format on */

struct bench {
    const struct bench_options *options;
    struct loaded loaded;
    struct gram_session *session;
    int32_t *ids; /* [max(prompt, generate)], any but always the same */
    float *logits;
    int64_t prompt, generate;
    double load_seconds, prompt_rate, generate_rate;
    struct gram_ceilings ceilings;
    double parallel_rate; /* tokens of all sequences; 0: not measured */
    struct progress progress;
};

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The session's context holds the longer of the two: they are measured apart, each from position 0.
 */
static enum gram_status open_session(struct bench *b, struct gram_error *err)
{
    struct gram_session_options options = GRAM_SESSION_OPTIONS_INIT;
    const int64_t limit = b->loaded.info.context, p = b->options->prompt, n = b->options->generate;

    b->prompt = p ? p : smaller(DEFAULT_PROMPT, limit);
    b->generate = n ? n : smaller(DEFAULT_GENERATE, limit);
    options.context = b->prompt > b->generate ? b->prompt : b->generate;
    options.batch = CHUNK;
    options.kv = b->options->kv;
    return gram_session_open(&b->session, b->loaded.model, &options, err);
}

static enum gram_status make_ids(struct bench *b, struct gram_error *err)
{
    const size_t n = (size_t)(b->prompt > b->generate ? b->prompt : b->generate);
    uint32_t state = 1;

    b->ids = malloc(n * sizeof b->ids[0]);
    b->logits = malloc((size_t)b->loaded.info.vocab * sizeof b->logits[0]);
    if (!b->ids || !b->logits)
        return refuse(err, GRAM_ENOMEM, "memory ran out");
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        b->ids[i] = (int32_t)((state >> 8) % (uint64_t)b->loaded.info.vocab);
    }
    return GRAM_OK;
}

static enum gram_status open_bench(struct bench *b, const struct invocation *in,
                                   struct gram_error *err)
{
    enum gram_status st = load_runtime(&b->loaded, in->common, err);
    const double since = clock_seconds();

    if (st == GRAM_OK)
        st = load_adapted(&b->loaded, in->operands[0], b->options->adapters, in->common, err);
    if (st == GRAM_OK)
        st = open_session(b, err);
    b->load_seconds = clock_seconds() - since;
    return st == GRAM_OK ? make_ids(b, err) : st;
}

/* n tokens from position 0 on, `step` at a time; *rate in tokens per second. */
static enum gram_status feed(struct bench *b, int64_t n, int64_t step, double *rate,
                             struct gram_error *err)
{
    const struct gram_progress report = {step == 1 ? "generate" : "prompt", "", 0, 0, "tokens"};
    const double since = clock_seconds();

    gram_session_rewind(b->session, 0);
    for (int64_t at = 0; at < n; at += step) {
        const int64_t now = n - at < step ? n - at : step;
        struct gram_progress here = report;

        if (signals_received())
            return refuse(err, GRAM_ECANCELED, "interrupted");
        const enum gram_status st =
            gram_session_feed(b->session, b->ids + at, (size_t)now, b->logits, 1, err);
        if (st != GRAM_OK)
            return st;
        here.done = (uint64_t)(at + now);
        here.total = (uint64_t)n;
        progress_report(&b->progress, &here);
    }
    *rate = (double)n / fmax(clock_seconds() - since, 1e-9);
    return GRAM_OK;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int64_t n)
{
    qsort(values, (size_t)n, sizeof values[0], ascending);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static enum gram_status measure(struct bench *b, struct gram_error *err)
{
    double prompt[MAX_REPEAT], generate[MAX_REPEAT], warm;
    const int64_t n = b->options->repeat;

    enum gram_status st = feed(b, smaller(b->prompt, 16), 16, &warm, err);
    for (int64_t i = 0; i < n && st == GRAM_OK; i++) {
        st = feed(b, b->prompt, CHUNK, &prompt[i], err);
        if (st == GRAM_OK)
            st = feed(b, b->generate, 1, &generate[i], err);
    }
    if (st == GRAM_OK) {
        gram_ceilings(b->loaded.model, &b->ceilings);
        b->prompt_rate = median(prompt, n);
        b->generate_rate = median(generate, n);
    }
    return st;
}

static enum gram_status measure_parallel(struct bench *b, struct gram_error *err)
{
    struct crowd crowd = {.n = b->options->parallel,
                          .ids = b->ids,
                          .tokens = b->generate,
                          .kv = b->options->kv};
    double rates[MAX_REPEAT];
    enum gram_status st = crowd_open(&crowd, &b->loaded, err);

    for (int64_t i = 0; i < b->options->repeat && st == GRAM_OK; i++)
        st = crowd_generate(&crowd, &rates[i], err);
    if (st == GRAM_OK)
        b->parallel_rate = median(rates, b->options->repeat);
    crowd_close(&crowd);
    return st;
}

static uint64_t peak_rss(void)
{
    struct rusage usage = {0};

    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_maxrss * 1024;
}

/* 0 where the ceiling is not known. */
static double share(double of, double ceiling)
{
    return ceiling > 0 ? of / ceiling : 0;
}

/* Of the bytes that could be read, how many generation streams. */
static double share_of_read(const struct bench *b)
{
    return share(b->generate_rate * (double)b->loaded.info.streamed_bytes, b->ceilings.read);
}

/* Of the multiply-adds that could be done, how many a prompt needs: int8 ones where codes are multiplied. */
static double share_of_multiply(const struct bench *b)
{
    const struct gram_model_info *info = &b->loaded.info;
    const double work = 2.0 * (double)info->multiply_adds * b->prompt_rate;
    return info->multiplies_codes ? share(work * info->parts, b->ceilings.iops)
                                  : share(work, b->ceilings.flops);
}

static int print_bench_json(const struct bench *b)
{
    json_t *json = json_pack(
        "{s:o, s:o, s:o, s:I, s:I, s:i, s:s, s:I, s:I, s:I}", "prompt_tokens_per_s",
        json_number(b->prompt_rate), "generate_tokens_per_s", json_number(b->generate_rate),
        "load_s", json_number(b->load_seconds), "peak_rss_bytes", (json_int_t)peak_rss(),
        "weight_bytes", (json_int_t)b->loaded.info.weight_bytes, "threads",
        gram_runtime_threads(b->loaded.runtime), "cpu", gram_runtime_cpu(b->loaded.runtime),
        "prompt_tokens", (json_int_t)b->prompt, "generated_tokens", (json_int_t)b->generate,
        "repeat", (json_int_t)b->options->repeat);

    if (json && b->parallel_rate > 0)
        json_object_update_new(json, json_pack("{s:o, s:I}", "parallel_tokens_per_s",
                                               json_number(b->parallel_rate), "parallel",
                                               (json_int_t)b->options->parallel));
    if (json)
        json_object_update_new(
            json, json_pack("{s:o, s:o, s:o, s:o, s:o}", "read_ceiling_bytes_per_s",
                            json_number(b->ceilings.read), "int8_ceiling_ops_per_s",
                            json_number(b->ceilings.iops), "f32_ceiling_ops_per_s",
                            json_number(b->ceilings.flops), "generate_share_of_read",
                            json_number(share_of_read(b)), "prompt_share_of_multiply",
                            json_number(share_of_multiply(b))));
    return print_json(json);
}

static int print_csv(const struct bench *b)
{
    printf(
        "prompt_tokens_per_s,generate_tokens_per_s,load_s,peak_rss_bytes,weight_bytes,threads,cpu,"
        "parallel_tokens_per_s,parallel,read_ceiling_bytes_per_s,int8_ceiling_ops_per_s,"
        "f32_ceiling_ops_per_s,generate_share_of_read,prompt_share_of_multiply\n"
        "%.3f,%.3f,%.6f,%llu,%llu,%d,%s,%.3f,%lld,%.0f,%.0f,%.0f,%.4f,%.4f\n",
        b->prompt_rate, b->generate_rate, b->load_seconds, (unsigned long long)peak_rss(),
        (unsigned long long)b->loaded.info.weight_bytes, gram_runtime_threads(b->loaded.runtime),
        gram_runtime_cpu(b->loaded.runtime), b->parallel_rate, (long long)b->options->parallel,
        b->ceilings.read, b->ceilings.iops, b->ceilings.flops, share_of_read(b),
        share_of_multiply(b));
    return EXIT_DONE;
}

/* What the figures are held against, measured in the same run. */
static void print_ceilings(const struct bench *b)
{
    const bool is_int = b->loaded.info.multiplies_codes;

    printf("reading       %10.1f GB/s       at best; generation takes %.0f %%\n", b->ceilings.read / 1e9,
           100 * share_of_read(b));
    printf("multiplying   %10.2f TOP/s      %s at best; the prompt takes %.0f %%\n",
           (is_int ? b->ceilings.iops : b->ceilings.flops) / 1e12, is_int ? "int8" : "f32",
           100 * share_of_multiply(b));
}

static int print_bench(const struct bench *b)
{
    char text[HUMAN_SIZE];

    if (b->options->common.json)
        return print_bench_json(b);
    if (b->options->csv)
        return print_csv(b);
    printf("prompt        %10.1f tokens/s   %lld tokens\n", b->prompt_rate, (long long)b->prompt);
    printf("generate      %10.1f tokens/s   %lld tokens, one by one\n", b->generate_rate,
           (long long)b->generate);
    if (b->parallel_rate > 0)
        printf("parallel      %10.1f tokens/s   %lld sequences of %lld tokens together\n",
               b->parallel_rate, (long long)b->options->parallel, (long long)b->generate);
    printf("load          %10.3f s\n", b->load_seconds);
    printf("peak memory   %10s\n", human_bytes(text, peak_rss()));
    printf("weights       %10s\n", human_bytes(text, b->loaded.info.weight_bytes));
    printf("threads       %10d            %s\n", gram_runtime_threads(b->loaded.runtime),
           gram_runtime_cpu(b->loaded.runtime));
    print_ceilings(b);
    return EXIT_DONE;
}

static int run(const struct invocation *in)
{
    struct bench b = {.options = in->options};
    struct gram_error err = {0};
    enum gram_status st = GRAM_OK;

    progress_job(&b.progress, in->common);
    if (b.options->csv && in->common->json)
        st = refuse(&err, GRAM_EINVAL, "--csv and --json exclude each other");
    if (st == GRAM_OK)
        st = open_bench(&b, in, &err);
    if (st == GRAM_OK)
        st = measure(&b, &err);
    if (st == GRAM_OK && b.options->parallel > 0)
        st = measure_parallel(&b, &err);
    progress_end(&b.progress);
    const int code = st == GRAM_OK ? print_bench(&b) : report_failure(&err);
    gram_session_close(&b.session);
    loaded_close(&b.loaded);
    free(b.ids);
    free(b.logits);
    return code;
}

const struct command command_bench = {
    .name = "bench",
    .summary = "measure speed and memory",
    .description =
        "Computes a prompt of fixed tokens at once, then generates one by one, each from an empty "
        "context, and prints the median speed of several runs, the time to open the model, the "
        "peak "
        "memory of the process and the bytes of the weights. With --parallel, also the speed of "
        "all "
        "sequences together when so many are generated at once. How fast the weights can be read and "
        "numbers multiplied is measured in the same run, and what shares of that generation (the "
        "weights read once a token) and the prompt (its linears alone) reach.",
    .operands =
        (const struct operand[]){{"MODEL", "model directory, or org/name in the hub cache", false},
                                 {0}},
    .options = rows,
    .examples =
        (const struct example[]){{"gram bench llama-1b-w4 -p 512 -n 128 -t 2", "two threads"}, {0}},
    .options_size = sizeof(struct bench_options),
    .run = run,
};
