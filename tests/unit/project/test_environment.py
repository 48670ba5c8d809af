from __future__ import annotations

from repro.project.environment import build


def test_only_the_allow_list_enters() -> None:
    shell = {f"SECRET_{number}": "x" for number in range(200)}
    shell |= {"PATH": "/bin", "HOME": "/home/a", "AWS_SECRET_ACCESS_KEY": "k", "USER": "a"}
    made = build(shell, root="/p", clamp=5, variables={"MINE": "1"})
    assert not any(name.startswith("SECRET_") for name in made.values)
    assert "AWS_SECRET_ACCESS_KEY" not in made.values
    assert "USER" not in made.values
    assert made.values["PATH"] == "/bin"
    assert made.values["MINE"] == "1"
    assert made.values["SOURCE_DATE_EPOCH"] == "5"


def test_what_differs_from_the_shell_is_named() -> None:
    shell = {"LANG": "de_DE.UTF-8", "TZ": "UTC", "PATH": "/bin"}
    made = build(shell, root="/p", clamp=5, variables={})
    assert made.altered == ("LANG",)


def test_user_and_host_do_not_matter() -> None:
    shell = {"PATH": "/bin", "HOME": "/h"}
    one = build({**shell, "USER": "a", "HOSTNAME": "x"}, root="/p", clamp=5, variables={})
    two = build({**shell, "USER": "b", "HOSTNAME": "y"}, root="/p", clamp=5, variables={})
    assert one == two


def test_the_cache_folder_depends_on_the_project_alone() -> None:
    one = build({}, root="/p\udcff", clamp=5, variables={})
    assert one.cache == build({"A": "1"}, root="/p\udcff", clamp=6, variables={}).cache
    assert one.cache != build({}, root="/q", clamp=5, variables={}).cache


def test_typed_commands_stay_where_they_are() -> None:
    made = build({"HISTFILE": "/home/a/.zsh_history"}, root="/p", clamp=5, variables={})
    for name in ("HISTFILE", "OCTAVE_HISTFILE", "IPYTHONDIR"):
        assert made.values[name].startswith(made.cache + "/")


def test_where_languages_look_is_taken() -> None:
    shell = {"CLASSPATH": "/a.jar", "JULIA_DEPOT_PATH": "/d", "CC": "clang", "PERL5LIB": ""}
    made = build(shell, root="/p", clamp=5, variables={})
    assert {name: made.values.get(name) for name in shell} == {**shell, "PERL5LIB": None}
