"""How the machine looks to a run: each engine changes what it says it can, and refuses the rest."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from repro.errors import RuntimeUnavailable
from repro.model.guise import Guise
from tests.contracts.runtime_box import Box

GUISES = {
    "host": Guise(host="elsewhere"),
    "user": Guise(user="ada"),
    "uid": Guise(uid=4242),
    "cpus": Guise(cpus=(min(os.sched_getaffinity(0)),)),
    "fixed_addresses": Guise(fixed_addresses=True),
}


def test_a_usual_run_asks_for_nothing() -> None:
    assert Guise().asked == frozenset()
    assert {name: guise.asked for name, guise in GUISES.items()} == {n: {n} for n in GUISES}


@pytest.mark.parametrize("field", GUISES)
def test_what_an_engine_cannot_change_is_refused(box: Box, field: str) -> None:
    if field in box.engine.guises:
        assert box.run("/bin/sh", "-c", "exit 3", guise=GUISES[field]).exit == 3
        return
    with pytest.raises(RuntimeUnavailable, match="cannot change"):
        box.run("/bin/sh", "-c", "exit 3", guise=GUISES[field])


def need(box: Box, *fields: str) -> None:
    if not set(fields) <= box.engine.guises:
        pytest.skip(f"{box.engine.name} cannot change {fields}")


def test_names_and_numbers(box: Box) -> None:
    need(box, "host", "user", "uid")
    script = "cat /proc/sys/kernel/hostname; cat /etc/hostname /etc/passwd /proc/self/status"
    guise = Guise(host="elsewhere", user="ada", uid=4242)
    assert box.sh(script, guise=guise).exit == 0
    lines = box.said().splitlines()
    assert lines[:2] == ["elsewhere", "elsewhere"]
    assert lines[3].startswith("ada:x:4242:4242:")
    assert "Uid:\t4242\t4242\t4242\t4242" in lines


def test_processors(box: Box) -> None:
    need(box, "cpus")
    guise = GUISES["cpus"]
    before = os.sched_getaffinity(0)
    assert box.sh("cat /proc/self/status /proc/stat /proc/cpuinfo", guise=guise).exit == 0
    said = box.said()
    assert f"Cpus_allowed_list:\t{guise.cpus[0]}\n" in said
    assert re.findall(r"^cpu(\d+) ", said, re.MULTILINE) == [str(guise.cpus[0])]
    assert re.findall(r"^processor\s*: (\d+)", said, re.MULTILINE) == [str(guise.cpus[0])]
    assert os.sched_getaffinity(0) == before


def test_addresses(box: Box) -> None:
    need(box, "fixed_addresses")
    personality = Path("/proc/self/personality").read_text()
    for guise in (Guise(fixed_addresses=True), Guise(fixed_addresses=True), Guise(), Guise()):
        assert box.sh("cat /proc/self/maps", guise=guise).exit == 0
    one, two, three, four = [x for x in box.said().splitlines() if x.endswith("[stack]")]
    assert one == two
    assert three != four
    assert Path("/proc/self/personality").read_text() == personality
