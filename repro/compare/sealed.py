"""What runs in the sealed child: prepare a reader, lock the process, read one file, answer."""

from __future__ import annotations

import codecs
import importlib
import os
from collections.abc import Callable, Iterable
from typing import BinaryIO

from repro.compare import lockdown
from repro.compare.base import Beyond, Malformed
from repro.compare.contents import Leaf
from repro.compare.wire import write_failure, write_leaves

Reader = Callable[[], Iterable[tuple[str, Leaf]]]
"""What ``start(fd)`` of a reader gives: it reads the descriptor, and opens nothing."""


def main(name: str, fd: int) -> None:
    """Read descriptor ``fd`` by ``repro.compare.readers.NAME`` and write leaves to stdout.

    Whatever goes wrong is the answer's last line; the exit status says nothing.
    """
    with os.fdopen(1, "wb", closefd=False) as stream:
        try:
            _read(name, fd, stream)
        except Malformed as error:
            write_failure(stream, "malformed", str(error))
        except Beyond as error:
            write_failure(stream, "beyond", str(error))
        except MemoryError:
            text = f"its reader needs more than {lockdown.MEMORY >> 20} MiB of memory"
            write_failure(stream, "beyond", text)
        except Exception as error:  # a reader's crash must never decide a verdict
            text = f"its reader failed: {type(error).__name__}: {str(error)[:200]}"
            write_failure(stream, "beyond", text)
    os._exit(0)


def _read(name: str, fd: int, stream: BinaryIO) -> None:
    module = importlib.import_module(f"repro.compare.readers.{name}")
    try:
        reader: Reader = module.start(fd)
    except ImportError as error:
        library = str(error.name).split(".")[0]
        raise Beyond(f"its reader needs {library}: install repro[{module.EXTRA}]") from None
    for name in ("ascii", "latin-1", "utf-8", "utf-16", "utf-32", "unicode_escape"):
        codecs.lookup(name)  # loaded when first used, which is too late after the lock
    lockdown.limit()
    try:
        lockdown.lock()
    except OSError as error:
        raise Beyond(f"this machine cannot seal its reader ({error.strerror})") from None
    write_leaves(stream, reader())
