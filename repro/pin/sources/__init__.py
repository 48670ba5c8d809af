"""Package sources, one file each.

Lives here: subclasses of repro.pin.base.PackageSource, found by repro.pin.locker.
May import: repro.pin.base, repro.model, repro.primitives, repro.errors.
Never: one source knows another.
"""
