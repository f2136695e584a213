#!/usr/bin/env python3
"""The library has no variables that outlive a call: nothing in its writable sections.

    state.py LIBRARY.a
"""
import re
import subprocess
import sys

from source import report

# "0000000000000000 l     O .bss   0000000000000004 counter"; tables with pointers are in .data.rel.ro.
SECTION = r"(\.data|\.bss|\.tdata|\.tbss|\*COM\*)(?:\.(?!rel\.ro)\S*)?"
VARIABLE = re.compile(rf"^\S+ .{{7}} {SECTION}\s+\S+ +(?:\.hidden )?(\S+)$")


def offenders_in(listing):
    member = ""
    for line in listing.splitlines():
        if ":     file format" in line:
            member = line.split(":")[0]
        match = VARIABLE.match(line)
        if match and match.group(1) != match.group(2):  # not the section's own symbol
            yield f"{member}: {match.group(2)} in {match.group(1)}"


def main(library):
    listing = subprocess.run(["objdump", "-t", library], check=True, capture_output=True, text=True).stdout
    report(list(offenders_in(listing)), "no globals except constant tables (CONTRIBUTING.md)")


if __name__ == "__main__":
    main(sys.argv[1])
