/* Threads and kernels: what a model is run with. */
#ifndef GRAM_RUNTIME_H
#define GRAM_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <gram/status.h>

GRAM_BEGIN_DECLS

/* Opaque. One serves any number of models and sessions; calls from several threads are serialized
 * where they need its pool. */
struct gram_runtime;

struct gram_runtime_options {
    size_t struct_size;
    int threads;     /* 1..256; 0 = as many as the process may run on [0] */
    const char *cpu; /* highest kernel level to use: "ref", "avx2", "avx512", "avx512vnni", "amx",
                        "neon", "dotprod"; NULL = GRAM_CPU from the environment, else the best there is */
    const char *activations; /* what weight-only integer schemes (w4a16) multiply their codes with:
                                "int16": two int8 parts, quantized as they come, whose products are
                                summed exactly: as precise as floats, and faster; "int8": the first
                                part alone; "f32". Schemes that name int8 activations (w8a8) have
                                them anyway. NULL = "int16" */
    bool cache_packed; /* keep the weights of a model, as repacked when it is opened, in a file beside it
                          (gram-packed.bin; in the user's cache folder where that cannot be written), and
                          map that file the next time: as large as the model, opened at once [false] */
    void (*warn)(void *user, const char *sentence); /* NULL for none: told, without a newline and on the
                          thread that opens the model, why such a file was not used or not written */
    void *warn_user;
    bool join; /* when mpirun started several processes, be one of them: gram_tune() then shares its batches
                  out, gram_quantize() its calibration windows, and the process of rank 0 writes the result.
                  At most one such runtime at a time, opened and closed on the thread that makes the calls
                  [false] */
};
#define GRAM_RUNTIME_OPTIONS_INIT                                                                    \
    {sizeof(struct gram_runtime_options), 0, NULL, NULL, false, NULL, NULL, false}

/* Start the pool and choose the kernels. options may be NULL. Returns GRAM_OK, GRAM_EINVAL (a level
 * that is unknown or that this processor lacks), GRAM_ENOMEM. *out is NULL on failure. */
GRAM_API enum gram_status gram_runtime_open(struct gram_runtime **out,
                                            const struct gram_runtime_options *options,
                                            struct gram_error *err);

/* Stop the threads; accepts NULL and a pointer to NULL, sets *runtime to NULL. Models and sessions
 * made with it must be closed before. */
GRAM_API void gram_runtime_close(struct gram_runtime **runtime);

/* Which of the joined processes this is; 0 for one alone. */
GRAM_API int gram_runtime_rank(const struct gram_runtime *runtime);
GRAM_API int gram_runtime_threads(const struct gram_runtime *runtime);
/* Name of the kernel level in use; static storage. */
GRAM_API const char *gram_runtime_cpu(const struct gram_runtime *runtime);

GRAM_END_DECLS
#endif
