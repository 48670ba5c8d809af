"""runc, the OCI runtime below docker, started directly on our own layers (runc(8))."""

from __future__ import annotations

import os

from repro.runtime.base import with_mend
from repro.runtime.oci import BundleRuntime


class Runc(BundleRuntime):
    """For root alone: it sets up as a root inside, who must be another than the user inside.

    With one user to give, as everybody but root has, the analysis itself would have to be
    root inside, which is not what was recorded.
    """

    name = "runc"
    rank = 30
    package = "runc"
    # Not what it says: that it must do without cgroups, which are ours to make.
    options = ("--rootless=true",)
    with_root = True
    keeps_cgroups = True

    def _usable(self) -> str | None:
        if os.geteuid() != 0:
            self._program()
            return with_mend("runc needs root's rights", "apt install crun, which needs none")
        return super()._usable()
