"""How a command ends: errors become a message and an exit code.

Typer ends with status 1 on an uncaught exception, which would read as "results differ";
so everything that leaves a command is caught here. Typer itself is not needed for it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from repro import __version__
from repro.cli.render import json_wanted, settle
from repro.errors import EXIT_INTERNAL, EXIT_INTERRUPTED, Interrupted, ReproError, StorageError
from repro.primitives.texts import printable


def ended(call: Callable[[], object]) -> NoReturn:
    """Make ``call`` and exit with a documented status: 0 when it comes back."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, _interrupt)
    sys.unraisablehook = _again
    try:
        try:
            call()
        finally:
            settle()
    except SystemExit as ending:
        _flush()
        raise SystemExit(ending.code) from None
    except ReproError as error:
        _report(error)
        raise SystemExit(error.exit_code) from None
    except (Interrupted, KeyboardInterrupt) as ending:
        print(f"error[{Interrupted.slug}]: {ending}", file=sys.stderr)
        raise SystemExit(EXIT_INTERRUPTED) from None
    except BrokenPipeError:
        # The reader of our output went away (`| head`): not an error of ours.
        _drop_output()
        raise SystemExit(141) from None
    except OSError as error:
        _report(_storage(error))
        raise SystemExit(StorageError.exit_code) from None
    except Exception:
        _bug()
        raise SystemExit(EXIT_INTERNAL) from None
    raise SystemExit(0)


def _interrupt(number: int, frame: object) -> NoReturn:
    """Ctrl-C and friends unwind like an error: everything cleans up after itself."""
    name = "a signal" if number == signal.SIGALRM else signal.Signals(number).name
    raise Interrupted(f"ended by {name}; nothing was left half-written")


def _again(lost: sys.UnraisableHookArgs) -> None:
    """An interruption that came while Python ran a callback of its own (a weak reference's, as
    at every import) is dropped there: the alarm clock brings it once more, outside."""
    if isinstance(lost.exc_value, Interrupted):
        signal.setitimer(signal.ITIMER_REAL, 0.01)
    else:
        sys.__unraisablehook__(lost)


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()


def _drop_output() -> None:
    """What Python still holds for a stdout that nobody reads goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _storage(error: OSError) -> StorageError:
    """A system error that no room translated: say it plainly with the file it is about."""
    name = printable(str(error.filename)) if error.filename is not None else "the disk"
    return StorageError(
        f"{name}: {error.strerror or error}",
        hint="free some space, or set REPRO_CACHE and TMPDIR to another disk"
        if error.errno in (28, 122)
        else None,
    )


def _report(error: ReproError) -> None:
    if json_wanted(sys.argv):
        print(json.dumps({"error": error.to_json()}, ensure_ascii=True))
    print(f"error[{error.slug}]: {error.message}", file=sys.stderr)
    for line in error.details:
        print(f"  {printable(line, 400)}", file=sys.stderr)
    if error.hint:
        print(f"  hint: {error.hint}", file=sys.stderr)


def _bug() -> None:
    import tempfile
    import traceback

    fd, path = tempfile.mkstemp(prefix="repro-bug-", suffix=".log")
    with os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(f"repro {__version__}, Python {sys.version}\n{sys.argv!r}\n")
        stream.write(traceback.format_exc())
    print("error[internal]: this is a bug of repro, not of your analysis", file=sys.stderr)
    print(f"  {traceback.format_exc().splitlines()[-1][:300]}", file=sys.stderr)
    print(f"  hint: please report it with {path}", file=sys.stderr)
