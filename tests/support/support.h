/* What the tests share: cmocka with its includes, the shared folder, temporary folders, .npy files. */
#ifndef GRAM_TESTS_SUPPORT_H
#define GRAM_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <gram/gram.h>

/* The call must succeed; its message is shown if it does not. Uses a `struct gram_error err` in scope. */
#define MUST(call)                                                                                 \
    do {                                                                                           \
        if ((call) != GRAM_OK)                                                                     \
            fail_msg("%s: %s", #call, err.message);                                                \
    } while (0)

/* The call must end with `status` and a message that holds `part`. */
#define MUST_FAIL(expected, part, call)                                                            \
    do {                                                                                           \
        const enum gram_status got_ = (call);                                                      \
        if (got_ != (expected) || !strstr(err.message, (part)))                                    \
            fail_msg("%s: status %d, message '%s'", #call, (int)got_, err.message);                \
    } while (0)

/* root/relative in a buffer of the callee (rotating, 8 of them): files of the shared folder, of this
 * repository. */
const char *shared_path(const char *relative);
const char *source_path(const char *relative);
/* Skip the running test, saying so, when the shared folder lacks this file. */
void need_shared(const char *relative);

/* A fresh folder, removed at exit. The string lives until then. */
const char *fresh_folder(void);
void write_file(const char *path, const void *bytes, size_t n);
/* Whole file, NUL-terminated, free() it; fails the test if it cannot be read. */
char *read_file(const char *path, size_t *n);

/* A .npy file (version 1 or 2, C order). data is yours, free(npy.data). Fails the test if malformed. */
struct npy {
    char type[4]; /* "<f4", "<i8", ... */
    int rank;
    int64_t shape[8], count;
    void *data;
};
struct npy npy_load(const char *path);
/* The elements as doubles, free() it. */
double *npy_doubles(const struct npy *npy);

#endif
