"""Calls in Python that ask the network."""

from __future__ import annotations

import ast
import re

from repro.primitives.texts import printable
from repro.project.audit_shell import NETWORK_MEND, is_local, network_in_shell
from repro.project.finding import RISK, STOPS, Finding
from repro.project.python_names import Names, is_constant, keyword

_CLIENTS = re.compile(
    r"requests\.(?:get|post|put|patch|delete|head|options|request|[Ss]ession)"
    r"|httpx\.(?:get|post|put|patch|delete|head|options|request|stream|Client|AsyncClient)"
    r"|urllib\.request\.(?:urlopen|urlretrieve|URLopener)|urllib2\.urlopen"
    r"|urllib\.(?:urlopen|urlretrieve)|urllib3\.(?:PoolManager|request|connection_from_url)"
    r"|http\.client\.HTTPS?Connection|aiohttp\.(?:ClientSession|request)|ftplib\.FTP(?:_TLS)?"
    r"|socket\.create_connection|paramiko\.SSHClient|smtplib\.SMTP(?:_SSL)?"
    r"|wget\.download|gdown\.\w+|boto3\.(?:client|resource|Session)|s3fs\.S3FileSystem"
    r"|gcsfs\.GCSFileSystem|google\.cloud\.\w+\.Client|psycopg2?\.connect|pymysql\.connect"
    r"|pip\.main|git\.Repo\.clone_from"
)
_FETCHERS = re.compile(
    r"sklearn\.datasets\.(?:\w+\.)?fetch_\w+|seaborn\.load_dataset|pooch\.retrieve"
    r"|kagglehub\.\w+_download|kaggle\.api\.\w+|huggingface_hub\.(?:\w+\.)*\w*download\w*"
    r"|datasets\.load_dataset|torch\.hub\.(?:load|load_state_dict_from_url|download_url_to_file)"
    r"|(?:tensorflow\.)?keras\.datasets\.\w+\.load_data|(?:tensorflow\.)?keras\.utils\.get_file"
    r"|tensorflow_datasets\.load|nltk\.download|spacy\.cli\.download|gensim\.downloader\.load"
    r"|statsmodels\.(?:\w+\.)*get_rdataset|openml\.(?:\w+\.)+get_\w+|yfinance\.(?:download|Ticker)"
    r"|pandas_datareader\.(?:\w+\.)*(?:DataReader|get_data_\w+)|astropy\.utils\.data\.download_\w+"
    r"|(?:torchtext|torchaudio)\.utils\.download_\w+|scipy\.datasets\.(?:face|ascent|electrocardiogram)"
    r"|osmnx\.(?:\w+\.)*\w*_from_(?:place|address|point|bbox|polygon)|cdsapi\.Client"
    r"|ucimlrepo\.fetch_ucirepo|wbdata\.\w+|wbgapi\.\w+\.\w+|Bio\.Entrez\.\w+|vega_datasets\.data\.\w+\.url"
)  # fmt: skip
_SILENT = ("Bio.Entrez.read", "Bio.Entrez.parse")
_PRETRAINED = re.compile(r"(?:transformers|diffusers|sentence_transformers)\.(?:\w+\.)*"
                         r"(?:\w+\.from_pretrained|pipeline|SentenceTransformer)")  # fmt: skip
_OPENS = re.compile(
    r"(?:read_\w+|load\w*|open\w*|fetch\w*|download\w*|urlopen|urlretrieve|imread|get|post|head"
    r"|genfromtxt|retrieve|scan_\w+|from_url|connect|Dataset)"
)
_ASKS = re.compile(r"get|post|head")
_CLIENT_NAME = re.compile(r"session|client|http|request|sess\b|\(\)|\bs\b", re.IGNORECASE)
_URL = re.compile(r"(?:https?|ftps?|s3|gs|gcs|az|abfss?)://.", re.IGNORECASE)
_SHELLS = re.compile(
    r"os\.(?:system|popen)|subprocess\.(?:run|call|check_call|check_output|Popen|getoutput"
    r"|getstatusoutput)"
)
_LIBRARY_COPY = "a library's own copy is not in a fresh cache"


def network_finding(node: ast.Call, name: str, names: Names, path: str) -> Finding | None:
    """What this call would ask the network for, if anything."""
    if _SHELLS.fullmatch(name):
        return _shell(node, names, path)
    url = _url(node, names)
    last = name.rpartition(".")[2]
    if _CLIENTS.fullmatch(name):
        first = names.text(node.args[0]) if node.args else None
        if first is not None and first.startswith("file:"):
            return None
        return _finding(name, url, node.lineno, path)
    if url is not None and _OPENS.fullmatch(last) and not _is_look_up(name, last):
        return _finding(name, url, node.lineno, path)
    if is_constant(keyword(node, "download"), True):
        return _finding(f"{name}(download=True)", url, node.lineno, path)
    if _FETCHERS.fullmatch(name) and name not in _SILENT:
        return _finding(name, url, node.lineno, path, more=_LIBRARY_COPY)
    if _PRETRAINED.fullmatch(name) and not _is_local_model(node, names):
        return _finding(name, url, node.lineno, path, more=_LIBRARY_COPY)
    return None


def _is_look_up(name: str, last: str) -> bool:
    """``settings.get("https://…")`` of what is not called like a client."""
    return _ASKS.fullmatch(last) is not None and not _CLIENT_NAME.search(name.rpartition(".")[0])


def _finding(name: str, url: str | None, line: int, path: str, more: str = "") -> Finding:
    local = url is not None and is_local(url)
    what = "a service of this machine" if local else "the network"
    asked = f" for {printable(url, 100)}" if url is not None else ""
    rest = f"a sealed rerun has none{'; ' + more if more else ''}"
    return Finding(
        code="network", level=RISK if local else STOPS,
        text=f"{printable(name, 60)} asks {what}{asked}; {rest}",
        mend=NETWORK_MEND, path=path, line=line, url=url,
    )  # fmt: skip


def _url(node: ast.Call, names: Names) -> str | None:
    """The first argument that is a URL, as far as it is known before the run."""
    given = [*node.args[:2], *(each.value for each in node.keywords)]
    for argument in given:
        text = names.text(argument)
        if text is not None and _URL.match(text):
            return text
    return None


def _is_local_model(node: ast.Call, names: Names) -> bool:
    if is_constant(keyword(node, "local_files_only"), True):
        return True
    first = names.text(node.args[0]) if node.args else None
    return first is not None and first.startswith((".", "/", "~"))


def _shell(node: ast.Call, names: Names, path: str) -> Finding | None:
    """A command line given as text or as a list of words."""
    if not node.args:
        return None
    first = node.args[0]
    if isinstance(first, (ast.List, ast.Tuple)):
        words = [names.text(word) or "{}" for word in first.elts]
        if words[:2] == ["{}", "-m"]:
            # `[sys.executable, "-m", "pip", …]`
            words = words[2:]
        line: str | None = " ".join(words)
    else:
        line = names.text(first)
    return network_in_shell(line, path, node.lineno) if line else None
