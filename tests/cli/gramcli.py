"""What the tests of the command line share: running gram, a model to run it on, .npy files."""
import array
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

GRAM = os.environ["GRAM"]
SOURCE = os.environ.get("GRAM_SOURCE", os.path.join(os.path.dirname(__file__), "..", ".."))
SHARED = os.environ.get("GRAM_SHARED", os.path.join(SOURCE, "..", "shared"))

COMMANDS = ["inspect", "check", "quantize", "tune", "merge", "eval", "run", "bench", "trace", "tokenize",
            "schemes", "methods", "transforms", "help", "version", "completion"]


class Result:
    def __init__(self, done):
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr.decode("utf-8", "replace")

    @property
    def text(self):
        return self.out.decode()

    @property
    def json(self):
        """The one JSON object on standard output; NaN and Infinity are no JSON."""
        def refuse(name):
            raise ValueError(name)
        value = json.loads(self.out, parse_constant=refuse)
        assert isinstance(value, dict), value
        return value


def gram(*args, stdin=b"", **options):
    """Run gram to its end. stdin is text or bytes."""
    if isinstance(stdin, str):
        stdin = stdin.encode()
    options.setdefault("timeout", 100)
    if "stdout" not in options:
        options["stdout"] = subprocess.PIPE
    done = subprocess.run([GRAM, *map(str, args)], input=stdin, stderr=subprocess.PIPE, **options)
    return Result(done)


def model():
    """A small real model: the project's own, else one of the shared folder."""
    for path in (os.path.join(SOURCE, "models", "hamlet"),
                 os.path.join(SHARED, "data", "models", "stories260K")):
        if all(os.path.exists(os.path.join(path, f))
               for f in ("config.json", "tokenizer.json", "model.safetensors")):
            return path
    raise unittest.SkipTest("neither models/hamlet nor the shared folder is there")


def shared(path):
    path = os.path.join(SHARED, path)
    if not os.path.exists(path):
        raise unittest.SkipTest(path + " is not there")
    return path


def write_npy(path, values, shape, kind="<i8", version=1):
    """An integer array as numpy would save it."""
    header = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }" % (kind, tuple(shape))
    before = 10 if version == 1 else 12
    header += " " * (-(before + len(header) + 1) % 64) + "\n"
    size = struct.pack("<H" if version == 1 else "<I", len(header))
    code = {"<i8": "q", "<i4": "i", "<f4": "f", "<u2": "H"}[kind]
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY" + bytes([version, 0]) + size + header.encode())
        f.write(struct.pack("<%d%s" % (len(values), code), *values))
    return path


def read_npy(path):
    """(shape, values) of a float32 array."""
    with open(path, "rb") as f:
        data = f.read()
    assert data[:8] == b"\x93NUMPY\x01\x00", data[:8]
    size = struct.unpack("<H", data[8:10])[0]
    assert (10 + size) % 64 == 0 and data[9 + size:10 + size] == b"\n"
    header = eval(data[10:10 + size].decode(), {"__builtins__": {}})  # as numpy does
    assert header["descr"] == "<f4" and header["fortran_order"] is False
    values = array.array("f")
    values.frombytes(data[10 + size:])
    count = 1
    for n in header["shape"]:
        count *= n
    assert count == len(values), (header, len(values))
    return header["shape"], values


class Case(unittest.TestCase):
    """A fresh folder per test, and what must hold for every run."""
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="gram-cli-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def assertDone(self, result):
        self.assertEqual(result.code, 0, result.err)
        return result

    def assertFails(self, result, code, part):
        """Exit code, nothing on stdout, and one line that says so."""
        self.assertEqual(result.code, code, result.err)
        lines = result.err.splitlines()
        self.assertEqual(len(lines), 1, result.err)
        self.assertTrue(lines[0].startswith("gram: "), result.err)
        self.assertIn(part, lines[0])
        self.assertFalse(lines[0].endswith("."), result.err)
        self.assertEqual(result.out or b"", b"")


def main():
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]], warnings="error")
