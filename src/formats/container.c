/*
 * The containers that gram reads, and those that it recognizes to refuse them by name. What an
 * unread container says is still checked: a file that contradicts itself is malformed, not merely
 * unsupported.
 */
#include "formats/container.h"

#include <string.h>

#include "formats/bitsandbytes.h"
#include "formats/compressed_tensors.h"

static enum gram_status refuse(const char *name, const char *where, struct gram_error *err)
{
    return gram_fail(err, GRAM_EUNSUPPORTED,
                     "%s: quant_method '%s' is not read yet; convert the model to "
                     "compressed-tensors, or start from the unquantized one",
                     where, name);
}

/* bits and group_size of GPTQ and AWQ, under their present and their older names (AutoGPTQ,
 * llm-awq). */
static enum gram_status check_grouped(const json_t *config, const char *where,
                                      struct gram_error *err)
{
    int64_t value;

    GRAM_TRY(gram_json_int(config, "bits", 1, 16, 4, &value, where, err));
    GRAM_TRY(gram_json_int(config, "w_bit", 1, 16, 4, &value, where, err));
    GRAM_TRY(gram_json_int(config, "group_size", -1, INT32_MAX, -1, &value, where, err));
    if (value == 0)
        return gram_fail(err, GRAM_EFORMAT, "%s: group_size is 0, must be -1 or positive", where);
    return gram_json_int(config, "q_group_size", -1, INT32_MAX, -1, &value, where, err);
}

static enum gram_status open_gptq(const json_t *config, const char *where, struct gram_arena *arena,
                                  void **state, struct gram_error *err)
{
    (void)arena, (void)state;
    GRAM_TRY(check_grouped(config, where, err));
    return refuse("gptq", where, err);
}

static enum gram_status open_awq(const json_t *config, const char *where, struct gram_arena *arena,
                                 void **state, struct gram_error *err)
{
    (void)arena, (void)state;
    GRAM_TRY(check_grouped(config, where, err));
    return refuse("awq", where, err);
}

static const struct gram_container containers[] = {
    {"compressed-tensors", gram_compressed_open, gram_compressed_bind},
    {"gptq", open_gptq, NULL},
    {"awq", open_awq, NULL},
    {"bitsandbytes", gram_bnb_open, gram_bnb_bind},
};

const struct gram_container *gram_container_find(const char *quant_method)
{
    for (size_t i = 0; i < sizeof containers / sizeof containers[0]; i++) {
        if (strcmp(containers[i].name, quant_method) == 0)
            return &containers[i];
    }
    return NULL;
}
