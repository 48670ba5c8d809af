"""Engines, one file each.

Lives here: subclasses of repro.runtime.base.Runtime, found by repro.runtime.choose.
May import: repro.runtime, repro.model, repro.primitives, repro.errors.
Never: one engine knows another.
"""
