"""What commands take from the machine: clock, environment, architecture."""

from __future__ import annotations

import datetime
import json
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from repro.cli.render import colour_out, unicode_out
from repro.errors import UsageError
from repro.primitives.canonical import source_date_epoch

if TYPE_CHECKING:
    from repro.project.identity import Person


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
    return os.uname().machine


def person() -> Person:
    """Who types this, as the machine knows them."""
    import pwd

    from repro.project.identity import Person

    environ = dict(os.environ)
    try:
        account = pwd.getpwuid(os.getuid())
        user, home, name = account.pw_name, account.pw_dir, account.pw_gecos.split(",")[0]
    except KeyError:
        user, home, name = "", "", ""
    user = environ.get("USER") or environ.get("LOGNAME") or user
    home = environ.get("HOME") or home
    homes = dict.fromkeys((home, os.path.realpath(home)) if home.startswith("/") else ())
    return Person(user=user, host=os.uname().nodename, homes=tuple(homes), name=name)


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
