/* How many processes a launcher says that it started: known before MPI is. */
#ifndef GRAM_BASE_COMM_LAUNCHER_H
#define GRAM_BASE_COMM_LAUNCHER_H

#include <stddef.h>
#include <stdlib.h>

/* Open MPI, then MPICH and others with PMI. 1: none of them. */
static inline int gram_launcher_size(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *digit = getenv(names[i]);
        int n = 0;
        while (digit && *digit >= '0' && *digit <= '9' && n < 1000000)
            n = 10 * n + (*digit++ - '0');
        if (n > 1)
            return n;
    }
    return 1;
}

#endif
