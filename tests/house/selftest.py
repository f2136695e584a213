#!/usr/bin/env python3
"""The checks of this folder, held against a small tree that breaks every rule once."""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

#  check, file, its text, and what the check says of it; None: nothing
CASES = [
    ("floors", "src/base/a.c", '#include "tensor/t.h"\n', "floor 0 (base) includes tensor/t.h of floor 1"),
    ("floors", "src/tensor/b.c", '#include "base/a.h"\n#include "t.h"\n', None),
    ("floors", "src/tensor/c.c", '/* #include "engine/e.h" */\n', None),
    ("floors", "src/tensor/d.c", '#include "../engine/e.h"\n', "includes engine/e.h of floor 5"),
    ("floors", "cli/e.c", '#include <gram/gram.h>\n#include "own.h"\n', None),
    ("floors", "cli/f.c", '#include "tensor/t.h"\n', "cli/f.c: includes tensor/t.h, which is inside"),
    ("floors", "src/attic/g.c", "", "src/attic: has no floor"),
    ("floors", "src/engine/a.c", "", "src/engine/a.c have one name"),
    ("lint", "src/base/h.c", "x = atoi(s);\n", "src/base/h.c:1: atoi"),
    ("lint", "src/base/i.c", '/* atoi(s) */ f("atoi(s)");\nstatic_assert(1, "");\n', None),
    ("lint", "src/base/j.c", "f();\nfprintf(stderr, s);\n", "src/base/j.c:2: stderr"),
    ("lint", "cli/k.c", "fprintf(stderr, s);\nexit(1);\n", None),
    ("lint", "src/base/l.c", "p->exit(1); snprintf(b, n, s);\n", None),
    ("style", "src/base/m.c", "int x;", "no newline at its end"),
    ("style", "src/base/n.c", "\tint x;\n", "src/base/n.c:1: tab"),
    ("style", "docs/o.md", "text \n", "docs/o.md:1: blank"),
    ("style", "docs/p.md", "x" * 200 + "\n", None),
    ("style", "src/base/q.c", "/*" + "x" * 200 + "*/\n", "204 columns"),
    ("style", "src/base/v.c", "    {" + "1, " * 45 + "},\n", None),
    ("style", "src/base/r.c", "\n" * 700, "700 lines"),
    ("style", "docs/s.md", "see /ro" "ot/x\n", "path of one machine"),
]
COMMON = {"src/tensor/t.h": "", "src/base/a.h": "", "src/engine/e.h": "", "cli/own.h": ""}


def put(root, path, text):
    path = os.path.join(root, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def verdict(check, path, text):
    """Exit status and message of a check over the common files and this one."""
    with tempfile.TemporaryDirectory() as root:
        for name, common in COMMON.items():
            put(root, name, common)
        if path == "src/engine/a.c":
            put(root, "src/base/a.c", "")
        put(root, path, text)
        program = [sys.executable, "-B", os.path.join(HERE, check + ".py"), root]
        result = subprocess.run(program, capture_output=True, text=True)
        return result.returncode, result.stderr


def main():
    wrong = 0
    for check, path, text, expected in CASES:
        status, said = verdict(check, path, text)
        if status != (expected is not None) or (expected or "") not in said:
            print(f"{check} on {path}: wanted {expected!r}, status {status}, said {said!r}", file=sys.stderr)
            wrong += 1
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
