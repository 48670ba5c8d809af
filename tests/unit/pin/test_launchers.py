from __future__ import annotations

import pytest

from repro.pin.launchers import entry_points, is_launcher, without_shebang

PIP = b"""#!/v/bin/python3.11
# -*- coding: utf-8 -*-
import re
import sys
from num.cli import main
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])
    sys.exit(main())
"""
NEWER = b"""#!/v/bin/python3
import sys
from num.cli import main
if __name__ == '__main__':
    sys.argv[0] = sys.argv[0].removesuffix('.exe')
    sys.exit(main())
"""
UV = b"""#!/v/bin/python
# -*- coding: utf-8 -*-
import sys
from num.cli import main
if __name__ == "__main__":
    if sys.argv[0].endswith("-script.pyw"):
        sys.argv[0] = sys.argv[0][:-11]
    elif sys.argv[0].endswith(".exe"):
        sys.argv[0] = sys.argv[0][:-4]
    sys.exit(main())
"""
LONG = b"#!/bin/sh\n'''exec' \"/a b/bin/python3\" \"$0\" \"$@\"\n' '''\n" + NEWER.split(b"\n", 1)[1]


@pytest.mark.parametrize("data", [PIP, NEWER, UV, LONG])
def test_known_forms(data: bytes) -> None:
    assert is_launcher(data, "num.cli", "main")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"import sys\n", b"import sys\nimport os; os.system('x')\n"),
        (b"num.cli", b"evil.cli"),
        (b"sys.exit(main())", b"sys.exit(other())"),
        (b"#!/v/bin/python", b"#!/bin/sh -c python"),
        (b"#!/v/bin/python", b"#!/v/bin/python\t-c"),
        (b"sys.exit(main())\n", b"sys.exit(main())\nprint(1)\n"),
        (b"    sys.exit(main())", b""),
    ],
)
@pytest.mark.parametrize("data", [PIP, NEWER, UV])
def test_anything_more_is_no_launcher(data: bytes, old: bytes, new: bytes) -> None:
    assert old in data
    assert not is_launcher(data.replace(old, new), "num.cli", "main")


@pytest.mark.parametrize(
    "head",
    [
        b"#!/bin/sh\n'''exec' \"/a/python3\" \"$0\" \"$@\"; evil\n' '''\n",
        b"#!/bin/sh\n'''exec' \"/a/$(evil)/python3\" \"$0\" \"$@\"\n' '''\n",
        b"#!/bin/sh\nevil\n'''exec' \"/a/python3\" \"$0\" \"$@\"\n' '''\n",
        b"#!/usr/bin/perl\n", b"", b"import os\n",
    ],
)  # fmt: skip
def test_a_first_line_that_starts_something_else(head: bytes) -> None:
    body = NEWER.split(b"\n", 1)[1]
    assert without_shebang(head + body) is None


def test_entry_points() -> None:
    text = b"[console_scripts]\ntool = num.cli:main\nold = num:a.b [extra]\nbad = x y\n[other]\nz = a:b\n"
    assert entry_points(text) == {"tool": ("num.cli", "main"), "old": ("num", "a.b")}
    assert entry_points(b"[broken\n") == {} and entry_points(b"") == {}
