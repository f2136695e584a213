/*
 * A page of 2 MiB instead of 512 of 4 KiB: one fault for all of them when weights are written, and one entry
 * of the translation buffer when they are streamed.
 */
#include "base/pages.h"

#include <stdint.h>
#include <sys/mman.h>

#include "base/checked.h"

enum { LARGE_PAGE = 2 << 20 };

/* Mapped with room for the alignment; what is left on both sides is given back. */
void *gram_pages_map(size_t bytes)
{
    size_t total;

    if (bytes == 0 || !gram_add_size(&total, bytes, 2 * (size_t)LARGE_PAGE))
        return NULL;
    const size_t wanted = (bytes + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    char *at = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    const size_t before = (LARGE_PAGE - (uintptr_t)at % LARGE_PAGE) % LARGE_PAGE;
    char *pages = at + before, *end = pages + wanted;
    if (before > 0)
        munmap(at, before);
    if (end < at + total)
        munmap(end, (size_t)(at + total - end));
    madvise(pages, wanted, MADV_HUGEPAGE);
    return pages;
}

void gram_pages_unmap(void *pages, size_t bytes)
{
    if (pages)
        munmap(pages, (bytes + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE);
}
