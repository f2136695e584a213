/* kcheck --bench: what each kernel does, and what part of the machine's ceiling that is. */
#include "kcheck.h"
void bench_level(const char *level, const struct gram_kernels *kernels,
                 const struct gram_kernels *below, const char *only)
{
    (void)level;
    (void)kernels;
    (void)below;
    (void)only;
}
