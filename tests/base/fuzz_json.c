/* Any bytes as JSON, by the tree and by the cursor: they must agree but for what only the tree
 * judges. */
#include <string.h>

#include "base/json.h"
#include "base/json_cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum gram_status skip_all(const void *bytes, size_t size, struct gram_error *err)
{
    struct gram_json_cursor c;
    gram_cursor_init(&c, bytes, size, "fuzz", err);
    const enum gram_status status = gram_cursor_skip(&c);
    return status == GRAM_OK ? gram_cursor_end(&c) : status;
}

/* Refused by the tree alone: what it cannot hold. */
static bool only_the_tree_minds(const char *message)
{
    static const char *const parts[] = {"duplicate object key", "too big", "real number overflow",
                                        "NUL byte in object key"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (strstr(message, parts[i]))
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gram_error tree_err = {0}, cursor_err = {0};
    json_t *root;
    const enum gram_status tree = gram_json_parse(&root, data, size, "fuzz", &tree_err);
    const enum gram_status cursor = skip_all(data, size, &cursor_err);

    if (tree == GRAM_OK)
        GRAM_ASSERT(cursor == GRAM_OK);
    if (tree != GRAM_OK && cursor == GRAM_OK)
        GRAM_ASSERT(tree == GRAM_ENOMEM || only_the_tree_minds(tree_err.message));
    json_decref(root);
    return 0;
}
