"""The seam of engines: public methods wrap an engine's own, so that no stray error escapes."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from repro.errors import ReproError, RuntimeUnavailable
from repro.model.limits import NO_LIMITS, Limits
from repro.model.ports import JoinRequest, SandboxRequest, SandboxResult, Seal
from repro.primitives.frozen import replace
from repro.primitives.texts import printable
from repro.runtime.request import check_command, check_request

_MEND = "; mend: "
_SILENT = "the engine does not say"
PROPERTIES = frozenset({
    "network", "filesystem", "pids", "ipc", "users", "devices", "cpu", "memory", "pids limit",
    "disk", "time",
})  # fmt: skip
"""What every seal says something of; an engine that is silent about one does not enforce it."""


def with_mend(reason: str, mend: str | None) -> str:
    """A reason of ``usable`` that ends with its mend."""
    return f"{reason}{_MEND}{mend}" if mend else reason


def without_mend(reason: str) -> tuple[str, str | None]:
    """The two parts again; None for a reason without a mend."""
    text, _, mend = reason.partition(_MEND)
    return text, mend or None


class Runtime(abc.ABC):
    """A way to run a command sealed. ``rank`` orders engines, smaller first."""

    name: ClassVar[str]
    rank: ClassVar[int] = 50
    passed_over: Mapping[str, str] = MappingProxyType({})
    """Engines that stand before this one and were found not to work, and why (``choose``)."""
    guises: frozenset[str] = frozenset()
    """Which fields of a Guise this engine can change; a request for another is refused."""
    by_name_only: ClassVar[str | None] = None
    """Why this engine is used only when it is asked for; None when it may be chosen."""
    joins: ClassVar[bool] = False
    """Whether ``join`` works at all."""
    adds: ClassVar[frozenset[str]] = frozenset()
    """Variables that it sets besides the recorded ones and PWD, where they are not recorded."""
    measures_all: ClassVar[bool] = True
    """Whether the memory used is known of every run, however short."""
    writes_root: ClassVar[bool] = True
    """Whether a run may make new entries in ``/`` itself."""
    any_bytes: ClassVar[bool] = False
    """Whether words need not be UTF-8; an engine that cannot carry such a word refuses it."""

    def usable(self) -> str | None:
        """None when this engine works here, else the reason with its mend; tried by doing."""
        try:
            return self._usable()
        except ReproError as error:
            return with_mend(error.message, error.hint)
        except Exception as error:
            return _words(error)

    def identity(self) -> str | None:
        """What was tried by ``usable``: program, version, file. None when it must be tried anew."""
        try:
            return self._identity()
        except Exception:
            # Why, ``usable`` says.
            return None

    def _identity(self) -> str | None:
        return None

    def seal(self, network: str = "none", limits: Limits = NO_LIMITS) -> Seal:
        """What a run enforces, by which mechanism, and what it does not.

        Raises RuntimeUnavailable when the engine is not here.
        """
        try:
            made = self._seal(network, limits)
            silent = PROPERTIES - made.enforced.keys() - made.not_enforced.keys()
            return replace(
                made,
                not_enforced={**made.not_enforced, **dict.fromkeys(silent, _SILENT)},
                passed_over=dict(self.passed_over),
            )
        except ReproError:
            raise
        except Exception as error:
            raise self._stray(error) from error

    def run(self, request: SandboxRequest) -> SandboxResult:
        """Run to the end; no process of it is left afterwards.

        Raises RuntimeUnavailable when the sandbox cannot be set up, RerunFailed when the
        command cannot be started inside it or could steer the engine.
        """
        check_request(request)
        if request.guise.asked - self.guises:
            raise RuntimeUnavailable(
                f"{self.name} cannot change {', '.join(sorted(request.guise.asked - self.guises))}",
                hint="`repro doctor` says which engines work here",
            )
        try:
            return self._run(request)
        except ReproError:
            raise
        except Exception as error:
            raise self._stray(error) from error

    def join(self, request: JoinRequest) -> SandboxResult:
        """Run one command more in a running sandbox of this engine, to its end.

        It sees the same files, processes and network as those inside, with no more rights;
        what it leaves running ends with the sandbox. Raises RuntimeUnavailable when the
        sandbox is gone or cannot be joined, RerunFailed when the command cannot be started.
        """
        check_command(request)
        try:
            return self._join(request)
        except ReproError:
            raise
        except Exception as error:
            raise self._stray(error) from error

    def _join(self, request: JoinRequest) -> SandboxResult:
        raise RuntimeUnavailable(
            f"{self.name} cannot run a second command in a running sandbox",
            hint="stop it first: the command then gets a sandbox of its own over the same layer",
        )

    def _stray(self, error: Exception) -> RuntimeUnavailable:
        return RuntimeUnavailable(
            f"{self.name} could not run: {_words(error)}",
            hint="`repro doctor` says what this machine lacks",
        )

    @abc.abstractmethod
    def _usable(self) -> str | None: ...

    @abc.abstractmethod
    def _seal(self, network: str, limits: Limits) -> Seal: ...

    @abc.abstractmethod
    def _run(self, request: SandboxRequest) -> SandboxResult: ...


def _words(error: Exception) -> str:
    said = str(error)
    if isinstance(error, OSError) and error.strerror:
        said = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return printable(said or type(error).__name__)
