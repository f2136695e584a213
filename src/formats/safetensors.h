/*
 * safetensors: a length, a JSON header, the data. The header is checked whole before anything is used:
 * names, dtypes, shapes whose bytes match their offsets, no overlap, no hole, nothing past the end.
 * Format: https://github.com/huggingface/safetensors, "Format".
 */
#ifndef GRAM_FORMATS_SAFETENSORS_H
#define GRAM_FORMATS_SAFETENSORS_H

#include <stddef.h>
#include <gram/tensor.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"

/* Read the header of a mapped file. *tensors [*n] in the order of data, their memory in `arena`; data
 * point into the mapping. */
enum gram_status gram_safetensors_read(const struct gram_file *file, struct gram_arena *arena,
                                       struct gram_tensor **tensors, size_t *n,
                                       struct gram_error *err);

/*
 * The bytes that stand before the data of a file with these tensors, in this order and without gaps:
 * length, JSON, and spaces up to a multiple of 64, so that data are aligned. __metadata__ is {"format":"pt"}.
 * name, dtype, rank, shape of the tensors are used. False if memory ran out.
 */
bool gram_safetensors_header(struct gram_buf *out, const struct gram_tensor *tensors, size_t n);

#endif
