/* Looking up org/name in the local Hugging Face cache: models--org--name/refs/main names the
 * snapshot. */
#include "formats/hub.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"

/* Where huggingface_hub keeps its cache: the variable, and what stands behind its value. */
static const struct {
    const char *variable, *behind;
} places[] = {
    {"HF_HUB_CACHE", ""},
    {"HUGGINGFACE_HUB_CACHE", ""},
    {"HF_HOME", "/hub"},
    {"XDG_CACHE_HOME", "/huggingface/hub"},
    {"HOME", "/.cache/huggingface/hub"},
};

/* org/name of letters, digits, '-', '_', '.', neither part starting with a dot: nothing that could
 * leave the cache. */
static bool is_hub_name(const char *model)
{
    const char *slash = strchr(model, '/');
    if (!slash || strchr(slash + 1, '/') || slash == model || model[0] == '.' || slash[1] == '.' ||
        slash[1] == '\0' || strlen(model) > 200)
        return false;
    for (const char *s = model; *s; s++) {
        if (!isalnum((unsigned char)*s) && !strchr("-_./", *s))
            return false;
    }
    return true;
}

static bool add_cache_root(struct gram_buf *path)
{
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        const char *value = getenv(places[i].variable);
        if (value && value[0]) {
            gram_buf_printf(path, "%s%s", value, places[i].behind);
            return true;
        }
    }
    return false;
}

/* The commit that refs/main holds, appended to path. False if there is none. */
static bool add_commit(struct gram_buf *path, const char *ref_path)
{
    struct gram_file *file;
    if (gram_file_open(&file, ref_path, NULL) != GRAM_OK)
        return false;
    const uint64_t size = gram_file_size(file);
    const char *text = gram_file_view(file, 0, size);
    size_t n = 0;

    while (n < size && n < 64 && isxdigit((unsigned char)text[n]))
        n++;
    gram_buf_add(path, text, n);
    gram_file_close(&file);
    return n > 0;
}

static enum gram_status find_snapshot(struct gram_buf *path, const char *model,
                                      struct gram_error *err)
{
    struct gram_buf ref = {0};

    if (!add_cache_root(path))
        return gram_fail(err, GRAM_ENOENT, "%s: no such directory, and no HOME to look for a cache",
                         model);
    const char *slash = strchr(model, '/');
    gram_buf_printf(path, "/models--%.*s--%s", (int)(slash - model), model, slash + 1);
    gram_buf_printf(&ref, "%s/refs/main", path->at ? path->at : "");
    gram_buf_str(path, "/snapshots/");
    const bool found =
        !ref.failed && add_commit(path, ref.at) && !path->failed && gram_path_is_dir(path->at);
    enum gram_status status = GRAM_OK;
    if (ref.failed || path->failed)
        status = gram_fail_memory(err, model);
    else if (!found)
        status =
            gram_fail(err, GRAM_ENOENT, "%s: no such directory, and no snapshot of it named by %s",
                      model, ref.at);
    gram_buf_reset(&ref);
    return status;
}

enum gram_status gram_hub_resolve(char **out, const char *model, struct gram_error *err)
{
    struct gram_buf path = {0};

    *out = NULL;
    if (gram_path_exists(model)) {
        *out = strdup(model);
        return *out ? GRAM_OK : gram_fail_memory(err, model);
    }
    if (!is_hub_name(model))
        return gram_fail(err, GRAM_ENOENT, "%s: no such file or directory", model);
    const enum gram_status status = find_snapshot(&path, model, err);
    if (status == GRAM_OK)
        *out = path.at;
    else
        gram_buf_reset(&path);
    return status;
}
