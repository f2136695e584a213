/* slots.c: from specs to the list of weights. */
#ifndef GRAM_ARCH_ARCH_SLOTS_H
#define GRAM_ARCH_ARCH_SLOTS_H

#include "arch/arch_table.h"

/* Fill desc->slots from desc->arch and desc->hp. */
enum gram_status gram_slots_fill(struct gram_model_desc *desc, struct gram_arena *arena,
                                 struct gram_error *err);

#endif
