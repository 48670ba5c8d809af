"""crun, the OCI runtime below podman, started directly on our own layers (crun(1))."""

from __future__ import annotations

from repro.runtime.oci import BundleRuntime


class Crun(BundleRuntime):
    """Works for root and, where user namespaces are allowed, for everybody."""

    name = "crun"
    rank = 20
    package = "crun"
    # Its cgroups are ours to make: the limits hold the command alone, not the engine.
    options = ("--cgroup-manager=disabled",)
