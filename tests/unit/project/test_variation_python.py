"""Lines of Python where the machine comes in: each found, and its mended form not."""

from __future__ import annotations

import ast

import pytest

from repro.project.python_slice import lines_into
from repro.project.variation_python import variations


def axes(source: str) -> set[tuple[str, int]]:
    return {(spot.axis, spot.line) for spot in variations(ast.parse(source), "a.py")}


FOUND = [
    ("clock", "from datetime import datetime\nx = datetime.now()", "from datetime import datetime\nx = datetime(2020, 1, 1)"),
    ("clock", "import datetime as d\nx = d.date.today()", "import datetime as d\nx = d.date(2020, 1, 1)"),
    ("clock", "import time\nx = time.time()", "import time\nx = time.sleep(1)"),
    ("clock", "import pandas as pd\nx = pd.Timestamp.now()", "import pandas as pd\nx = pd.Timestamp('2020')"),
    ("hash-seed", "s = {'a', 'b'}\nfor x in s: f(x)", "s = {'a', 'b'}\nfor x in sorted(s): f(x)"),
    ("hash-seed", "s = set(y)\nl = list(s)", "s = set(y)\nl = sorted(s)"),
    ("hash-seed", "a = 1\nl = [x for x in set(y)]", "a = 1\nl = sorted(x for x in set(y))"),
    ("hash-seed", "s = set(y)\n' '.join(s)", "s = set(y)\nlen(s)"),
    ("hash-seed", "s = set(y) | {1}\nfor x in s | {2}: f(x)", "s = [1]\nfor x in s: f(x)"),
    ("hash-seed", "s = {1}\nprint(f'{s}')", "s = (1,)\nprint(f'{s}')"),
    ("hash-seed", "a = 1\nx = hash('a')", "a = 1\nx = len('a')"),
    ("directory-order", "import os\nx = os.listdir('d')", "import os\nx = sorted(os.listdir('d'))"),
    ("directory-order", "from glob import glob\nx = glob('*')", "from glob import glob\nx = glob('*')\nx.sort()"),
    ("directory-order", "from pathlib import Path\nx = list(Path('d').glob('*'))",
     "from pathlib import Path\nx = sorted(Path('d').glob('*'))"),
    ("host-name", "import socket\nx = socket.gethostname()", "import socket\nx = socket.AF_INET"),
    ("user-id", "import os\nx = os.environ.get('USER')", "import os\nx = os.environ.get('PATH')"),
    ("cpus", "import os\nx = os.cpu_count()", "import os\nx = os.getcwd()"),
    ("cpus", "a = 1\nfit(n_jobs=-1)", "a = 1\nfit(n_jobs=1)"),
    ("threads", "import numpy as np\nx = a @ b", "import numpy as np\nx = a * b"),
    ("threads", "import numpy as np\nx = np.linalg.solve(a, b)", "import numpy as np\nx = np.ones(3)"),
    ("order", "import concurrent.futures as c\nx = c.as_completed(y)", "import concurrent.futures as c\nx = c.wait(y)"),
    ("addresses", "a = 1\nx = id(a)", "a = 1\nx = int(a)"),
    ("locale", "import locale\nlocale.setlocale(locale.LC_ALL, '')", "import locale\nx = 1"),
    ("time-zone", "import time\nx = time.localtime()", "import time\nx = time.sleep(1)"),
]  # fmt: skip


@pytest.mark.parametrize(("axis", "loose", "fixed"), FOUND)
def test_places(axis: str, loose: str, fixed: str) -> None:
    assert (axis, 2) in axes(loose), loose
    assert axis not in {found for found, _ in axes(fixed)}, fixed


SCRIPT = """\
import random, os
a = random.random()
b = os.listdir('d')
def noise():
    return random.gauss(0, 1)
total = 0
for name in b:
    total += len(name)
with open('a.txt', 'w') as f:
    f.write(str(a))
open('out/b.txt', 'w').write(str(total))
c = noise()
open('c.txt', 'w').write(str(c))
rows = []
rows.append(a)
save(rows, 'rows.csv')
"""


@pytest.mark.parametrize(
    ("result", "inside", "outside"),
    [
        ("a.txt", {2, 9, 10}, {3, 5, 8, 12}),
        ("b.txt", {3, 6, 7, 8, 11}, {2, 5, 12}),
        ("c.txt", {5, 12, 13}, {2, 3, 8}),
        ("rows.csv", {2, 14, 15, 16}, {3, 5, 12}),
    ],
)
def test_only_what_flows_into_a_result(result: str, inside: set[int], outside: set[int]) -> None:
    found = lines_into(ast.parse(SCRIPT), result)
    assert found is not None
    assert inside <= found
    assert not outside & found


def test_a_result_that_is_not_named() -> None:
    assert lines_into(ast.parse(SCRIPT), "other.txt") is None
    assert lines_into(ast.parse("for n in x:\n    open(f'{n}.txt', 'w')"), "a.txt") is None
