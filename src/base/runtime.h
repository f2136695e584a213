/* The runtime's inside: its pool and the flags its kernels were chosen by. */
#ifndef GRAM_BASE_RUNTIME_H
#define GRAM_BASE_RUNTIME_H

#include <stdbool.h>

#include <gram/runtime.h>
#include "base/comm.h"
#include "base/pool.h"

struct gram_runtime {
    struct gram_pool *pool;
    struct gram_comm *comm; /* the other processes of the job; NULL: none */
    unsigned cpu_flags;
    int activation_parts; /* of int8, that weight-only codes multiply; 0: f32 */
    bool cache_packed;
    void (*warn)(void *user, const char *sentence); /* or NULL */
    void *warn_user;
};

#endif
