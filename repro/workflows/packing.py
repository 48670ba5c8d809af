"""From a closure to a written archive: layers, self-test, documents, one file."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import zstandard

from repro import __version__
from repro.compare.judge import judge
from repro.errors import ReproError, RerunFailed, UsageError
from repro.image.build import BuiltLayer, build_results_layer
from repro.image.plan import PlannedLayer
from repro.image.reuse import Reuse
from repro.model.lock import Lock
from repro.model.observation import Closure, Observation
from repro.model.oci import (
    CIRCUMSTANCES,
    CLAIMS,
    LOCK,
    RECORDING,
    SBOM,
    TOC,
    ImageConfig,
    oci_architecture,
)
from repro.model.outcome import Outcome
from repro.model.ports import OutputFile
from repro.model.recording import Claims
from repro.model.remote_input import RemoteSource
from repro.model.stability import Probe
from repro.model.verdict import Verdict
from repro.observe.host import host_facts
from repro.primitives.canonical import dump
from repro.primitives.digest import Digest
from repro.primitives.events import Event, EventKind, Observer, done
from repro.primitives.frozen import frozen, replace
from repro.primitives.texts import printable
from repro.project.audit_paths import Here
from repro.report.sbom import sbom
from repro.runtime.choose import choose
from repro.store.archive import Archive
from repro.store.blobs import Blobs
from repro.store.cache import Cache
from repro.store.versions import Artifact, Version
from repro.workflows.downloads import HINT as DOWNLOAD_HINT
from repro.workflows.downloads import hidden_downloads, read_log
from repro.workflows.examining import Examination, Examined, examine
from repro.workflows.guarding import Guard
from repro.workflows.layering import Settings, pack_layers
from repro.workflows.places import cache_root, proofs, runs_root, scratch
from repro.workflows.probe_proposals import places_text
from repro.workflows.rerun import Rerun, Terms, rerun
from repro.workflows.rewriting import add_version
from repro.workflows.sealing import (
    circumstances,
    image_config,
    readme_text,
    seconds_text,
)
from repro.workflows.verify import rerun_failed


@frozen
class PackRequest:
    """Everything a snapshot found out before it packs.

    ``output`` is the archive to write; ``tag`` its version; with ``add`` the versions that
    the file holds are kept. ``created`` is ISO 8601 text, ``clamp`` seconds. ``facts`` are
    further fields of the circumstances; ``examination`` is what to find out after the self-test.
    """

    environ: Mapping[str, str]
    machine: str
    created: str
    clamp: int
    level: int
    output: Path
    tag: str
    add: bool
    self_test: bool
    strict: bool
    keep: bool
    engine: str | None
    claims: Claims
    files: Mapping[str, OutputFile]
    observation: Observation
    closure: Closure
    plan: Sequence[PlannedLayer]
    lock: Lock
    git: Mapping[str, Any] | None
    remote: tuple[RemoteSource, ...]
    warnings: tuple[str, ...]
    altered: tuple[str, ...]
    in_place: tuple[str, ...]
    guard: Guard
    facts: Mapping[str, Any]
    examination: Examination
    paranoid: bool
    message: str | None


@frozen
class Packed:
    """A written archive: identity, tag, size of the file in bytes, layers, and the self-test."""

    digest: Digest
    tag: str
    size: int
    layers: tuple[BuiltLayer, ...]
    self_test: Mapping[str, Any]
    verdict: Verdict | None
    probe: Probe | None = None


def pack(request: PackRequest, observer: Observer) -> Packed:
    """Build the layers, rerun them sealed once, write the archive in one step.

    Raises RerunFailed when the self-test fails (no archive is left, unless ``keep``), and
    what the rooms raise; a file that stood at ``output`` is untouched then.
    """
    with scratch(cache_root(request.environ) / "staging", "pack") as folder:
        built = _layers(request, folder, observer)
        claims_bytes = dump(request.claims.to_json())
        config = image_config(
            request.claims,
            Digest.of(claims_bytes),
            [each.layer for each in built],
            [f"repro: {planned.name}" for planned in request.plan],
            oci_architecture(request.machine),
        )
        blobs = Blobs(folder)
        try:
            self_test, verdict, examined = _self_test(request, built, blobs, observer)
        except ReproError as error:
            if request.keep and isinstance(error, RerunFailed):
                failed = request.output.with_name(request.output.name + ".failed")
                test = {"outcome": "failed", "message": error.message}
                _write(request, failed, built, blobs, config, claims_bytes, test, observer)
            raise
        started = time.monotonic()
        request = replace(request, facts={**request.facts, **examined.facts})
        tag = _write(
            request, request.output, built, blobs, config, claims_bytes, self_test, observer
        )
        observer(done("write", printable(request.output.name), time.monotonic() - started))
    return Packed(
        digest=Digest.of(config.to_bytes()),
        tag=tag,
        size=request.output.stat().st_size,
        layers=tuple(built),
        self_test=self_test,
        verdict=verdict,
        probe=examined.probe,
    )


def _layers(request: PackRequest, folder: Path, observer: Observer) -> list[BuiltLayer]:
    kept = Reuse(cache_root(request.environ) / "packed", zstandard.__version__)
    settings = Settings(
        clamp=request.clamp, level=request.level, reuse=None if request.paranoid else kept
    )
    return pack_layers(request.plan, folder, settings, observer)


def _self_test(
    request: PackRequest, built: Sequence[BuiltLayer], blobs: Blobs, observer: Observer
) -> tuple[dict[str, Any], Verdict | None, Examined]:
    """The sealed rerun of what was just packed, judged against the recording, and examined."""
    if not request.self_test:
        text = "skipped (--no-self-test): whether this archive reruns is not known"
        observer(Event(kind=EventKind.WARNING, phase="self-test", text=text))
        return {"outcome": "skipped"}, None, Examined(facts={})
    root = cache_root(request.environ)
    sandbox = choose(request.engine, proofs(request.environ))
    started = time.monotonic()
    with scratch(runs_root(request.environ), "self-test") as folder, Cache(root) as cache:
        layers = cache.layers(blobs, [each.layer for each in built], observer)
        outcome: Rerun | None = None
        try:
            outcome = rerun(
                sandbox, [str(layer) for layer in layers], request.claims, folder, Terms(),
                observer=observer,
            )  # fmt: skip
            if outcome.exit != 0:
                raise rerun_failed(outcome)
        except RerunFailed as error:
            raise _explained(error, request, folder, outcome) from None
        verdict = judge(
            request.files,
            outcome.produced,
            rules={o.path: (o.required, o.compare) for o in request.claims.outputs},
            required=Outcome.CLOSE,
            declared=request.claims.declared,
        )
        if not verdict.reproduced:
            for line in hidden_downloads(
                request.observation, read_log(folder / "log"), _here(request), None
            ):
                text = f"asked for by network while recording, not in the sealed rerun: {line}"
                observer(
                    Event(kind=EventKind.WARNING, phase="self-test", code="network", text=text)
                )
        test = _tested(request, verdict, outcome, started, observer)
        own = [each.layer.kind in ("code", "data") for each in built]
        examined = examine(
            request.examination,
            sandbox=sandbox,
            layers=[str(layer) for layer in layers],
            own=[str(layer) for layer, is_own in zip(layers, own, strict=True) if is_own],
            claims=request.claims,
            observation=request.observation,
            outcome=outcome,
            runs=runs_root(request.environ),
            libc=str(host_facts(environ=request.environ)["libc"]),
            observer=observer,
        )
    return {**test, "engine": sandbox.name}, verdict, examined


def _tested(
    request: PackRequest, verdict: Verdict, outcome: Rerun, started: float, observer: Observer
) -> dict[str, Any]:
    good = [output for output in verdict.outputs if output.outcome.meets(Outcome.CLOSE)]
    text = f"sealed rerun · {len(good)} of {len(verdict.outputs)} outputs reproduce"
    observer(done("self-test", text, time.monotonic() - started))
    classes, places = {}, {}
    for output in verdict.outputs:
        classes[output.path] = output.outcome.value
        if not output.outcome.meets(Outcome.CLOSE):
            said = printable(output.comparison.summary or output.outcome.value)
            spots = request.examination.sources.suspects(output.path)
            places[output.path] = [spot.to_json() for spot in spots]
            text = f"{printable(output.path)} {output.outcome.value}: {said}{places_text(spots)}"
            observer(Event(kind=EventKind.WARNING, phase="self-test", code="unstable", text=text))
    if request.strict and not verdict.reproduced:
        raise _Unstable(
            f"the self-test's results are {verdict.outcome.value}, and --strict was asked for",
            hint="set seeds, fix the clock (SOURCE_DATE_EPOCH), or declare a tolerance",
            slug="unstable",
        )
    return {
        "outcome": verdict.outcome.value,
        "outputs": classes,
        "places": places,
        "seconds": seconds_text(outcome.seconds),
    }


class _Unstable(ReproError):
    """The self-test ran and its results differ (exit 1, the meaning of that status)."""

    slug = "unstable"
    exit_code = 1


def _here(request: PackRequest) -> Here:
    home = request.claims.environment.get("HOME", "/nonexistent")
    return Here(root=request.claims.root, home=home, exists=os.path.exists)


def _explained(
    error: RerunFailed, request: PackRequest, folder: Path, outcome: Rerun | None
) -> RerunFailed:
    """The self-test's failure with what the recording knows: who asked for the network, where."""
    notebook = None
    if outcome is not None:
        notebook = request.claims.steps[len(outcome.steps) - 1].notebook
    log = read_log(folder / "log")
    wanted = hidden_downloads(request.observation, log, _here(request), notebook)
    details = [*error.details]
    hint = "the run needs something that was not packed: see the last lines above"
    if wanted:
        details.append("asked for by network, which a sealed rerun has not:")
        details += [f"  {line}" for line in wanted]
        hint = DOWNLOAD_HINT
    message = error.message.replace("the sealed rerun failed", "the self-test failed")
    return RerunFailed(
        message,
        hint=hint + "; no archive was written (--keep leaves it as NAME.repro.failed)",
        details=details,
        slug="self-test",
    )


def _write(
    request: PackRequest,
    path: Path,
    built: Sequence[BuiltLayer],
    blobs: Blobs,
    config: ImageConfig,
    claims_bytes: bytes,
    self_test: Mapping[str, Any],
    observer: Observer,
) -> str:
    """The documents around the layers, and the file itself; the tag of the new version."""
    observation = request.observation
    facts = circumstances(
        observation=observation,
        closure=request.closure,
        host=host_facts(environ=request.environ),
        created=request.created,
        version=__version__,
        git=request.git,
        altered=request.altered,
        in_place=request.in_place,
        warnings=request.warnings,
        self_test=self_test,
    )
    facts["remote_inputs"] = [source.to_json() for source in request.remote]
    facts["message"] = request.message
    facts["secrets"] = request.guard.to_json()
    facts |= request.facts
    folder = Path(os.fspath(built[0].path)).parent
    results = build_results_layer(request.files, folder, clamp=request.clamp)
    recording = Artifact(
        artifact_type=RECORDING,
        blobs=(
            blobs.describe(claims_bytes, CLAIMS),
            blobs.describe(dump(facts), CIRCUMSTANCES),
            results.layer.descriptor,
        ),
    )
    lock = Artifact(artifact_type=LOCK, blobs=(blobs.describe(dump(request.lock.to_json()), LOCK),))
    bill = sbom(
        request.lock,
        name=request.claims.name,
        architecture=config.architecture,
        clamp=request.clamp,
        version=__version__,
    )
    materials = Artifact(artifact_type=SBOM, blobs=(blobs.describe(dump(bill), SBOM),))
    toc = Artifact(artifact_type=TOC, blobs=tuple(each.toc for each in built))
    version = Version(
        tag=request.tag,
        config=config.to_bytes(),
        layers=tuple(each.layer for each in built),
        artifacts=(recording, lock, materials, toc),
    )
    readme = readme_text(request.claims.name, Digest.of(config.to_bytes()), request.claims)
    return add_version(
        path,
        version,
        name=request.claims.name,
        blobs=blobs,
        readme=readme,
        clamp=request.clamp,
        replace_all=not request.add,
        observer=observer,
    )


def check_name(request_tag: str, output: Path, add: bool) -> None:
    """Raises UsageError when a version cannot be added to what lies at ``output``."""
    if not add or not output.exists():
        return
    if not output.is_file():
        raise UsageError(f"{printable(str(output))} is not a file")
    with Archive.open(output) as archive:
        if request_tag in {version.tag for version in archive.versions}:
            raise UsageError(
                f"{printable(output.name)} has a version {printable(request_tag, 60)} already",
                hint="choose another --tag",
            )
