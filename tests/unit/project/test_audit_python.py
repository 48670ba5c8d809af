"""Random draws, network and paths in Python: each found, and its mended form not."""

from __future__ import annotations

import pytest

from repro.project.audit_paths import Here
from repro.project.audit_python import audit_python
from repro.project.audited import Audited
from repro.project.finding import RISK, STOPS

HERE = Here(root="/home/ada/paper", home="/home/ada", exists=lambda path: path == "/data/there.csv")


def audit(source: str) -> Audited:
    return audit_python(source, "a.py", HERE)


DRAWS = [
    ("import random\nrandom.random()", "import random\nrandom.seed(1)\nrandom.random()"),
    ("import random\nrandom.seed()\nrandom.shuffle(x)", "import random\nrandom.Random(1).shuffle(x)"),
    ("import random\nr = random.Random()", "import random\nr = random.Random(3)"),
    ("import numpy as np\nnp.random.normal()", "import numpy as np\nnp.random.seed(0)\nnp.random.normal()"),
    ("from numpy.random import rand\nrand(3)", "from numpy.random import rand, seed\nseed(1)\nrand(3)"),
    ("import numpy as np\nnp.random.seed(None)\nnp.random.rand()", "def rand(): ...\nrand()"),
    ("import numpy as np\nnp.random.default_rng()", "import numpy as np\nnp.random.default_rng(5)"),
    ("import numpy as np\nnp.random.default_rng(None)", "import numpy as np\ndef f(r): np.random.default_rng(r)"),
    ("import numpy\nnumpy.random.RandomState()", "import numpy\nnumpy.random.RandomState(1)"),
    ("import torch\ntorch.randn(3)", "import torch\ntorch.manual_seed(0)\ntorch.randn(3)"),
    ("import torch.nn as nn\nnn.Linear(2, 3)", "import torch.nn as nn\nnn.ReLU()"),
    ("import torch\ntorch.rand(1)", "import torch\ntorch.rand(1, generator=g)"),
    ("from sklearn.cluster import KMeans\nKMeans(3)",
     "from sklearn.cluster import KMeans\nKMeans(3, random_state=0)"),
    ("from sklearn.model_selection import train_test_split as s\ns(x, random_state=None)",
     "from sklearn.model_selection import train_test_split as s\ns(x, shuffle=False)"),
    ("from sklearn.model_selection import KFold\nKFold(5, shuffle=True)",
     "from sklearn.model_selection import KFold\nKFold(5)"),
    ("from sklearn.ensemble import RandomForestClassifier as R\nR()",
     "import numpy as np\nfrom sklearn.ensemble import RandomForestClassifier as R\nnp.random.seed(1)\nR()"),
    ("from scipy import stats\nstats.norm.rvs(size=3)",
     "from scipy import stats\nstats.norm.rvs(size=3, random_state=1)"),
    ("import pandas as pd\ndf.sample(frac=0.1)", "import pandas as pd\ndf.sample(n=3, random_state=1)"),
    ("import uuid\nuuid.uuid4()", "import uuid\nuuid.uuid5(a, b)"),
    ("import os\nos.urandom(3)", "import os\nos.getpid()"),
    ("import torch\ntorch.randn(1)", "import torch, lightning\nlightning.seed_everything(1)\ntorch.randn(1)"),
]  # fmt: skip


@pytest.mark.parametrize(("loose", "fixed"), DRAWS)
def test_draws(loose: str, fixed: str) -> None:
    found = audit(loose)
    assert [d for d in found.draws if d.generator not in found.seeds], loose
    mended = audit(fixed)
    assert not [d for d in mended.draws if d.generator not in mended.seeds], fixed


def test_a_clock_is_no_seed() -> None:
    found = audit("import numpy as np, time\nnp.random.default_rng(time.time_ns())")
    assert "the clock" in found.draws[0].call and found.draws[0].line == 2


NETWORK = [
    ("session.get('http://a.org')", "import os\nos.environ.get('http://a.org')"),
    ("client().post('http://a.org')", "table.get('http://a.org')"),
    ("import requests\nrequests.get(url)", "import requests\nrequests.__version__"),
    ("from urllib.request import urlopen as o\no('http://a.org')", "def urlopen(x): ...\nurlopen(3)"),
    ("import pandas as pd\npd.read_csv('https://a.org/b.csv')", "import pandas as pd\npd.read_csv('b.csv')"),
    ("import pandas as pd\nU = 'http://a.org/'\npd.read_csv(U + 'b.csv')",
     "import pandas as pd\nU = 'data/'\npd.read_csv(U + 'b.csv')"),
    ("import pandas as pd\npd.read_csv(filepath_or_buffer=f'http://a.org/{x}')", "print('see http://a.org/x')"),
    ("from sklearn.datasets import fetch_openml\nfetch_openml('x')",
     "from sklearn.datasets import load_iris\nload_iris()"),
    ("import seaborn as sns\nsns.load_dataset('tips')", "import seaborn as sns\nsns.lineplot()"),
    ("import torchvision\ntorchvision.datasets.MNIST('.', download=True)",
     "import torchvision\ntorchvision.datasets.MNIST('.', download=False)"),
    ("from huggingface_hub import hf_hub_download\nhf_hub_download('a', 'b')", "hf_hub_download('a')"),
    ("from transformers import AutoModel\nAutoModel.from_pretrained('bert')",
     "from transformers import AutoModel\nAutoModel.from_pretrained('./bert')"),
    ("from datasets import load_dataset\nload_dataset('x')", "def load_dataset(x): ...\nload_dataset('x')"),
    ("import os\nos.system('wget http://a.org')", "import os\nos.system('echo wget http://a.org')"),
    ("import subprocess\nsubprocess.run(['curl', '-O', u])", "import subprocess\nsubprocess.run(['make'])"),
    ("import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'pip', 'install', 'x'])",
     "import subprocess, sys\nsubprocess.run([sys.executable, 'b.py'])"),
    ("import nltk\nnltk.download('punkt')", "import nltk\nnltk.word_tokenize('x')"),
    ("import urllib.request\nurllib.request.urlopen(u)", "import urllib.request\nurllib.request.urlopen('file:///a')"),
]  # fmt: skip


@pytest.mark.parametrize(("asks", "quiet"), NETWORK)
def test_network(asks: str, quiet: str) -> None:
    found = audit(asks).findings
    assert [(f.code, f.level) for f in found] == [("network", STOPS)], asks
    assert found[0].line == asks.count("\n") + 1
    assert not [f for f in audit(quiet).findings if f.code == "network"], quiet


def test_a_service_of_this_machine_is_a_risk() -> None:
    found = audit("import requests\nrequests.get('http://localhost:8000/x')").findings
    assert [f.level for f in found] == [RISK]
    found = audit("import requests\nrequests.get('http://localhost.evil.org/x')").findings
    assert [f.level for f in found] == [STOPS]


PATHS = [
    ("open('/data/gone.csv')", "absolute-path", STOPS),
    ("open('/data/there.csv')", "absolute-path", RISK),
    ("open('/data/gone.csv', 'w')", "absolute-path", RISK),
    ("import os\nopen(os.path.join('/data/gone', x))", "absolute-path", RISK),
    ("X = '/home/ada/paper/in.csv'", "absolute-path", RISK),
    ("X = '/home/bob/in.csv'", "home-path", RISK),
    ("import pandas as pd\npd.read_csv('~/in.csv')", "home-path", STOPS),
    ("import os\nos.path.expanduser('~/in.csv')", "home-path", RISK),
    ("from pathlib import Path\nPath.home() / 'x'", "home-path", RISK),
    ("open(r'C:\\data\\x.csv')", "absolute-path", STOPS),
    ("X = 'D:/data/x.csv'", "absolute-path", RISK),
]


@pytest.mark.parametrize(("source", "code", "level"), PATHS)
def test_paths(source: str, code: str, level: str) -> None:
    found = audit(source).findings
    assert [(f.code, f.level) for f in found] == [(code, level)], found


@pytest.mark.parametrize(
    "source",
    [
        '"""In /home/ada/x."""', "open('in.csv')", "X = '/dev/null'", "X = '/api/v1'", "X = '/'",
        "open('/usr/share/dict/words')", "X = 'a:/b'[0]", "X = '//comment'", "X = '~'",
        "r = 'Note: x'", "X = 'http://a.org/home/ada/x'",
    ],
)  # fmt: skip
def test_no_paths(source: str) -> None:
    assert not audit(source).findings


@pytest.mark.parametrize(
    "source", ["print 'a'", "def f(:\n", "x = 1\x00", "(" * 5000, "\ufeffx ="], ids=range(5)
)
def test_no_python_is_said(source: str) -> None:
    found = audit(source)
    assert [(f.code, f.level) for f in found.findings] == [("syntax", STOPS)]
    assert "nothing in it was examined" in found.findings[0].text


def test_bytes_in_no_known_encoding() -> None:
    found = audit_python(b"# coding: latin-1\nx = '\xe9'\n", "a.py", HERE)
    assert not found.findings
    found = audit_python(b"x = '\xe9'\n", "a.py", HERE)
    assert found.findings[0].code == "syntax"


def test_packages_and_modules() -> None:
    found = audit("import a.b\nfrom .c import d\nfrom e import f as g")
    assert found.packages == {"a", "e"}
    assert {"b", "c", "d", "f"} <= found.uses
