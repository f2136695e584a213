/* New adapters: the pairs before training, and PEFT's files after it. Reading them is engine/adapter.h. */
#ifndef GRAM_TRAIN_LORA_H
#define GRAM_TRAIN_LORA_H

#include "engine/adapter.h"
#include "quant/sidecar.h"
#include "train/lora_targets.h"

/* As PEFT begins: A uniform within 1 / sqrt(its columns) (He et al. 2015, with a = sqrt(5)), B zero.
 * GRAM_EINVAL for a target that no linear has, GRAM_ENOMEM. */
enum gram_status gram_lora_make(struct gram_lora *lora, const struct gram_model_desc *desc,
                                const struct gram_lora_options *options, struct gram_error *err);

/* adapter_config.json and adapter_model.safetensors (f32). base: what the adapter belongs to. */
enum gram_status gram_lora_write(struct gram_written *written, const struct gram_output *output,
                                 const struct gram_lora *lora, const char *base,
                                 struct gram_error *err);

#endif
