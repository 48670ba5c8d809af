"""The seam of engines: public methods wrap an engine's own, so that no stray error escapes."""

from __future__ import annotations

import abc
from typing import ClassVar

from repro.errors import ReproError, RuntimeUnavailable
from repro.model.ports import SandboxRequest, SandboxResult, Seal


class Runtime(abc.ABC):
    """A way to run a command sealed. ``rank`` orders engines, smaller first."""

    name: ClassVar[str]
    rank: ClassVar[int] = 50

    def usable(self) -> str | None:
        """None when this engine works here, else the reason with its mend; tried by doing."""
        try:
            return self._usable()
        except (OSError, ReproError) as error:
            return str(error)

    def seal(self, network: str = "none") -> Seal:
        """What a run enforces, by which mechanism, and what it does not."""
        return self._seal(network)

    def run(self, request: SandboxRequest) -> SandboxResult:
        """Run to the end; no process of it is left afterwards.

        Raises RuntimeUnavailable when the sandbox cannot be set up, RerunFailed when the
        command cannot be started inside it.
        """
        try:
            return self._run(request)
        except OSError as error:
            raise RuntimeUnavailable(
                f"{self.name} could not run: {error.strerror or error}",
                hint="`repro doctor` says what this machine lacks",
            ) from error

    @abc.abstractmethod
    def _usable(self) -> str | None: ...

    @abc.abstractmethod
    def _seal(self, network: str) -> Seal: ...

    @abc.abstractmethod
    def _run(self, request: SandboxRequest) -> SandboxResult: ...
