"""A project as the author declares it."""

from __future__ import annotations

from collections.abc import Mapping

from repro.model.step import Step
from repro.primitives.frozen import field, frozen


@frozen
class OutputRule:
    """What repro.yml says about outputs matching ``pattern`` (a glob; ``**`` crosses folders).

    ``compare`` holds options as text (``rtol``, ``atol``, ``as``, ``ignore`` …): no floats,
    since it is sealed in canonical JSON.
    """

    pattern: str
    required: bool = True
    compare: Mapping[str, object] = field(default_factory=dict)


@frozen
class Project:
    """A project folder and what is declared about it.

    ``root`` is absolute with symlinks resolved. ``declared`` is true when outputs come
    from repro.yml (``outputs``), false when they are whatever the run writes.
    """

    name: str
    root: str
    steps: tuple[Step, ...]
    outputs: tuple[OutputRule, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    title: str | None = None
    config: str | None = None

    @property
    def declared(self) -> bool:
        """Whether repro.yml lists the outputs."""
        return bool(self.outputs)
