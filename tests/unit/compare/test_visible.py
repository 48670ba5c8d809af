"""SSIM over boxes, against values worked out by the formula for one box."""

from __future__ import annotations

import random

import pytest

from repro.compare.jpeg import orientation
from repro.compare.visible import mean_ssim

Rows = list[list[float]]


def formula(one: list[float], two: list[float]) -> float:
    n = len(one)
    x, y = sum(one) / n, sum(two) / n
    xx = sum((v - x) ** 2 for v in one) / n
    yy = sum((v - y) ** 2 for v in two) / n
    xy = sum((a - x) * (b - y) for a, b in zip(one, two, strict=True)) / n
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return (2 * x * y + c1) * (2 * xy + c2) / ((x * x + y * y + c1) * (xx + yy + c2))


def noise(width: int, height: int, seed: int) -> Rows:
    chance = random.Random(seed)
    return [[float(chance.randrange(256)) for _ in range(width)] for _ in range(height)]


@pytest.mark.parametrize(("width", "height"), [(8, 8), (3, 5), (1, 1), (8, 2)])
def test_one_box_is_the_formula(width: int, height: int) -> None:
    one, two = noise(width, height, 1), noise(width, height, 2)
    expected = formula([v for row in one for v in row], [v for row in two for v in row])
    assert mean_ssim(one, two) == pytest.approx(expected, abs=1e-9)


def test_the_mean_of_all_boxes() -> None:
    one, two = noise(21, 18, 3), noise(21, 18, 4)
    boxes = [
        formula(
            [v for row in one[y : y + 8] for v in row[x : x + 8]],
            [v for row in two[y : y + 8] for v in row[x : x + 8]],
        )
        for y in range(0, 11, 4)
        for x in range(0, 14, 4)
    ]
    assert mean_ssim(one, two) == pytest.approx(sum(boxes) / len(boxes), abs=1e-9)


def test_the_same_picture_and_none() -> None:
    assert mean_ssim(noise(20, 20, 5), noise(20, 20, 5)) == 1.0
    assert mean_ssim([], []) is None
    assert mean_ssim([[]], [[]]) is None


@pytest.mark.parametrize(("mark", "order"), [(b"II", "little"), (b"MM", "big")])
def test_orientation_of_exif(mark: bytes, order: str) -> None:
    def whole(value: int, size: int) -> bytes:
        return value.to_bytes(size, "little" if order == "little" else "big")

    entry = whole(0x0112, 2) + whole(3, 2) + whole(1, 4) + whole(6, 2) + bytes(2)
    body = mark + whole(42, 2) + whole(8, 4) + whole(1, 2) + entry
    assert orientation([b"\xff\xe1\0\0Exif\0\0" + body]) == 6
    assert orientation([b"\xff\xe1\0\0Exif\0\0" + body[:-9]]) == 1
    assert orientation([]) == 1
