/* Looking through a model's folder. */
#include "formats/hf_folder.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "base/file.h"

#define INDEX_NAME  "model.safetensors.index.json"
#define SINGLE_NAME "model.safetensors"

static const struct {
    const char *suffix, *format;
} foreign[] = {
    {".bin", "PyTorch"},   {".pt", "PyTorch"},   {".pth", "PyTorch"},
    {".th", "PyTorch"},    {".ckpt", "PyTorch"}, {".gguf", "GGUF"},
    {".h5", "TensorFlow"}, {".msgpack", "Flax"}, {".onnx", "ONNX"},
};

static bool ends_with(const char *s, const char *tail)
{
    const size_t n = strlen(s), m = strlen(tail);
    return n > m && strcmp(s + n - m, tail) == 0;
}

const char *gram_foreign_weights(const char *name)
{
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        if (ends_with(name, foreign[i].suffix))
            return foreign[i].format;
    }
    return NULL;
}

/* What stands in a folder without the usual names; the strings are owned. */
struct findings {
    char *safetensors; /* one of them */
    int n_safetensors;
    char *foreign; /* a weight file of another format */
};

/* Keep the first name in the order of bytes, whatever the order of the folder is. */
static bool keep_first(char **kept, const char *name)
{
    if (*kept && strcmp(*kept, name) <= 0)
        return true;
    free(*kept);
    return (*kept = strdup(name)) != NULL;
}

static enum gram_status scan(struct findings *found, const char *dir, struct gram_error *err)
{
    DIR *folder = opendir(dir);
    bool ok = true;

    if (!folder)
        return gram_fail(err, gram_status_of_errno(errno), "%s: cannot be listed: %s", dir,
                         strerror(errno));
    for (struct dirent *entry; ok && (entry = readdir(folder));) {
        const char *name = entry->d_name;
        if (name[0] == '.')
            continue;
        if (ends_with(name, ".safetensors")) {
            found->n_safetensors++;
            ok = keep_first(&found->safetensors, name);
        } else if (gram_foreign_weights(name)) {
            ok = keep_first(&found->foreign, name);
        }
    }
    closedir(folder);
    return ok ? GRAM_OK : gram_fail_memory(err, dir);
}

static enum gram_status judge(const struct findings *found, const char *dir, struct gram_error *err)
{
    if (found->n_safetensors == 1)
        return GRAM_OK;
    if (found->n_safetensors > 1)
        return gram_fail(err, GRAM_ENOENT,
                         "%s: %d safetensors files, but no " INDEX_NAME
                         " that says how they belong together",
                         dir, found->n_safetensors);
    if (found->foreign)
        return gram_fail(err, GRAM_EUNSUPPORTED,
                         "%s: no safetensors, only %s (%s), which is not read; convert the weights "
                         "to safetensors",
                         dir, found->foreign, gram_foreign_weights(found->foreign));
    return gram_fail(err, GRAM_ENOENT,
                     "%s: no weights: neither " INDEX_NAME " nor " SINGLE_NAME
                     " nor another .safetensors file",
                     dir);
}

static enum gram_status find_only(char **path, const char *dir, struct gram_error *err)
{
    struct findings found = {0};
    enum gram_status status = scan(&found, dir, err);

    if (status == GRAM_OK)
        status = judge(&found, dir, err);
    if (status == GRAM_OK && !(*path = gram_path_join(dir, found.safetensors)))
        status = gram_fail_memory(err, dir);
    free(found.safetensors);
    free(found.foreign);
    return status;
}

enum gram_status gram_hf_folder_find(char **path, bool *is_index, const char *dir,
                                     struct gram_error *err)
{
    static const char *const names[] = {INDEX_NAME, SINGLE_NAME};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        *path = gram_path_join(dir, names[i]);
        if (!*path)
            return gram_fail_memory(err, dir);
        *is_index = i == 0;
        if (gram_path_exists(*path))
            return GRAM_OK;
        free(*path);
        *path = NULL;
    }
    *is_index = false;
    return find_only(path, dir, err);
}
