/* Sentences for the user, and the names of statuses. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "base/utf8.h"

static const char *const names[GRAM_N_STATUS] = {
    [GRAM_OK] = "ok",
    [GRAM_EINVAL] = "invalid argument",
    [GRAM_ENOENT] = "not found",
    [GRAM_EIO] = "input/output error",
    [GRAM_ENOSPC] = "no space left",
    [GRAM_EEXIST] = "already exists",
    [GRAM_EFORMAT] = "malformed",
    [GRAM_EUNSUPPORTED] = "unsupported",
    [GRAM_ENONFINITE] = "not finite",
    [GRAM_ENOMEM] = "out of memory",
    [GRAM_ECANCELED] = "interrupted",
    [GRAM_ENUMERIC] = "numerical failure",
    [GRAM_EGATE] = "gate not met",
};

const char *gram_status_name(enum gram_status status)
{
    return (unsigned)status < GRAM_N_STATUS ? names[status] : "unknown status";
}

/* Copy `from` into dst, escaping what would disturb a terminal or is not UTF-8. */
static void copy_printable(char *dst, size_t cap, const char *from)
{
    const size_t len = strlen(from);
    size_t at = 0;

    for (size_t i = 0; i < len;) {
        uint32_t c;
        const size_t n = gram_utf8_next(from + i, len - i, &c);
        const bool plain = n > 0 && c >= 0x20 && c != 0x7f && !(c >= 0x80 && c < 0xa0);
        const size_t need = plain ? n : 4;

        if (at + need >= cap)
            break;
        if (plain)
            memcpy(dst + at, from + i, n);
        else
            snprintf(dst + at, cap - at, "\\x%02x", (unsigned char)from[i]);
        at += need;
        i += plain ? n : 1;
    }
    dst[at] = '\0';
}

enum gram_status gram_fail(struct gram_error *err, enum gram_status status, const char *format, ...)
{
    if (err) {
        char raw[2048];
        va_list args;

        va_start(args, format);
        vsnprintf(raw, sizeof raw, format, args);
        va_end(args);
        err->status = status;
        copy_printable(err->message, sizeof err->message, raw);
    }
    return status;
}

enum gram_status gram_status_of_errno(int code)
{
    switch (code) {
    case ENOENT:
    case ENOTDIR:
        return GRAM_ENOENT;
    case ENOSPC:
    case EDQUOT:
        return GRAM_ENOSPC;
    case ENOMEM:
        return GRAM_ENOMEM;
    default:
        return GRAM_EIO;
    }
}

enum gram_status gram_fail_memory(struct gram_error *err, const char *what)
{
    return gram_fail(err, GRAM_ENOMEM, "out of memory for %s", what);
}
