/* Sentences, JSON, sizes, and the promise that a lost result is an error. */
#include "output.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "job.h"

/* Names come from files and users: nothing of them may steer a terminal. */
static void copy_escaped(char *dst, size_t cap, const char *from)
{
    size_t at = 0;

    for (const unsigned char *c = (const unsigned char *)from; *c && at + 5 < cap; c++) {
        const bool is_c1 = c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0;
        if (*c >= 0x20 && *c != 0x7f && !is_c1)
            dst[at++] = (char)*c;
        else
            at += (size_t)snprintf(dst + at, cap - at, "\\x%02x", *c);
    }
    dst[at] = '\0';
}

enum gram_status refuse(struct gram_error *err, enum gram_status status, const char *format, ...)
{
    char raw[2048];
    va_list args;

    va_start(args, format);
    vsnprintf(raw, sizeof raw, format, args);
    va_end(args);
    err->status = status;
    copy_escaped(err->message, sizeof err->message, raw);
    return status;
}

enum gram_status refuse_errno(struct gram_error *err, const char *what)
{
    static const struct {
        int code;
        enum gram_status status;
    } known[] = {{ENOENT, GRAM_ENOENT},
                 {ENOSPC, GRAM_ENOSPC},
                 {EDQUOT, GRAM_ENOSPC},
                 {EEXIST, GRAM_EEXIST},
                 {ENOMEM, GRAM_ENOMEM}};
    const int code = errno;

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].code == code)
            return refuse(err, known[i].status, "%s: %s", what, strerror(code));
    return refuse(err, GRAM_EIO, "%s: %s", what, strerror(code));
}

void complain(const char *format, ...)
{
    char raw[2048], line[4096];
    va_list args;

    va_start(args, format);
    vsnprintf(raw, sizeof raw, format, args);
    va_end(args);
    copy_escaped(line, sizeof line, raw);
    fprintf(stderr, "gram: %s\n", line);
}

int report_failure(const struct gram_error *err)
{
    const int signal = signals_received();

    if (err->status == GRAM_ECANCELED || signal) {
        complain("%s",
                 err->status == GRAM_ECANCELED && err->message[0] ? err->message : "interrupted");
        return signal ? 128 + signal : EXIT_FAILED;
    }
    complain("%s", err->message[0] ? err->message : gram_status_name(err->status));
    return err->status == GRAM_EINVAL  ? EXIT_WRONG_USAGE
           : err->status == GRAM_EGATE ? EXIT_GATE
                                       : EXIT_FAILED;
}

void say(const struct common_options *common, const char *format, ...)
{
    char raw[2048], line[4096];
    va_list args;

    if (common->quiet)
        return;
    va_start(args, format);
    vsnprintf(raw, sizeof raw, format, args);
    va_end(args);
    copy_escaped(line, sizeof line, raw);
    fprintf(stderr, "%s\n", line);
}

int print_json(json_t *object)
{
    const bool failed = !object || json_dumpf(object, stdout, JSON_COMPACT) != 0;

    json_decref(object);
    if (failed && !ferror(stdout)) {
        complain("memory ran out while the result was written");
        return EXIT_FAILED;
    }
    putchar('\n');
    return EXIT_DONE; /* what stdout lost is seen by output_close() */
}

json_t *json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *json_text(const char *text)
{
    json_t *json = json_string(text ? text : "");
    char *plain = json ? NULL : strdup(text);

    if (!plain)
        return json;
    for (char *c = plain; *c; c++)
        *c = (unsigned char)*c < 0x80 ? *c : '?';
    json = json_string(plain);
    free(plain);
    return json;
}

const char *human_bytes(char out[HUMAN_SIZE], uint64_t bytes)
{
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB"};
    double value = (double)bytes / 1000;
    size_t unit = 0;

    if (bytes < 1000) {
        snprintf(out, HUMAN_SIZE, "%u B", (unsigned)bytes);
        return out;
    }
    while (value >= 999.5 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1000;
        unit++;
    }
    const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    snprintf(out, HUMAN_SIZE, "%.*f %s", decimals, value, units[unit]);
    return out;
}

const char *human_count(char out[HUMAN_SIZE], uint64_t n)
{
    const int digits = snprintf(out, HUMAN_SIZE, "%.0f", (double)n);
    char plain[HUMAN_SIZE];
    size_t at = 0;

    if (n >= (1ull << 53)) /* beyond what a double counts; no model comes near */
        return out;
    memcpy(plain, out, sizeof plain);
    for (int i = 0; i < digits; i++) {
        if (i > 0 && (digits - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = plain[i];
    }
    out[at] = '\0';
    return out;
}

bool output_flush(void)
{
    static bool is_told; /* one sentence is enough */

    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    if (!is_told)
        complain("standard output: %s", errno ? strerror(errno) : "write error");
    is_told = true;
    return false;
}

int output_close(int code)
{
    const bool is_lost = !output_flush();
    const bool was_closed = fclose(stdout) != 0;

    if (was_closed && !is_lost)
        complain("standard output: %s", strerror(errno));
    return (was_closed || is_lost) && code == EXIT_DONE ? EXIT_FAILED : code;
}

double clock_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
