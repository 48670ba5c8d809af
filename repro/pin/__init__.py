"""Which installed package a file belongs to, and how each package is pinned.

Lives here: the PackageSource base class, the locker, one source per package manager.
May import: repro.model, repro.primitives, repro.errors.
Never: installs, or runs a package manager. Downloads only what a person asks to compare
(``repro provenance``), unpacks and runs nothing of it.
"""
