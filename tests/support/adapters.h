/* Adapters for tests: folders in PEFT's format, made up. */
#ifndef GRAM_TESTS_ADAPTERS_H
#define GRAM_TESTS_ADAPTERS_H

#include <stdint.h>

/* A half of a pair, filled with numbers of about the given size (0: zeros; NAN: numbers, and one NaN). */
struct half {
    const char *name; /* "layers.0.self_attn.q_proj.lora_A": what stands before and behind is put there */
    int64_t rows, cols;
    double size;
};

/* Write adapter_config.json and adapter_model.safetensors with these halves into a fresh folder: its path. */
const char *make_adapter(const char *config, const struct half *halves, int n);
/* The same, with every number of the first half so many times in a row. */
const char *make_spread_adapter(const char *config, const struct half *halves, int n, int repeat);

#endif
