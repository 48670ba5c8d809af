"""How much of the machine goes into an image."""

from __future__ import annotations

from enum import Enum


class Scope(Enum):
    """What is packed besides the project's own files.

    ``MINIMAL``: the files that the run read, and what their packages declare as data and
    metadata. ``PACKAGES`` (the default): those packages whole, and what they require.
    ``FULL``: every package of the environments in use as well.
    """

    MINIMAL = "minimal"
    PACKAGES = "packages"
    FULL = "full"

    @property
    def sentence(self) -> str:
        """The same for people."""
        return _SENTENCES[self]


_SENTENCES = {
    Scope.MINIMAL: "minimal: files that the run read, and the data of their packages; "
    "with other inputs the analysis may need files that are not inside",
    Scope.PACKAGES: "whole packages behind the files that the run read",
    Scope.FULL: "full: every package of the environments that the run used",
}
