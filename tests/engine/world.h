/* The repository's own model opened in several ways, and sessions of it. */
#ifndef GRAM_TESTS_WORLD_H
#define GRAM_TESTS_WORLD_H

#include <unistd.h>

#include "support.h"

enum { N = 150 };

struct world {
    struct gram_runtime *rt;
    struct gram_model *model;
    struct gram_model_info info;
    int32_t tokens[N];
};

static inline void open_path(struct world *w, const char *path,
                             const struct gram_runtime_options *options)
{
    struct gram_error err;

    MUST(gram_runtime_open(&w->rt, options, &err));
    MUST(gram_model_open(&w->model, w->rt, path, &err));
    gram_model_info(w->model, &w->info);
    for (int i = 0; i < N; i++)
        w->tokens[i] = (int32_t)((i * 7919 + 13) % w->info.vocab);
}

static inline void open_threads(struct world *w, const char *path, int threads)
{
    struct gram_runtime_options options = GRAM_RUNTIME_OPTIONS_INIT;

    options.threads = threads;
    open_path(w, path, &options);
}

static inline void close_world(struct world *w)
{
    gram_model_close(&w->model);
    gram_runtime_close(&w->rt);
}

/* The model quantized: a path. */
static inline const char *quantized(const char *scheme)
{
    static char out[8][256];
    static int next;
    struct gram_quantize_options how = GRAM_QUANTIZE_OPTIONS_INIT;
    struct gram_runtime *rt;
    struct gram_error err;
    char *path = out[next++ % 8];

    snprintf(path, sizeof out[0], "%s/%s", fresh_folder(), scheme);
    how.scheme = scheme;
    MUST(gram_runtime_open(&rt, NULL, &err));
    MUST(gram_quantize(rt, source_path("models/hamlet"), path, &how, NULL, NULL, &err));
    gram_runtime_close(&rt);
    return path;
}

/* The same weights as a Mistral whose queries see 24 keys: a path. */
static inline const char *windowed(void)
{
    static const char window[] = "{\"architectures\": [\"MistralForCausalLM\"],"
                                 "\"model_type\": \"mistral\", \"sliding_window\": 24,";
    const char *folder = fresh_folder();
    char *config = read_file(source_path("models/hamlet/config.json"), NULL);
    char target[4096], path[256], *rest = strstr(config, "\"attention_bias\"");

    assert_non_null(rest);
    char *type = strstr(rest, "\"model_type\": \"llama\",");
    assert_non_null(type);
    memset(type, ' ', strlen("\"model_type\": \"llama\","));
    snprintf(target, sizeof target, "%s%s", window, rest);
    snprintf(path, sizeof path, "%s/config.json", folder);
    write_file(path, target, strlen(target));
    assert_non_null(realpath(source_path("models/hamlet/model.safetensors"), target));
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    assert_int_equal(symlink(target, path), 0);
    free(config);
    return folder;
}

static inline struct gram_session *open_session(const struct world *w, int64_t batch,
                                                const char *kv)
{
    struct gram_session_options options = GRAM_SESSION_OPTIONS_INIT;
    struct gram_session *session;
    struct gram_error err;

    options.context = N;
    options.batch = batch;
    options.kv = kv;
    MUST(gram_session_open(&session, w->model, &options, &err));
    return session;
}

static inline float *new_logits(const struct world *w, size_t rows)
{
    float *logits = calloc(rows, (size_t)w->info.vocab * sizeof *logits);
    assert_non_null(logits);
    return logits;
}

/* Logits of all N tokens, fed in calls of `step`; yours. */
static inline float *logits_of(const struct world *w, int64_t batch, size_t step, const char *kv)
{
    struct gram_session *session = open_session(w, batch, kv);
    float *logits = new_logits(w, N);
    struct gram_error err;

    for (size_t at = 0; at < N; at += step) {
        const size_t n = step < N - at ? step : N - at;
        MUST(gram_session_feed(session, w->tokens + at, n, logits + at * (size_t)w->info.vocab, n,
                               &err));
    }
    assert_int_equal(gram_session_length(session), N);
    gram_session_close(&session);
    return logits;
}

static inline void must_be_equal(const struct world *w, const float *a, const float *b, size_t rows)
{
    assert_memory_equal(a, b, rows * (size_t)w->info.vocab * sizeof *a);
}

#endif
