"""What a project must not give away is found, and what only looks like it is left alone."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import pytest

from repro.project import places, secrets
from repro.project.secret_forms import FORMS
from repro.project.secrets import SecretFound, search, search_name, search_text
from tests.unit.project import honest, planted

PLANTED = {**planted.files(), **planted.notebooks()}
HONEST = honest.files()


def found(path: str, data: str | bytes, **options: bool) -> tuple[SecretFound, ...]:
    raw = data.encode() if isinstance(data, str) else data
    return search(path, io.BytesIO(raw), len(raw), **options).found


def test_the_sets_are_large_enough() -> None:
    assert len(PLANTED) >= 60 and len(HONEST) >= 50


@pytest.mark.parametrize("path", PLANTED)
def test_planted(path: str) -> None:
    seen = found(path, PLANTED[path])
    assert seen, path
    assert all(each.line >= 1 and each.path == path for each in seen)


@pytest.mark.parametrize("path", HONEST)
def test_honest(path: str) -> None:
    assert found(path, HONEST[path]) == ()


def test_the_secret_itself_is_never_in_what_is_said() -> None:
    """What is said is the path, the line, and one of the words that are fixed here."""
    kinds = {form.kind for form in FORMS} | {"password", "secret value", "token", "key"}
    for path, text in PLANTED.items():
        for each in found(path, text):
            assert each.kind in kinds
            assert str(each) == f"{path}:{each.line}: {each.kind}"


def test_the_line_is_the_files() -> None:
    token = planted.tokens()["github"]
    assert [each.line for each in found("a.py", f"\n\n\nx = '{token}'\n")] == [4]
    text = planted.notebook(f"import a\n\ntoken = '{token}'\n", "nothing\n")
    line = 1 + text[: text.index("ghp_")].count("\n")
    assert [each.line for each in found("a.ipynb", text)] == [line]
    assert found("a.ipynb", text)[0].kind == "GitHub token"


@pytest.mark.parametrize("name", planted.tokens())
def test_tokens_are_found_without_a_name(name: str) -> None:
    value = planted.tokens()[name]
    for text in (value, f"<td>{value}</td>", f"x,{value},y\n", f"# {value}", f"a\\n{value}\\n"):
        assert found("data.csv", text), text[:12]
    assert found("token.bin", b"\0\1" + value.encode() + b"\0")


@pytest.mark.parametrize("offset", range(-60, 20, 7))
def test_at_the_border_of_chunks(monkeypatch: pytest.MonkeyPatch, offset: int) -> None:
    monkeypatch.setattr(places, "_CHUNK", 40_000)
    token = planted.tokens()["github"]
    lead = b"line of text\n" * 10_000
    start = places.HEAD + 40_000 * 2 + offset
    data = lead[:start] + b"\n" + token.encode() + b"\n" + lead
    seen = found("a.txt", data)
    assert [each.line for each in seen] == [data[: data.index(b"ghp_")].count(b"\n") + 1]


def test_many_findings_of_a_file_are_cut() -> None:
    lines = "".join(f"password = 'blue{n}lake'\n" for n in range(500))
    assert len(found("a.py", lines)) == secrets.MANY


def test_huge_lines_binary_and_what_is_no_text() -> None:
    token = planted.tokens()["gitlab"].encode()
    huge = b"a b " * 3_000_000
    assert [each.line for each in found("a.txt", huge + token + huge)] == [1]
    assert found("a.txt", b"\xff\xfe\xfa caf\xe9\n" * 1000 + token + b" \xe9\n")[0].line == 1001
    assert found("a.txt", ("text\r\n" * 5 + token.decode()).encode("utf-16"))[0].line == 6
    assert found("a.txt", ("text\n" + token.decode()).encode("utf-32"))[0].line == 2
    assert found("empty", b"") == ()


def test_a_big_binary_file_is_counted_not_searched() -> None:
    token = planted.tokens()["gitlab"].encode()
    size = secrets.BINARY_LIMIT + 1
    done = search("a.bin", io.BytesIO(b"\0" * (size - len(token)) + token), size)
    assert done.skipped and not done.found
    small = search("a.bin", io.BytesIO(b"\0" * 99 + token), 99 + len(token))
    assert small.found and not small.skipped


@pytest.mark.parametrize(
    "text",
    ['{"cells": 5}', "[]", "null", "{", '{"cells": [3]}', '{"cells": [{"outputs": [7]}]}',
     '{"worksheets": [{}]}', "[" * 100_000, '{"cells": [{"source": "\\ud800", "cell_type": "code"}]}'],
)  # fmt: skip
def test_a_broken_notebook_is_read_as_text(text: str) -> None:
    assert found("a.ipynb", text) == ()
    token = planted.tokens()["github"]
    assert found("a.ipynb", f"{text}\n\n{token}")


def test_a_token_in_the_metadata_of_a_notebook() -> None:
    document = json.loads(planted.notebook("1"))
    document["metadata"]["colab"] = {"token": planted.tokens()["google"]}
    assert found("a.ipynb", json.dumps(document))


def test_an_environments_files_are_searched_for_known_forms_only() -> None:
    token = planted.tokens()["github"]
    assert found("lib/x.py", f"x = '{token}'", foreign=True)
    assert not found("lib/x.py", f"password = '{planted.LAKE}'", foreign=True)
    assert not found("lib/x.so", b"\0" + token.encode(), foreign=True)


def test_recorded_values() -> None:
    token = planted.letters(32)
    assert search_text("env:API_TOKEN", f"API_TOKEN={token}")[0].line == 0
    assert search_text("argv:run", f"tool --password {planted.LAKE} --out x")
    assert search_text("argv:run", f"curl -H 'Authorization: Bearer {token}' https://x")
    assert not search_text("env:PATH", "PATH=/usr/local/bin:/usr/bin:/home/a/.local/bin")
    assert not search_text(
        "argv:run", "python -m tool --token-limit 20 --seed 42 data/key_2020.csv"
    )


def test_names() -> None:
    for name in (
        ".env",
        ".env.local",
        "id_rsa",
        "server.key",
        ".netrc",
        ".pgpass",
        "a/.npmrc",
        "x/kaggle.json",
    ):
        assert search_name(name), name
    for name in (
        "environment.yml",
        ".env.example",
        "key.py",
        "a.csv",
        "credentials.py",
        "history.csv",
    ):
        assert not search_name(name), name


@pytest.mark.parametrize(
    "piece",
    ["password", "token_", "key=", "key ", "xoxb-", "eyJ_", "sk-", "curl ", "--pass-", "?token=", "://:",
     "authorization ", "machine a login ", "pass: a.a.a.a", '"', "\\", "-----BEGIN RSA PRIVATE KEY-----\n"],
)  # fmt: skip
def test_no_text_makes_the_search_slow(piece: str) -> None:
    """Patterns that try each length at each place take minutes for this."""
    data = piece * (300_000 // len(piece)) + "\n" + planted.tokens()["slack"]
    started = time.monotonic()
    assert found("a.txt", data)
    assert time.monotonic() - started < 10


def test_large_data_is_fast() -> None:
    lines = "".join(f"{n},{n / 7},site_{n % 37},2024-01-01,{n * 31:x}\n" for n in range(600_000))
    started = time.monotonic()
    assert not found("a.csv", lines)
    assert time.monotonic() - started < len(lines) / 4e6, "a few seconds for 100 MB"


def test_nothing_of_this_repository_is_taken_for_a_secret() -> None:
    """Some 500 files that talk of passwords, tokens and keys; also its tests are packed at times."""
    root = Path(__file__).resolve().parents[3]
    alarms: list[str] = []
    for folder in ("repro", "tests", "docs", "examples", "templates", "bench"):
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                alarms += map(str, found(str(path.relative_to(root)), path.read_bytes()))
    assert not alarms
