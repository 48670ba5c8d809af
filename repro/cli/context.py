"""What commands take from the machine: clock, environment, architecture."""

from __future__ import annotations

import datetime
import json
import os
import platform
import sys
from collections.abc import Mapping

from repro.cli.render import colour_out, unicode_out
from repro.errors import UsageError
from repro.primitives.canonical import source_date_epoch


def environ() -> Mapping[str, str]:
    """The environment of this process, read once per command."""
    return dict(os.environ)


def created() -> str:
    """Now, as ISO 8601 in UTC; SOURCE_DATE_EPOCH does not change it (it is a circumstance)."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def clamp() -> int:
    """The time of everything inside an archive."""
    return source_date_epoch(os.environ)


def machine() -> str:
    """The architecture as ``uname -m`` has it."""
    return platform.machine()


def network(text: str) -> str:
    """What ``--network`` was given. Raises UsageError for anything but none and host."""
    if text not in ("none", "host"):
        raise UsageError("--network takes none or host")
    return text


def print_verdict(document: Mapping[str, object]) -> None:
    """A verdict's lines on stdout, with the marks and colours that it can show."""
    from repro.report.text import verdict_lines

    out = sys.stdout
    print(verdict_lines(document, colour=colour_out(out), ascii_only=not unicode_out(out)))


def print_json(document: Mapping[str, object]) -> None:
    """One JSON document on stdout."""
    json.dump(document, sys.stdout, ensure_ascii=True, indent=1)
    sys.stdout.write("\n")
