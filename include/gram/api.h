/* What every public header needs: visibility and the version. */
#ifndef GRAM_API_H
#define GRAM_API_H

#if defined(__GNUC__)
#define GRAM_API __attribute__((visibility("default")))
#define GRAM_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define GRAM_API
#define GRAM_PRINTF(fmt, args)
#endif

#ifdef __cplusplus
#define GRAM_BEGIN_DECLS extern "C" {
#define GRAM_END_DECLS }
#else
#define GRAM_BEGIN_DECLS
#define GRAM_END_DECLS
#endif

#define GRAM_VERSION_MAJOR 0
#define GRAM_VERSION_MINOR 1
#define GRAM_VERSION_PATCH 0
#define GRAM_VERSION "0.1.0"

#endif
