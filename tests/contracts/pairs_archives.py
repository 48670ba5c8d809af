"""TOML, GeoJSON, tar and compressed tar."""

from __future__ import annotations

import gzip
import io
import json
import tarfile

import zstandard
from comparator_pairs import LOG, REPORT, TABLE, Case, swap

TOML = b"""# fitted
title = "fit"
when = 2024-01-02T03:04:05Z
[fit]
slope = 3.25
n = 12
names = ["a", "b"]
"""
MEMBERS = {"a/table.csv": TABLE, "a/report.txt": REPORT, "a/link": b""}


def tarred(
    members: dict[str, bytes] = MEMBERS,
    *,
    mtime: int = 1,
    owner: str = "",
    mode: int = 0o644,
    form: int = tarfile.USTAR_FORMAT,
    target: str = "table.csv",
) -> bytes:
    """A tar file; the member ``a/link`` is a symbolic link to ``target``."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.mtime, info.uname, info.mode, info.size = mtime, owner, mode, len(data)
            if name == "a/link":
                info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def geojson(x: float = 8.5417, name: str = "Zürich", *, indent: int | None = None) -> bytes:
    """Two features: a point and a line."""
    features = [
        {
            "type": "Feature",
            "properties": {"name": name, "n": 3},
            "geometry": {"type": "Point", "coordinates": [x, 47.3769]},
        },
        {
            "type": "Feature",
            "properties": None,
            "geometry": {"type": "LineString", "coordinates": [[0, 0.5], [1.25, 2]]},
        },
    ]
    document = {"type": "FeatureCollection", "features": features}
    return json.dumps(document, indent=indent).encode()


def cases() -> dict[str, Case]:
    """Every case by name."""
    plain = tarred()
    reordered = dict(reversed(MEMBERS.items()))
    changed = {**MEMBERS, "a/table.csv": swap(TABLE, b"1.25", b"1.26")}
    rounded = {**MEMBERS, "a/table.csv": swap(TABLE, b"1.25", b"1.2500000000000002")}
    return {
        "toml": Case(
            "fit.toml",
            TOML,
            benign={
                "comment": swap(TOML, b"# fitted", b"# the fit"),
                "dotted": b'title = "fit"\nwhen = 2024-01-02 03:04:05Z\nfit.n = 0xC\n'
                b'fit.slope = 325e-2\nfit.names = [\n "a",\n "b",\n]\n',
            },
            close={"rounding": swap(TOML, b"3.25", b"3.2500000000001")},
            faults={
                "value": swap(TOML, b"3.25", b"3.26"),
                "integer": swap(TOML, b"12", b"13"),
                "text": swap(TOML, b'"b"', b'"c"'),
                "date": swap(TOML, b"2024", b"2025"),
                "zone": swap(TOML, b"05Z", b"05"),
                "key twice": TOML + b"n = 12\n",
                "deep": TOML + b"x = " + b"[" * 200 + b"]" * 200 + b"\n",
            },
            beyond=("deep",),
        ),
        "geojson": Case(
            "sites.geojson",
            geojson(),
            benign={"indented": geojson(indent=1)},
            close={"rounding": geojson(8.54170000000001)},
            faults={
                "moved": geojson(8.5418),
                "name": geojson(name="Zurich"),
                "order": swap(geojson(), b"[0, 0.5], [1.25, 2]", b"[1.25, 2], [0, 0.5]"),
                "kind": swap(geojson(), b"LineString", b"MultiPoint"),
            },
        ),
        "tar": Case(
            "results.tar",
            plain,
            benign={
                "times": tarred(mtime=1_700_000_000),
                "owner": tarred(owner="somebody"),
                "order": tarred(reordered),
                "permissions": tarred(mode=0o600),
                "gnu": tarred(form=tarfile.GNU_FORMAT, mtime=7),
                "log's clock": tarred(
                    {**MEMBERS, "a/report.txt": REPORT.replace(b"2024-", b"2025-")}
                ),
            },
            close={"rounding": tarred(rounded)},
            faults={
                "value": tarred(changed),
                "gone": tarred({"a/table.csv": TABLE}),
                "more": tarred({**MEMBERS, "a/run.log": LOG}),
                "renamed": tarred({"b/table.csv": TABLE, "a/report.txt": REPORT, "a/link": b""}),
                "target": tarred(target="/etc/passwd"),
                "data after the end": plain + b"x" * 512,
                "twice": plain.rstrip(b"\0") + bytes(-len(plain.rstrip(b"\0")) % 512) + plain,
            },
            beyond=("twice",),
        ),
        "tar.gz": Case(
            "results.tar.gz",
            gzip.compress(plain, mtime=1),
            benign={"times": gzip.compress(tarred(mtime=9), mtime=2)},
            close={"rounding": gzip.compress(tarred(rounded), mtime=1)},
            faults={"value": gzip.compress(tarred(changed), mtime=1)},
        ),
        "tar.zst": Case(
            "results.tar.zst",
            zstandard.compress(plain),
            benign={
                "level": zstandard.compress(plain, 19),
                "frames": zstandard.compress(plain[:700]) + zstandard.compress(plain[700:]),
                "times": zstandard.compress(tarred(mtime=9)),
            },
            faults={
                "value": zstandard.compress(tarred(changed)),
                "garbage after": zstandard.compress(plain) + b"garbage",
                "bomb": zstandard.compress(bytes(200 << 20)),
            },
            beyond=("bomb",),
        ),
    }
