/* Making the layout: units, shards, offsets. */
#include "quant/layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "formats/stored_parts.h"
#include "formats/safetensors.h"
#include "tensor/dtype.h"

/* ---- which slot a tensor belongs to ---- */

struct owner {
    const struct gram_tensor *tensor;
    size_t slot;
};

static int by_tensor(const void *a, const void *b)
{
    const uintptr_t x = (uintptr_t)((const struct owner *)a)->tensor;
    const uintptr_t y = (uintptr_t)((const struct owner *)b)->tensor;
    const size_t i = ((const struct owner *)a)->slot, j = ((const struct owner *)b)->slot;
    return x != y ? (x > y) - (x < y) : (i > j) - (i < j);
}

static struct owner *list_owners(const struct gram_checkpoint *ck, struct gram_arena *arena)
{
    struct owner *owners = gram_arena_take(arena, ck->desc.n_slots, sizeof *owners);

    for (size_t i = 0; owners && i < ck->desc.n_slots; i++)
        owners[i] = (struct owner){gram_checkpoint_tensor(ck, &ck->desc.slots[i]), i};
    if (owners)
        qsort(owners, ck->desc.n_slots, sizeof owners[0], by_tensor);
    return owners;
}

/* ---- units ---- */

static bool describe_plain(struct gram_unit *unit)
{
    struct gram_tensor *part = &unit->parts[0];
    const struct gram_scheme *scheme = &unit->how.scheme;

    *part = *unit->source;
    part->data = NULL;
    if (scheme->kind == GRAM_SCHEME_CAST) {
        part->dtype = scheme->dtype;
        part->bytes = (uint64_t)part->count * (uint64_t)gram_dtype_bits(part->dtype) / 8;
    }
    return true;
}

/* Scales are stored as the weight was, unless told otherwise. */
static enum gram_dtype scale_dtype_of(const struct gram_recipe *recipe, enum gram_dtype weight)
{
    if (recipe->scale_dtype != GRAM_N_DTYPE)
        return recipe->scale_dtype;
    return weight == GRAM_F64 ? GRAM_F32 : weight;
}

static bool describe_codes(struct gram_unit *unit, struct gram_arena *arena)
{
    const struct gram_scheme *scheme = &unit->how.scheme;
    const struct gram_weight_slot *slot = unit->slot;

    unit->scale_dtype = gram_scheme_grid(scheme, unit->scale_dtype).scale_dtype;
    return gram_scheme_parts(unit->parts, scheme, slot->module, slot->rows, slot->cols, unit->scale_dtype,
                             arena);
}

static bool describe_unit(struct gram_unit *unit, const struct gram_recipe *recipe,
                          struct gram_arena *arena)
{
    const struct gram_tensor *source = unit->source;

    unit->scale_dtype = scale_dtype_of(recipe, source->dtype);
    if (unit->how.scheme.kind == GRAM_SCHEME_CODES)
        return describe_codes(unit, arena);
    if (!gram_dtype_info(source->dtype)->is_float || unit->how.scheme.dtype == source->dtype)
        unit->how.scheme.kind = GRAM_SCHEME_KEEP; /* nothing to cast */
    return describe_plain(unit);
}

/* Tensors that the architecture does not name go along with a cast of the whole model. */
static struct gram_assignment assignment_of_strangers(const struct gram_recipe *recipe)
{
    struct gram_assignment how = {.scheme = {.kind = GRAM_SCHEME_KEEP}};
    if (recipe->has_scheme && recipe->scheme.kind == GRAM_SCHEME_CAST)
        how.scheme = recipe->scheme;
    return how;
}

/* The first owner of a tensor, or where it would stand; those of one tensor follow each other. */
static const struct owner *first_owner(const struct owner *owners, size_t n, const struct gram_tensor *tensor)
{
    size_t low = 0;

    while (n > 0) {
        const size_t half = n / 2;
        if ((uintptr_t)owners[low + half].tensor < (uintptr_t)tensor) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return owners + low;
}

/* The tensor as its slot calls it. */
static const struct gram_tensor *renamed(const struct gram_tensor *tensor,
                                         const struct gram_weight_slot *slot, struct gram_arena *arena)
{
    struct gram_tensor *copy = gram_arena_take(arena, 1, sizeof *copy);
    if (copy) {
        *copy = *tensor;
        copy->name = slot->tensor;
    }
    return copy;
}

/* A layout under construction. */
struct making {
    struct gram_layout *layout;
    const struct gram_checkpoint *ck;
    const struct gram_recipe *recipe;
    const struct gram_assignment *assigned;
};

static bool add_unit(const struct making *m, const struct gram_tensor *source,
                     const struct gram_weight_slot *slot, bool shares_source)
{
    struct gram_unit *unit = &m->layout->units[m->layout->n_units++];

    *unit = (struct gram_unit){.source = source, .slot = slot, .shares_source = shares_source};
    unit->how = slot ? m->assigned[slot - m->ck->desc.slots] : assignment_of_strangers(m->recipe);
    m->layout->bytes_before += shares_source ? 0 : source->bytes;
    m->layout->parameters += (uint64_t)source->count;
    return describe_unit(unit, m->recipe, &m->layout->arena);
}

static bool add_units_of(const struct making *m, const struct gram_tensor *tensor, const struct owner *owner,
                         const struct owner *end)
{
    const bool is_shared = end - owner > 1 && owner[1].tensor == tensor;
    bool ok = true, is_first = true;

    if (owner == end || owner->tensor != tensor)
        return add_unit(m, tensor, NULL, false);
    for (; ok && owner < end && owner->tensor == tensor; owner++, is_first = false) {
        const struct gram_weight_slot *slot = &m->ck->desc.slots[owner->slot];
        const struct gram_tensor *source = is_shared ? renamed(tensor, slot, &m->layout->arena) : tensor;
        ok = source && add_unit(m, source, slot, !is_first);
    }
    return ok;
}

static bool make_units(const struct making *m)
{
    const size_t n_slots = m->ck->desc.n_slots, n_tensors = gram_store_count(m->ck->store);
    const struct owner *owners = list_owners(m->ck, &m->layout->arena);
    bool ok = owners != NULL;

    m->layout->units =
        gram_arena_take(&m->layout->arena, n_tensors + n_slots, sizeof *m->layout->units);
    ok &= m->layout->units != NULL;
    for (size_t i = 0; ok && i < n_tensors; i++) {
        const struct gram_tensor *tensor = gram_store_at(m->ck->store, i);
        ok = add_units_of(m, tensor, first_owner(owners, n_slots, tensor), owners + n_slots);
    }
    return ok;
}

/* ---- shards ---- */

static uint64_t unit_bytes(const struct gram_unit *unit)
{
    uint64_t bytes = 0;
    for (int p = 0; p < GRAM_MAX_PARTS; p++)
        bytes += unit->parts[p].bytes;
    return bytes;
}

/* Units stay together and in order; a shard is full when the next one would make it too large. */
static int deal_out(struct gram_layout *layout, uint64_t max_bytes)
{
    uint64_t used = 0;
    int shard = 0;

    for (int64_t i = 0; i < layout->n_units; i++) {
        const uint64_t bytes = unit_bytes(&layout->units[i]);
        if (used > 0 && bytes > max_bytes - gram_min_i64((int64_t)used, (int64_t)max_bytes)) {
            shard++;
            used = 0;
        }
        layout->units[i].shard = shard;
        used += bytes;
        layout->bytes_after += bytes;
    }
    return shard + 1;
}

static void name_shard(struct gram_shard *shard, int i, int n)
{
    if (n == 1)
        snprintf(shard->name, sizeof shard->name, "model.safetensors");
    else
        snprintf(shard->name, sizeof shard->name, "model-%05d-of-%05d.safetensors", i + 1, n);
}

/* The parts of a shard with elements of `bits` bits, behind those that are placed already. */
static void list_parts(const struct gram_layout *layout, struct gram_shard *shard, int bits)
{
    for (int64_t u = shard->first_unit; u < shard->first_unit + shard->n_units; u++) {
        for (int p = 0; p < GRAM_MAX_PARTS; p++) {
            const struct gram_unit *unit = &layout->units[u];
            if (gram_unit_has(unit, p) && gram_dtype_bits(unit->parts[p].dtype) == bits)
                shard->parts[shard->n_parts++] = (struct gram_placed_part){u, p};
        }
    }
}

static bool lay_out(struct gram_layout *layout, struct gram_shard *shard)
{
    const size_t most = (size_t)shard->n_units * GRAM_MAX_PARTS;
    struct gram_tensor *tensors = calloc(most + 1, sizeof *tensors);

    shard->parts = gram_arena_take(&layout->arena, most, sizeof *shard->parts);
    if (!tensors || !shard->parts) {
        free(tensors);
        return false;
    }
    for (int bits = 64; bits > 0; bits /= 2)
        list_parts(layout, shard, bits);
    for (size_t i = 0; i < shard->n_parts; i++)
        tensors[i] = layout->units[shard->parts[i].unit].parts[shard->parts[i].part];
    const bool ok = gram_safetensors_header(&shard->header, tensors, shard->n_parts);
    shard->bytes = shard->header.len;
    for (size_t i = 0; i < shard->n_parts; i++) {
        layout->units[shard->parts[i].unit].offset[shard->parts[i].part] = shard->bytes;
        shard->bytes += tensors[i].bytes;
    }
    free(tensors);
    return ok;
}

static bool make_shards(struct gram_layout *layout, uint64_t max_bytes)
{
    bool ok = true;

    layout->n_shards = deal_out(layout, max_bytes);
    layout->shards =
        gram_arena_take(&layout->arena, (size_t)layout->n_shards, sizeof *layout->shards);
    if (!layout->shards)
        return false;
    for (int64_t i = layout->n_units - 1; i >= 0; i--) {
        struct gram_shard *shard = &layout->shards[layout->units[i].shard];
        shard->first_unit = i;
        shard->n_units++;
    }
    for (int i = 0; ok && i < layout->n_shards; i++) {
        name_shard(&layout->shards[i], i, layout->n_shards);
        ok = lay_out(layout, &layout->shards[i]);
    }
    return ok;
}

enum gram_status gram_layout_make(struct gram_layout *layout, const struct gram_checkpoint *ck,
                                  const struct gram_recipe *recipe,
                                  const struct gram_assignment *assigned, uint64_t max_shard_bytes,
                                  struct gram_error *err)
{
    const struct making making = {layout, ck, recipe, assigned};

    if (max_shard_bytes == 0 || max_shard_bytes > INT64_MAX)
        return gram_fail(err, GRAM_EINVAL, "the largest shard must have at least 1 byte");
    layout->n_notes = (int)ck->desc.hp.layers;
    layout->notes = gram_arena_take(&layout->arena, (size_t)ck->desc.hp.layers, sizeof *layout->notes);
    if (!layout->notes || !make_units(&making) || !make_shards(layout, max_shard_bytes))
        return gram_fail_memory(err, "the layout of the output");
    return GRAM_OK;
}

void gram_layout_reset(struct gram_layout *layout)
{
    struct gram_error ignored;

    for (int i = 0; i < layout->n_shards && layout->shards; i++) {
        gram_output_file_close(&layout->shards[i].file, &ignored);
        gram_buf_reset(&layout->shards[i].header);
    }
    gram_arena_reset(&layout->arena);
    *layout = (struct gram_layout){0};
}

static void hash_assignment(struct gram_sha256 *hash, const struct gram_assignment *how)
{
    char line[GRAM_SCHEME_NAME + 16], scheme[GRAM_SCHEME_NAME];
    json_t *options = how->method ? gram_spec_json(&how->options, &gram_method_table, NULL) : NULL;
    char *text = json_dumps(options, JSON_COMPACT | JSON_SORT_KEYS);

    gram_scheme_name(scheme, &how->scheme);
    snprintf(line, sizeof line, "%s %s\n", scheme, how->method ? how->method->about->name : "-");
    gram_sha256_add(hash, line, strlen(line));
    if (text)
        gram_sha256_add(hash, text, strlen(text));
    free(text);
    json_decref(options);
}

void gram_layout_hash(const struct gram_layout *layout, char hex[GRAM_SHA256_HEX])
{
    struct gram_sha256 hash;

    gram_sha256_init(&hash);
    for (int i = 0; i < layout->n_shards; i++)
        gram_sha256_add(&hash, layout->shards[i].header.at, layout->shards[i].header.len);
    for (int64_t i = 0; i < layout->n_units; i++)
        hash_assignment(&hash, &layout->units[i].how);
    gram_sha256_hex(&hash, hex);
}
