"""What the closure may ask of package sources, for each scope of a snapshot."""

from __future__ import annotations

from collections.abc import Sequence

from repro.errors import ProjectError
from repro.model.observation import Observation
from repro.model.ports import PackageIndex
from repro.model.scope import Scope
from repro.pin.declared import declared_only


def offered(
    scope: Scope, observation: Observation, indexes: Sequence[PackageIndex]
) -> Sequence[PackageIndex]:
    """The sources as they are, or (minimal) without what packages merely hold.

    Raises ProjectError for a minimal image of a run whose reads were not observed.
    """
    if scope is not Scope.MINIMAL:
        return indexes
    if observation.tracer == "none":
        raise ProjectError(
            "--minimal packs what the run read, and reads were not observed",
            hint="leave --minimal out; `repro doctor` says what keeps a tracer from working",
            slug="not-observed",
        )
    return declared_only(indexes)
