"""The commands that find, read and compare versions, beside an app that gives canned answers."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import typer
from typer.testing import CliRunner

from shared.cli import Client, app
from shared.cli.terminal import plain
from tests.names import HOSTILE_NAMES
from tests.unit.fake_app import COMMIT, KEY, RESTORE_ID, FakeApp, fake_app, item, notebook, restore, version

PATH = "/Clients/acme/load"
HOSTILE_BYTES = b"# Databricks notebook source\r\n\xff\x00\x1b[31m \xc3\xa9\nno newline at the end"
SIDE = {"at": "latest", "commit": COMMIT, "label": f"{PATH} (3f2a9c1d0000)", "sha256": "a" * 64}
DIFF = {"path": PATH, "from": SIDE, "to": {**SIDE, "at": "live", "commit": None}, "added": 1, "removed": 1}
UNIFIED = f"--- {PATH} (x)\n+++ {PATH} (live)\n@@ -1,2 +1,2 @@\n same\r\n--- sql comment\n+\x1b[31mé\u2028\n"
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def fake() -> Iterator[FakeApp]:
    with fake_app() as served:
        yield served


def _tree(*notebooks: dict[str, Any], folders: tuple[str, ...] = ()) -> dict[str, Any]:
    at = {"commit": COMMIT, "sequence": 3, "committed_at": "2026-11-02T02:30:00+00:00"}
    named = [{"path": f, "name": f.rpartition("/")[2]} for f in folders]
    return {"path": "/Clients", "at": at, "folders": named, "notebooks": list(notebooks), "next": None}


def _content(text: str, **more: str) -> dict[str, Any]:
    return {"path": PATH, "commit": COMMIT, "language": "PYTHON", "format": "SOURCE", "content": text, **more}


@pytest.mark.parametrize(("options", "deleted"), [((), "false"), (("--deleted",), "true")])
def test_find_asks_for_the_text_and_marks_what_is_gone(fake: FakeApp, options: tuple[str, ...], deleted: str) -> None:
    fake.give("GET", "notebooks", {"notebooks": [notebook(), notebook("/Clients/old", deleted=True)]})
    result = fake.run("find", "LOAD", *options, "--limit", "7")
    assert fake.asked[0].query == {"q": "LOAD", "deleted": deleted, "limit": "7"}
    assert fake.asked[0].headers["x-functions-key"] == KEY
    lines = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert (result.exit_code, "gone" in lines["/Clients/old"], "gone" in lines[PATH]) == (0, True, False)
    assert "2026-11-01 10:03:00" in lines[PATH]


def test_find_says_that_nothing_was_found(fake: FakeApp) -> None:
    fake.give("GET", "notebooks", {"notebooks": []})
    assert "Nothing was found" in fake.run("find", "x").stdout


@pytest.mark.parametrize("environment", [{}, {"FORCE_COLOR": "1"}, {"TTY_COMPATIBLE": "1"}], ids=str)
def test_a_path_is_whole_on_one_line_in_a_pipe(fake: FakeApp, environment: dict[str, str]) -> None:
    paths = [f"/Clients/{'x' * 180}/{n}{'y' * 200}" for n in range(2)]
    fake.give("GET", "notebooks", {"notebooks": [notebook(path) for path in paths]})
    code, output, _ = fake.piped("find", "x", COLUMNS="80", **environment)
    lines = ANSI.sub("", output.decode()).splitlines()[1:]
    assert (code, [line.split()[0] for line in lines]) == (0, paths)


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        ((), {"at": "latest", "limit": "5000"}),
        (
            ("/Clients/a", "--at", "2026-11-01", "--limit", "2", "--before", "4"),
            {"path": "/Clients/a", "at": "2026-11-01", "limit": "2", "before": "4"},
        ),
    ],
)
def test_tree_shows_folders_and_notebooks_as_of_a_moment(
    fake: FakeApp, arguments: tuple[str, ...], query: dict[str, str]
) -> None:
    fake.give("GET", "tree", {**_tree(notebook("/Clients/n"), folders=("/Clients/sub",)), "next": "6"})
    result = fake.run("tree", *arguments)
    assert fake.asked[0].query == query
    shown = ["/Clients as of 2026-11-02 02:30:00 (3f2a9c1d0000)", "  sub/", "  n  PYTHON"]
    assert (result.stdout.splitlines(), "--before 6" in result.stderr) == (shown, True)


def test_history_shows_each_version_and_the_path_it_had(fake: FakeApp) -> None:
    renamed = version(kind="renamed", other_path="/Clients/before")
    first = version(path="/Clients/before", kind="created", author=None, modified_at=None, size=None)
    fake.give("GET", "versions", {"path": PATH, "versions": [version(), renamed, first], "next": "3"})
    result = fake.run("history", PATH, "--limit", "3", "--before", "0")
    assert fake.asked[0].query == {"path": PATH, "limit": "3", "before": "0"}
    rows = [line.split() for line in result.stdout.splitlines() if line.lstrip().startswith("3f2a")]
    date = ["2026-11-02", "02:30:00", "2026-11-01", "10:03:00", "ada@example.com"]
    assert rows[0] == ["3f2a9c1d0000", *date, "changed", "77"]
    assert rows[1][-3:] == ["77", "from", "/Clients/before"]
    assert rows[2] == ["3f2a9c1d0000", "2026-11-02", "02:30:00", "created", "at", "/Clients/before"]
    assert "--before 3" in result.stderr


def test_show_pipes_the_bytes_unchanged_even_where_colours_are_forced(fake: FakeApp) -> None:
    fake.give("GET", "content", HOSTILE_BYTES)
    code, output, messages = fake.piped("show", PATH, "--at", "3f2a9c1", FORCE_COLOR="1")
    assert (code, output, messages) == (0, HOSTILE_BYTES, "")
    assert fake.asked[0].query == {"path": PATH, "at": "3f2a9c1"}
    assert "json" not in fake.asked[0].headers["Accept"]


def test_show_writes_a_file_and_says_where_it_cannot(fake: FakeApp, tmp_path: Path) -> None:
    fake.give("GET", "content", HOSTILE_BYTES)
    file = tmp_path / "[red]x.py"
    result = fake.run("show", PATH, "--at", "live", "--output", str(file))
    assert (result.exit_code, result.stdout, file.read_bytes()) == (0, "", HOSTILE_BYTES)
    assert f"{len(HOSTILE_BYTES)} bytes written to {file}" in result.stderr
    result = fake.run("show", PATH, "--output", str(tmp_path))
    assert (result.exit_code, "cannot be written" in result.stderr) == (2, True)
    result = fake.run("show", PATH, "--output", str(file), "--json")
    assert (result.exit_code, "--json goes without --output" in result.stderr) == (2, True)


def test_a_file_is_written_whole_or_not_at_all(fake: FakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.give("GET", "content", HOSTILE_BYTES)
    file = tmp_path / "load.py"
    file.write_bytes(b"before")
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        write(path, data[:3])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    result = fake.run("show", PATH, "--output", str(file))
    assert (result.exit_code, "No space left on device. Give another --output" in result.stderr) == (2, True)
    assert (file.read_bytes(), list(tmp_path.iterdir())) == (b"before", [file])


@pytest.mark.parametrize("name", ["none/load.py", "full"])
def test_an_output_that_cannot_be_written_is_said_and_nothing_left(fake: FakeApp, tmp_path: Path, name: str) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    fake.give("GET", "content", HOSTILE_BYTES)
    result = fake.run("show", PATH, "--output", str(tmp_path / name))
    assert (result.exit_code, result.stdout, "cannot be written" in result.stderr) == (2, "", True)
    assert [f.name for f in tmp_path.iterdir()] == ["full"]


def test_a_link_to_a_file_stays_a_link(fake: FakeApp, tmp_path: Path) -> None:
    fake.give("GET", "content", HOSTILE_BYTES)
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert fake.run("show", PATH, "--output", str(tmp_path / "link")).exit_code == 0
    assert ((tmp_path / "link").is_symlink(), (tmp_path / "file").read_bytes()) == (True, HOSTILE_BYTES)


@pytest.mark.parametrize(
    ("language", "form", "text", "coloured"),
    [
        ("PYTHON", "SOURCE", "import os\r\n", "import"),
        ("SQL", "SOURCE", "select 1 -- é\n", "select"),
        ("SCALA", "SOURCE", "val x = 1\n", "val"),
        ("R", "SOURCE", "x <- NULL\n", "NULL"),
        ("PYTHON", "JUPYTER", '{"cells": null}', "null"),
    ],
)
def test_show_highlights_in_the_notebooks_language_on_a_terminal(
    fake: FakeApp, language: str, form: str, text: str, coloured: str
) -> None:
    fake.give("GET", "content", _content(text, language=language, format=form))
    code, output = fake.in_terminal("show", PATH)
    assert (code, fake.asked[0].headers["Accept"]) == (0, "application/json")
    assert re.search(rf"\x1b\[[0-9;]*m{coloured}\x1b\[0m", output), output
    assert text.strip() in ANSI.sub("", output)
    assert r"\r" not in output


def test_what_a_notebook_holds_cannot_act_on_the_terminal(fake: FakeApp) -> None:
    fake.give("GET", "content", _content("a\x1b]0;owned\x07\x9b31m\tb [red]\n"))
    _, output = fake.in_terminal("show", PATH)
    assert not {"\x07", "\x9b"} & set(output)
    assert "\x1b]" not in output
    assert r"a\x1b]0;owned\x07\x9b31m" in ANSI.sub("", output)
    assert "[red]" in ANSI.sub("", output)


def test_a_difference_is_piped_byte_for_byte(fake: FakeApp) -> None:
    fake.give("GET", "diff", {**DIFF, "unified": UNIFIED, "equal": False})
    code, output, messages = fake.piped("diff", PATH, "--from", "3f2a9c1", "--to", "2026-11-24", FORCE_COLOR="1")
    assert (code, output) == (1, UNIFIED.encode())
    assert "1 line added, 1 removed" in ANSI.sub("", messages)
    assert fake.asked[0].query == {"path": PATH, "from": "3f2a9c1", "to": "2026-11-24"}


def test_a_difference_has_colours_on_a_terminal(fake: FakeApp) -> None:
    fake.give("GET", "diff", {**DIFF, "unified": UNIFIED, "equal": False})
    code, output = fake.in_terminal("diff", PATH)
    assert (code, fake.asked[0].query["from"], fake.asked[0].query["to"]) == (1, "latest", "live")
    for colour, line in ((1, f"--- {PATH}"), (31, "--- sql comment"), (32, r"+\x1b[31mé\u2028"), (36, "@@ -1,2")):
        assert f"\x1b[{colour}m{line}" in output
    assert r" same\r" in output


@pytest.mark.parametrize(("equal", "code", "words"), [(True, 0, "No difference"), (False, 1, "bytes differ")])
def test_texts_without_a_difference_are_told_apart_by_their_bytes(
    fake: FakeApp, equal: bool, code: int, words: str
) -> None:
    fake.give("GET", "diff", {**DIFF, "unified": "", "equal": equal})
    result = fake.run("diff", PATH)
    assert (result.exit_code, result.stdout, words in result.stderr) == (code, "", True)


JSON_ANSWERS = {
    ("find", "x"): ("notebooks", {"notebooks": [notebook("/Clients/lone\ud800 é \x1b")]}),
    ("tree",): ("tree", _tree(notebook())),
    ("history", PATH): ("versions", {"path": PATH, "versions": [version()], "next": None, "extra": 1.25}),
    ("show", PATH): ("content", _content("x\n")),
    ("diff", PATH): ("diff", {**DIFF, "unified": "", "equal": True}),
    ("restores",): ("restores", {"restores": [restore(item())]}),
    ("restores", RESTORE_ID): (f"restores/{RESTORE_ID}", restore(item(), status="succeeded")),
}


@pytest.mark.parametrize("arguments", JSON_ANSWERS, ids=" ".join)
def test_json_is_the_answer_unchanged_even_where_colours_are_forced(fake: FakeApp, arguments: tuple[str, ...]) -> None:
    route, answer = JSON_ANSWERS[arguments]
    fake.give("GET", route, answer)
    code, output, _ = fake.piped(*arguments, "--json", FORCE_COLOR="1")
    assert (code, json.loads(output)) == (0, answer)


def test_every_command_has_json() -> None:
    commands = dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    commands |= {f"gitfolder {name}": c for name, c in commands.pop("gitfolder").commands.items()}
    lacking = [name for name, c in commands.items() if "--json" not in [o for p in c.params for o in p.opts]]
    assert len(commands) > 15
    assert lacking == []


@pytest.mark.parametrize("command", ["find", "tree", "history", "restores", "one restore", "plan"])
def test_a_hostile_name_is_whole_and_cannot_act_on_the_terminal(fake: FakeApp, command: str) -> None:
    names = [*HOSTILE_NAMES, "[red]", "[/]", ":bug:", "back\\", "c1\x9b31m"]
    paths = [f"/Clients/{name}" for name in names]
    other = [version(path=path) for path in paths]
    items = [item(path, outcome="failed", reason=path, detail=path) for path in paths]
    answers = {
        "find": (("find", "x"), "notebooks", {"notebooks": [notebook(p, language=p) for p in paths]}),
        "tree": (("tree",), "tree", _tree(*map(notebook, paths), folders=tuple(paths))),
        "history": (("history", "x"), "versions", {"path": paths[0], "versions": other, "next": None}),
        "restores": (("restores",), "restores", {"restores": [restore(at=p, requested_by=p) for p in paths]}),
        "one restore": (("restores", RESTORE_ID), f"restores/{RESTORE_ID}", restore(*items, status="partial")),
        "plan": (("restores", RESTORE_ID), f"restores/{RESTORE_ID}", restore(*items[-40:])),
    }
    arguments, route, answer = answers[command]
    fake.give("GET", route, answer)
    result = fake.run(*arguments)
    assert (result.exit_code, result.exception) == (0, None)
    shown = [n for n in (names[-40:] if command == "plan" else names) if command != "tree" or "/" not in n]
    assert [n for n in shown if plain(n) not in result.stdout] == []
    assert all(c.isprintable() or c == "\n" for c in result.stdout)


def test_a_problem_is_told_as_it_is_written(fake: FakeApp) -> None:
    detail = f"The backup holds no notebook [red]{PATH}[/] \x1b[31m as of x. {'Look at its versions. ' * 20}"
    fake.give("GET", "versions", {"detail": detail}, status=404)
    result = fake.run("history", PATH)
    assert (result.exit_code, result.stdout) == (2, "")
    assert plain(detail) in result.stderr


@pytest.mark.parametrize(
    ("status", "body", "words"), [(401, b"", "--key"), (500, b"<html>", "answered 500"), (400, b"[1]", "answered 400")]
)
def test_an_answer_without_a_detail_is_told_by_its_status(fake: FakeApp, status: int, body: bytes, words: str) -> None:
    fake.give("GET", "versions", body, status=status)
    result = fake.run("history", PATH)
    assert (result.exit_code, words in result.stderr) == (2, True)


def test_a_question_is_asked_again_where_the_app_is_busy(fake: FakeApp) -> None:
    fake.give("GET", "versions", {"detail": "busy"}, status=503)
    fake.give("GET", "versions", {"path": PATH, "versions": [], "next": None})
    assert fake.run("history", PATH).exit_code == 0
    assert len(fake.asked) == 2


def test_a_restore_is_never_sent_twice_and_a_busy_app_is_heard(
    fake: FakeApp, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.give("POST", "restores", {"detail": "the workspace is busy"}, status=503)
    fake.give("GET", "tree", {"detail": "the repository is busy"}, status=503)
    client = Client(fake.url, KEY, retries=1)
    for method, route in (("POST", "restores"), ("GET", "tree")):
        with pytest.raises(typer.Exit) as ended:
            client.call(method, route)
        assert ended.value.exit_code == 2
    assert [a.method for a in fake.asked] == ["POST", "GET", "GET"]
    told = capsys.readouterr().err
    assert ("the workspace is busy" in told, "the repository is busy" in told) == (True, True)


def test_a_path_that_is_no_utf_8_is_refused(fake: FakeApp) -> None:
    code, _, messages = fake.piped("history", b"/Clients/\xff")
    assert (code, "no UTF-8" in messages, "Traceback" in messages, fake.asked) == (2, True, False, [])


def _completed(fake: FakeApp, line: str, **more: str) -> list[str]:
    words = line.split("|")
    shell = {"_BACKUP_COMPLETE": "complete_bash", "COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    environment = {"BACKUP_URL": fake.url, "BACKUP_KEY": KEY, **shell, **more}
    result = CliRunner().invoke(app, [], prog_name="backup", env=environment)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout.split("\n")[:-1]


@pytest.mark.parametrize("command", ["tree", "history", "show", "diff", "restore"])
def test_a_path_is_completed_by_the_folder_typed_so_far(fake: FakeApp, command: str) -> None:
    hostile = notebook("/Clients/acme/l\nine"), notebook("/Clients/acme/l\x1b[31m")
    fake.give("GET", "tree", _tree(notebook(), notebook("/Clients/acme/x"), *hostile, folders=("/Clients/acme/lib",)))
    assert _completed(fake, f"backup|{command}|/Clients/acme/l") == ["/Clients/acme/lib/", "/Clients/acme/load"]
    assert (fake.asked[0].query, fake.asked[0].headers["x-functions-key"]) == ({"path": "/Clients/acme"}, KEY)


def test_the_first_folder_is_completed_and_the_address_may_stand_in_the_line(fake: FakeApp) -> None:
    fake.give("GET", "tree", _tree(folders=("/Clients/acme",)))
    line = f"backup|--url|{fake.url}|--key|other|show|/Cl"
    assert _completed(fake, line, BACKUP_URL="http://127.0.0.1:9") == ["/Clients/acme/"]
    assert (fake.asked[0].query, fake.asked[0].headers["x-functions-key"]) == ({}, "other")


@pytest.mark.parametrize(("status", "body"), [(503, b"{}"), (200, b"<html>"), (200, b"[]"), (200, b'{"folders": 1}')])
def test_completion_is_quiet_and_asks_once_whatever_the_app_answers(fake: FakeApp, status: int, body: bytes) -> None:
    fake.give("GET", "tree", body, status=status)
    assert _completed(fake, "backup|show|/Clients/") == [""]
    assert len(fake.asked) == 1


def test_completion_is_quiet_where_the_stored_address_is_damaged(fake: FakeApp, tmp_path: Path) -> None:
    (tmp_path / "backup.json").write_text("{")
    assert _completed(fake, "backup|show|/", BACKUP_URL="", BACKUP_DATA=str(tmp_path)) == [""]


def test_completion_gives_up_after_two_seconds(fake: FakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def late(*_: Any, timeout: float, **__: Any) -> requests.Response:
        asked.append(timeout)
        raise requests.ReadTimeout

    monkeypatch.setattr(requests.Session, "request", late)
    assert _completed(fake, "backup|show|/") == [""]
    assert asked == [2]
