/* Opening what a command works on, and reading its text. */
#ifndef GRAM_CLI_LOAD_H
#define GRAM_CLI_LOAD_H

#include "command.h"

/* Zero bytes are a valid empty one; close with loaded_close(), also after a failure. */
struct loaded {
    struct gram_runtime *runtime;
    struct gram_model *base;  /* of `model`; NULL: it has no adapters */
    struct gram_model *model;
    struct gram_tokenizer *tokenizer;
    struct gram_model_info info;
    bool join; /* set before load_runtime: be one of the processes that mpirun started */
};
enum gram_status load_runtime(struct loaded *loaded, const struct common_options *common,
                              struct gram_error *err);
/* The runtime (unless it is open) and the model. */
enum gram_status load_model(struct loaded *loaded, const char *path,
                            const struct common_options *common, struct gram_error *err);
/* The same with adapters beside its linears: folders, each with ":WEIGHT" behind it or not. */
enum gram_status load_adapted(struct loaded *loaded, const char *path, struct text_list adapters,
                              const struct common_options *common, struct gram_error *err);
/* What the option --adapter says of itself; one of its texts taken apart, *path yours to free(). */
extern const char adapter_help[];
enum gram_status parse_adapter(const char *text, char **path, double *weight, struct gram_error *err);
enum gram_status load_tokenizer(struct loaded *loaded, const char *path, struct gram_error *err);
void loaded_close(struct loaded *loaded);

/* Kinds of KV cache, for the option --kv. */
const struct gram_choice *kv_choices(void);

/* All of a file, or of standard input for "-", in *text (NUL-terminated, free() it). */
enum gram_status read_text(const char *path, char **text, size_t *len, struct gram_error *err);

/*
 * Append the ids of a whole text to *ids: the special tokens that the tokenizer puts in front of a
 * text (a BOS, or nothing) unless with_front is false, never those that it would put behind.
 */
enum gram_status encode_text(const struct gram_tokenizer *tokenizer, const char *text, size_t len,
                             bool with_front, struct gram_ids *ids, struct gram_error *err);

#endif
