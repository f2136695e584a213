/* Opening models and reading text, for every command alike. */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "job.h"
#include "output.h"

static void warn(void *user, const char *sentence)
{
    say(user, "warning: %s", sentence);
}

const struct gram_choice *kv_choices(void)
{
    static const struct gram_choice kinds[] = {
        {"f16", "half floats"},
        {"int8", "codes, half the memory of f16"},
        {"f32", "floats as they are"},
        {NULL, NULL},
    };
    return kinds;
}

enum gram_status load_runtime(struct loaded *loaded, const struct common_options *common,
                              struct gram_error *err)
{
    struct gram_runtime_options options = GRAM_RUNTIME_OPTIONS_INIT;

    if (loaded->runtime)
        return GRAM_OK;
    options.threads = (int)common->threads;
    options.cpu = common->cpu;
    options.activations = common->activations;
    options.cache_packed = common->cache_packed;
    options.join = loaded->join;
    options.warn = warn;
    options.warn_user = (void *)(uintptr_t)common;
    return gram_runtime_open(&loaded->runtime, &options, err);
}

enum gram_status load_model(struct loaded *loaded, const char *path,
                            const struct common_options *common, struct gram_error *err)
{
    enum gram_status st = load_runtime(loaded, common, err);

    if (st == GRAM_OK)
        st = gram_model_open(&loaded->model, loaded->runtime, path, err);
    if (st == GRAM_OK)
        gram_model_info(loaded->model, &loaded->info);
    return st;
}

/* ---- adapters ---- */

const char adapter_help[] = "adapter in PEFT's format to use without merging; DIR:0.5 counts half; may "
                            "be repeated";

/* A colon is part of the path where that exists as it stands. */
enum gram_status parse_adapter(const char *text, char **path, double *weight, struct gram_error *err)
{
    const char *colon = strrchr(text, ':');
    char *end = NULL;

    *weight = 1.0;
    *path = strdup(text);
    if (!*path)
        return refuse(err, GRAM_ENOMEM, "memory ran out");
    if (!colon || access(text, F_OK) == 0)
        return GRAM_OK;
    *weight = strtod(colon + 1, &end);
    if (end == colon + 1 || *end != '\0' || !isfinite(*weight))
        return refuse(err, GRAM_EINVAL, "--adapter %s: '%s' is not a weight", text, colon + 1);
    (*path)[colon - text] = '\0';
    return GRAM_OK;
}

static enum gram_status adapt(struct loaded *loaded, struct text_list list, struct gram_adapter *adapters,
                              char **paths, struct gram_error *err)
{
    enum gram_status st = GRAM_OK;

    for (size_t i = 0; i < list.n && st == GRAM_OK; i++) {
        st = parse_adapter(list.at[i], &paths[i], &adapters[i].weight, err);
        adapters[i].path = paths[i];
    }
    if (st != GRAM_OK)
        return st;
    loaded->base = loaded->model;
    return gram_model_adapt(&loaded->model, loaded->base, adapters, list.n, err);
}

enum gram_status load_adapted(struct loaded *loaded, const char *path, struct text_list list,
                              const struct common_options *common, struct gram_error *err)
{
    enum gram_status st = load_model(loaded, path, common, err);

    if (st != GRAM_OK || list.n == 0)
        return st;
    struct gram_adapter *adapters = calloc(list.n, sizeof *adapters);
    char **paths = calloc(list.n, sizeof *paths);
    st = adapters && paths ? adapt(loaded, list, adapters, paths, err)
                           : refuse(err, GRAM_ENOMEM, "memory ran out");
    for (size_t i = 0; paths && i < list.n; i++)
        free(paths[i]);
    free(paths);
    free(adapters);
    if (st == GRAM_OK)
        gram_model_info(loaded->model, &loaded->info);
    return st;
}

enum gram_status load_tokenizer(struct loaded *loaded, const char *path, struct gram_error *err)
{
    return gram_tokenizer_open(&loaded->tokenizer, path, err);
}

void loaded_close(struct loaded *loaded)
{
    gram_tokenizer_close(&loaded->tokenizer);
    gram_model_close(&loaded->model);
    gram_model_close(&loaded->base);
    gram_runtime_close(&loaded->runtime);
}

static enum gram_status read_all(int fd, const char *name, char **text, size_t *len,
                                 struct gram_error *err)
{
    size_t cap = 0;

    for (;;) {
        if (cap - *len < 2) {
            cap = 2 * cap + (1 << 16);
            char *grown = realloc(*text, cap);
            if (!grown)
                return refuse(err, GRAM_ENOMEM, "%s: memory ran out after %zu bytes", name, *len);
            *text = grown;
        }
        const ssize_t n = read(fd, *text + *len, cap - *len - 1);
        if (signals_received())
            return refuse(err, GRAM_ECANCELED, "interrupted");
        if (n < 0 && errno != EINTR)
            return refuse_errno(err, name);
        if (n == 0)
            break;
        *len += n > 0 ? (size_t)n : 0;
    }
    (*text)[*len] = '\0';
    return GRAM_OK;
}

enum gram_status read_text(const char *path, char **text, size_t *len, struct gram_error *err)
{
    const bool is_stdin = strcmp(path, "-") == 0;
    const int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);

    *text = NULL;
    *len = 0;
    if (fd < 0)
        return refuse_errno(err, path);
    const enum gram_status st = read_all(fd, is_stdin ? "standard input" : path, text, len, err);
    if (!is_stdin)
        close(fd);
    if (st != GRAM_OK) {
        free(*text);
        *text = NULL;
    }
    return st;
}

/* How many special tokens the tokenizer puts in front: where the ids of a text alone are found
 * among those of the same text with special tokens. */
static size_t count_front(const struct gram_ids *with, const struct gram_ids *alone)
{
    for (size_t front = 0; front + alone->len <= with->len; front++)
        if (memcmp(with->at + front, alone->at, alone->len * sizeof alone->at[0]) == 0)
            return front;
    return 0;
}

static enum gram_status front_ids(const struct gram_tokenizer *tokenizer, struct gram_ids *ids,
                                  struct gram_error *err)
{
    static const char sample[] = "a";
    struct gram_ids alone = {0};

    enum gram_status st = gram_tokenizer_encode(tokenizer, sample, 1, 0, &alone, err);
    if (st == GRAM_OK)
        st = gram_tokenizer_encode(tokenizer, sample, 1, GRAM_ENCODE_SPECIAL, ids, err);
    if (st == GRAM_OK)
        ids->len = alone.len > 0 ? count_front(ids, &alone) : 0;
    gram_ids_reset(&alone);
    return st;
}

enum gram_status encode_text(const struct gram_tokenizer *tokenizer, const char *text, size_t len,
                             bool with_front, struct gram_ids *ids, struct gram_error *err)
{
    const enum gram_status st = with_front ? front_ids(tokenizer, ids, err) : GRAM_OK;

    return st == GRAM_OK ? gram_tokenizer_encode(tokenizer, text, len, 0, ids, err) : st;
}
