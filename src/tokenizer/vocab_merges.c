/*
 * vocab.json with merges.txt: a byte-level BPE whose other half is code in the tokenizer's class. A
 * row per class holds that half as tokenizer.json would write it; so what is built here is a
 * tokenizer.json.
 */
#include <string.h>

#include "tokenizer/parts.h"

#define GPT2_STAGES                                                                                \
    "\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": %s},"                      \
    "\"decoder\": {\"type\": \"ByteLevel\"}"

static const struct family {
    const char *class_name; /* without "Fast" */
    const char *model_type; /* of config.json, where tokenizer_config.json names no class */
    const char *cls, *sep;  /* always around a text; NULL for neither */
    const char *stages;     /* %s: add_prefix_space */
} families[] = {
    {"GPT2Tokenizer", "gpt2", NULL, NULL, "{" GPT2_STAGES "}"},
    {"GPTNeoXTokenizer", "gpt_neox", NULL, NULL, "{" GPT2_STAGES "}"},
    {"CodeGenTokenizer", "phi", NULL, NULL, "{" GPT2_STAGES "}"},
    {"BartTokenizer", "bart", "<s>", "</s>", "{" GPT2_STAGES "}"},
    {"RobertaTokenizer", "roberta", "<s>", "</s>", "{" GPT2_STAGES "}"},
    {"Qwen2Tokenizer", "qwen2", NULL, NULL,
     "{\"normalizer\": {\"type\": \"NFC\"},"
     "\"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\","
     "\"pattern\": {\"Regex\": "
     "\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}|"
     " ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"},"
     "\"behavior\": \"Isolated\", \"invert\": false},"
     "{\"type\": \"ByteLevel\", \"add_prefix_space\": %s, \"use_regex\": false}]},"
     "\"decoder\": {\"type\": \"ByteLevel\"}}"},
};

static enum gram_status find_family(const struct family **out, const struct gram_source *source,
                                    const struct gram_companions *files)
{
    const char *class_name, *model_type;

    GRAM_TRY(gram_json_str(files->tokenizer_config, "tokenizer_class", NULL, &class_name,
                           source->where, source->err));
    GRAM_TRY(gram_json_str(files->config, "model_type", "gpt2", &model_type, source->where,
                           source->err));
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        const size_t n = strlen(families[i].class_name);
        const bool same = class_name ? strncmp(class_name, families[i].class_name, n) == 0 &&
                                           (!class_name[n] || !strcmp(class_name + n, "Fast"))
                                     : strcmp(model_type, families[i].model_type) == 0;
        *out = &families[i];
        if (same)
            return GRAM_OK;
    }
    return gram_fail(source->err, GRAM_EUNSUPPORTED,
                     "%s: how '%s' cuts text is not known; a tokenizer.json would tell",
                     source->where, class_name ? class_name : model_type);
}

/* The lines of merges.txt as a list of strings; NULL if one is not UTF-8 or memory ran out. */
static json_t *list_merges(const char *text, size_t len)
{
    static const char version[] = "#version";
    json_t *list = json_array();

    for (size_t i = 0; list && i < len;) {
        const char *line = text + i, *end = memchr(line, '\n', len - i);
        size_t n = end ? (size_t)(end - line) : len - i;

        i += n + 1;
        if (n > 0 && line[n - 1] == '\r')
            n--;
        const bool is_version =
            n >= sizeof version - 1 && !memcmp(line, version, sizeof version - 1);
        if (n == 0 || is_version)
            continue;
        if (json_array_append_new(list, json_stringn(line, n)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* One token named in a companion file, if the vocabulary has it. */
static void add_named(json_t *list, const json_t *vocab, const json_t *named)
{
    const json_t *content = json_is_object(named) ? json_object_get(named, "content") : named;
    const json_t *id =
        json_is_string(content) ? json_object_get(vocab, json_string_value(content)) : NULL;
    if (!id)
        return;
    json_t *token = json_is_object(named) ? json_copy((json_t *)(uintptr_t)named) : json_object();
    json_object_set(token, "content", (json_t *)(uintptr_t)content);
    json_object_set(token, "id", (json_t *)(uintptr_t)id);
    json_object_set_new(token, "special", json_true());
    json_object_set_new(token, "normalized", json_false());
    json_array_append_new(list, token);
}

/* The special tokens that the companion files name, behind those that they list with an id. */
static void add_all_named(json_t *list, const json_t *vocab, const struct gram_companions *files)
{
    static const char *const keys[] = {"bos_token", "eos_token", "unk_token", "pad_token",
                                       "cls_token", "sep_token", "mask_token"};
    const json_t *sources[] = {files->tokenizer_config, files->special_tokens_map};

    for (int s = 0; s < 2; s++) {
        const json_t *more = json_object_get(sources[s], "additional_special_tokens");
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
            add_named(list, vocab, json_object_get(sources[s], keys[i]));
        for (size_t i = 0; i < json_array_size(more); i++)
            add_named(list, vocab, json_array_get(more, i));
    }
}

/* {"type": "RobertaProcessing", "cls": ["<s>", 0], "sep": ["</s>", 2]} */
static json_t *surround(const struct family *family, const json_t *vocab)
{
    return json_pack("{s:s, s:[s, O?], s:[s, O?]}", "type", "RobertaProcessing", "cls", family->cls,
                     json_object_get(vocab, family->cls), "sep", family->sep,
                     json_object_get(vocab, family->sep));
}

/* The stages of the family, with the model and the added tokens put in. */
static enum gram_status build_root(json_t **out, const struct family *family,
                                   const struct gram_source *source, json_t *vocab, json_t *merges,
                                   const struct gram_companions *files)
{
    struct gram_buf stages = {0};
    bool prefix;

    GRAM_TRY(gram_json_bool(files->tokenizer_config, "add_prefix_space", false, &prefix,
                            source->where, source->err));
    const char *hole = strstr(family->stages, "%s");
    gram_buf_add(&stages, family->stages, (size_t)(hole - family->stages));
    gram_buf_str(&stages, prefix ? "true" : "false");
    gram_buf_str(&stages, hole + 2);
    enum gram_status status =
        stages.failed ? gram_fail_memory(source->err, source->where)
                      : gram_json_parse(out, stages.at, stages.len, source->where, source->err);
    gram_buf_reset(&stages);
    if (status != GRAM_OK)
        return status;

    json_t *added;
    GRAM_TRY(gram_companions_added(&added, source, files->tokenizer_config));
    add_all_named(added, vocab, files);
    json_object_set_new(*out, "added_tokens", added);
    json_object_set_new(
        *out, "model",
        json_pack("{s:s, s:O, s:O}", "type", "BPE", "vocab", vocab, "merges", merges));
    if (family->cls)
        json_object_set_new(*out, "post_processor", surround(family, vocab));
    return GRAM_OK;
}

/* OPT's GPT2Tokenizer puts a BOS in front when asked to. */
static enum gram_status add_bos(struct gram_tokenizer *tokenizer, const struct gram_source *source,
                                const json_t *config)
{
    const json_t *token = json_object_get(config, "bos_token");
    const json_t *content = json_is_object(token) ? json_object_get(token, "content") : token;
    bool wanted;

    GRAM_TRY(gram_json_bool(config, "add_bos_token", false, &wanted, source->where, source->err));
    const int32_t id =
        json_is_string(content) ? gram_tokenizer_find(tokenizer, json_string_value(content)) : -1;
    return wanted && id >= 0 ? gram_surround_add(&tokenizer->surround, source, id, false) : GRAM_OK;
}

enum gram_status gram_tokenizer_read_vocab_merges(struct gram_tokenizer *tokenizer,
                                                  const struct gram_source *source, json_t *vocab,
                                                  const char *merges, size_t len,
                                                  const struct gram_companions *files)
{
    const struct family *family;
    json_t *root = NULL, *list = NULL;

    GRAM_TRY(find_family(&family, source, files));
    if (!json_is_object(vocab))
        return gram_fail(source->err, GRAM_EFORMAT, "%s: expected an object", source->where);
    list = list_merges(merges, len);
    enum gram_status status =
        list ? build_root(&root, family, source, vocab, list, files)
             : gram_fail(source->err, GRAM_EFORMAT, "%s: merges.txt beside it is not UTF-8",
                         source->where);
    if (status == GRAM_OK)
        status = gram_tokenizer_read_json(tokenizer, source, root);
    if (status == GRAM_OK && !family->cls)
        status = add_bos(tokenizer, source, files->tokenizer_config);
    json_decref(root);
    json_decref(list);
    return status;
}
