#include "adapters.h"

#include <math.h>

#include "support.h"

/* A small generator: the same numbers every time. */
static float next_number(uint32_t *state, double size)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(size * ((double)(*state >> 8) / (1 << 23) - 1.0));
}

static size_t add_header(char *out, size_t room, const struct half *halves, int n, int repeat)
{
    size_t at = 0, begin = 0;

    at += (size_t)snprintf(out, room, "{");
    for (int i = 0; i < n; i++) {
        const int64_t cols = halves[i].cols * (i == 0 ? repeat : 1);
        const size_t bytes = (size_t)(halves[i].rows * cols) * sizeof(float);
        at += (size_t)snprintf(
            out + at, room - at,
            "%s\"base_model.model.model.%s.weight\":{\"dtype\":\"F32\",\"shape\":[%lld,%lld],"
            "\"data_offsets\":[%zu,%zu]}",
            i ? "," : "", halves[i].name, (long long)halves[i].rows, (long long)cols, begin,
            begin + bytes);
        begin += bytes;
    }
    at += (size_t)snprintf(out + at, room - at, "}");
    while (at % 8 != 0)
        out[at++] = ' ';
    return at;
}

static void write_halves(const char *path, const struct half *halves, int n, int repeat)
{
    static char header[1 << 14];
    const uint64_t length = add_header(header, sizeof header - 8, halves, n, repeat);
    FILE *file = fopen(path, "wb");
    uint32_t state = 1;

    assert_non_null(file);
    fwrite(&length, sizeof length, 1, file);
    fwrite(header, 1, length, file);
    for (int i = 0; i < n; i++)
        for (int64_t k = 0; k < halves[i].rows * halves[i].cols; k++) {
            float x = next_number(&state, isnan(halves[i].size) ? 1.0 : halves[i].size);
            if (isnan(halves[i].size) && k == 3)
                x = NAN;
            for (int c = 0; c < (i == 0 ? repeat : 1); c++)
                fwrite(&x, sizeof x, 1, file);
        }
    fclose(file);
}

const char *make_spread_adapter(const char *config, const struct half *halves, int n, int repeat)
{
    const char *folder = fresh_folder();
    char path[512];

    snprintf(path, sizeof path, "%s/adapter_config.json", folder);
    write_file(path, config, strlen(config));
    snprintf(path, sizeof path, "%s/adapter_model.safetensors", folder);
    write_halves(path, halves, n, repeat);
    return folder;
}

const char *make_adapter(const char *config, const struct half *halves, int n)
{
    return make_spread_adapter(config, halves, n, 1);
}
