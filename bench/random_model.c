/*
 * Writes a model of random weights as large as wanted: LLaMA layout, normal(0, 0.02) in bf16, in
 * shards with an index, as the hub has them. For measuring jobs that stream; what it says is noise.
 *
 *   random-model DIR --layers N --hidden D --ffn F --vocab V --heads H --kv-heads K [--shard-bytes
 * B] [--seed S]
 *
 * Fast because a value is one look into a table of the 65536 equally likely values of the
 * distribution, at 16 random bits; each tensor has its own stream, so the same seed gives the same
 * bytes. Prints one JSON object: what was written, and the largest tensor.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/buf.h"
#include "base/half.h"
#include "base/rng.h"
#include "formats/safetensors.h"

enum { N_QUANTILES = 65536, PER_LAYER = 9, OUTSIDE = 3, CHUNK = 1 << 19 };

/* The sizes of the model, in the order of the options. */
struct shape {
    int64_t layers, hidden, ffn, vocab, heads, kv_heads, shard_bytes, seed;
};

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "random-model: %s: %s\n", what, why);
    exit(1);
}

/* The standard normal's quantile: Newton's method on its distribution function, from the last one.
 */
static double quantile(double p, double start)
{
    double x = start;
    for (int i = 0; i < 60; i++) {
        const double density = exp(-x * x / 2) * 0.3989422804014327;
        const double step = (erfc(-x * M_SQRT1_2) / 2 - p) / density;
        x -= fmax(-0.5, fmin(0.5, step));
        if (fabs(step) < 1e-9)
            break;
    }
    return x;
}

/* values [N_QUANTILES] in bf16: quantiles of normal(0, 0.02) in the middle of equal slices. */
static void fill_quantiles(uint16_t *values)
{
    double x = -4.2;
    for (int i = 0; i < N_QUANTILES; i++) {
        x = quantile((i + 0.5) / N_QUANTILES, x);
        values[i] = gram_bf16_from_f32((float)(0.02 * x));
    }
}

static void add_tensor(struct gram_tensor *t, const char *name, int64_t rows, int64_t cols)
{
    memset(t, 0, sizeof *t);
    t->name = strdup(name);
    t->dtype = GRAM_BF16;
    t->rank = rows ? 2 : 1; /* a norm has no rows */
    t->shape[0] = rows ? rows : cols;
    t->shape[1] = cols;
    t->count = (rows ? rows : 1) * cols;
    t->bytes = (uint64_t)t->count * 2;
    if (!t->name)
        die(name, "memory ran out");
}

/* A block's weights as transformers names them; 0 rows for a norm. */
static void add_layer(struct gram_tensor *t, const struct shape *s, int64_t layer)
{
    const int64_t kv = s->hidden / s->heads * s->kv_heads;
    const struct {
        const char *name;
        int64_t rows, cols;
    } parts[PER_LAYER] = {
        {"input_layernorm", 0, s->hidden},          {"self_attn.q_proj", s->hidden, s->hidden},
        {"self_attn.k_proj", kv, s->hidden},        {"self_attn.v_proj", kv, s->hidden},
        {"self_attn.o_proj", s->hidden, s->hidden}, {"post_attention_layernorm", 0, s->hidden},
        {"mlp.gate_proj", s->ffn, s->hidden},       {"mlp.up_proj", s->ffn, s->hidden},
        {"mlp.down_proj", s->hidden, s->ffn},
    };
    for (int i = 0; i < PER_LAYER; i++) {
        char name[128];
        snprintf(name, sizeof name, "model.layers.%" PRId64 ".%s.weight", layer, parts[i].name);
        add_tensor(&t[i], name, parts[i].rows, parts[i].cols);
    }
}

/* All tensors in the order of the forward pass; *n of them. */
static struct gram_tensor *plan_tensors(const struct shape *s, size_t *n)
{
    *n = (size_t)(s->layers * PER_LAYER + OUTSIDE);
    struct gram_tensor *tensors = calloc(*n, sizeof *tensors);
    if (!tensors)
        die("plan", "memory ran out");
    add_tensor(&tensors[0], "model.embed_tokens.weight", s->vocab, s->hidden);
    for (int64_t i = 0; i < s->layers; i++)
        add_layer(&tensors[1 + i * PER_LAYER], s, i);
    add_tensor(&tensors[*n - 2], "model.norm.weight", 0, s->hidden);
    add_tensor(&tensors[*n - 1], "lm_head.weight", s->vocab, s->hidden);
    return tensors;
}

/* Give each tensor its shard, filling one after the other; returns how many there are. */
static int plan_shards(struct gram_tensor *tensors, size_t n, uint64_t shard_bytes)
{
    uint64_t used = 0;
    int shard = 0;
    for (size_t i = 0; i < n; i++) {
        if (used && used + tensors[i].bytes > shard_bytes) {
            shard++;
            used = 0;
        }
        used += tensors[i].bytes;
        tensors[i].file = shard;
    }
    return shard + 1;
}

static FILE *create(const char *dir, const char *name)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        die(dir, "path too long");
    FILE *f = fopen(path, "wb");
    if (!f)
        die(path, strerror(errno));
    return f;
}

static void put(FILE *f, const void *bytes, size_t n)
{
    if (fwrite(bytes, 1, n, f) != n)
        die("write", strerror(errno));
}

static void finish(FILE *f)
{
    if (fclose(f))
        die("write", strerror(errno));
}

/* A norm is ones; anything else count values from the table. */
static void put_values(FILE *f, const struct gram_tensor *t, uint64_t seed,
                       const uint16_t *quantiles)
{
    static uint16_t values[CHUNK];
    struct gram_rng rng = {seed};
    for (int64_t done = 0; done < t->count; done += CHUNK) {
        const int64_t n = t->count - done < CHUNK ? t->count - done : CHUNK;
        for (int64_t i = 0; i < CHUNK; i += 4) {
            const uint64_t random = gram_rng_u64(&rng);
            for (int k = 0; k < 4; k++)
                values[i + k] = t->rank == 1 ? 0x3f80 : quantiles[random >> 16 * k & 0xffff];
        }
        put(f, values, (size_t)n * sizeof values[0]);
    }
}

static void shard_name(char *name, size_t size, int shard, int shards)
{
    snprintf(name, size, "model-%05d-of-%05d.safetensors", shard + 1, shards);
}

/* Write the tensors first..last-1, which are one shard. */
static void write_shard(const char *dir, const struct gram_tensor *tensors, size_t first,
                        size_t last, int shards, uint64_t seed, const uint16_t *quantiles)
{
    char name[64];
    struct gram_buf header = {0};
    shard_name(name, sizeof name, tensors[first].file, shards);
    if (!gram_safetensors_header(&header, tensors + first, last - first))
        die(name, "memory ran out");
    FILE *f = create(dir, name);
    put(f, header.at, header.len);
    for (size_t i = first; i < last; i++)
        put_values(f, &tensors[i], (seed << 32) + i * 0x632be59bu, quantiles);
    finish(f);
    gram_buf_reset(&header);
}

static void write_index(const char *dir, const struct gram_tensor *tensors, size_t n, int shards,
                        uint64_t total)
{
    FILE *f = create(dir, "model.safetensors.index.json");
    fprintf(f, "{\n  \"metadata\": {\"total_size\": %" PRIu64 "},\n  \"weight_map\": {", total);
    for (size_t i = 0; i < n; i++) {
        char name[64];
        shard_name(name, sizeof name, tensors[i].file, shards);
        fprintf(f, "%s\n    \"%s\": \"%s\"", i ? "," : "", tensors[i].name, name);
    }
    fprintf(f, "\n  }\n}\n");
    finish(f);
}

static void write_config(const char *dir, const struct shape *s)
{
    FILE *f = create(dir, "config.json");
    fprintf(f,
            "{\n  \"architectures\": [\"LlamaForCausalLM\"],\n  \"model_type\": \"llama\",\n"
            "  \"hidden_size\": %" PRId64 ",\n  \"intermediate_size\": %" PRId64 ",\n"
            "  \"num_hidden_layers\": %" PRId64 ",\n  \"num_attention_heads\": %" PRId64 ",\n"
            "  \"num_key_value_heads\": %" PRId64 ",\n  \"vocab_size\": %" PRId64 ",\n"
            "  \"max_position_embeddings\": 4096,\n  \"hidden_act\": \"silu\",\n"
            "  \"rms_norm_eps\": 1e-05,\n  \"rope_theta\": 10000.0,\n  \"tie_word_embeddings\": "
            "false,\n"
            "  \"bos_token_id\": 1,\n  \"eos_token_id\": 2,\n  \"torch_dtype\": \"bfloat16\"\n}\n",
            s->hidden, s->ffn, s->layers, s->heads, s->kv_heads, s->vocab);
    finish(f);
}

/* A positive whole number, with K, M or G for thousands, millions, thousand millions. */
static int64_t parse_size(const char *name, const char *text)
{
    char *end = NULL;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    const char *unit = end && *end ? strchr("KMG", *end) : NULL;
    const int64_t scale = !unit ? 1 : *unit == 'K' ? 1000 : *unit == 'M' ? 1000000 : 1000000000;
    if (errno || end == text || value < 0 || value > 1000000000000 / scale ||
        (*end && (!unit || end[1])))
        die(name, "wants a whole number, as 4096 or 4G");
    return value * scale;
}

static void parse_options(int argc, char **argv, struct shape *s)
{
    static const struct option names[] = {
        {"layers", 1, NULL, 0},      {"hidden", 1, NULL, 0}, {"ffn", 1, NULL, 0},
        {"vocab", 1, NULL, 0},       {"heads", 1, NULL, 0},  {"kv-heads", 1, NULL, 0},
        {"shard-bytes", 1, NULL, 0}, {"seed", 1, NULL, 0},   {NULL, 0, NULL, 0},
    };
    int64_t *const values[] = {&s->layers, &s->hidden,   &s->ffn,         &s->vocab,
                               &s->heads,  &s->kv_heads, &s->shard_bytes, &s->seed};
    int index = 0, found;
    while ((found = getopt_long(argc, argv, "", names, &index)) == 0)
        *values[index] = parse_size(names[index].name, optarg);
    if (found != -1 || optind + 1 != argc)
        die("usage",
            "random-model DIR --layers N --hidden D --ffn F --vocab V --heads H --kv-heads K "
            "[--shard-bytes 4G] [--seed 1]");
    for (int i = 0; i < 7; i++)
        if (*values[i] < 1)
            die(names[i].name, "must be given, and at least 1");
    if (s->hidden % s->heads || s->heads % s->kv_heads)
        die("heads", "hidden must be a multiple of heads, heads one of kv-heads");
}

int main(int argc, char **argv)
{
    static uint16_t quantiles[N_QUANTILES];
    struct shape shape = {.shard_bytes = 4000000000, .seed = 1};
    parse_options(argc, argv, &shape);
    const char *dir = argv[optind];
    if (mkdir(dir, 0777) && errno != EEXIST)
        die(dir, strerror(errno));

    size_t n;
    struct gram_tensor *tensors = plan_tensors(&shape, &n);
    const int shards = plan_shards(tensors, n, (uint64_t)shape.shard_bytes);
    uint64_t total = 0, largest = 0;
    fill_quantiles(quantiles);
    for (size_t first = 0, i = 0; i < n; i++) {
        total += tensors[i].bytes;
        largest = tensors[i].bytes > largest ? tensors[i].bytes : largest;
        if (i + 1 == n || tensors[i + 1].file != tensors[i].file) {
            write_shard(dir, tensors, first, i + 1, shards, (uint64_t)shape.seed, quantiles);
            first = i + 1;
        }
    }
    write_index(dir, tensors, n, shards, total);
    write_config(dir, &shape);
    printf("{\"bytes\": %" PRIu64 ", \"largest_tensor\": %" PRIu64
           ", \"tensors\": %zu, \"shards\": %d}\n",
           total, largest, n, shards);
    for (size_t i = 0; i < n; i++)
        free((char *)(uintptr_t)tensors[i].name);
    free(tensors);
    return 0;
}
