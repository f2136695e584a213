#!/usr/bin/env python3
"""What `ninja install` leaves is enough: a program finds gram through pkg-config, compiles against the
installed headers, links, and runs; the binary and its pages are in their places.

    installed.py BUILD COMPILER...
"""
import os
import shutil
import subprocess
import sys
import tempfile

PROGRAM = """#include <gram/gram.h>
#include <stdio.h>
int main(void)
{
    puts(gram_version());
    return 0;
}
"""


def find(root, name):
    """The folder below root that holds `name`; the check fails when there is none."""
    for folder, _, names in os.walk(root):
        if name in names:
            return folder
    sys.exit(f"{name} was not installed")


def run(*arguments, **environment):
    result = subprocess.run(arguments, env=dict(os.environ, **environment), capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(arguments)}: {result.stdout}{result.stderr}")
    return result.stdout


def main(build, compiler):
    root = tempfile.mkdtemp()
    try:
        run("meson", "install", "-C", build, "--no-rebuild", "--destdir", root)
        package = find(root, "gram.pc")
        library = find(root, "libgram.so")
        version = run("pkg-config", "--modversion", "gram", PKG_CONFIG_PATH=package).strip()
        flags = run("pkg-config", "--cflags", "--libs", "gram", PKG_CONFIG_PATH=package,
                    PKG_CONFIG_SYSROOT_DIR=root).split()
        source = os.path.join(root, "program.c")
        with open(source, "w", encoding="utf-8") as f:
            f.write(PROGRAM)
        run(*compiler, source, "-o", source[:-2], *flags)
        told = run(source[:-2], LD_LIBRARY_PATH=library).strip()
        if told != version:
            sys.exit(f"the program says {told}, pkg-config {version}")
        find(root, "gram.1")
        run(os.path.join(find(root, "gram"), "gram"), "--version", LD_LIBRARY_PATH=library)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
