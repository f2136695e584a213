/* Opening the runtime: how many threads, which kernel level. */
#include "base/runtime.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <gram/gram.h>
#include "base/cpu.h"

enum { MAX_THREADS = 256 };

static int usable_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    const int n = CPU_COUNT(&set);
    return n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : n;
}

static enum gram_status choose_level(unsigned *flags, const char *name, struct gram_error *err)
{
    *flags = gram_cpu_detect();
    if (!name)
        name = getenv("GRAM_CPU");
    return name && name[0] ? gram_cpu_mask(flags, name, *flags, err) : GRAM_OK;
}

static enum gram_status choose_activations(int *parts, const char *name, struct gram_error *err)
{
    static const char *const names[] = {"f32", "int8", "int16"}; /* by parts */

    for (*parts = 2; *parts >= 0; --*parts) {
        if (!name || strcmp(name, names[*parts]) == 0)
            return GRAM_OK;
    }
    return gram_fail(err, GRAM_EINVAL, "activations '%s' are not int16, int8 or f32", name);
}

static enum gram_status join(struct gram_runtime **rt, struct gram_error *err)
{
    const enum gram_status status = gram_comm_open(&(*rt)->comm, err);
    if (status != GRAM_OK)
        gram_runtime_close(rt);
    return status;
}

enum gram_status gram_runtime_open(struct gram_runtime **out,
                                   const struct gram_runtime_options *options,
                                   struct gram_error *err)
{
    const struct gram_runtime_options defaults = GRAM_RUNTIME_OPTIONS_INIT;
    unsigned flags;
    int parts;

    *out = NULL;
    if (!options)
        options = &defaults;
    if (options->threads < 0 || options->threads > MAX_THREADS)
        return gram_fail(err, GRAM_EINVAL, "threads is %d, must be from 1 to %d, or 0 for all",
                         options->threads, MAX_THREADS);
    GRAM_TRY(choose_level(&flags, options->cpu, err));
    GRAM_TRY(choose_activations(&parts, options->activations, err));
    struct gram_runtime *rt = calloc(1, sizeof *rt);
    if (!rt)
        return gram_fail_memory(err, "the runtime");
    rt->cpu_flags = flags;
    rt->activation_parts = parts;
    rt->cache_packed = options->cache_packed;
    rt->warn = options->warn;
    rt->warn_user = options->warn_user;
    const int threads = options->threads ? options->threads : usable_cpus();
    const enum gram_status status = gram_pool_open(&rt->pool, threads, err);
    if (status != GRAM_OK) {
        free(rt);
        return status;
    }
    if (options->struct_size >= sizeof *options && options->join)
        GRAM_TRY(join(&rt, err));
    *out = rt;
    return GRAM_OK;
}

void gram_runtime_close(struct gram_runtime **runtime)
{
    if (!runtime || !*runtime)
        return;
    gram_comm_close(&(*runtime)->comm);
    gram_pool_close(&(*runtime)->pool);
    free(*runtime);
    *runtime = NULL;
}

int gram_runtime_threads(const struct gram_runtime *runtime)
{
    return gram_pool_threads(runtime->pool);
}

int gram_runtime_rank(const struct gram_runtime *runtime)
{
    return gram_comm_rank(runtime->comm);
}

const char *gram_runtime_cpu(const struct gram_runtime *runtime)
{
    return gram_cpu_name(runtime->cpu_flags);
}

const char *gram_version(void)
{
    return GRAM_VERSION;
}
