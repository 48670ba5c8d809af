"""What a run used, by the names of ``repro.verify/1``: how each figure is called and shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from repro.primitives.texts import human_size, human_time

RESOURCES: tuple[tuple[str, Callable[[Any], str], str], ...] = (
    ("Time", human_time, "seconds"),
    ("Processor time", human_time, "cpu_seconds"),
    ("Peak memory", human_size, "peak_memory"),
    ("Read, pipes included", human_size, "read_bytes"),
    ("Written, pipes included", human_size, "written_bytes"),
)
"""Name for people, form, key; the author's figure has the key ``author_`` and this one."""
