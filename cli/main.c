/*
 * gram on the command line. A command is a row (command.c) with rows of options (option.h); this
 * file only finds it. The library is used through its public headers alone.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "job.h"
#include "output.h"

/* A closed standard stream would be handed to the next file we open. Reading what is for writing,
 * and the reverse, fails as a closed one should. */
static void keep_standard_streams(void)
{
    static const int modes[] = {O_WRONLY, O_RDONLY, O_RDONLY};

    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd)
            _exit(EXIT_FAILED);
}

static bool is_one_of(const char *text, const char *a, const char *b)
{
    return strcmp(text, a) == 0 || strcmp(text, b) == 0;
}

static int dispatch(int argc, char **argv)
{
    static char version[] = "version";
    char *as_version[] = {version, NULL};

    if (argc < 2) {
        help_overview(stderr);
        return EXIT_WRONG_USAGE;
    }
    if (is_one_of(argv[1], "--help", "-h")) {
        help_overview(stdout);
        return EXIT_DONE;
    }
    if (is_one_of(argv[1], "--version", "-V"))
        return command_run(&command_version, 1, as_version);
    if (argv[1][0] == '-') {
        complain("unknown option '%s': options stand behind the command ('gram help' lists all)",
                 argv[1]);
        return EXIT_WRONG_USAGE;
    }
    const struct command *command = command_find(argv[1]);
    return command ? command_run(command, argc - 1, argv + 1) : command_unknown(argv[1]);
}

int main(int argc, char **argv)
{
    keep_standard_streams();
    signals_install();
    return output_close(dispatch(argc, argv));
}
