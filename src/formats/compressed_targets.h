/* The targets of config groups: collected while the groups are read, then sorted. */
#ifndef GRAM_FORMATS_COMPRESSED_TARGETS_H
#define GRAM_FORMATS_COMPRESSED_TARGETS_H

#include "formats/compressed_tensors.h"

/* Make room for the targets of all groups. */
enum gram_status gram_targets_start(struct gram_compressed *ct, const json_t *groups,
                                    struct gram_arena *arena, struct gram_error *err);
/* Take in the list of one group. */
enum gram_status gram_targets_add(struct gram_compressed *ct, const json_t *list,
                                  const struct gram_compressed_group *group,
                                  struct gram_arena *arena, const char *where,
                                  struct gram_error *err);
/* After the last group. */
void gram_targets_finish(struct gram_compressed *ct);

#endif
