"""What engines are told: command lines and documents, without any engine at hand."""

from __future__ import annotations

import io
import json
import os
import stat
import tarfile
from pathlib import Path

import pytest

from repro.errors import RerunFailed, RuntimeUnavailable
from repro.model.limits import Limits
from repro.model.ports import SandboxRequest, Seal
from repro.runtime import choose as choosing
from repro.runtime import scope as scopes
from repro.runtime.base import PROPERTIES, Runtime
from repro.runtime.bundle import bundle, id_maps, programs
from repro.runtime.docker_image import changes, take_away, take_back, write_image
from repro.runtime.engines.apptainer import Apptainer, command
from repro.runtime.layers import overlay_options
from repro.runtime.profile import profile

REQUEST = SandboxRequest(
    layers=["/l"], upper="/u", work="/w", argv=["python", "a b"], cwd="/project",
    environment={"PATH": "/a:/b", "X": "1,2"}, stdout=1, stderr=2,
)  # fmt: skip


def test_a_bundle_gives_nothing_away() -> None:
    document = json.loads(bundle(REQUEST, "/run/image", "x86_64", with_root=False))
    process, linux = document["process"], document["linux"]
    assert process["args"] == ["python", "a b"] and "X=1,2" in process["env"]
    assert process["user"]["uid"] == 1000 and process["noNewPrivileges"] is True
    assert process["capabilities"] == {}
    kinds = {space["type"] for space in linux["namespaces"]}
    assert kinds == {"user", "mount", "ipc", "uts", "cgroup", "network"}
    assert linux["uidMappings"] == [{"containerID": 1000, "hostID": 0, "size": 1}]
    sources = {mount["source"] for mount in document["mounts"]}
    assert sources == {"/proc", "tmpfs", "devpts", "shm"}
    assert "/proc/keys" in linux["maskedPaths"] and "/proc/sys" in linux["readonlyPaths"]


def test_root_of_the_set_up_is_nobody() -> None:
    first, second = id_maps(1000, with_root=True)
    assert (first["containerID"], first["hostID"]) == (0, 65534)
    assert (second["containerID"], second["hostID"]) == (1000, 0)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_profile_holds_the_list(machine: str) -> None:
    rules = profile(machine)["syscalls"]
    whole = {name: rule["errnoRet"] for rule in rules if "args" not in rule
             for name in rule["names"]}  # fmt: skip
    assert whole["mount"] == 1 and whole["keyctl"] == 1 and whole["clone3"] == 38
    by_argument = {name for rule in rules if "args" in rule for name in rule["names"]}
    assert by_argument == {"ioctl", "socket", "socketpair", "clone", "unshare", "personality"}


def test_where_a_command_is_looked_for() -> None:
    assert programs(REQUEST) == ["/a/python", "/b/python"]


# apptainer exec --help of 1.1, the options that are used here.
_APPTAINER = {"--userns", "--containall", "--cleanenv", "--no-home", "--no-privs", "--no-eval",
              "--writable", "--hostname", "--no-mount", "--pwd", "--net", "--network",
              "--security"}  # fmt: skip


def test_apptainers_command_line() -> None:
    words = command("/usr/bin/apptainer", REQUEST)
    place = words.index("/run/image")
    assert words[:3] == ["/usr/bin/apptainer", "--silent", "exec"]
    assert words[place + 1 :] == ["python", "a b"]
    assert {word for word in words[3:place] if word.startswith("--")} == _APPTAINER
    assert words[words.index("--network") + 1] == "none"
    assert words[words.index("--pwd") + 1] == "/project"


def test_apptainer_is_never_chosen_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Apptainer()
    monkeypatch.setattr(engine, "_usable", lambda: None)
    monkeypatch.setattr(choosing, "all_engines", lambda: [engine])
    with pytest.raises(RuntimeUnavailable) as caught:
        choosing.choose()
    assert "--engine apptainer" in caught.value.details[0]
    assert choosing.choose("apptainer") is engine


def test_the_command_line_of_a_scope() -> None:
    limits = Limits(memory=1 << 30, cpus=1.5, pids=99)
    words = scopes.scope_command("/usr/bin/systemd-run", "repro-1-0", limits)
    assert words[1:6] == ["--user", "--scope", "--quiet", "--collect", "--unit=repro-1-0"]
    assert words[6:] == [
        "--property=Delegate=yes", "--property=MemoryMax=1073741824", "--property=MemorySwapMax=0",
        "--property=TasksMax=100", "--property=CPUQuota=150%", "--", "/bin/cat",
    ]  # fmt: skip
    attach = scopes.attach_command("/usr/bin/busctl", "repro-1-0", 77)
    assert attach[-6:] == ["AttachProcessesToUnit", "ssau", "repro-1-0.scope", "", "1", "77"]


def test_a_scope_that_does_not_hold_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """systemd-run that runs the command, but in no scope: nothing is promised, nothing is left."""
    for name, script in (("systemd-run", 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"'),
                         ("busctl", "exit 0")):  # fmt: skip
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(scopes, "_SEARCH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(scopes, "_manager_answers", lambda: True)
    assert scopes.make_scope(Limits(memory=1 << 30)) is None
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_scope_by_a_manager_that_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The group is the holder's, and a run that was not attached is refused, not unlimited."""
    folder = tmp_path / "repro-x.scope"
    groups: dict[int, Path] = {}

    def group(pid: int) -> Path:
        return groups.get(pid, folder if len(groups) == 0 else tmp_path)

    for name in ("systemd-run", "busctl"):
        (tmp_path / name).write_text(
            '#!/bin/sh\nwhile [ $# -gt 0 ] && [ "$1" != -- ]; do shift; done; shift; exec "$@"\n'
        )
        (tmp_path / name).chmod(0o755)
    folder.mkdir()
    (folder / "memory.max").write_text("1")
    monkeypatch.setattr(scopes, "_SEARCH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(scopes, "_manager_answers", lambda: True)
    monkeypatch.setattr(scopes, "_COUNTER", iter(["x"]))
    monkeypatch.setattr(os, "getpid", lambda: 0)
    monkeypatch.setattr(scopes, "unified_group", group)
    folder.rename(tmp_path / "repro-0-x.scope")
    folder = tmp_path / "repro-0-x.scope"
    found = scopes.make_scope(Limits(memory=1 << 30, pids=5))
    assert found is not None
    assert found.enforces == {"memory": "cgroup v2, a scope of systemd"}
    groups[1] = tmp_path
    with pytest.raises(OSError, match="did not attach"):
        found.add(1)
    found.close()


class Silent(Runtime):
    name = "silent"

    def _usable(self) -> str | None:
        return None

    def _seal(self, network: str, limits: object) -> Seal:
        return Seal(engine="silent", version="1", enforced={"network": "yes"})

    def _run(self, request: SandboxRequest) -> object:  # type: ignore[override]
        raise NotImplementedError


def test_what_an_engine_is_silent_about_is_not_enforced() -> None:
    seal = Silent().seal()
    assert set(seal.not_enforced) == PROPERTIES - {"network"}


def test_who_was_passed_over_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Silent(), Silent()
    monkeypatch.setattr(first, "_usable", lambda: "not today")
    monkeypatch.setattr(choosing, "all_engines", lambda: [first, second])
    assert choosing.choose().seal().passed_over == {"silent": "not today"}


def test_overlay_options_escape(tmp_path: Path) -> None:
    for name in ("a:b,c", "up", "wk"):
        (tmp_path / name).mkdir()
    options = overlay_options([f"{tmp_path}/a:b,c"], f"{tmp_path}/up", f"{tmp_path}/wk")
    assert b"/a\\:b\\,c,upperdir=" in options and options.endswith(b",userxattr")
    with pytest.raises(RuntimeUnavailable):
        overlay_options([f"{tmp_path}/none"], f"{tmp_path}/up", f"{tmp_path}/wk")


def test_an_image_for_docker(tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    (layer / "d").mkdir(parents=True)
    (layer / "d/f").write_text("x")
    os.link(layer / "d/f", layer / "d/g")
    (layer / "d/l").symlink_to("f")
    os.mkfifo(layer / "pipe")
    os.mknod(layer / "gone", stat.S_IFCHR | 0o600, os.makedev(0, 0))
    out = io.BytesIO()
    write_image(out, [str(layer)], name="n:t", uid=1000, machine="x86_64", scratch=str(tmp_path))
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        config = json.load(archive.extractfile(manifest[0]["Config"]))  # type: ignore[arg-type]
        data = archive.extractfile("0/layer.tar").read()  # type: ignore[union-attr]
    assert manifest[0]["RepoTags"] == ["n:t"] and len(config["rootfs"]["diff_ids"]) == 1
    with tarfile.open(fileobj=io.BytesIO(data)) as inner:
        kinds = {member.name: member.type for member in inner}
        assert {member.uid for member in inner} == {1000}
    assert kinds == {"d": b"5", "d/f": b"0", "d/g": b"1", "d/l": b"2", ".wh.gone": b"0"}


def test_what_docker_lists_as_changed() -> None:
    made, gone = changes(b"C /project\nA /project/n\nA /project/n/f\nC /project/x\nD /bin/ls\n")
    assert (made, gone) == (["/project/n", "/project/x"], ["/bin/ls"])
    with pytest.raises(RerunFailed):
        changes(b"A /a\nb\n")


@pytest.mark.parametrize("name", ["../out", "a/../../out"])
def test_nothing_comes_back_outside(tmp_path: Path, name: str) -> None:
    (tmp_path / "upper").mkdir()
    with pytest.raises(RerunFailed):
        take_back(stream(name), "/f", str(tmp_path / "upper"), folders=True)
    assert not (tmp_path / "out").exists()


def test_no_link_of_the_layer_is_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "upper").mkdir()
    (tmp_path / "upper/d").symlink_to(tmp_path / "outside")
    with pytest.raises(OSError, match="symbolic"):
        take_back(stream("f"), "/d/f", str(tmp_path / "upper"), folders=True)
    assert not list((tmp_path / "outside").iterdir())


def stream(name: str) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    out.seek(0)
    return out


def test_a_removed_file_is_hidden_where_the_image_has_it(tmp_path: Path) -> None:
    for name in ("upper", "layer/bin"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "layer/bin/ls").write_text("")
    take_away("/bin/ls", str(tmp_path / "upper"), [str(tmp_path / "layer")])
    status = (tmp_path / "upper/bin/ls").lstat()
    assert stat.S_ISCHR(status.st_mode) and status.st_rdev == 0
    (tmp_path / "upper/own").write_text("")
    take_away("/own", str(tmp_path / "upper"), [str(tmp_path / "layer")])
    assert not (tmp_path / "upper/own").exists()
