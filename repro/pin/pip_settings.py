"""Where pip looks for packages on this machine, from its own settings (pip's user guide,
"Configuration")."""

from __future__ import annotations

import configparser
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from repro.primitives.frozen import frozen

PYPI = "https://pypi.org/simple"
_SECTIONS = ("global", "download", "install")
_ON = ("1", "true", "yes", "on")


@frozen
class PipSettings:
    """``indexes`` are simple-API roots in the order of pip, ``links`` its --find-links.

    ``certificates`` is a bundle for TLS; ``timeout`` in seconds.
    """

    indexes: tuple[str, ...]
    links: tuple[str, ...] = ()
    certificates: str | None = None
    proxy: str | None = None
    timeout: float = 15.0


def pip_settings(
    environ: Mapping[str, str], root: str = "/", index: str | None = None
) -> PipSettings:
    """What pip would use: system files, user files, then variables; later ones win.

    ``index`` overrides all of it: only that one is asked then.
    """
    found: dict[str, str] = {}
    for path in _files(environ, root.rstrip("/")):
        found.update(_read(path))
    found.update(_variables(environ))
    extra = found.get("extra-index-url", "").split()
    links = found.get("find-links", "").split()
    roots = [found.get("index-url") or PYPI, *extra]
    if index is not None:
        roots, links = [index], []
    elif found.get("no-index", "").lower() in _ON:
        roots = []
    return PipSettings(
        indexes=tuple(dict.fromkeys(each.rstrip("/") for each in roots)),
        links=tuple(dict.fromkeys(links)),
        certificates=found.get("cert") or environ.get("REQUESTS_CA_BUNDLE"),
        proxy=found.get("proxy"),
        timeout=_seconds(found.get("timeout") or found.get("default-timeout")),
    )


def shown(url: str) -> str:
    """A URL without user and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def _files(environ: Mapping[str, str], root: str) -> Iterator[Path]:
    if environ.get("PIP_CONFIG_FILE") == os.devnull:
        return
    for folder in reversed((environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")):
        yield Path(f"{root}{folder}/pip/pip.conf")
    yield Path(f"{root}/etc/pip.conf")
    home = environ.get("HOME")
    if home:
        yield Path(home, ".pip", "pip.conf")
        yield Path(environ.get("XDG_CONFIG_HOME") or f"{home}/.config", "pip", "pip.conf")
    if environ.get("VIRTUAL_ENV"):
        yield Path(environ["VIRTUAL_ENV"], "pip.conf")
    if environ.get("PIP_CONFIG_FILE"):
        yield Path(environ["PIP_CONFIG_FILE"])


def _read(path: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text("utf-8", "replace"))
    except (OSError, configparser.Error):
        return {}
    found: dict[str, str] = {}
    for section in _SECTIONS:
        if parser.has_section(section):
            found.update({key.replace("_", "-"): value for key, value in parser.items(section)})
    return found


def _variables(environ: Mapping[str, str]) -> dict[str, str]:
    names = [name for name in sorted(environ) if name.startswith("PIP_") and environ[name]]
    return {name[4:].lower().replace("_", "-"): environ[name] for name in names}


def _seconds(text: str | None) -> float:
    try:
        return min(max(float(text or 15), 1.0), 600.0)
    except ValueError:
        return 15.0


def is_local(url: str) -> bool:
    """Whether a place of pip's is a folder or file of this machine."""
    return url.startswith(("file:", "/", ".", "~")) or "://" not in url


def folder_of(url: str) -> Path:
    """The folder or file that a local place means."""
    return Path(unquote(urlsplit(url).path) if url.startswith("file:") else os.path.expanduser(url))
