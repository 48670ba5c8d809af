"""From a verification to the document ``repro.verify/1`` and its reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro import __version__
from repro.errors import ReproError
from repro.model.outcome import Outcome
from repro.model.ports import OutputFile
from repro.primitives.events import Event, EventKind, Observer, silent
from repro.primitives.files import atomic_write
from repro.primitives.frozen import frozen
from repro.workflows.copies import dropped_when_damaged
from repro.workflows.opened import Opened
from repro.workflows.places import cache_root
from repro.workflows.verify_request import VerifyRequest

if TYPE_CHECKING:
    from repro.workflows.verify import Verification

_MAX_FIGURE = 8 << 20


@frozen
class Reports:
    """Which reports to write, each into its file. ``now`` is ISO 8601 in UTC, the time of the
    check; ``codechecker`` the name of who checks."""

    html: Path | None = None
    junit: Path | None = None
    markdown: Path | None = None
    codecheck: Path | None = None
    badge: Path | None = None
    codechecker: str | None = None
    now: str = ""

    @property
    def files(self) -> Mapping[str, Path]:
        """The files to be written, by kind."""
        kinds = {"report": self.html, "junit": self.junit, "markdown": self.markdown,
                 "codecheck": self.codecheck, "badge": self.badge}  # fmt: skip
        return {kind: path for kind, path in kinds.items() if path is not None}


def verify_and_report(
    request: VerifyRequest, reports: Reports, observer: Observer = silent
) -> tuple[dict[str, Any], bool]:
    """Verify, write the reports asked for; the document and whether it reproduced.

    When the verification itself fails the JUnit file says so, so that CI does not read an
    older one; the error goes on.
    """
    try:
        ours = dropped_when_damaged(request.archive, cache_root(request.environ))
        with ours, _opened(request, observer) as opened:
            # Loaded while the digests are being checked (docs/decisions/0005).
            from repro.workflows.verify import Verifier

            with Verifier(request, opened, observer) as found:
                document = document_of(found)
                for path, text in _reports(found, document, reports, observer):
                    with atomic_write(path) as stream:
                        stream.write(text.encode("utf-8", "backslashreplace"))
                return document, found.verdict.reproduced
    except ReproError as error:
        if reports.junit is not None:
            from repro.report.junit import junit_error

            with atomic_write(reports.junit) as stream:
                stream.write(junit_error(request.archive.name, error).encode("utf-8"))
        raise


def _opened(request: VerifyRequest, observer: Observer) -> Opened:
    root = cache_root(request.environ)
    return request.opening(request.archive, request.tag, request.machine, root, observer)


def _reports(
    found: Verification, document: dict[str, Any], reports: Reports, observer: Observer
) -> Iterator[tuple[Path, str]]:
    # Each is loaded only where it is asked for.
    if reports.html is not None:
        from repro.report.html import verify_page

        yield reports.html, verify_page(document, figures=_figures(found))
    if reports.junit is not None:
        from repro.report.junit import junit_xml

        yield reports.junit, junit_xml(document)
    if reports.markdown is not None:
        from repro.report.markdown import review_form

        yield reports.markdown, review_form(document)
    if reports.badge is not None:
        from repro.report.badge import badge_svg

        yield reports.badge, badge_svg(document)
    if reports.codecheck is not None:
        yield reports.codecheck, _certificate(found, document, reports, observer)


def _certificate(
    found: Verification, document: dict[str, Any], reports: Reports, observer: Observer
) -> str:
    from repro.report.codecheck import certificate
    from repro.workflows.codecheck import earlier_certificate

    earlier = earlier_certificate(found.path, found.layers, found.recording.claims.root)
    if earlier.problem is not None:
        observer(Event(kind=EventKind.WARNING, phase="codecheck", text=earlier.problem))
    return certificate(
        document,
        now=reports.now,
        codechecker=reports.codechecker,
        earlier=earlier.fields,
        source=earlier.source,
    )


def document_of(found: Verification) -> dict[str, Any]:
    """The document ``repro.verify/1`` of a verification."""
    # Loaded after the rerun, like the judge.
    from repro.model.stability import recorded_probe
    from repro.report.jsondoc import verify_document

    circumstances = found.recording.circumstances
    return verify_document(
        verdict=found.verdict,
        archive={
            "digest": found.digest,
            "name": found.name,
            "tag": found.tag,
            "path": str(found.path),
            "title": found.recording.claims.title,
            "created": circumstances.get("created"),
            "signatures": [],
            "claims": str(found.recording.claims_digest),
            "packages": len(found.lock.get("packages", [])),
            "git": circumstances.get("git"),
        },
        seal=found.seal,
        run={
            "exit": found.rerun.exit,
            **found.rerun.usage.to_json(),
            **{f"author_{name}": value for name, value in found.expected.usage.to_json().items()},
            "log_tail": list(found.rerun.tail),
            "steps": [list(step.argv) for step in found.selection.claims.steps],
        },
        environment=environments(found),
        hints=hints(found),
        probe=recorded_probe(circumstances),
        pinned=None if found.pinned is None else found.pinned.to_json(),
        not_checked=not_checked(found),
        partial=found.selection.to_json(),
        tool_version=__version__,
    )


def environments(found: Verification) -> dict[str, dict[str, Any]]:
    """The facts of both machines; BLAS kernels where an output drifted."""
    host = found.recording.circumstances.get("host", {})
    author, reviewer = dict(host), dict(found.host)
    if found.blas:
        from repro.workflows.numerics import Blas

        there = Blas.recorded(found.recording.circumstances)
        author["blas"], reviewer["blas"] = ([b.text for b in s] for s in (there, found.blas))
    return {"author": author, "reviewer": reviewer}


def _drift_hints(found: Verification) -> list[dict[str, str]]:
    """What pinning showed, and what it would be asked about."""
    if found.pinned is not None and found.pinned.vanished:
        paths = ", ".join(found.pinned.vanished[:5])
        return [
            {"code": "cpu", "text": f"the processor: {paths} gave the recorded bytes in a second "
             f"rerun with {found.pinned.settings()}; the verdict is of the first"}
        ]  # fmt: skip
    sides = environments(found)
    old, new = (sides[side].get("blas") for side in ("author", "reviewer"))
    if found.pinned is None and old and new and old != new:
        return [
            {"code": "other-blas", "text": f"the BLAS kernel: {' '.join(old)} there, "
             f"{' '.join(new)} here (--pin-cpu reruns with theirs)"}
        ]  # fmt: skip
    return []


def hints(found: Verification) -> list[dict[str, str]]:
    """What may explain a mismatch; the reports word each as a guess ("perhaps")."""
    from repro.compare.causes import place_causes

    verdict = found.verdict.outcome
    listed = _drift_hints(found)
    if verdict.rank <= Outcome.CLOSE.rank:
        return listed
    listed = [*place_causes(found.verdict, found.recording.circumstances), *listed]
    if found.selection.left_out:
        steps = ", ".join(found.selection.left_out)
        listed.append(
            {"code": "steps-left-out", "text": f"steps did not run (--only): {steps}; an output "
             "may rest on one of them, though no `needs` says so"}
        )  # fmt: skip
    self_test = found.recording.circumstances.get("self_test", {})
    outcome = self_test.get("outcome") if isinstance(self_test, dict) else None
    if outcome in ("different", "missing", "undecided"):
        listed.append(
            {
                "code": "unstable",
                "text": "random numbers without a seed, the clock or the order of threads: "
                "these results already differed in the author's own self-test",
            }
        )
    author = found.recording.circumstances.get("host", {})
    for key, what in (("cpu", "processor"), ("kernel", "kernel")):
        old, new = author.get(key), found.host.get(key)
        if old and new and old != new:
            listed.append({"code": f"other-{key}", "text": f"the {what}: {old} there, {new} here"})
    return listed


def not_checked(found: Verification) -> list[str]:
    """The limits of this verification in sentences."""
    circumstances = found.recording.circumstances
    listed = list(found.selection.limits())
    listed += [str(text) for text in circumstances.get("not_observed", [])]
    listed += [f"{name}: {why}" for name, why in sorted(found.seal.not_enforced.items())]
    listed.append("signature: the archive is not signed")
    self_test = circumstances.get("self_test", {})
    if isinstance(self_test, dict) and self_test.get("outcome") == "skipped":
        listed.append("the author skipped the self-test (--no-self-test)")
    return listed


def _figures(found: Verification) -> Mapping[str, tuple[bytes | None, bytes | None]]:
    """Both sides of every output that is small enough to be shown."""
    shown: dict[str, tuple[bytes | None, bytes | None]] = {}
    for output in found.verdict.outputs:
        sides = (found.recorded.get(output.path), found.rerun.produced.get(output.path))
        shown[output.path] = (_bytes(sides[0]), _bytes(sides[1]))
    return shown


def _bytes(output: OutputFile | None) -> bytes | None:
    if output is None or output.size > _MAX_FIGURE:
        return None
    try:
        with output.open() as stream:
            return stream.read(_MAX_FIGURE)
    except OSError:
        # A run can leave files without permissions: the judge has said so already.
        return None
