"""The files of /etc that repro writes itself, the same for every image and every run."""

from __future__ import annotations

UID = 1000
"""The user inside, by number."""
USER = "repro"
"""The user inside, by name."""
HOST = "repro"
"""The name of the machine inside."""


def etc_files(
    home: str, resolver: bytes = b"", *, user: str = USER, uid: int = UID, host: str = HOST
) -> dict[str, bytes]:
    """Content by name below /etc. ``home`` is HOME inside; ``resolver`` is resolv.conf.

    A home that would break passwd's lines (passwd(5)) is replaced by ``/``.
    """
    safe = home if home.startswith("/") and not set(home) & set(":\n") else "/"
    texts = {
        "passwd": f"root:x:0:0:root:/root:/bin/sh\n{user}:x:{uid}:{uid}:{user}:{safe}:/bin/sh\n",
        "group": f"root:x:0:\n{user}:x:{uid}:\n",
        "hosts": f"127.0.0.1 localhost {host}\n::1 localhost\n",
        "hostname": f"{host}\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    }
    found = {name: text.encode("utf-8", "surrogateescape") for name, text in texts.items()}
    found["resolv.conf"] = resolver
    return found
