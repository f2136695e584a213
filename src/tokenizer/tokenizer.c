/* Opening the tokenizer of a model: which of its files holds it. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "formats/hub.h"
#include "tokenizer/parts.h"

void gram_tokenizer_close(struct gram_tokenizer **tokenizer)
{
    if (!*tokenizer)
        return;
    gram_regex_close_all(&(*tokenizer)->regexes);
    gram_arena_reset(&(*tokenizer)->arena);
    free(*tokenizer);
    *tokenizer = NULL;
}

/* What a reader is called with: the file's bytes, the files beside it. */
struct input {
    const char *path, *folder;
    const void *bytes;
    size_t len;
    const struct gram_companions *files;
};
typedef enum gram_status read_fn(struct gram_tokenizer *tokenizer, const struct gram_source *source,
                                 const struct input *input);

static enum gram_status read_json(struct gram_tokenizer *tokenizer,
                                  const struct gram_source *source, const struct input *input)
{
    json_t *root;

    GRAM_TRY(gram_json_parse(&root, input->bytes, input->len, source->where, source->err));
    enum gram_status status = gram_tokenizer_read_json(tokenizer, source, root);
    json_decref(root);
    return status;
}

static enum gram_status read_sentencepiece(struct gram_tokenizer *tokenizer,
                                           const struct gram_source *source,
                                           const struct input *input)
{
    return gram_tokenizer_read_sentencepiece(tokenizer, source, input->bytes, input->len,
                                             input->files->tokenizer_config);
}

static enum gram_status read_vocab_merges(struct gram_tokenizer *tokenizer,
                                          const struct gram_source *source,
                                          const struct input *input)
{
    char *path = gram_path_join(input->folder, "merges.txt");
    struct gram_file *merges = NULL;
    json_t *vocab = NULL;

    enum gram_status status =
        path ? gram_file_open(&merges, path, source->err) : gram_fail_memory(source->err, path);
    if (status == GRAM_OK)
        status = gram_json_parse(&vocab, input->bytes, input->len, source->where, source->err);
    if (status == GRAM_OK)
        status = gram_tokenizer_read_vocab_merges(tokenizer, source, vocab,
                                                  gram_file_view(merges, 0, gram_file_size(merges)),
                                                  (size_t)gram_file_size(merges), input->files);
    json_decref(vocab);
    gram_file_close(&merges);
    free(path);
    return status;
}

/* In the order of preference. */
static const struct kind {
    const char *name, *ending;
    read_fn *read;
} kinds[] = {
    {"tokenizer.json", ".json", read_json},
    {"tokenizer.model", ".model", read_sentencepiece},
    {"vocab.json", NULL, read_vocab_merges},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

/* Read into a fresh tokenizer; *out is NULL on failure. */
static enum gram_status build(struct gram_tokenizer **out, read_fn *read, const struct input *input,
                              struct gram_error *err)
{
    struct gram_tokenizer *t = calloc(1, sizeof *t);

    *out = NULL;
    if (!t)
        return gram_fail_memory(err, input->path);
    const struct gram_source source = {&t->arena, &t->regexes, input->path, err};
    t->bos = -1;
    enum gram_status status = read(t, &source, input);
    if (status == GRAM_OK)
        status = gram_tokenizer_read_specials(t, &source, input->files);
    if (status == GRAM_OK)
        *out = t;
    else
        gram_tokenizer_close(&t);
    return status;
}

static enum gram_status parse(struct gram_tokenizer **out, read_fn *read, const void *bytes,
                              size_t len, const char *where, struct gram_error *err)
{
    const struct gram_companions none = {0};
    const struct input input = {.path = where, .bytes = bytes, .len = len, .files = &none};

    return build(out, read, &input, err);
}

enum gram_status gram_tokenizer_parse_json(struct gram_tokenizer **out, const void *bytes,
                                           size_t len, const char *where, struct gram_error *err)
{
    return parse(out, read_json, bytes, len, where, err);
}

enum gram_status gram_tokenizer_parse_sentencepiece(struct gram_tokenizer **out, const void *bytes,
                                                    size_t len, const char *where,
                                                    struct gram_error *err)
{
    return parse(out, read_sentencepiece, bytes, len, where, err);
}

static enum gram_status open_file(struct gram_tokenizer **out, const struct kind *kind,
                                  const char *folder, const char *path, struct gram_error *err)
{
    struct gram_companions files = {0};
    struct gram_file *file;

    GRAM_TRY(gram_file_open(&file, path, err));
    enum gram_status status = gram_companions_load(&files, folder, err);
    if (status == GRAM_OK && gram_file_size(file) == 0)
        status = gram_fail(err, GRAM_EFORMAT, "%s: the file is empty", path);
    if (status == GRAM_OK) {
        const size_t size = (size_t)gram_file_size(file);
        const struct input input = {path, folder, gram_file_view(file, 0, size), size, &files};
        status = build(out, kind->read, &input, err);
    }
    gram_companions_reset(&files);
    gram_file_close(&file);
    return status;
}

static enum gram_status open_folder(struct gram_tokenizer **out, const char *folder,
                                    struct gram_error *err)
{
    for (int i = 0; i < N_KINDS; i++) {
        char *path = gram_path_join(folder, kinds[i].name);
        if (!path)
            return gram_fail_memory(err, folder);
        const bool there = gram_path_exists(path);
        enum gram_status status = there ? open_file(out, &kinds[i], folder, path, err) : GRAM_OK;
        free(path);
        if (there)
            return status;
    }
    return gram_fail(err, GRAM_ENOENT,
                     "%s: no tokenizer.json, tokenizer.model or vocab.json in this folder", folder);
}

static enum gram_status open_named(struct gram_tokenizer **out, const char *path,
                                   struct gram_error *err)
{
    const size_t len = strlen(path);

    for (int i = 0; i < N_KINDS; i++) {
        const size_t n = kinds[i].ending ? strlen(kinds[i].ending) : len + 1;
        if (n > len || strcmp(path + len - n, kinds[i].ending) != 0)
            continue;
        const char *slash = strrchr(path, '/');
        char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
        if (!folder)
            return gram_fail_memory(err, path);
        enum gram_status status = open_file(out, &kinds[i], folder, path, err);
        free(folder);
        return status;
    }
    return gram_fail(err, GRAM_EUNSUPPORTED,
                     "%s: expected a folder, a tokenizer.json or a tokenizer.model", path);
}

enum gram_status gram_tokenizer_open(struct gram_tokenizer **out, const char *path,
                                     struct gram_error *err)
{
    char *resolved;

    *out = NULL;
    GRAM_TRY(gram_hub_resolve(&resolved, path, err));
    enum gram_status status = gram_path_is_dir(resolved) ? open_folder(out, resolved, err)
                                                         : open_named(out, resolved, err);
    free(resolved);
    return status;
}

int32_t gram_tokenizer_vocab(const struct gram_tokenizer *tokenizer)
{
    return tokenizer->vocab.n;
}

int32_t gram_tokenizer_bos(const struct gram_tokenizer *tokenizer)
{
    return tokenizer->bos;
}

bool gram_tokenizer_is_eos(const struct gram_tokenizer *tokenizer, int32_t id)
{
    for (size_t i = 0; i < tokenizer->n_eos; i++)
        if (tokenizer->eos[i] == id)
            return true;
    return false;
}

int32_t gram_tokenizer_find(const struct gram_tokenizer *tokenizer, const char *token)
{
    const size_t len = strlen(token);
    const int32_t id = gram_vocab_find(&tokenizer->vocab, token, len);

    if (id >= 0)
        return id;
    for (int32_t i = 0; i < tokenizer->vocab.n; i++) { /* added tokens are not in the hash table */
        const struct gram_token *t = &tokenizer->vocab.at[i];
        if (t->text && t->len == len && memcmp(t->text, token, len) == 0)
            return i;
    }
    return -1;
}
