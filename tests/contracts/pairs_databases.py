"""SQLite pairs, made by the standard library's sqlite3."""

from __future__ import annotations

import os
import sqlite3
import tempfile

from comparator_pairs import Case

_CREATE = "CREATE TABLE fit (id INTEGER, slope REAL, name TEXT, raw BLOB)"
_ROWS = (
    "INSERT INTO fit VALUES (1, 1.5, 'alpha', x'00ff')",
    "INSERT INTO fit VALUES (2, 2.5, 'beta', NULL)",
    "INSERT INTO fit VALUES (3, 3.5, NULL, x'')",
)


def database(*statements: str, page: int = 4096, rows: tuple[str, ...] = _ROWS) -> bytes:
    """The file of a database with the table ``fit``, after more statements."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.sqlite")
        connection = sqlite3.connect(path, isolation_level=None)
        for statement in (f"PRAGMA page_size = {page}", _CREATE, *rows, *statements):
            connection.execute(statement)
        connection.close()
        with open(path, "rb") as stream:
            return stream.read()


def cases() -> dict[str, Case]:
    """One case: a database of one table."""
    base = database()
    return {
        "sqlite": Case(
            "fit.sqlite",
            base,
            benign={
                "order of rows": database(rows=_ROWS[::-1]),
                "free pages": database("CREATE TABLE x (y)", "DROP TABLE x"),
                "vacuum": database("VACUUM"),
                "page size": database(page=8192),
            },
            close={"rounding": database("UPDATE fit SET slope = 1.5000000000000002 WHERE id = 1")},
            faults={
                "value": database("UPDATE fit SET slope = 1.51 WHERE id = 1"),
                "order of rows and value": database(
                    "UPDATE fit SET slope = 1.51 WHERE id = 1", rows=_ROWS[::-1]
                ),
                "values swapped": database("UPDATE fit SET slope = 4.0 - slope WHERE id < 3"),
                "integer": database("UPDATE fit SET id = 4 WHERE id = 3"),
                "text": database("UPDATE fit SET name = 'gamma' WHERE id = 2"),
                "bytes": database("UPDATE fit SET raw = x'00fe' WHERE id = 1"),
                "bytes are not text": database("UPDATE fit SET raw = '00ff' WHERE id = 1"),
                "missing": database("UPDATE fit SET name = '' WHERE id = 3"),
                "row gone": database("DELETE FROM fit WHERE id = 2"),
                "row twice": database(_ROWS[0]),
                "another table": database("CREATE TABLE x (y)"),
                "view": database("CREATE VIEW v AS SELECT id FROM fit"),
                "trigger": database(
                    "CREATE TRIGGER t AFTER INSERT ON fit BEGIN DELETE FROM fit; END"
                ),
                "version": database("PRAGMA user_version = 7"),
                "column": database("ALTER TABLE fit RENAME COLUMN slope TO rise"),
                "longer": base + bytes(4096),
            },
            sealed=True,
        )
    }
