from __future__ import annotations

import hashlib

import pytest

from repro.errors import ArchiveError
from repro.primitives.digest import Digest


def test_of() -> None:
    digest = Digest.of(b"abc")
    assert str(digest) == "sha256:" + hashlib.sha256(b"abc").hexdigest()
    assert Digest.parse(str(digest)) == digest
    assert Digest.of_stream([b"a", b"bc"]) == digest


@pytest.mark.parametrize(
    "text",
    ["", "sha256:", "sha256:" + "g" * 64, "sha256:" + "A" * 64, "md5:" + "0" * 32,
     "sha256:" + "0" * 64 + "\n", "sha256:../../etc/passwd", None, 5],
)  # fmt: skip
def test_refused(text: object) -> None:
    with pytest.raises(ArchiveError):
        Digest.parse(text)
