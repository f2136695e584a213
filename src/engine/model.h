/* The model's inside: a checkpoint, its graph, and what stands behind each of the graph's parameters. */
#ifndef GRAM_ENGINE_MODEL_H
#define GRAM_ENGINE_MODEL_H

#include <gram/model.h>
#include "base/file.h"
#include "base/runtime.h"
#include "engine/checkpoint.h"
#include "graph/exec.h"
#include "tensor/scheme.h"

struct gram_model {
    const struct gram_model *base; /* whose checkpoint and panels it uses; NULL: its own */
    struct gram_runtime *rt;
    struct gram_kernels kernels;
    struct gram_checkpoint ck;
    struct gram_graph graph;
    struct gram_binding *bindings; /* one per slot of ck.desc */
    struct gram_arena arena;       /* bindings and what they own */
    void *packed;                  /* block of all panels, in the arena ... */
    struct gram_file *packed_file; /* ... or in the file that was mapped instead */
    size_t packed_bytes;
    char scheme[GRAM_SCHEME_NAME];
};

#endif
