#!/usr/bin/env python3
"""A built program or library has what the compiler and the linker offer against memory errors.

    hardened.py [--fortified] FILE...     --fortified: also wants the checked variants of libc's functions
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
ON_X86 = [("control-flow protection (CET)", r"x86 feature:.*IBT.*SHSTK")]


def offenders_in(path, fortified):
    text = readelf(path)
    wanted = WANTED + (FORTIFIED if fortified else []) + (ON_X86 if "X86-64" in text else [])
    return [f"{path}: lacks {name}" for name, shown in wanted if not re.search(shown, text)]


def main(arguments):
    fortified = "--fortified" in arguments
    paths = [a for a in arguments if not a.startswith("--")]
    offenders = [line for path in paths for line in offenders_in(path, fortified)]
    report(offenders, "hardened binaries (SECURITY.md)")


if __name__ == "__main__":
    main(sys.argv[1:])
