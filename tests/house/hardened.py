#!/usr/bin/env python3
"""What is built has what the compiler and the linker offer against memory errors.

    hardened.py [--fortified] FILE...     --fortified: also wants the checked variants of libc's functions

Control-flow protection (CET) is looked for in the objects of a static library: Debian 12's own start files
are not marked for it, so that no program linked with them can be.
"""
import re
import subprocess
import sys

from source import report


def readelf(path):
    arguments = ["readelf", "--wide", "-h", "-l", "-d", "-n", "--dyn-syms", path]
    return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout


#  what it is called, and what readelf shows where it is there
WANTED = [
    ("position independent code", r"Type:\s+DYN"),
    ("read-only relocations", r"GNU_RELRO"),
    ("binding at start (with the above: full RELRO)", r"BIND_NOW|Flags:.*\bNOW\b"),
    ("a stack that is not executable", r"GNU_STACK\s+(?:0x\w+\s+){5}RW\s"),
    ("stack protector", r"__stack_chk_fail"),
]
FORTIFIED = [("fortified libc calls", r"__(?:mem|sn?|vsn?|f|read|vf)\w*_chk")]


def lacking(path, fortified):
    text = readelf(path)
    return [name for name, shown in WANTED + (FORTIFIED if fortified else []) if not re.search(shown, text)]


def unmarked(library):
    """Objects of a static library for x86 that are not marked for CET."""
    if "X86-64" not in readelf(library):
        return []
    notes = subprocess.run(["readelf", "-n", library], check=True, capture_output=True, text=True).stdout
    parts = re.split(r"^File: ", notes, flags=re.M)[1:]
    return [part.split("\n")[0] for part in parts if not re.search("x86 feature:.*IBT.*SHSTK", part)]


def main(arguments):
    fortified = "--fortified" in arguments
    offenders = []
    for path in arguments:
        if path.endswith(".a"):
            offenders += [f"{name}: lacks control-flow protection (CET)" for name in unmarked(path)]
        elif not path.startswith("--"):
            offenders += [f"{path}: lacks {name}" for name in lacking(path, fortified)]
    report(offenders, "hardened binaries (SECURITY.md)")


if __name__ == "__main__":
    main(sys.argv[1:])
