"""SQLite by the standard library's sqlite3: schema and rows; nothing of the file is run."""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator

from repro.compare.base import Beyond, Malformed
from repro.compare.contents import Leaf, Texts, Tree

EXTRA = ""
_MAX_CELLS = 2_000_000
_ALLOWED = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION)
_PRAGMAS = ("user_version", "application_id", "encoding", "trusted_schema", "table_xinfo")
_PRAGMA = 19  # SQLITE_PRAGMA has no name in Python before 3.11


def start() -> Callable[[int, bool], Callable[[], Iterable[tuple[str, Leaf]]]]:
    """Nothing to prepare but the import of this module."""
    return _prepared


def _prepared(fd: int, in_parts: bool) -> Callable[[], Iterable[tuple[str, Leaf]]]:
    """A connection to a private copy; nothing of the file is parsed before the lock."""
    with os.fdopen(fd, "rb") as stream:
        data = bytearray(stream.read())
    if not data.startswith(b"SQLite format 3\0") or len(data) < 512:
        raise Malformed("it is no SQLite database")
    if _size(data) not in (0, len(data)):
        raise Malformed("it has another length than its header says")
    # A copy of its own has no write-ahead log beside it (fileformat2.html, 1.3.3).
    data[18:20] = b"\1\1"
    connection, load = _opened(bytes(data))
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    return lambda: _read(connection, load)


def _opened(data: bytes) -> tuple[sqlite3.Connection, Callable[[], None]]:
    """A connection, and what brings the bytes into it."""
    if sys.version_info >= (3, 11):
        connection = sqlite3.connect(":memory:", isolation_level=None)
        return connection, lambda: connection.deserialize(data)
    # Older ones take a file only: one without a name as soon as it is open.
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "copy")
        with open(path, "wb") as stream:
            stream.write(data)
        uri = f"file:{path}?mode=ro&immutable=1"
        return sqlite3.connect(uri, uri=True, isolation_level=None), lambda: None


def _read(connection: sqlite3.Connection, load: Callable[[], None]) -> Iterator[tuple[str, Leaf]]:
    try:
        load()
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.set_authorizer(_authorize)
        yield from _content(connection)
    except sqlite3.OperationalError as error:
        raise Beyond(f"SQLite cannot read it: {error}") from None
    except sqlite3.DatabaseError as error:
        raise Malformed(f"SQLite cannot read it: {error}") from None


def _size(data: bytearray) -> int:
    """Page size times pages, or 0 where an old writer left it open (fileformat2.html, 1.3)."""
    page = int.from_bytes(data[16:18], "big")
    pages = int.from_bytes(data[28:32], "big")
    known = data[24:28] == data[92:96]
    return (65536 if page == 1 else page) * pages if known else 0


def _authorize(action: int, one: str | None, *rest: object) -> int:
    allowed = action in _ALLOWED or (action == _PRAGMA and one in _PRAGMAS)
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _content(connection: sqlite3.Connection) -> Iterator[tuple[str, Leaf]]:
    settings = {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("user_version", "application_id", "encoding")
    }
    yield "settings", Tree(value=settings)
    query = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
    schema = connection.execute(query).fetchall()
    left = _MAX_CELLS
    for kind, name, table, sql in schema:
        yield f"schema of {kind} {name}", Texts(values=(table, sql))
        if kind == "table" and not str(sql).upper().startswith("CREATE VIRTUAL"):
            rows = list(_rows(connection, name, left))
            left -= sum(map(len, rows))
            yield f"table {name}", Tree(value={"columns": rows[0], "rows": rows[1:]})


def _rows(connection: sqlite3.Connection, table: str, left: int) -> Iterator[list[object]]:
    cursor = connection.execute(f"SELECT * FROM {_quoted(table)}")
    yield [column[0] for column in cursor.description]
    for row in cursor:
        left -= len(row)
        if left < 0:
            raise Beyond(f"more than {_MAX_CELLS} cells")
        yield [[cell.hex()] if isinstance(cell, bytes) else cell for cell in row]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
