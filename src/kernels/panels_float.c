/* Float panels: sixteen rows of a dense weight side by side, [panels][cols][GRAM_PANEL], bits
 * unchanged. */
#include <string.h>

#include "base/checked.h"
#include "kernels/panels.h"
#include "kernels/simd/inline.h"

static int64_t element_bytes(const struct gram_weight *w)
{
    return w->dtype == GRAM_F32 ? 4 : 2;
}

size_t gram_float_panels_bytes(const struct gram_weight *w)
{
    return (size_t)(gram_panel_count(w->rows) * GRAM_PANEL * w->cols * element_bytes(w));
}

/* The element of row r and input k goes to k * GRAM_PANEL + r; a row of cache lines at a time, so
 * that sixteen rows are read and one panel is written as streams. size: bytes of an element, a
 * constant. */
ALWAYS_INLINE void fill_panel(char *to, const char *from, int64_t row_bytes, int64_t rows,
                              int64_t cols, int64_t size)
{
    if (rows < GRAM_PANEL)
        memset(to, 0, (size_t)(cols * GRAM_PANEL * size));
    for (int64_t k0 = 0; k0 < cols; k0 += 64 / size) {
        const int64_t k1 = gram_min_i64(k0 + 64 / size, cols);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t k = k0; k < k1; k++)
                memcpy(to + (k * GRAM_PANEL + r) * size, from + r * row_bytes + k * size,
                       (size_t)size);
    }
}

void gram_float_panels_fill(void *data, const struct gram_weight *w, int64_t begin, int64_t end)
{
    const int64_t size = element_bytes(w), panel_bytes = GRAM_PANEL * w->cols * size;

    for (int64_t p = begin; p < end; p++) {
        const int64_t row = p * GRAM_PANEL, rows = gram_min_i64(GRAM_PANEL, w->rows - row);
        char *to = (char *)data + p * panel_bytes;
        const char *from = (const char *)w->data + row * w->row_bytes;
        if (size == 4)
            fill_panel(to, from, w->row_bytes, rows, w->cols, 4);
        else
            fill_panel(to, from, w->row_bytes, rows, w->cols, 2);
    }
}
