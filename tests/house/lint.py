#!/usr/bin/env python3
"""Functions that have no place here: each row says where a name is refused, and why.

    lint.py ROOT
"""
import re
import sys

from source import code, files, read, report

LIBRARY = ("src/", "include/")
PROGRAMS = ("cli/", "server/")
SHIPPED = LIBRARY + PROGRAMS
EVERYWHERE = SHIPPED + ("tests/", "bench/")

#  names (a regular expression), where, and why not
RULES = [
    (r"v?sprintf|st[rp]cpy|strncpy|strcat|gets", EVERYWHERE, "writes without a bound that it must keep"),
    (r"strtok", EVERYWHERE, "keeps hidden state and changes its input"),
    (r"ato[ilf]|atoll", EVERYWHERE, "hides what is not a number"),
    (r"v?[fs]?scanf", SHIPPED, "overflows in silence"),
    (r"alloca", EVERYWHERE, "sizes the stack by its input"),
    (r"tmpnam|tempnam|mktemp", EVERYWHERE, "names a file that another may make first"),
    (r"strtou?ll?|strto[iu]max", LIBRARY, "takes signs and spaces, and wraps around"),
    (r"strto(?:d|f|ld)", LIBRARY, "reads numbers as the locale writes them"),
    (r"abort|assert|_?_?exit|_Exit|quick_exit", LIBRARY, "ends the program that called the library"),
    (r"v?printf|puts|putchar|perror|stdout|stderr", LIBRARY, "prints; fill struct gram_error instead"),
    (r"s?rand|s?random|drand48", LIBRARY, "is one hidden stream for all; see base/rng.h"),
    (r"setlocale|(?:set|put)env|chdir|umask|signal|sigaction", LIBRARY, "changes the whole process"),
    (r"system|popen|exec[lv]p?e?|dlopen", LIBRARY, "runs what a file could name"),
]

# Where they may: our own bugs end the program, and an attribute of the compiler is called so.
ALLOWED = {
    ("src/base/error.h", "abort"),
    ("src/base/error.h", "stderr"),
    ("include/gram/api.h", "printf"),
}


def offenders_in(path, text):
    for names, where, why in RULES:
        if not path.startswith(where):
            continue
        for match in re.finditer(rf"(?<![\w.>])({names})\b(?=\s*[(,;)])", text):
            if (path, match.group(1)) not in ALLOWED:
                yield f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {match.group(1)} {why}"


def main(root):
    offenders = []
    for path in files(root, ".c", ".h"):
        offenders += offenders_in(path, code(read(root, path)))
    report(offenders, "no banned functions (CONTRIBUTING.md)")


if __name__ == "__main__":
    main(sys.argv[1])
