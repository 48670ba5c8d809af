"""What runs in a sealed child: compile Python sources that a stranger wrote, and nothing else.

compile() executes nothing, but a parser that takes such text may crash. After the lock the child
can open no file and start nothing (compare/lockdown.py).
"""

from __future__ import annotations

import codecs
import contextlib
import importlib
import importlib.util
import marshal
import os
import struct
import sys
import warnings
from typing import BinaryIO

from repro.compare import lockdown

HELLO = struct.Struct("4s32s")
JOB = struct.Struct(">BII")
SIZE = struct.Struct(">I")


def main() -> None:
    """Jobs from stdin (JOB, path, source) to stdout: HELLO, then SIZE and the code of each.

    A size of nothing stands for a source that is none. Ends at once where it cannot be locked.
    """
    version = sys.version.split()[0].encode()[:32]
    with contextlib.suppress(ImportError):
        importlib.import_module("unicodedata")  # for names in texts: "\\N{DEGREE SIGN}"
    for name in ("ascii", "latin-1", "utf-8", "cp1252", "iso8859_15"):
        codecs.lookup(name)  # loaded when first used, which is too late after the lock
    warnings.simplefilter("ignore")
    with os.fdopen(0, "rb", closefd=False) as jobs, os.fdopen(1, "wb", closefd=False) as out:
        lockdown.limit()
        lockdown.lock()
        out.write(HELLO.pack(importlib.util.MAGIC_NUMBER, version))
        out.flush()
        while head := jobs.read(JOB.size):
            _one(head, jobs, out)
    os._exit(0)


def _one(head: bytes, jobs: BinaryIO, out: BinaryIO) -> None:
    optimize, name, size = JOB.unpack(head)
    path = os.fsdecode(jobs.read(name))
    source = jobs.read(size)
    try:
        code = compile(source, path, "exec", dont_inherit=True, optimize=optimize)
        data = marshal.dumps(code)
    except Exception:  # whatever a stranger's text makes a parser raise
        data = b""
    out.write(SIZE.pack(len(data)) + data)
    out.flush()
