"""The author's folder after a run in place: nothing of it may ever be lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from repro.model.observation import Change
from repro.observe.capture import restore, write_back
from repro.observe.inplace import State
from tests.unit.observe.recording_sample import Lab, changes, tree

FILES = {"in.csv": "1\n", "d/a": "a", "d/e/b": "b", "d/e/c": "c", "x": "x"}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path, FILES)
    (made.root / "soft").symlink_to("d/a")
    (made.root / "loose").symlink_to("nowhere")
    (made.root / "empty").mkdir(mode=0o750)
    yield made
    made.close()


@pytest.mark.parametrize("tracer", ["notify", "none"])
@pytest.mark.parametrize(
    "script",
    [
        "mv d moved",
        "mv d/e . ; echo new > e/b",
        "echo n > d/../x",
        "echo n > soft",
        "ln -s x link; echo n > link",
        "chmod 755 x; touch -d 2001-01-01 in.csv",
        "rm -rf d soft loose empty",
        "rm x; mkdir x; echo y > x/y",
        "rm -rf d; echo file > d",
        "cp x y; mv y x",
        "ln x hard; echo n > hard",
        "truncate -s 0 x; echo more >> in.csv",
        "cd d/e; echo n > ../../x; mv b ../b; mv c b",
        "sed -i s/x/z/ x; sed -i s/1/2/ in.csv",
        "chmod 500 d; chmod 700 empty; rmdir empty",
        "rm loose; ln -s elsewhere loose",
        "mkdir -p new/deep/er; echo n > new/deep/er/n",
        "mkfifo pipe",
    ],
)
def test_every_kind_of_change_is_undone(lab: Lab, script: str, tracer: str) -> None:
    before = lab.tree()
    seen = lab.sh(script, capture="in-place", tracer=tracer)
    restore(seen, str(lab.root))
    after = lab.tree()
    after.pop("pipe", None)
    assert after == before


@pytest.mark.parametrize(
    "script",
    [
        "mv d moved", "echo n > d/../x", "ln -s x link; echo n > link", "rm -rf d empty",
        "rm x; mkdir x; echo y > x/y", "rm d/e/b d/e/c", "rm -rf d; echo file > d",
    ],
)  # fmt: skip
def test_both_captures_agree_and_can_be_written_back(tmp_path: Path, script: str) -> None:
    said, trees = [], []
    for capture in ("overlay", "in-place"):
        folder = tmp_path / capture
        folder.mkdir()
        lab = Lab(folder, FILES)
        seen = lab.sh(script, capture=capture)
        restore(seen, str(lab.root))
        write_back(seen, str(lab.root))
        said.append(changes(seen))
        trees.append(
            {
                str(path.relative_to(lab.root)): path.read_text() if path.is_file() else ""
                for path in lab.root.rglob("*")
            }
        )
        lab.close()
    assert said[0] == said[1]
    assert trees[0] == trees[1]


def test_a_hard_link_outside_gets_its_content_back(lab: Lab) -> None:
    outside = lab.folder / "outside"
    os.link(lab.root / "x", outside)
    seen = lab.sh("echo long new content > x", capture="in-place")
    assert outside.read_text() == "long new content\n"
    restore(seen, str(lab.root))
    assert outside.read_text() == "x"
    assert outside.samefile(lab.root / "x")


def test_what_was_not_kept_is_never_removed(lab: Lab) -> None:
    """A change that no call announces."""
    unseen = "import os; os.utime('x', (1, 1)); os.chmod('x', 0o600)"
    seen = lab.python(unseen, capture="in-place")
    assert changes(seen) == {"x": Change.CHANGED}
    restore(seen, str(lab.root))
    assert (lab.root / "x").read_text() == "x"


def test_a_file_that_cannot_be_kept_is_said(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("repro.observe.inplace.copy_file", full)
    with pytest.raises(OSError, match="hidden"):
        lab.sh("true", capture="in-place", hide=("x",))
    assert (lab.root / "x").read_text() == "x"


def test_a_state_survives_its_file(lab: Lab) -> None:
    (lab.root / os.fsdecode(b"odd\xff\n")).write_text("x")
    state = State.of(str(lab.root))
    state.save(str(lab.folder / "state"))
    assert State.load(str(lab.folder / "state")) == state


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["mv", "cp -r", "rm -rf", "echo n >", "mkdir", "ln -sf", "ln -f"]),
        st.sampled_from(["x", "d", "d/a", "d/e", "in.csv", "n", "d/e/b", "soft", "d/../x"]),
        st.sampled_from(["x", "d", "d/n", "empty", "m", "n/o", "d/e/c"]),
    ),
    min_size=1, max_size=6,
)  # fmt: skip


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(moves=[("cp -r", "d", "d/n")])
@example(moves=[("rm -rf", "soft", "x"), ("echo n >", "soft", "x")])
@example(moves=[("ln -sf", "d", "x"), ("cp -r", "d", "x")])
@given(moves=MOVES)
def test_any_sequence_of_changes_is_undone(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[str, str, str]]
) -> None:
    lines = []
    for verb, first, second in moves:
        words = f"{verb} {first}" if verb in ("rm -rf", "echo n >", "mkdir") else (
            f"{verb} {first} {second}"
        )  # fmt: skip
        if verb == "cp -r":
            # A folder copied into itself: how far cp gets depends on the order of its entries.
            into = f'"$(realpath -m {second})/"'
            words = f'case {into} in "$(realpath -m {first})"/*) ;; *) {words};; esac'
        lines.append(f"{{ {words}; }} 2>/dev/null || :")
    lab = Lab(tmp_path_factory.mktemp("moves"), FILES)
    (lab.root / "soft").symlink_to("d/a")
    (lab.root / "empty").mkdir()
    before = tree(lab.root)
    in_place = lab.sh("\n".join(lines), capture="in-place")
    restore(in_place, str(lab.root))
    assert tree(lab.root) == before
    overlaid = lab.sh("\n".join(lines))
    assert tree(lab.root) == before
    assert in_place.changes == overlaid.changes
    lab.close()
