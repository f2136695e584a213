/* Which directory a MODEL argument means. */
#ifndef GRAM_FORMATS_HUB_H
#define GRAM_FORMATS_HUB_H

#include "base/error.h"

/*
 * An existing path is itself; otherwise "org/name" is looked up in the local Hugging Face cache
 * ($HF_HUB_CACHE, $HF_HOME/hub, ~/.cache/huggingface/hub: models--org--name/snapshots/<refs/main>).
 * *out is yours, free() it. Returns GRAM_OK, GRAM_ENOENT (the sentence says where was looked), GRAM_ENOMEM.
 */
enum gram_status gram_hub_resolve(char **out, const char *model, struct gram_error *err);

#endif
