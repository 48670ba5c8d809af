from __future__ import annotations

from repro.report.machines import machine_rows


def test_facts_are_for_people() -> None:
    author = {"memory": 25_276_502_016, "virtual": True, "gpu": [], "numerics": {}, "cores": 2}
    rows = machine_rows({"environment": {"author": author, "reviewer": {"memory": "odd"}}})
    assert list(rows) == [
        ("cores", "2", "not recorded"),
        ("gpu", "none", "not recorded"),
        ("memory", "25 GB", "odd"),
        ("numerics", "none", "not recorded"),
        ("virtual", "yes", "not recorded"),
    ]
