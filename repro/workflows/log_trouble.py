"""What the log of a failed run says about the network: which line asked, and for which host."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from repro.primitives.frozen import frozen

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_WORDS = re.compile(
    r"Name or service not known|[Nn]ame resolution|nodename nor servname|etwork is unreachable"
    r"|[Cc]onnection refused|ould not resolve host|nable to resolve|Failed to connect to"
    r"|Failed to establish a new connection|Max retries exceeded|URLError|ConnectionError"
    r"|ConnectTimeout|cannot open URL|InternetOpenUrl|getaddrinfo|gaierror|No route to host"
    r"|No address associated|[Cc]ouldn't connect|cannot open the connection to 'https?:"
    r"|LocalEntryNotFoundError|Could not connect|onnection timed out|No internet|is offline"
)
_HOSTS = (
    re.compile(r"HTTPS?ConnectionPool\(host='([^']+)', port=(\d+)\)"),
    re.compile(r"(?:Failed to connect|[Cc]onnect(?:ing)?) to ([\w.:-]+?),? port:? (\d+)"),
    re.compile(r"(?:resolve host(?:name)?(?: address)?:?|lookup) [‘'\"]?([\w.-]+\.\w+)()"),
)
_URL = re.compile(r"\b(https?|ftp)://(\[[0-9a-fA-F:]+\]|[\w.-]+)(?::(\d+))?")
_FRAME = re.compile(r"^\s*File \"([^\"]+)\", line (\d+)", re.MULTILINE)
_MAKE = re.compile(r"make(?:\[\d+\])?: \*\*\* \[([^:\]\s]+):(\d+):")
_SHELL = re.compile(r"^(?:/?\S*/)?(\S+\.(?:sh|bash)): line (\d+):", re.MULTILINE)
_CELL = re.compile(r"^cell (\d+) failed:", re.MULTILINE)
_CELL_LINE = re.compile(r"(?:Cell|Input) In ?\[\d+\], (?:in )?(?:line (\d+)|<cell line: (\d+)>)")
_PORTS = {"http": 80, "https": 443, "ftp": 21}
_PACKAGES = ("/site-packages/", "/dist-packages/", "/node_modules/")
_MOST = 8


@frozen
class Place:
    """A line of the project's source; ``cell`` for notebooks."""

    path: str
    line: int | None
    cell: int | None = None


@frozen
class Trouble:
    """``place`` is None where the log names no line of the project; ``hosts`` are
    (name, port) pairs as the log has them. ``refused``: by this machine, sealed, nothing else
    could refuse."""

    place: Place | None
    hosts: tuple[tuple[str, int | None], ...]
    refused: bool


def trouble_in(
    log: str, root: str, is_file: Callable[[str], bool], notebook: str | None
) -> Trouble | None:
    """What the log of a run of the project at ``root`` says; None when it is not about the network.

    ``is_file`` tells whether a path relative to the project is one of its files.
    """
    text = _ANSI.sub("", log)
    if not _WORDS.search(text):
        return None
    hosts = dict.fromkeys(_hosts(text))
    named = {name for name, port in hosts if port is not None}
    return Trouble(
        place=_place(text, root, is_file, notebook),
        refused="onnection refused" in text,
        hosts=tuple(h for h in hosts if h[1] is not None or h[0] not in named)[:_MOST],
    )


def host_of(url: str) -> tuple[str, int | None] | None:
    """Host and port that a URL means."""
    found = _URL.match(url)
    if found is None:
        return None
    scheme, host, port = found.groups()
    return host.strip("[]"), int(port) if port else _PORTS[scheme]


def _hosts(text: str) -> Iterator[tuple[str, int | None]]:
    for line in text.splitlines():
        if not _WORDS.search(line):
            continue
        for pattern in _HOSTS:
            for host, port in pattern.findall(line):
                yield host.strip("[]"), int(port) if port else None
        for found in _URL.finditer(line):
            host = host_of(found.group(0))
            if host is not None:
                yield host


def _place(
    text: str, root: str, is_file: Callable[[str], bool], notebook: str | None
) -> Place | None:
    """The deepest frame of the last traceback that lies in the project, else what else tells."""
    for path, line in reversed(_FRAME.findall(text)):
        relative = path[len(root) + 1 :] if path.startswith(root + "/") else path
        if any(part in f"/{relative}" for part in _PACKAGES):
            continue
        if not relative.startswith(("/", "<")) and is_file(relative):
            return Place(path=relative, line=int(line))
    if notebook is not None:
        cell = _CELL.search(text)
        lines = [int(one or two) for one, two in _CELL_LINE.findall(text)]
        if cell is not None:
            line = lines[0] if lines else None
            return Place(path=notebook, line=line, cell=int(cell.group(1)))
    for pattern in (_SHELL, _MAKE):
        for path, line in pattern.findall(text):
            if is_file(path):
                return Place(path=path, line=int(line))
    return None
