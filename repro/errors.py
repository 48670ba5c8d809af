"""The error families: what the command line says and how it exits.

Lives here: every class that carries a slug and an exit code. May import: nothing.
Never: prints, or knows who raises it. One class is one family; a family's members
differ by ``slug``, which is stable and documented.
"""

from __future__ import annotations

from collections.abc import Sequence

EXIT_OK = 0
EXIT_NOT_REPRODUCED = 1
EXIT_USAGE = 2
EXIT_PROJECT = 3
EXIT_ARCHIVE = 4
EXIT_RERUN = 5
EXIT_RUNTIME = 6
EXIT_REMOTE = 7
EXIT_SIGNATURE = 8
EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130


class ReproError(Exception):
    """An expected failure: says what, where, and (``hint``) what mends it.

    ``details`` are further lines, such as the expected and the found digest.
    ``slug`` may narrow the family's own slug (``archive-digest`` for ``archive``).
    """

    slug = "internal"
    exit_code = EXIT_INTERNAL

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        details: Sequence[str] = (),
        slug: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = tuple(details)
        if slug is not None:
            self.slug = slug

    def to_json(self) -> dict[str, object]:
        """The same error for programs: slug, message, hint, details, exit code."""
        return {
            "slug": self.slug,
            "message": self.message,
            "hint": self.hint,
            "details": list(self.details),
            "exit_code": self.exit_code,
        }


class UsageError(ReproError):
    """The command line asks for something that cannot be (exit 2)."""

    slug = "usage"
    exit_code = EXIT_USAGE


class ProjectError(ReproError):
    """The project, its files or its repro.yml are wrong (exit 3)."""

    slug = "project"
    exit_code = EXIT_PROJECT


class PinError(ProjectError):
    """A package source could not tell what is installed (exit 3)."""

    slug = "pin"


class ArchiveError(ReproError):
    """The archive is damaged, hostile or from a newer format (exit 4)."""

    slug = "archive"
    exit_code = EXIT_ARCHIVE


class NotWhole(ReproError):
    """The archive is thin: what is asked for needs bytes that it leaves out (exit 3).

    It is neither damaged nor hostile: `repro fatten` makes it whole.
    """

    slug = "archive-thin"
    exit_code = EXIT_PROJECT


class RunFailed(ReproError):
    """The recorded command itself failed, timed out or ran out of memory (exit 5)."""

    slug = "run-failed"
    exit_code = EXIT_RERUN


class RerunFailed(RunFailed):
    """The sealed rerun failed (exit 5)."""

    slug = "rerun-failed"


class RuntimeUnavailable(ReproError):
    """No usable engine, wrong architecture or a missing kernel feature (exit 6)."""

    slug = "no-engine"
    exit_code = EXIT_RUNTIME


class RemoteError(ReproError):
    """A network service failed (exit 7); ``temporary`` says whether to try again.

    ``wait`` are the seconds after which the service asked to be tried again, if it did.
    """

    slug = "remote"
    exit_code = EXIT_REMOTE
    temporary = False
    wait: float | None = None


class AccessError(RemoteError):
    """A network service does not know who asks, or does not let them (exit 8)."""

    slug = "access"
    exit_code = EXIT_SIGNATURE


class SignatureError(ReproError):
    """Authentication or a signature failed (exit 8)."""

    slug = "signature"
    exit_code = EXIT_SIGNATURE


class StorageError(ReproError):
    """The disk is full, read-only or not ours to write (exit 3).

    It is the person's machine, not the archive and not our bug; nothing of what
    stood before is touched.
    """

    slug = "storage"
    exit_code = EXIT_PROJECT


class Interrupted(BaseException):
    """The person pressed Ctrl-C or the process was asked to end (exit 130).

    Not a ReproError: no room that handles errors may take it for one and go on.
    """

    slug = "interrupted"
    exit_code = EXIT_INTERRUPTED
