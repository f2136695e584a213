"""What the house checks share: the files of the tree, C without comments, and how offenders are told."""
import os
import re
import sys

SKIP = re.compile(r"\.git|build.*|__pycache__|\..*cache")


def files(root, *suffixes):
    """Paths below root, relative to it and sorted, that end so; build folders and .git are left out."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not SKIP.fullmatch(name))
        for name in sorted(names):
            path = os.path.relpath(os.path.join(folder, name), root)
            if not suffixes or path.endswith(suffixes):
                found.append(path)
    return found


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", newline="") as f:
        return f.read()


TOKEN = re.compile(r"""//[^\n]* | /\*.*?\*/ | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'""", re.X | re.S)


def code(text):
    """C without comments and without what stands in strings; lines keep their numbers."""
    def blank(match):
        token = match.group()
        return '""' if token[0] in "\"'" else " " + "\n" * token.count("\n")
    return TOKEN.sub(blank, text)


def without_comments(text):
    """C with its strings, for what must be read inside them: the names of includes."""
    return TOKEN.sub(lambda m: m.group() if m.group()[0] in "\"'" else " ", text)


def report(offenders, rule):
    """Ends the check: one line an offender on stderr, then the rule they break."""
    for line in offenders:
        print(line, file=sys.stderr)
    if offenders:
        print(f"{len(offenders)} against the rule: {rule}", file=sys.stderr)
    sys.exit(bool(offenders))
