/* How a call ends: a status for the program, a sentence for the user. */
#ifndef GRAM_STATUS_H
#define GRAM_STATUS_H

#include <gram/api.h>

GRAM_BEGIN_DECLS

enum gram_status {
    GRAM_OK = 0,
    GRAM_EINVAL,       /* an option or argument that cannot be meant */
    GRAM_ENOENT,       /* a file, tensor or name that is not there */
    GRAM_EIO,          /* the system refused to read or write */
    GRAM_ENOSPC,       /* the disk is full */
    GRAM_EEXIST,       /* the output exists, or another job holds it */
    GRAM_EFORMAT,      /* a file contradicts its format or itself */
    GRAM_EUNSUPPORTED, /* well formed, but nothing we know */
    GRAM_ENONFINITE,   /* NaN or Inf where a number is needed */
    GRAM_ENOMEM,       /* memory ran out */
    GRAM_ECANCELED,    /* the caller asked to stop */
    GRAM_ENUMERIC,     /* arithmetic broke down: a matrix that is not positive definite, a loss that is NaN */
    GRAM_EGATE,        /* the job is done, but the accuracy gate was not met */
    GRAM_N_STATUS
};

/* Filled on failure; message is one sentence without a final full stop, at most 511 bytes, control
 * characters escaped, naming the file, tensor or position. Owned by the caller. */
struct gram_error {
    enum gram_status status;
    char message[512];
};

/* "invalid argument", "no such file", ...; static storage, never NULL. */
GRAM_API const char *gram_status_name(enum gram_status status);

GRAM_END_DECLS
#endif
