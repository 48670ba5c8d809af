"""Public addresses of published files, told without the mirror that they were fetched from."""

from __future__ import annotations

import hashlib
from typing import BinaryIO
from urllib.parse import quote, unquote, urlsplit

PYPI_FILES = "https://files.pythonhosted.org/packages/"
_HOSTS = frozenset(
    {
        "files.pythonhosted.org", "deb.debian.org", "security.debian.org", "ftp.debian.org",
        "snapshot.debian.org", "archive.ubuntu.com", "security.ubuntu.com", "ports.ubuntu.com",
        "snapshot.ubuntu.com",
    }
)  # fmt: skip
_READ = 1 << 20


def is_public(url: str) -> bool:
    """Whether an address is one of a well-known public package archive.

    Only such addresses may be asked for because an archive says so: any other could be a
    service of the reader's own network.
    """
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("https", "http")
            and parts.hostname in _HOSTS
            and parts.port is None
            and "@" not in parts.netloc
            and not parts.query
            and not parts.fragment
        )
    except ValueError:
        return False


def public_wheel(url: str, stream: BinaryIO) -> str | None:
    """PyPI's own address of a wheel that came from ``url``, from PyPI or a mirror of it.

    PyPI names a file's folder by the BLAKE2b-256 of its bytes, and so do its mirrors; an index
    of one's own does not, and its files are nowhere else. ``stream`` stays at its beginning.
    """
    stream.seek(0)
    running = hashlib.blake2b(digest_size=32)
    while data := stream.read(_READ):
        running.update(data)
    stream.seek(0)
    name = running.hexdigest()
    leaf = unquote(urlsplit(url).path.rpartition("/")[2])
    tail = f"{name[:2]}/{name[2:4]}/{name[4:]}/{leaf}"
    if not unquote(urlsplit(url).path).endswith(f"/packages/{tail}"):
        return None
    return PYPI_FILES + quote(tail, safe="/-._~+!=")


def pool_path(url: str) -> str | None:
    """A Debian package's path below its archive's root (``pool/…``); None for other layouts."""
    path = unquote(urlsplit(url).path)
    before, found, rest = path.partition("/pool/")
    return f"pool/{rest}" if found and rest.endswith(".deb") and ".." not in rest else None
