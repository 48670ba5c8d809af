"""What a run may use at most."""

from __future__ import annotations

import re
from typing import Any

from repro.errors import ArchiveError, UsageError
from repro.model.oci import mapping, text, whole
from repro.primitives.frozen import frozen
from repro.primitives.texts import bytes_of, human_size, printable

_LEAST_MEMORY = 1 << 20


@frozen
class Limits:
    """``memory`` and ``disk`` in bytes, ``cpus`` in processors (a fraction is fine), ``pids``
    in processes and threads; None where nothing is limited.

    ``memory`` is that of all processes together, ``disk`` what they write.
    """

    memory: int | None = None
    cpus: float | None = None
    pids: int | None = None
    disk: int | None = None

    def __bool__(self) -> bool:
        return any(value is not None for value in vars(self).values())

    def over(self, other: Limits) -> Limits:
        """These limits, and ``other``'s where these say nothing."""
        return Limits(
            memory=self.memory if self.memory is not None else other.memory,
            cpus=self.cpus if self.cpus is not None else other.cpus,
            pids=self.pids if self.pids is not None else other.pids,
            disk=self.disk if self.disk is not None else other.disk,
        )

    def text(self, name: str) -> str:
        """A limit for people."""
        value = getattr(self, name)
        if name in ("memory", "disk"):
            return human_size(value)
        return f"{value:g}"

    def to_json(self) -> dict[str, Any]:
        """The JSON form inside claims; cpus as text, since sealed documents hold no floats."""
        found: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("memory", "pids", "disk")
            if getattr(self, name) is not None
        }
        if self.cpus is not None:
            found["cpus"] = f"{self.cpus:g}"
        return found

    @classmethod
    def parse(cls, value: object) -> Limits:
        """Read the JSON form. Raises ArchiveError."""
        fields = mapping(value, "claims.limits")
        numbers = {
            name: str(whole(fields[name], f"claims.limits.{name}")) if name in fields else None
            for name in ("memory", "pids", "disk")
        }
        try:
            cpus = text(fields["cpus"], "claims.limits.cpus") if "cpus" in fields else None
            return limits(
                cpus=cpus, memory=numbers["memory"], pids=numbers["pids"], disk=numbers["disk"]
            )
        except UsageError as error:
            raise ArchiveError(f"claims.limits: {error.message}") from None


NO_LIMITS = Limits()


def limits(
    *,
    memory: str | None = None,
    cpus: str | None = None,
    pids: str | None = None,
    disk: str | None = None,
) -> Limits:
    """Limits as people type them: ``2G``, ``1.5``, ``512``. Raises UsageError."""
    return Limits(
        memory=None if memory is None else _size(memory, "memory", _LEAST_MEMORY),
        cpus=None if cpus is None else _cpus(cpus),
        pids=None if pids is None else _count(pids),
        disk=None if disk is None else _size(disk, "disk", 0),
    )


def _size(given: str, name: str, least: int) -> int:
    found = bytes_of(given)
    if found is None or found < least:
        raise _wrong(name, given, "write 500M, 2G or 1.5GiB")
    return found


def _cpus(given: str) -> float:
    match = re.fullmatch(r"\d{1,5}(?:\.\d{1,3})?", given.strip())
    if match is None or not 0.01 <= float(match.group()) <= 65536:
        raise _wrong("cpus", given, "write 2 or 0.5")
    return float(match.group())


def _count(given: str) -> int:
    match = re.fullmatch(r"\d{1,7}", given.strip())
    if match is None or not int(match.group()):
        raise _wrong("pids", given, "write a number such as 512")
    return int(match.group())


def _wrong(name: str, given: str, hint: str) -> UsageError:
    return UsageError(f"{printable(given, 40)!r} is no limit for {name}", hint=hint)
