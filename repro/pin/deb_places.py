"""Where a Debian package of a certain version lies, when no package list names it (any more).

Archives keep a version for some time after the lists name a newer one, at an address that
follows from the newer one's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from repro.pin.debsources import DebSource
from repro.pin.origin_apt import DebKey
from repro.pin.public import pool_path

_POOL = re.compile(
    r"pool/(?:updates/)?((?!updates/)[^/]+/[^/]+/[^/]+)/([^/_]+)_[^/_]+_([a-z0-9-]+)\.deb"
)


def likely_urls(key: DebKey, other_version: str, sources: Sequence[DebSource]) -> Iterator[str]:
    """Addresses below the archives of ``sources``; ``other_version`` is one of another version."""
    match = _POOL.fullmatch(pool_path(other_version) or "")
    if match is None or match.group(2) != key.name or match.group(3) != key.architecture:
        return
    version = key.version.partition(":")[2] or key.version
    leaf = f"{key.name}_{version}_{key.architecture}.deb"
    for pool in (f"pool/{match.group(1)}/{leaf}", f"pool/updates/{match.group(1)}/{leaf}"):
        yield from urls_below(sources, pool)


def urls_below(sources: Sequence[DebSource], pool: str) -> Iterator[str]:
    """A path of a pool below each archive of ``sources``, each address once."""
    for uri in dict.fromkeys(source.uri for source in sources):
        if uri.startswith(("http://", "https://")):
            yield f"{uri.rstrip('/')}/{quote(pool, safe='/-._~+!=:')}"
