from __future__ import annotations

import hashlib
import io
import tarfile

import pytest

from repro.errors import ArchiveError
from repro.image.listing import ImageListing
from repro.model.oci import LAYER_PLAIN, Descriptor, Layer
from repro.primitives.digest import Digest
from repro.primitives.tarread import Limits


def layer(
    *members: tuple[str, bytes | str | None], links: tuple[tuple[str, str], ...] = ()
) -> bytes:
    """Bytes are files, text symlinks, None folders; ``links`` are hard links."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in members:
            item = tarfile.TarInfo(name)
            if data is None:
                item.type = tarfile.DIRTYPE
            elif isinstance(data, str):
                item.type, item.linkname = tarfile.SYMTYPE, data
            else:
                item.size = len(data)
            archive.addfile(item, io.BytesIO(data) if isinstance(data, bytes) else None)
        for name, target in links:
            item = tarfile.TarInfo(name)
            item.type, item.linkname = tarfile.LNKTYPE, target
            archive.addfile(item)
    return out.getvalue()


def add(listing: ImageListing, data: bytes, diff_id: Digest | None = None) -> None:
    descriptor = Descriptor(media_type=LAYER_PLAIN, digest=Digest.of(data), size=len(data))
    listing.add(
        io.BytesIO(data),
        Layer(
            descriptor=descriptor, diff_id=diff_id or Digest.of(data),
            uncompressed_size=len(data), kind="packages",
        ),
    )  # fmt: skip


def listing(*layers: bytes, md5: bool = False) -> ImageListing:
    found = ImageListing(lambda path: path.endswith(".txt"), md5=md5)
    for each in layers:
        add(found, each)
    return found


def paths(found: ImageListing) -> list[str]:
    return sorted(path for path, _ in found.items())


def test_hashes_come_from_the_bytes() -> None:
    found = listing(layer(("a/b.txt", b"x"), ("a/c", b"y"), ("d", "a")), md5=True)
    file = found.get("/a/b.txt")
    assert file is not None and file.content == b"x"
    assert file.sha256 == hashlib.sha256(b"x").hexdigest()
    assert file.md5 == hashlib.md5(b"x").hexdigest()
    other = found.get("/a/c")
    assert other is not None and other.content is None
    assert found.real("/d/b.txt") == "/a/b.txt" and found.real("/d") == "/d"
    assert paths(found) == ["/a/b.txt", "/a/c", "/d"]


def test_what_lies_on_top_is_shown() -> None:
    found = listing(layer(("a/b", b"old"), ("a/c", b"c")), layer(("a/b", b"new")))
    file = found.get("/a/b")
    assert file is not None and file.sha256 == hashlib.sha256(b"new").hexdigest()
    assert paths(found) == ["/a/b", "/a/c"]


def test_a_link_hides_a_folder() -> None:
    found = listing(
        layer(("site/num.py", b"good")), layer(("evil/num.py", b"bad"), ("site", "evil"))
    )
    assert found.get("/site/num.py") is None
    assert found.real("/site/num.py") == "/evil/num.py"


def test_a_folder_hides_a_link() -> None:
    found = listing(layer(("a", "b"), ("b/x", b"1")), layer(("a/y", b"2")))
    assert found.real("/a/x") == "/a/x" and paths(found) == ["/a/y", "/b/x"]


def test_whiteouts() -> None:
    found = listing(
        layer(("a/b", b"1"), ("a/c", b"2"), ("d/e", b"3"), ("d/f/g", b"4")),
        layer(("a/.wh.b", b""), ("d/.wh..wh..opq", b""), ("d/new", b"5")),
    )
    assert paths(found) == ["/a/c", "/d/new"]


def test_hard_links() -> None:
    found = listing(layer(("a", b"1"), links=(("b", "a"),)))
    assert found.get("/b") == found.get("/a")


def test_links_in_a_ring() -> None:
    found = listing(layer(("a", "b"), ("b", "a")))
    with pytest.raises(ArchiveError, match="ring"):
        found.real("/a/x")


def test_a_wrong_diff_id() -> None:
    with pytest.raises(ArchiveError, match="diff_id"):
        add(ImageListing(lambda path: False), layer(("a", b"1")), Digest.of(b"other"))


@pytest.mark.parametrize(
    "data",
    [
        layer(("a", b"1"), ("a", b"2")),
        layer(("../a", b"1")),
        layer(("a", b"1"), ("a/b", b"2")),
        layer(links=(("b", "a"),)),
        layer(("a", "x"), links=(("b", "a"),)),
        layer(("a", b"1"))[:700],
    ],
)
def test_hostile_layers(data: bytes) -> None:
    with pytest.raises(ArchiveError):
        add(ImageListing(lambda path: False), data)


def test_a_bomb_stops() -> None:
    data = layer(("a", bytes(3 << 20)))
    descriptor = Descriptor(media_type=LAYER_PLAIN, digest=Digest.of(data), size=1)
    bomb = Layer(
        descriptor=descriptor, diff_id=Digest.of(data), uncompressed_size=len(data), kind="code"
    )
    with pytest.raises(ArchiveError, match="unpacks to more"):
        ImageListing(lambda path: False).add(
            io.BytesIO(data), bomb, Limits(floor=1 << 20, ratio=10)
        )
