"""All lists that package managers can install a lock from."""

from __future__ import annotations

from repro.model.lock import Lock
from repro.report.language_lists import node_lists, r_list
from repro.report.locklist import LockList
from repro.report.python_lists import python_lists
from repro.report.system_lists import apt_list, conda_lists


def lock_lists(lock: Lock, identity: str) -> list[LockList]:
    """One file for each manager and environment; the same lock gives the same bytes.

    Names, versions and addresses of the lock are checked: a list of a stranger's archive
    holds no line that it should not.
    """
    return [
        *python_lists(lock, identity),
        *conda_lists(lock),
        *r_list(lock),
        *node_lists(lock),
        *apt_list(lock),
    ]
