"""The small programs that installers write for entry points: only their known forms pass.

No wheel holds them, so no hash can prove them; but each line of them is known (pip's
distlib and its successor, uv's).
"""

from __future__ import annotations

import configparser
import re

_MODULE = r"[A-Za-z_][\w.]*"
_ENTRY = re.compile(rf"({_MODULE})\s*(?::\s*({_MODULE}))?\s*(?:\[.*\])?")
_PROGRAM = rb"/[^\s\0\"'$`\\;&|]{0,4000}/(?:python|pypy)[\d.]*"
_SHEBANG = re.compile(rb"#! ?" + _PROGRAM + rb"\r?\n")
_LONG_SHEBANG = re.compile(
    rb"#!/bin/sh\n'''exec' \"?"
    + _PROGRAM.replace(rb"\s", rb"\n")
    + rb"\"? \"\$0\" \"\$@\"\n' '''\n"
)
_BORING = frozenset(
    line.encode()
    for line in (
        "", "# -*- coding: utf-8 -*-", "import re", "import sys",
        "if __name__ == '__main__':", 'if __name__ == "__main__":',
        "    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])",
        "    sys.argv[0] = re.sub(r'(-script\\.pyw?|\\.exe)?$', '', sys.argv[0])",
        "    sys.argv[0] = sys.argv[0].removesuffix('.exe')",
        "    sys.argv[0] = sys.argv[0].removesuffix(\".exe\")",
        '    if sys.argv[0].endswith("-script.pyw"):',
        "        sys.argv[0] = sys.argv[0][:-11]",
        '    elif sys.argv[0].endswith(".exe"):',
        "        sys.argv[0] = sys.argv[0][:-4]",
        '    if sys.argv[0].endswith(".exe"):',
    )
)  # fmt: skip


def entry_points(data: bytes) -> dict[str, tuple[str, str]]:
    """Module and object by program name, from entry_points.txt; empty when it is damaged."""
    parser = configparser.RawConfigParser(delimiters=("=",), strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(data.decode("utf-8", "replace"))
    except configparser.Error:
        return {}
    found = {}
    for section in ("console_scripts", "gui_scripts"):
        for name, text in parser.items(section) if parser.has_section(section) else []:
            match = _ENTRY.fullmatch(text.strip())
            if match and match.group(2):
                found[name] = (match.group(1), match.group(2))
    return found


def without_shebang(data: bytes) -> bytes | None:
    """A script without its first line (or pip's three for long paths); None without one."""
    match = _LONG_SHEBANG.match(data) or _SHEBANG.match(data)
    return data[match.end() :] if match else None


def is_launcher(data: bytes, module: str, attribute: str) -> bool:
    """Whether a program does nothing but call ``module:attribute``."""
    body = without_shebang(data)
    if body is None:
        return False
    first = attribute.split(".")[0]
    wanted = {
        f"from {module} import {first}".encode(),
        f"    sys.exit({attribute}())".encode(),
    }
    lines = body.replace(b"\r\n", b"\n").split(b"\n")
    return wanted <= set(lines) and all(line in wanted or line in _BORING for line in lines)
