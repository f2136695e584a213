/* Float panels: sixteen rows of a dense weight side by side, [panels][cols][GRAM_PANEL], bits
 * unchanged. */
#include <string.h>

#include "base/checked.h"
#include "kernels/panels.h"
#include "kernels/transpose.h"

static int64_t element_bytes(const struct gram_weight *w)
{
    return w->dtype == GRAM_F32 ? 4 : 2;
}

size_t gram_float_panels_bytes(const struct gram_weight *w)
{
    return (size_t)(gram_panel_count(w->rows) * GRAM_PANEL * w->cols * element_bytes(w));
}

/* Columns [k, cols) one by one: those behind the last whole vector, or all when rows are missing. */
static void fill_rest(char *to, const char *from, int64_t row_bytes, int64_t rows, int64_t k,
                             int64_t cols, int64_t size)
{
    for (; k < cols; k++)
        for (int64_t r = 0; r < rows; r++)
            memcpy(to + (k * GRAM_PANEL + r) * size, from + r * row_bytes + k * size,
                   (size_t)size);
}

static void fill_panel(char *to, const char *from, int64_t row_bytes, int64_t rows, int64_t cols,
                       int64_t size)
{
    const int64_t step = 16 / size;
    int64_t k = 0;

    if (rows < GRAM_PANEL)
        memset(to, 0, (size_t)(cols * GRAM_PANEL * size));
    for (; rows == GRAM_PANEL && k + step <= cols; k += step) {
        if (size == 4)
            gram_transpose_32(to + k * GRAM_PANEL * size, from + k * size, row_bytes);
        else
            gram_transpose_16(to + k * GRAM_PANEL * size, from + k * size, row_bytes);
    }
    fill_rest(to, from, row_bytes, rows, k, cols, size);
}

void gram_float_panels_fill(void *data, const struct gram_weight *w, int64_t begin, int64_t end)
{
    const int64_t size = element_bytes(w), panel_bytes = GRAM_PANEL * w->cols * size;

    for (int64_t p = begin; p < end; p++) {
        const int64_t row = p * GRAM_PANEL, rows = gram_min_i64(GRAM_PANEL, w->rows - row);
        char *to = (char *)data + p * panel_bytes;
        const char *from = (const char *)w->data + row * w->row_bytes;
        fill_panel(to, from, w->row_bytes, rows, w->cols, size);
    }
}
