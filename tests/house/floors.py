#!/usr/bin/env python3
"""Code calls only its own floor or below; the command line and the server use the public headers alone.

    floors.py ROOT
"""
import os
import re
import sys

from source import files, read, report, without_comments

FLOORS = {
    "base": 0,
    "tensor": 1,
    "kernels": 2, "formats": 2, "tokenizer": 2, "image": 2,
    "graph": 3,
    "arch": 4,
    "engine": 5, "calib": 5,
    "quant": 6, "train": 6, "eval": 6,
    "search": 7, "report": 7,
}
ROOMLESS = ("cli", "server")  # no room of the house: public headers and their own
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)


def room_of(path):
    """The room a header belongs to, by its path in src/; None for a system or public header."""
    return path.split("/")[0] if "/" in path and path.split("/")[0] in FLOORS else None


def inner(path, quote, header, headers):
    """The path below src/ that an include of this project names; None when it names nothing there."""
    beside = os.path.normpath(os.path.join(os.path.dirname(path), header))
    if quote == '"' and beside in headers:
        return os.path.relpath(beside, "src")
    return header if "src/" + header in headers else None


def wrong_includes(path, text, headers):
    room = path.split("/")[1] if path.startswith("src/") else None
    for quote, header in INCLUDE.findall(text):
        target = inner(path, quote, header, headers)
        if not target:
            continue
        there = room_of(target)
        if not room:
            yield f"{path}: includes {target}, which is inside the library"
        elif there and FLOORS[there] > FLOORS[room]:
            yield f"{path}: floor {FLOORS[room]} ({room}) includes {target} of floor {FLOORS[there]}"


def rooms_without_floor(sources):
    for room in sorted({path.split("/")[1] for path in sources if path.count("/") >= 2}):
        if room not in FLOORS:
            yield f"src/{room}: has no floor"


def twice(paths):
    seen = {}
    for path in paths:
        seen.setdefault(os.path.basename(path), []).append(path)
    return [" and ".join(same) + " have one name" for same in seen.values() if len(same) > 1]


def main(root):
    every = files(root, ".c", ".h")
    inside = [path for path in every if path.startswith("src/")]
    outside = [path for path in every if path.split("/")[0] in ROOMLESS]
    headers = {path for path in inside if path.endswith(".h")}
    offenders = list(rooms_without_floor(inside)) + twice(inside) + twice(outside)
    for path in inside + outside:
        offenders += wrong_includes(path, without_comments(read(root, path)), headers)
    report(offenders, "includes go down, a file name stands once (docs/ARCHITECTURE.md)")


if __name__ == "__main__":
    main(sys.argv[1])
