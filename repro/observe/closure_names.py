"""What a package is called as the origin of a file, and as a group of files."""

from __future__ import annotations

from repro.model.observation import PackageRef

_KINDS = {"apt": "deb", "pip": "pypi", "r": "cran"}


def package_origin(package: PackageRef) -> str:
    """``deb:sed``, ``pypi:numpy``: what `repro inspect --file` says."""
    return f"{_KINDS.get(package.source, package.source)}:{package.name}"


def package_group(package: PackageRef) -> str:
    """Name and version."""
    return f"{package.name} {package.version}"
