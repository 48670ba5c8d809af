"""Pins, lists and bill of materials of a real snapshot, as a person asks for them."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

from packageurl import PackageURL

from tests.workflows.lab import Lab

URL = "https://files.example.org/tiny-1.0-py3-none-any.whl"


def wheel(path: Path) -> str:
    """A wheel of one module; its sha256."""
    info = "tiny-1.0.dist-info"
    members = {
        "tiny.py": "answer = 42\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": f"tiny.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n",
    }
    with zipfile.ZipFile(path, "w") as out:
        for name, text in members.items():
            out.writestr(name, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def installed(lab: Lab) -> str:
    """A site folder beside the project with the wheel in it, and a lock file that names it."""
    file = lab.folder / "tiny-1.0-py3-none-any.whl"
    digest = wheel(file)
    site = lab.folder / "env/lib/python3/site-packages"
    site.mkdir(parents=True)
    with zipfile.ZipFile(file) as archive:
        archive.extractall(site)
    lab.write(
        "uv.lock",
        '[[package]]\nname = "tiny"\nversion = "1.0"\n'
        f'wheels = [{{ url = "{URL}", hash = "sha256:{digest}" }}]\n',
    )
    lab.write(
        "a.py",
        f"import sys\nsys.path.insert(0, {str(site)!r})\nimport tiny\n"
        "open('out.txt', 'w').write(str(tiny.answer))\n",
    )
    return digest


def test_a_pin_from_the_project_to_the_lists(lab: Lab) -> None:
    digest = installed(lab)
    lab.snapshot("--", os.path.realpath(sys.executable), "-B", "a.py")
    shown = json.loads(lab.repro("inspect", "--json", str(lab.archive)).stdout)
    (tiny,) = [each for each in shown["pins"]["packages"] if each["name"] == "tiny"]
    assert (tiny["grade"], tiny["url"], tiny["hash"]) == ("url+hash", URL, f"sha256:{digest}")
    assert tiny["facts"]["said-by"] == "uv.lock"
    folder = lab.folder / "locks"
    done = lab.repro("extract", "--locks", str(lab.archive), str(folder))
    (pylock,) = folder.glob("pylock*.toml")
    assert f"{pylock.name}: 1 packages, 1 by address and hash" in done.stdout
    assert digest in pylock.read_text() and URL in pylock.read_text()
    module = next(Path(lab.folder / "env").rglob("tiny.py"))
    said = lab.repro("inspect", str(lab.archive), "--file", str(module)).stdout
    assert "pkg:pypi/tiny@1.0, pinned by url+hash" in said and "member    tiny.py" in said
    source = json.loads(lab.repro("inspect", "--json", str(lab.archive), "--file", "a.py").stdout)
    assert source["sha256"] == hashlib.sha256((lab.project / "a.py").read_bytes()).hexdigest()


def test_the_bill_of_materials_travels_in_the_archive(lab: Lab) -> None:
    lab.write("in.txt", "1\n")
    command = ("--", "sh", "-c", "cat in.txt > out.txt")
    made = lab.snapshot(*command)
    first = lab.repro("inspect", "--sbom", str(lab.archive)).stdout
    bill: dict[str, Any] = json.loads(first)
    assert bill["metadata"]["component"]["name"] == made["archive"]["name"]
    assert bill["metadata"]["component"]["name"] == made["archive"]["name"]
    shown = json.loads(lab.repro("inspect", "--json", str(lab.archive)).stdout)
    purls = [PackageURL.from_string(each["purl"]).to_string() for each in bill["components"]]
    assert purls == [each["purl"] for each in shown["pins"]["packages"]]
    if importlib.util.find_spec("cyclonedx") is not None:
        from cyclonedx.schema import SchemaVersion
        from cyclonedx.validation.json import JsonStrictValidator

        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(first) is None
    lab.archive.unlink()
    lab.snapshot(*command)
    assert lab.repro("inspect", "--sbom", str(lab.archive)).stdout == first
    lab.verify()
