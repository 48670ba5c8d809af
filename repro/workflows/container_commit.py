"""``repro container commit``: a container's layer on top of its image, as a new version.

What the steps are and what they must give stays as it was recorded: nobody recorded a run of
the new image. So recorded outputs as they lie in the container are left out, and a sealed
rerun of the new image says whether the old results still come out of it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from repro import __version__
from repro.compare.judge import judge
from repro.container.changes import Change, Kind
from repro.container.processes import boot_id
from repro.errors import ProjectError, UsageError
from repro.image.build import BuiltLayer, build_layer
from repro.image.plan import PlannedLayer, plain_files
from repro.model.entry import EntryType, FileEntry, LayerKind
from repro.model.lock import Lock
from repro.model.oci import CIRCUMSTANCES, LOCK, RECORDING, SBOM, TOC
from repro.model.outcome import Outcome
from repro.model.recording import Claims
from repro.model.system import etc_files
from repro.primitives.canonical import dump
from repro.primitives.digest import Digest
from repro.primitives.events import Event, EventKind, Observer, Tally, done, silent
from repro.primitives.frozen import frozen, replace
from repro.primitives.texts import printable
from repro.report.sbom import sbom
from repro.runtime.choose import choose
from repro.store.blobs import Blobs
from repro.store.cache import Cache
from repro.store.versions import Artifact, Version
from repro.workflows.container_pins import with_layer
from repro.workflows.containers import Opened, changes_of, opened, shelf
from repro.workflows.guarding import Guard, refuse_secrets
from repro.workflows.names import check_tag
from repro.workflows.packing import check_name
from repro.workflows.places import cache_root, proofs, runs_root, scratch
from repro.workflows.rerun import Terms, rerun
from repro.workflows.rewriting import add_version
from repro.workflows.sealing import readme_text, seconds_text
from repro.workflows.verify import rerun_failed

_NOT_KEPT = ("/tmp", "/var/tmp", "/run", "/proc", "/sys", "/dev")
_MOST = 200
_CARRIED = (
    "the recorded steps and results are those of {tag} ({digest}), recorded before the "
    "container's layer existed; `repro inspect --pins` says what of the layer is in the lock"
)


@frozen
class CommitRequest:
    """``output`` None means the archive that the container was made from."""

    name: str
    tag: str
    output: Path | None
    environ: Mapping[str, str]
    created: str
    clamp: int
    message: str | None = None
    self_test: bool = True
    allow: tuple[str, ...] = ()


@frozen
class Committed:
    """A new version: ``digest`` its identity, ``changes`` how many paths its layer adds,
    changes and deletes, ``left_out`` what of the container is not in it, and why."""

    path: str
    tag: str
    digest: str
    changes: Mapping[str, int]
    left_out: tuple[tuple[str, str], ...]
    self_test: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The document ``repro.commit/1``."""
        return {
            "schema": "repro.commit/1",
            "archive": self.path,
            "tag": self.tag,
            "digest": self.digest,
            "changes": dict(self.changes),
            "left_out": [{"path": path, "reason": why} for path, why in self.left_out],
            "self_test": dict(self.self_test),
        }


def commit(request: CommitRequest, observer: Observer = silent) -> Committed:
    """Write the new version beside those that the output holds.

    Raises UsageError when the container runs, has changed nothing worth keeping or the tag
    is taken; ProjectError (slug ``secret``) on what looks like a credential; RerunFailed
    when the new image does not run: nothing is written then.
    """
    check_tag(request.tag)
    kept, boot = shelf(request.environ), boot_id()
    place = kept.find(request.name)
    hold = kept.hold(place, boot)
    if hold is None:
        raise UsageError(
            f"the container {request.name} is in use",
            hint=f"stop it first: repro container stop {request.name}",
            slug="container-running",
        )
    try:
        with opened(place) as found, scratch(_staging(request), "commit") as folder:
            output = request.output or Path(found.container.archive)
            check_name(request.tag, output, add=True)
            return _commit(request, found, output, folder, observer)
    finally:
        hold.end()


def _staging(request: CommitRequest) -> Path:
    return cache_root(request.environ) / "staging"


def _commit(
    request: CommitRequest, found: Opened, output: Path, folder: Path, observer: Observer
) -> Committed:
    claims = found.recording.claims
    layers = Cache(cache_root(request.environ)).layers(found.archive, found.version, observer)
    kept, left_out = _sort(changes_of(found, layers), claims)
    if not kept:
        raise UsageError(
            f"the container {request.name} has changed nothing that a version could hold",
            hint="`repro container diff` lists what it changed; results and /tmp do not count",
            slug="nothing-to-commit",
        )
    entries = tuple(_entry(change, found.place.upper, claims) for change in kept)
    guard = refuse_secrets(
        entries=entries,
        results={},
        values=[("message", request.message)] if request.message else [],
        documents={},
        root=claims.root,
        allow=request.allow,
        deny=(),
        observer=observer,
    )
    planned = PlannedLayer(kind=LayerKind.CODE, name="container", entries=entries)
    size, files = plain_files(planned)
    told = Tally("pack", size, observer, files=files)
    built = build_layer(planned, folder, clamp=request.clamp, told=told)
    blobs = Blobs(folder, others=[found.archive])
    test = _self_test(request, found, built, blobs, observer)
    counts = {k.value: sum(change.kind is k for change in kept) for k in Kind}
    facts = _circumstances(request, found, counts, left_out, guard, test)
    lock = Lock.parse(found.archive.lock_json(found.version))
    pins = folder / "pins"
    pins.mkdir()
    lock = with_layer(lock, found.place.upper, kept, pins)
    version = _version(request, found, built, blobs, facts, lock)
    digest = Digest.of(version.config)
    tag = add_version(
        output,
        version,
        name=claims.name,
        blobs=blobs,
        readme=readme_text(claims.name, digest, claims),
        clamp=request.clamp,
        replace_all=False,
        observer=observer,
    )
    return Committed(
        path=str(output), tag=tag, digest=str(digest), changes=counts,
        left_out=left_out, self_test=test,
    )  # fmt: skip


def _sort(
    found: Iterable[Change], claims: Claims
) -> tuple[list[Change], tuple[tuple[str, str], ...]]:
    """What goes into the layer; what does not, with the reason."""
    outputs = {f"{claims.root.rstrip('/')}/{output.path}" for output in claims.outputs}
    own = {f"/etc/{name}" for name in etc_files("/")}
    kept: list[Change] = []
    left: list[tuple[str, str]] = []
    for change in found:
        why = _not_kept(change, claims.root, outputs, own)
        if why is None:
            kept.append(change)
        else:
            left.append((change.path, why))
    return kept, tuple(left)


def _not_kept(change: Change, root: str, outputs: set[str], own: set[str]) -> str | None:
    path = change.path
    # A project may itself lie below /tmp.
    project = f"{path}/".startswith(f"{root.rstrip('/')}/")
    if path in outputs:
        return "a recorded result: as it is now nobody recorded it"
    if not project and any(path == folder or path.startswith(folder + "/") for folder in _NOT_KEPT):
        return "temporary"
    if path in own:
        return "repro writes this file itself in every run"
    if any(part.startswith(".wh.") for part in path.split("/")):
        return "container images reserve names that begin with .wh."
    status = change.status
    if status is not None and not (
        stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode) or stat.S_ISLNK(status.st_mode)
    ):
        return "a special file"
    return None


def _entry(change: Change, upper: Path, claims: Claims) -> FileEntry:
    inside = change.path.startswith(claims.root.rstrip("/") + "/")
    path, origin = change.path, "project" if inside else "unowned"
    status = change.status
    if status is None:
        # image-spec, layer.md, "Whiteouts"
        folder, _, name = path.rpartition("/")
        return FileEntry(
            path=f"{folder}/.wh.{name}", type=EntryType.FILE, kind=LayerKind.CODE,
            origin=origin, content=b"",
        )  # fmt: skip
    source = f"{upper}{path}"
    if stat.S_ISDIR(status.st_mode):
        return FileEntry(path=path, type=EntryType.FOLDER, kind=LayerKind.CODE, origin=origin)
    if stat.S_ISLNK(status.st_mode):
        return FileEntry(
            path=path, type=EntryType.SYMLINK, kind=LayerKind.CODE, origin=origin,
            target=_target(source),
        )  # fmt: skip
    return FileEntry(
        path=path,
        type=EntryType.FILE,
        kind=LayerKind.CODE,
        origin=origin,
        source=source,
        mode=0o755 if status.st_mode & 0o111 else 0o644,
        size=status.st_size,
        link_key=(status.st_dev, status.st_ino) if status.st_nlink > 1 else None,
    )


def _target(source: str) -> str:
    try:
        return os.readlink(source)
    except OSError as error:
        raise ProjectError(f"{printable(source)}: {error.strerror}", slug="unreadable") from None


def _self_test(
    request: CommitRequest, found: Opened, built: BuiltLayer, blobs: Blobs, observer: Observer
) -> dict[str, Any]:
    """The sealed rerun of the new image, judged against the results recorded of the old one."""
    if not request.self_test:
        text = "skipped (--no-self-test): whether the new version reruns is not known"
        observer(Event(kind=EventKind.WARNING, phase="self-test", text=text))
        return {"outcome": "skipped"}
    claims, root = found.recording.claims, cache_root(request.environ)
    sandbox = choose(found.container.engine, proofs(request.environ))
    with scratch(runs_root(request.environ), "self-test") as folder:
        layers = Cache(root).layers(blobs, [*found.version.layers, built.layer], observer)
        outcome = rerun(
            sandbox, [str(layer) for layer in layers], claims, folder,
            Terms(limits=found.container.limits), observer=observer,
        )  # fmt: skip
        if outcome.exit != 0:
            error = rerun_failed(outcome)
            error.hint = "nothing was written; --no-self-test writes it all the same, and says so"
            raise error
        verdict = judge(
            found.archive.results(found.version),
            outcome.produced,
            rules={o.path: (o.required, o.compare) for o in claims.outputs},
            required=Outcome.CLOSE,
            declared=claims.declared,
        )
        good = [each for each in verdict.outputs if each.outcome.meets(Outcome.CLOSE)]
        text = f"sealed rerun · {len(good)} of {len(verdict.outputs)} outputs as recorded before"
        if verdict.reproduced:
            observer(done("self-test", text, outcome.seconds))
        else:
            observer(Event(kind=EventKind.WARNING, phase="self-test", text=text, code="differs"))
        return {
            "outcome": verdict.outcome.value,
            "outputs": {each.path: each.outcome.value for each in verdict.outputs},
            "seconds": seconds_text(outcome.seconds),
            "engine": sandbox.name,
        }


def _circumstances(
    request: CommitRequest,
    found: Opened,
    counts: Mapping[str, int],
    left_out: Sequence[tuple[str, str]],
    guard: Guard,
    test: Mapping[str, Any],
) -> dict[str, Any]:
    """Those of the old version, with what is true of the new one."""
    before = dict(found.recording.circumstances)
    warnings = before.get("warnings")
    carried = _CARRIED.format(tag=found.version.tag, digest=found.version.config_digest)
    if counts[Kind.DELETED.value]:
        carried += f"; {counts[Kind.DELETED.value]} paths of the image are deleted"
    return {
        **before,
        "created": request.created,
        "message": request.message,
        "secrets": guard.to_json(),
        "warnings": [*(warnings if isinstance(warnings, list) else ()), carried],
        # Without its outputs: they would be read as instability of the author's own run.
        "self_test": {name: value for name, value in test.items() if name != "outputs"},
        "container": {
            "parent": str(found.version.config_digest),
            "parent_tag": found.version.tag,
            "parent_created": before.get("created"),
            "tool": {"name": "repro", "version": __version__},
            "changes": dict(counts),
            "left_out": [{"path": path, "reason": why} for path, why in left_out[:_MOST]],
            "left_out_count": len(left_out),
            "network": found.container.network,
            "results": "carried over, not recorded of this image",
            "rerun": dict(test.get("outputs", {})),
        },
    }


def _version(
    request: CommitRequest,
    found: Opened,
    built: BuiltLayer,
    blobs: Blobs,
    facts: Mapping[str, Any],
    lock: Lock,
) -> Version:
    old = found.version.config
    config = replace(
        old,
        diff_ids=(*old.diff_ids, built.layer.diff_id),
        history=(*old.history, "repro: container"),
    )
    artifacts = []
    for info in found.version.artifacts:
        kind, parts = info.descriptor.artifact_type or "", info.manifest.layers
        if kind == RECORDING:
            parts = tuple(
                blobs.describe(dump(facts), CIRCUMSTANCES) if p.media_type == CIRCUMSTANCES else p
                for p in parts
            )
        elif kind == TOC:
            parts = (*parts, built.toc)
        elif kind == LOCK:
            parts = (blobs.describe(dump(lock.to_json()), LOCK),)
        elif kind == SBOM:
            bill = sbom(
                lock, name=found.recording.claims.name, architecture=old.architecture,
                clamp=request.clamp, version=__version__,
            )  # fmt: skip
            parts = (blobs.describe(dump(bill), SBOM),)
        else:
            continue  # what was said about the old image, a signature for one, is not of this
        artifacts.append(Artifact(artifact_type=kind, blobs=parts))
    return Version(
        tag=request.tag,
        config=config.to_bytes(),
        layers=(*found.version.layers, built.layer),
        artifacts=tuple(artifacts),
    )
