"""Sealed execution: one engine per file, and what each enforces.

Lives here: the Runtime base class, the choice, the seccomp filter, machine checks, engines.
May import: repro.model, repro.primitives, repro.errors.
Never: reads an archive, judges a result, or falls back to an unconfined run.
"""
