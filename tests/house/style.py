#!/usr/bin/env python3
"""What every text file keeps: no tabs, no trailing blanks, a last newline, lines and files of readable
length, and no trace of the machine it was written on.

    style.py ROOT
"""
import os
import re
import sys

from source import files, read, report

COLUMNS = 110
TABLE_COLUMNS = 150  # of a row { ... }, whose columns are the point
TABLE_ROW = re.compile(r"\s*(?:\[\w+\] = )?\{")
LINES = 600
LONG_LINES = re.compile(r"^scripts/world/|^tests/.*/make_\w+\.py$")  # sentences and data, in tables
PROSE = (".md",)
CODE = (".c", ".h", ".py", ".sh", "meson.build", "meson_options.txt", ".ini", ".awk")
LONG_FILES = re.compile(r"tables?\.[ch]$|_tables?\.[ch]$|^src/kernels/|^tests/")
# Folders of the machines this was built on. Written so that the pattern does not find itself.
MACHINE = re.compile(r"/w[o]rk/|/t[m]p/b-|/h[o]me/|/r[o]ot/")


def is_script(root, path):
    """A file without a suffix that starts with #!"""
    if "." in os.path.basename(path):
        return False
    with open(os.path.join(root, path), "rb") as f:
        return f.read(2) == b"#!"


def line_offenders(path, number, line, is_code):
    if "\t" in line:
        yield f"{path}:{number}: tab"
    if line != line.rstrip():
        yield f"{path}:{number}: blank at the end of the line"
    limit = TABLE_COLUMNS if TABLE_ROW.match(line) else COLUMNS
    if is_code and len(line) > limit and not LONG_LINES.search(path):
        yield f"{path}:{number}: {len(line)} columns, at most {limit}"
    if MACHINE.search(line):
        yield f"{path}:{number}: path of one machine"


def offenders_in(path, text, is_code):
    lines = text.split("\n")
    if text and lines.pop() != "":
        yield f"{path}: no newline at its end"
    for number, line in enumerate(lines, 1):
        yield from line_offenders(path, number, line, is_code)
    if path.endswith((".c", ".h")) and len(lines) > LINES and not LONG_FILES.search(path):
        yield f"{path}: {len(lines)} lines, at most {LINES}"


def main(root):
    offenders = []
    for path in files(root):
        is_code = path.endswith(CODE) or is_script(root, path)
        if is_code or path.endswith(PROSE):
            offenders += offenders_in(path, read(root, path), is_code)
    report(offenders, "text keeps to its form (.editorconfig, CONTRIBUTING.md)")


if __name__ == "__main__":
    main(sys.argv[1])
