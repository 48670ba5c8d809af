"""NIfTI-1 and NIfTI-2 in one file: header fields, extensions and voxels (nifti1.h, nifti2.h)."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from repro.compare.arrays import Array
from repro.compare.base import Beyond, Malformed
from repro.compare.contents import Blob, Content, Leaf, Tree

_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 32: "c8", 64: "f8", 256: "i1", 512: "u2", 768: "u4",
    1024: "i8", 1280: "u8", 1792: "c16", 128: "V3", 2304: "V4", 1536: "V16", 2048: "V32",
}  # fmt: skip


@dataclass(frozen=True)
class _Layout:
    """Where the fields lie: numbers as (name, offset, count, type), texts as (name, offset, size)."""

    size: int
    magic: tuple[int, bytes]
    numbers: tuple[tuple[str, int, int, str], ...]
    texts: tuple[tuple[str, int, int], ...]


_ONE = _Layout(
    348,
    (344, b"n+1\0"),
    (
        ("dim_info", 39, 1, "u1"), ("dim", 40, 8, "i2"), ("intent_p", 56, 3, "f4"),
        ("intent_code", 68, 1, "i2"), ("datatype", 70, 1, "i2"), ("bitpix", 72, 1, "i2"),
        ("slice_start", 74, 1, "i2"), ("pixdim", 76, 8, "f4"), ("vox_offset", 108, 1, "f4"),
        ("scl_slope", 112, 1, "f4"), ("scl_inter", 116, 1, "f4"), ("slice_end", 120, 1, "i2"),
        ("slice_code", 122, 1, "u1"), ("xyzt_units", 123, 1, "u1"), ("cal_max", 124, 1, "f4"),
        ("cal_min", 128, 1, "f4"), ("slice_duration", 132, 1, "f4"), ("toffset", 136, 1, "f4"),
        ("qform_code", 252, 1, "i2"), ("sform_code", 254, 1, "i2"), ("quatern", 256, 6, "f4"),
        ("srow", 280, 12, "f4"),
    ),
    (("descrip", 148, 80), ("aux_file", 228, 24), ("intent_name", 328, 16)),
)  # fmt: skip
_TWO = _Layout(
    540,
    (4, b"n+2\0\r\n\x1a\n"),
    (
        ("datatype", 12, 1, "i2"), ("bitpix", 14, 1, "i2"), ("dim", 16, 8, "i8"),
        ("intent_p", 80, 3, "f8"), ("pixdim", 104, 8, "f8"), ("vox_offset", 168, 1, "i8"),
        ("scl_slope", 176, 1, "f8"), ("scl_inter", 184, 1, "f8"), ("cal_max", 192, 1, "f8"),
        ("cal_min", 200, 1, "f8"), ("slice_duration", 208, 1, "f8"), ("toffset", 216, 1, "f8"),
        ("slice_start", 224, 1, "i8"), ("slice_end", 232, 1, "i8"), ("qform_code", 344, 1, "i4"),
        ("sform_code", 348, 1, "i4"), ("quatern", 352, 6, "f8"), ("srow", 400, 12, "f8"),
        ("slice_code", 496, 1, "i4"), ("xyzt_units", 500, 1, "i4"), ("intent_code", 504, 1, "i4"),
        ("dim_info", 524, 1, "u1"),
    ),
    (("descrip", 240, 80), ("aux_file", 320, 24), ("intent_name", 508, 16)),
)  # fmt: skip


def is_nifti(head: bytes) -> bool:
    """Whether a file that begins like this is NIfTI in one file."""
    return _known(head) is not None


def read_nifti(data: bytes) -> Content:
    """Every field, extension and the voxels. Raises Malformed and Beyond."""
    known = _known(data)
    if known is None:
        raise Malformed("it is no NIfTI file")
    layout, order = known
    if len(data) < layout.size + 4:
        raise Malformed("it ends inside its header")
    return dict(_leaves(data, layout, order))


def _known(head: bytes) -> tuple[_Layout, str] | None:
    for layout in (_ONE, _TWO):
        offset, magic = layout.magic
        if head[offset : offset + len(magic)] == magic:
            for order in "<>":
                if head[:4] == struct.pack(f"{order}i", layout.size):
                    return layout, order
    return None


def _leaves(data: bytes, layout: _Layout, order: str) -> Iterator[tuple[str, Leaf]]:
    fields: dict[str, Array] = {}
    for name, offset, count, plain in layout.numbers:
        body = data[offset : offset + count * int(plain[1:])]
        fields[name] = Array(type=f"{order}{plain}", shape=(count,), data=body)
    dim = _numbers(fields["dim"])
    rank, start = int(dim[0]), int(_numbers(fields["vox_offset"])[0])
    shape = tuple(int(size) for size in dim[1 : rank + 1])
    if not 0 < rank < 8 or min(shape) < 0 or not layout.size + 4 <= start <= len(data):
        raise Malformed("its dimensions or the place of its voxels make no sense")
    for name, offset, size in layout.texts:
        yield name, Tree(value=data[offset : offset + size].split(b"\0")[0].decode("latin-1"))
    if data[layout.size : start].strip(b"\0"):
        yield "extensions", Blob(data=data[layout.size : start])
    # Where the voxels begin is a matter of layout.
    kept = {name: field for name, field in fields.items() if name != "vox_offset"}
    yield from kept.items()
    voxel = _TYPES.get(int(_numbers(fields["datatype"])[0]))
    if voxel is None:
        raise Beyond("its type of voxel is not known")
    array = Array(type=f"{order}{voxel}", shape=shape, data=data[start:], fortran=True)
    if math.prod(shape) * int(voxel[1:]) != len(array.data):
        raise Malformed("its voxels have another length than its header says")
    yield "voxels", array


def _numbers(array: Array) -> tuple[float, ...]:
    code = {"i2": "h", "i4": "i", "i8": "q", "f4": "f", "f8": "d", "u1": "B"}[array.plain]
    values: tuple[float, ...] = struct.unpack(f"{array.type[0]}{array.shape[0]}{code}", array.data)
    if any(not math.isfinite(value) for value in values):
        raise Malformed("a size in its header is no number")
    return values
