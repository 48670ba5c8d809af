"""What one source file shows by itself; several together give the findings."""

from __future__ import annotations

from repro.primitives.frozen import frozen
from repro.project.finding import Finding


@frozen
class Draw:
    """A random draw: ``generator`` names the global one a seed elsewhere would fix.

    None means a generator of its own that no global seed reaches; ``call`` is for people.
    """

    generator: str | None
    call: str
    line: int
    mend: str
    cell: int | None = None


@frozen
class Audited:
    """``language`` is ``python``, ``r``, ``shell`` or "". ``seeds`` are the global generators that the file seeds; ``uses`` the modules and files
    that it loads (a module's last name, a sourced file's name); ``packages`` the packages
    that it loads; ``limits`` what was not examined, in sentences."""

    path: str
    language: str
    findings: tuple[Finding, ...] = ()
    draws: tuple[Draw, ...] = ()
    seeds: frozenset[str] = frozenset()
    uses: frozenset[str] = frozenset()
    packages: frozenset[str] = frozenset()
    limits: tuple[str, ...] = ()
