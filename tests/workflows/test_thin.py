"""Thin archives: made, refused where layers are needed, made whole again."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from repro.cli.fatten import register as register_fatten
from repro.cli.thin import register as register_thin
from repro.cli.verify import register
from repro.errors import ArchiveError, NotWhole, RemoteError, UsageError
from repro.image.build import build_layer
from repro.model.entry import LayerKind
from repro.model.limits import Limits
from repro.store.archive import Archive
from repro.workflows.fatten import RECOMPRESSED, FattenRequest, whole_copy
from repro.workflows.inspect import inspect
from repro.workflows.locks import write_locks
from repro.workflows.thin import ThinRequest, thin
from tests.package_files import Index, deb, serving, sha256, zipped
from tests.thin_lab import BLOB, NAME, SITE, WHEEL, ThinLab, pin
from tests.unit.store.archive_sample import file

DEB = deb({"./usr/lib/libtool.so": BLOB[:200_000]}, name="tool")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[ThinLab]:
    with serving(Index()) as index:
        yield ThinLab(tmp_path, index)


def test_a_thin_archive_becomes_the_same_file_again(lab: ThinLab) -> None:
    lab.make()
    made = lab.make_thin()
    assert made.thin is not None and made.after < made.before - 0.95 * len(BLOB)
    assert [a.filename for a in made.thin.artifacts] == [NAME] and made.kept == {}
    assert all(layer.exact for layer in made.thin.layers)
    whole = lab.make_whole()
    assert whole.same and whole.recompressed == () and whole.digest == made.digest
    assert whole.fetched == len(zipped(WHEEL))
    assert lab.whole.read_bytes() == lab.fat.read_bytes()


def test_in_place_and_with_more_than_one_layer(lab: ThinLab) -> None:
    own = file("/usr/lib/own.so", BLOB[::-1], LayerKind.SYSTEM)
    lab.make(own, changed={f"{SITE}/num/added.py": b"x = 1\n" * 50})
    before = lab.fat.read_bytes()
    made = thin(ThinRequest(archive=lab.fat, output=lab.fat, environ=lab.environ))
    assert made.thin is not None and len(made.thin.layers) == 1  # nothing published in the other
    lab.fat.rename(lab.thin)
    assert lab.make_whole().same and lab.whole.read_bytes() == before


def test_a_patched_file_stays_in_the_rest(lab: ThinLab) -> None:
    patched = BLOB[100_000::-1]
    lab.make(changed={f"{SITE}/num/other.so": patched})
    made = lab.make_thin()
    assert made.thin is not None and len(patched) < made.after < 1.5 * len(patched)
    assert lab.make_whole().same


def test_nothing_published_gives_a_copy(lab: ThinLab) -> None:
    lab.index.files.clear()
    lab.make()
    made = lab.make_thin()
    assert made.thin is None and "no index has a wheel" in made.kept["num 1.0"]
    assert lab.thin.read_bytes() == lab.fat.read_bytes()
    with pytest.raises(UsageError, match="whole already"):
        lab.make_whole()


def test_who_needs_layers_is_sent_to_fatten(lab: ThinLab) -> None:
    lab.make()
    lab.make_thin()
    with pytest.raises(NotWhole, match="thin archive") as caught:
        Archive.open(lab.thin)
    assert caught.value.exit_code == 3 and caught.value.slug == "archive-thin"
    assert "repro fatten" in str(caught.value.hint)
    with Archive.open(lab.thin, thin=True) as archive:
        layer = next(
            each
            for each in archive.version(None).layers
            if each.descriptor.digest in archive.omitted
        )
        with pytest.raises(NotWhole):
            archive.open_blob(layer.descriptor)
        assert "THIN" in archive.readme and "How to read this file" in archive.readme


def test_the_command_line_says_it(lab: ThinLab) -> None:
    lab.make()
    lab.make_thin()
    for words in (["verify"], ["run", "--"], ["export", "--env"]):
        end = ["out"] if words[0] == "export" else ["true"] if words[0] == "run" else []
        done = subprocess.run(
            [sys.executable, "-m", "repro", words[0], str(lab.thin), *words[1:], *end],
            env={**os.environ, **lab.environ, "PATH": os.environ["PATH"]}, cwd=lab.folder,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if words[0] == "export":
            assert done.returncode == 0, done.stderr
            written = {path.name for path in (lab.folder / "out").iterdir()}
            assert written == {"requirements.txt", "lock.json"}
            assert done.stdout.split() == ["out/requirements.txt", "out/lock.json"]
        else:
            assert done.returncode == 3 and "error[archive-thin]" in done.stderr
            assert "repro fatten" in done.stderr


def test_verify_fetches_only_when_told(lab: ThinLab) -> None:
    """The sample cannot be rerun: what counts is that it was whole before that was tried."""
    lab.make()
    lab.make_thin()
    env = {**os.environ, **lab.environ, "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-m", "repro", "verify", "--fetch", str(lab.thin)], env=env,
        cwd=lab.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode not in (0, 1, 3), done.stderr
    (whole,) = (lab.folder / "cache" / "fattened").glob("*.repro")
    assert whole.read_bytes() == lab.fat.read_bytes()


def test_what_needs_no_layers_works(lab: ThinLab) -> None:
    lab.make()
    made = lab.make_thin()
    assert made.thin is not None
    found = inspect(lab.thin, None)["thin"]
    assert found["download"] == len(zipped(WHEEL)) and len(found["layers"]) == 1
    assert found["whole"] == {"sha256": sha256(lab.fat.read_bytes()), "size": made.before}
    assert inspect(lab.fat, None)["thin"] is None
    assert write_locks(lab.thin, None, lab.folder / "locks", force=False)


def test_a_missing_wheel_is_named(lab: ThinLab) -> None:
    lab.make()
    lab.make_thin()
    lab.index.files.clear()
    with pytest.raises(RemoteError) as caught:
        lab.make_whole()
    assert caught.value.slug == "thin-missing" and caught.value.exit_code == 7
    assert NAME in caught.value.details[0] and "--from" in str(caught.value.hint)
    assert not lab.whole.exists()


def test_another_wheel_of_that_name_is_not_taken(lab: ThinLab) -> None:
    lab.make()
    lab.make_thin()
    right = lab.index.hashes[NAME]
    other = zipped({**WHEEL, "num/lib.so": b"evil" * 1000})
    lab.index.add(NAME, other)
    with pytest.raises(RemoteError, match="cannot be had"):
        lab.make_whole()
    lab.index.add(NAME, other, hashed=right)  # the index lies about its hash
    with pytest.raises(RemoteError, match="cannot be had") as caught:
        lab.make_whole()
    assert "hash" in caught.value.details[0]


def test_from_a_folder_and_nobody_asked(lab: ThinLab) -> None:
    lab.make()
    lab.make_thin()
    lab.index.requests.clear()
    store = lab.folder / "store"
    (store / "deep").mkdir(parents=True)
    with pytest.raises(RemoteError, match="1 of 1 files") as caught:
        lab.make_whole(folders=(store,), offline=True)
    assert "--offline" in str(caught.value.hint)
    (store / "deep" / "renamed.whl").write_bytes(zipped(WHEEL))
    assert lab.make_whole(folders=(store,), offline=True).same
    assert lab.index.requests == []
    with pytest.raises(UsageError, match="no folder"):
        lab.make_whole(folders=(lab.folder / "none",))


def test_of_a_mirror_only_the_public_address_is_told(lab: ThinLab) -> None:
    data = zipped(WHEEL)
    name = hashlib.blake2b(data, digest_size=32).hexdigest()
    place = f"packages/{name[:2]}/{name[2:4]}/{name[4:]}"
    lab.make()
    made = lab.make_thin()
    assert made.thin is not None and made.thin.artifacts[0].url is None
    assert b"127.0.0.1" not in lab.thin.read_bytes()
    answer = lab.index.answer

    def as_a_mirror(path: str) -> tuple[int, str, bytes]:
        status, kind, body = answer(path)
        return status, kind, body.replace(b"../../files/", f"../../{place}/".encode())

    lab.index.answer = as_a_mirror  # type: ignore[method-assign]
    again = lab.make_thin()
    assert again.thin is not None
    assert again.thin.artifacts[0].url == f"https://files.pythonhosted.org/{place}/{NAME}"


def test_a_debian_package_from_a_folder(lab: ThinLab, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = lab.folder / "pool"
    repo.mkdir()
    (repo / "tool_1.0-1_all.deb").write_bytes(DEB)
    listed = f"'file:{repo}/tool_1.0-1_all.deb' tool_1.0-1_all.deb {len(DEB)} SHA256:{sha256(DEB)}"
    apt = lab.folder / "apt-get"
    apt.write_text(f'#!/bin/sh\necho "{listed}"\n')
    apt.chmod(0o755)
    lab.make(
        file("/usr/lib/libtool.so", BLOB[:200_000], LayerKind.SYSTEM),
        packages=(pin(), pin("tool", "1.0-1", "apt"), pin("zoo", "1", "r")),
    )
    lab.environ["PATH"] = f"{lab.folder}:/usr/bin:/bin"
    made = lab.make_thin()
    assert made.thin is not None and [a.kind for a in made.thin.artifacts] == ["wheel", "deb"]
    assert made.thin.artifacts[1].pool == "pool/tool_1.0-1_all.deb"
    assert made.thin.artifacts[1].url is None and "kept whole" in made.kept["zoo 1"]
    assert lab.make_whole().same
    apt.unlink()
    lab.environ["PATH"] = str(lab.folder)
    with pytest.raises(RemoteError) as caught:
        lab.make_whole()
    assert "tool 1.0-1" in caught.value.details[0]
    assert lab.make_whole(folders=(repo,)).same


def test_another_compressor_is_said(lab: ThinLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The diff_id holds; blob and manifest digests are others, and the manifest says so."""
    import tests.unit.store.archive_sample as sample

    monkeypatch.setattr(
        sample, "build_layer", lambda p, f, clamp: build_layer(p, f, clamp=clamp, level=7)
    )
    text = "".join(f"{n * n} lines of text that compress otherwise\n" for n in range(20_000))
    lab.index.files.clear()
    wheel = {**WHEEL, "num/table.txt": text.encode()}
    lab.index.add(NAME, zipped(wheel))
    lab.make(changed={f"{SITE}/num/table.txt": text.encode()})
    made = lab.make_thin()
    assert made.thin is not None and [layer.exact for layer in made.thin.layers] == [False]
    assert "another blob digest" in made.notes[0]
    whole = lab.make_whole()
    assert not whole.same and len(whole.recompressed) == 1 and whole.digest == made.digest
    with Archive.open(lab.whole) as archive, Archive.open(lab.fat) as fat:
        assert archive.verify() > 5
        new, old = archive.version(None), fat.version(None)
        assert new.config_digest == old.config_digest
        assert new.manifest_digest != old.manifest_digest
        (layer,) = [each for each in new.layers if RECOMPRESSED in each.descriptor.annotations]
        assert layer.descriptor.annotations[RECOMPRESSED] in {
            str(each.descriptor.digest) for each in old.layers
        }
        assert archive.file_list(new, layer.diff_id) == fat.file_list(old, layer.diff_id)


def test_whole_copies_are_known_by_the_thin_files_own_bytes(lab: ThinLab) -> None:
    lab.make()
    lab.make_thin()
    assert whole_copy(lab.fat, lab.environ) == lab.fat
    first = whole_copy(lab.thin, lab.environ)
    assert first.read_bytes() == lab.fat.read_bytes() and first.name.startswith(
        sha256(lab.thin.read_bytes())
    )
    lab.index.files.clear()
    assert whole_copy(lab.thin, lab.environ) == first
    lab.tamper(lambda document: document["fat"].update(size=1))
    with pytest.raises(RemoteError):
        whole_copy(lab.thin, lab.environ)


def test_a_whole_copy_is_made_under_the_limits_of_the_verification(
    lab: ThinLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger's interpreter compiles: with the engine, limits and seal that were asked for."""
    lab.make()
    lab.make_thin()
    asked: list[FattenRequest] = []

    def seen(request: FattenRequest, observer: object) -> None:
        asked.append(request)
        request.output.write_bytes(b"whole")

    monkeypatch.setattr("repro.workflows.fatten.fatten", seen)
    words = ["--fetch", "--engine", "crun", "--memory", "1G", "--require-seal", "full"]
    environ = {**os.environ, **lab.environ}
    monkeypatch.setattr("repro.cli.context.environ", lambda: environ)
    app = typer.Typer()
    register(app)
    ended = CliRunner().invoke(app, [str(lab.thin), *words])
    assert isinstance(ended.exception, ArchiveError)  # what was made here is none
    (request,) = asked
    assert request.engine == "crun" and request.limits.memory == 10**9 and request.full_seal


def test_a_thin_archive_is_thin_already(lab: ThinLab) -> None:
    lab.make()
    lab.make_thin()
    before = lab.thin.read_bytes()
    for output in (lab.thin, lab.folder / "thinner.repro"):
        with pytest.raises(UsageError, match="is thin already") as caught:
            thin(ThinRequest(archive=lab.thin, output=output, environ=lab.environ))
        assert "fatten" not in str(caught.value.hint) and caught.value.exit_code == 2
    assert lab.thin.read_bytes() == before and not (lab.folder / "thinner.repro").exists()


@pytest.mark.parametrize("name", ["thin", "fatten"])
def test_the_compiling_interpreter_can_be_limited(
    lab: ThinLab, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    lab.make()
    asked: list[Any] = []

    class Seen(Exception):
        pass

    def seen(request: object, observer: object) -> None:
        asked.append(request)
        raise Seen

    monkeypatch.setattr(f"repro.workflows.{name}.{name}", seen)
    words = ["--memory", "1G", "--cpus", "2", "--pids", "64", "--disk", "2G", "--timeout", "9"]
    app = typer.Typer()
    (register_thin if name == "thin" else register_fatten)(app)
    ended = CliRunner().invoke(app, [str(lab.fat), "-o", str(lab.thin), *words])
    assert isinstance(ended.exception, Seen), ended.output
    (request,) = asked
    assert request.limits == Limits(memory=10**9, cpus=2.0, pids=64, disk=2 * 10**9)
    assert request.timeout == 9.0


def test_versions_share_what_is_made_again(lab: ThinLab) -> None:
    from tests.unit.workflows.versions_sample import add_version

    files = [file(f"{SITE}/{n}", data, LayerKind.PACKAGES) for n, data in WHEEL.items()]
    from repro.model.lock import Lock

    for tag, text in (("v1", b"print(1)\n"), ("v2", b"print(2)\n")):
        add_version(
            lab.fat, lab.folder / f"work-{tag}", tag,
            files=[*files, file("/home/ada/paper/analysis.py", text)],
            lock=Lock(packages=(pin(),)),
        )  # fmt: skip
    made = lab.make_thin()
    assert made.thin is not None and len(made.thin.layers) == 1
    assert lab.make_whole().same
    shutil.copy(lab.whole, lab.fat)
    with Archive.open(lab.fat) as archive:
        assert [version.tag for version in archive.versions] == ["v1", "v2"]
        archive.verify()
