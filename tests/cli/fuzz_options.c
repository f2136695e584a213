/* Any bytes as a command line: the first chooses the command, NUL or newline separates arguments. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

enum { MOST = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int split(char *text, size_t size, char **argv)
{
    int n = 1;

    for (size_t at = 0; at < size && n < MOST; n++) {
        argv[n] = text + at;
        while (at < size && text[at] != '\0' && text[at] != '\n')
            at++;
        text[at++] = '\0';
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char name[] = "command";
    size_t n_commands = 0;
    char *argv[MOST + 1] = {name};
    struct gram_error err;

    while (commands[n_commands])
        n_commands++;
    if (size == 0)
        return 0;
    const struct command *command = commands[data[0] % n_commands];
    char *text = calloc(size, 1);
    struct parsed parsed = {.options = calloc(1, command->options_size)};
    if (text && parsed.options) {
        memcpy(text, data + 1, size - 1);
        if (options_parse(command->options, split(text, size - 1, argv), argv, &parsed, &err) !=
                GRAM_OK &&
            !err.message[0])
            __builtin_trap();
        options_reset(command->options, parsed.options);
    }
    free(parsed.options);
    free(text);
    return 0;
}
