/* gram inspect: what is inside a model, and what each scheme would cost. */
#include <stdlib.h>
#include <string.h>

#include "job.h"
#include "load.h"
#include "output.h"

struct inspect_options {
    struct common_options common;
    bool tensors, stats;
};

/* clang-format off */
#define AT(field) offsetof(struct inspect_options, field)
static const struct option_row rows[] = {
    {.name = "tensors", .help = "list every tensor; reads no weights unless --stats is given too",
     .offset = AT(tensors)},
    {.name = "stats", .help = "list the statistics of every tensor", .offset = AT(stats)},
    {.name = NULL},
};
#undef AT
/* clang-format on */

enum { HEAVIEST = 5 };

static const char *shape_text(char out[64], const struct gram_tensor *t)
{
    size_t n = (size_t)snprintf(out, 64, "[");

    for (int i = 0; i < t->rank && n < 63; i++)
        n += (size_t)snprintf(out + n, 64 - n, "%s%lld", i ? ", " : "", (long long)t->shape[i]);
    if (n < 63)
        snprintf(out + n, 64 - n, "]");
    return out;
}

static int name_width(const struct gram_inspect_report *r)
{
    size_t width = 8;

    for (size_t i = 0; i < r->n_tensors; i++) {
        const size_t len = strlen(r->tensors[i].tensor.name);
        width = len > width ? len : width;
    }
    return width < 72 ? (int)width : 72;
}

/* Names come from the file: what is not printable ASCII or well-behaved UTF-8 becomes '?'. */
static void print_name(const char *name, int width)
{
    int n = 0;

    for (; *name; name++, n++)
        putchar((unsigned char)*name < 0x20 || *name == 0x7f ? '?' : *name);
    printf("%*s", n < width ? width - n : 0, "");
}

static void print_facts(const struct gram_model_info *info)
{
    char a[HUMAN_SIZE];

    printf("%s\n", info->path);
    printf("architecture     %s, %lld layers\n", info->architecture, (long long)info->n_layers);
    printf("hidden           %lld, feed-forward %lld\n", (long long)info->hidden,
           (long long)info->ffn);
    printf("heads            %lld of %lld, key-value %lld\n", (long long)info->n_heads,
           (long long)info->head_dim, (long long)info->n_kv_heads);
    printf("vocabulary       %lld\n", (long long)info->vocab);
    printf("context          %lld\n", (long long)info->context);
    printf("parameters       %s\n", human_count(a, info->parameters));
    printf("weights          %s, %s, %.2f bits each\n", human_bytes(a, info->weight_bytes),
           info->scheme, info->bits_per_weight);
}

struct dtype_sum {
    uint64_t tensors, bytes;
};

static void sum_dtypes(const struct gram_inspect_report *r, struct dtype_sum sums[GRAM_N_DTYPE])
{
    for (size_t i = 0; i < r->n_tensors; i++) {
        const struct gram_tensor *t = &r->tensors[i].tensor;
        sums[t->dtype].tensors++;
        sums[t->dtype].bytes += t->bytes;
    }
}

static void print_dtypes(const struct gram_inspect_report *r)
{
    struct dtype_sum sums[GRAM_N_DTYPE] = {{0}};
    char bytes[HUMAN_SIZE];

    sum_dtypes(r, sums);
    printf("\ndtype        tensors        size\n");
    for (int i = 0; i < GRAM_N_DTYPE; i++)
        if (sums[i].tensors > 0)
            printf("%-10s %9llu  %10s\n", gram_dtype_name((enum gram_dtype)i),
                   (unsigned long long)sums[i].tensors, human_bytes(bytes, sums[i].bytes));
}

static void print_costs(const struct gram_inspect_report *r)
{
    char bytes[HUMAN_SIZE];

    if (r->n_costs > 0)
        printf("\nas scheme               size  bits/weight\n");
    for (size_t i = 0; i < r->n_costs; i++)
        printf("%-16s %11s  %11.2f\n", r->costs[i].scheme, human_bytes(bytes, r->costs[i].bytes),
               r->costs[i].bits_per_weight);
}

static void print_statistics(const struct gram_tensor_report *t)
{
    if (t->has_values)
        printf("  %9.4g  %9.3g  %9.3g  %8.1f  %9.4f %%", t->absmax, t->mean, t->std, t->kurtosis,
               100 * t->outliers);
    if (t->nonfinite > 0)
        printf("  %llu NaN or Inf", (unsigned long long)t->nonfinite);
}

static void print_tensors(const struct gram_inspect_report *r, bool with_statistics)
{
    const int width = name_width(r);
    char bytes[HUMAN_SIZE], shape[64];

    printf("\n%-*s  dtype  %-16s %10s", width, "tensor", "shape", "size");
    if (with_statistics)
        printf("  %9s  %9s  %9s  %8s  %11s", "|max|", "mean", "std", "kurtosis", "> 6 sigma");
    putchar('\n');
    for (size_t i = 0; i < r->n_tensors; i++) {
        const struct gram_tensor *t = &r->tensors[i].tensor;
        print_name(t->name, width);
        printf("  %-6s %-16s %10s", gram_dtype_name(t->dtype), shape_text(shape, t),
               human_bytes(bytes, t->bytes));
        if (with_statistics)
            print_statistics(&r->tensors[i]);
        putchar('\n');
    }
}

static int by_kurtosis(const void *a, const void *b)
{
    const double x = (*(const struct gram_tensor_report *const *)a)->kurtosis;
    const double y = (*(const struct gram_tensor_report *const *)b)->kurtosis;

    return (x < y) - (x > y);
}

/* The few tensors with the heaviest tails: the ones that low bits hurt first. */
static void print_heaviest(const struct gram_inspect_report *r)
{
    const struct gram_tensor_report **order = malloc((r->n_tensors + 1) * sizeof(void *));
    const int width = name_width(r);
    size_t n = 0;

    for (size_t i = 0; order && i < r->n_tensors; i++)
        if (r->tensors[i].has_values && r->tensors[i].tensor.rank == 2)
            order[n++] = &r->tensors[i];
    if (n > 0) {
        qsort(order, n, sizeof order[0], by_kurtosis);
        printf("\n%-*s  %9s  %9s  %9s  %8s  %11s\n", width, "heaviest tails", "|max|", "mean",
               "std", "kurtosis", "> 6 sigma");
    }
    for (size_t i = 0; i < n && i < HEAVIEST; i++) {
        print_name(order[i]->tensor.name, width);
        print_statistics(order[i]);
        putchar('\n');
    }
    free(order);
}

static json_t *tensor_json(const struct gram_tensor_report *t)
{
    json_t *shape = json_array();

    for (int i = 0; i < t->tensor.rank; i++)
        json_array_append_new(shape, json_integer(t->tensor.shape[i]));
    json_t *json = json_pack("{s:o, s:s, s:o, s:I}", "name", json_text(t->tensor.name), "dtype",
                             gram_dtype_name(t->tensor.dtype), "shape", shape, "bytes",
                             (json_int_t)t->tensor.bytes);
    if (json && t->has_values)
        json_object_update_new(
            json, json_pack("{s:o, s:o, s:o, s:o, s:o, s:I}", "absmax", json_number(t->absmax),
                            "mean", json_number(t->mean), "std", json_number(t->std), "kurtosis",
                            json_number(t->kurtosis), "outliers", json_number(t->outliers),
                            "nonfinite", (json_int_t)t->nonfinite));
    return json;
}

static json_t *model_json(const struct gram_model_info *m)
{
    return json_pack("{s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
                     "path", json_text(m->path), "architecture", json_text(m->architecture),
                     "scheme", json_text(m->scheme), "layers", (json_int_t)m->n_layers, "hidden",
                     (json_int_t)m->hidden, "ffn", (json_int_t)m->ffn, "heads",
                     (json_int_t)m->n_heads, "kv_heads", (json_int_t)m->n_kv_heads, "head_dim",
                     (json_int_t)m->head_dim, "vocab", (json_int_t)m->vocab, "context",
                     (json_int_t)m->context, "parameters", (json_int_t)m->parameters, "bytes",
                     (json_int_t)m->weight_bytes, "bits_per_weight",
                     json_number(m->bits_per_weight));
}

static json_t *dtypes_json(const struct gram_inspect_report *r)
{
    struct dtype_sum sums[GRAM_N_DTYPE] = {{0}};
    json_t *json = json_object();

    sum_dtypes(r, sums);
    for (int i = 0; i < GRAM_N_DTYPE; i++)
        if (sums[i].tensors > 0)
            json_object_set_new(json, gram_dtype_name((enum gram_dtype)i),
                                json_pack("{s:I, s:I}", "tensors", (json_int_t)sums[i].tensors,
                                          "bytes", (json_int_t)sums[i].bytes));
    return json;
}

static int print_report_json(const struct gram_inspect_report *r)
{
    json_t *json =
        r->is_model ? model_json(&r->info) : json_pack("{s:o}", "path", json_text(r->info.path));
    json_t *tensors = json_array(), *costs = json_array();

    for (size_t i = 0; i < r->n_tensors; i++)
        json_array_append_new(tensors, tensor_json(&r->tensors[i]));
    for (size_t i = 0; i < r->n_costs; i++)
        json_array_append_new(costs,
                              json_pack("{s:s, s:I, s:o}", "scheme", r->costs[i].scheme, "bytes",
                                        (json_int_t)r->costs[i].bytes, "bits_per_weight",
                                        json_number(r->costs[i].bits_per_weight)));
    json_object_set_new(json, "dtypes", dtypes_json(r));
    json_object_set_new(json, "costs", costs);
    json_object_set_new(json, "tensors", tensors);
    return print_json(json);
}

static int print_report(const struct inspect_options *o, const struct gram_inspect_report *r)
{
    if (o->common.json)
        return print_report_json(r);
    if (r->is_model)
        print_facts(&r->info);
    else
        printf("%s\n", r->info.path);
    print_dtypes(r);
    print_costs(r);
    if (o->tensors || o->stats)
        print_tensors(r, o->stats);
    else
        print_heaviest(r);
    return EXIT_DONE;
}

static int run(const struct invocation *in)
{
    const struct inspect_options *o = in->options;
    struct gram_inspect_report report = {0};
    struct gram_error err = {0};
    struct loaded loaded = {0};
    struct progress progress;
    const struct gram_job job = progress_job(&progress, in->common);

    enum gram_status st = load_runtime(&loaded, in->common, &err);
    if (st == GRAM_OK)
        st = gram_inspect(&report, loaded.runtime, in->operands[0], o->stats || !o->tensors, &job,
                          &err);
    progress_end(&progress);
    const int code = st == GRAM_OK ? print_report(o, &report) : report_failure(&err);
    gram_inspect_reset(&report);
    loaded_close(&loaded);
    return code;
}

const struct command command_inspect = {
    .name = "inspect",
    .summary = "say what is inside a model and what each scheme would cost",
    .description =
        "Prints what a model is, its dtypes, its size under each scheme, and the weights with the "
        "heaviest tails: largest magnitude, kurtosis (3 for a normal distribution) and the share "
        "beyond six standard deviations. Of a lone .safetensors file, what the file holds.",
    .operands =
        (const struct operand[]){{"MODEL|FILE", "model, or one .safetensors file", false}, {0}},
    .options = rows,
    .examples = (const struct example[]){{"gram inspect llama-1b", "an overview"},
                                         {"gram inspect llama-1b --stats", "every tensor"},
                                         {0}},
    .options_size = sizeof(struct inspect_options),
    .run = run,
};
