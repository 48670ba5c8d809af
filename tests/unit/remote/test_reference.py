from __future__ import annotations

import pytest

from repro.errors import UsageError
from repro.remote.reference import Reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "host", "name", "tag", "wanted"),
    [
        ("oci://ghcr.io/lab/paper:v1", "ghcr.io", "lab/paper", "v1", "v1"),
        ("oci://localhost:5000/paper", "localhost:5000", "paper", None, "latest"),
        ("oci://[::1]:5000/a/b/c:x.y_z-1", "[::1]:5000", "a/b/c", "x.y_z-1", "x.y_z-1"),
        (f"oci://h.example/a__b/c-d:v1@{DIGEST}", "h.example", "a__b/c-d", "v1", DIGEST),
        ("oci://GHCR.IO/lab/paper", "ghcr.io", "lab/paper", None, "latest"),
        ("oci://docker.io/paper", "docker.io", "library/paper", None, "latest"),
        ("oci://index.docker.io/lab/paper", "docker.io", "lab/paper", None, "latest"),
    ],
)
def test_what_people_type(text: str, host: str, name: str, tag: str | None, wanted: str) -> None:
    found = Reference.parse(text)
    assert (found.host, found.repository, found.tag, found.wanted) == (host, name, tag, wanted)
    assert Reference.parse(str(found)) == found


def test_docker_hub_speaks_elsewhere() -> None:
    assert Reference.parse("oci://docker.io/lab/paper").server == "registry-1.docker.io"


@pytest.mark.parametrize(
    "text",
    [
        "ghcr.io/lab/paper", "oci://", "oci://host", "oci://host/", "oci:///paper",
        "oci://host/Paper", "oci://host/a//b", "oci://host/../b", "oci://host/a:", "oci://host/a:b c",
        "oci://host/a@sha256:12", "oci://ho st/a", "oci://host/a?b", "oci://user@host/a",
        "oci://host/" + "a" * 300, "oci://host/a:" + "t" * 200, "oci://host:123456/a",
    ],
)  # fmt: skip
def test_what_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Reference.parse(text)
    assert "oci://" in (caught.value.hint or "")
