#!/usr/bin/env python3
"""The shared library exports what the public headers declare, all of it and nothing else.

    exports.py LIBRARY HEADER...
"""
import re
import subprocess
import sys

from source import code, read, report

DECLARATION = re.compile(r"\bGRAM_API\b(?!\s+__attribute__)[^;{]*?\b(gram_\w+)\s*\(")


def exported(library):
    arguments = ["nm", "-D", "--defined-only", library]
    lines = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.splitlines()
    return {line.split()[-1].split("@")[0] for line in lines}


def declared(headers):
    return {name for path in headers for name in DECLARATION.findall(code(read("", path)))}


def main(library, headers):
    there, wanted = exported(library), declared(headers)
    report([f"{name}: declared in a public header, not defined" for name in sorted(wanted - there)] +
           [f"{name}: exported, but in no public header" for name in sorted(there - wanted)],
           "the library exports its public headers")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
