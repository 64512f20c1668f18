"""The notebook that people import, run with widgets and secrets of a test beside an app of canned answers."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from typing import Any

import pytest

from shared.cli.restore_notebook import make_notebook
from tests.unit.fake_app import COMMIT, KEY, RESTORE_ID, FakeApp, fake_app, item, restore, version

PATH = "/Clients/acme/load "
DONE = {"id": "20261124T080100Z-fedcba", "status": "succeeded"}


class Databricks:
    """`dbutils`, as far as the notebook uses it."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values, self.defaults, self.asked = values, dict[str, str](), list[tuple[str, str]]()
        self.widgets = self
        self.secrets = Secrets(self)

    def dropdown(self, name: str, default: str, choices: list[str]) -> None:
        assert default in choices
        assert self.values.get(name, default) in choices
        self.defaults[name] = default

    def text(self, name: str, default: str) -> None:
        self.defaults[name] = default

    def get(self, name: str) -> str:
        return self.values.get(name, self.defaults[name])


class Secrets:
    def __init__(self, databricks: Databricks) -> None:
        self._databricks = databricks

    def get(self, scope: str, key: str) -> str:
        self._databricks.asked.append((scope, key))
        return KEY


@pytest.fixture
def fake() -> Iterator[FakeApp]:
    with fake_app() as served:
        yield served


def run_notebook(url: str, login: str = "", **values: str) -> tuple[str, list[tuple[str, str]]]:
    """What the notebook prints, and the secrets that it asked for; `login` stands for the identity platform."""
    source = make_notebook(url).replace("POLL_SECONDS = 1.0", "POLL_SECONDS = 0.001")
    source = source.replace("https://login.microsoftonline.com", login)
    printed, databricks = io.StringIO(), Databricks(values)
    with contextlib.redirect_stdout(printed):
        exec(compile(source, "notebook", "exec"), {"dbutils": databricks})  # noqa: S102 - it is what is tested
    assert set(values) <= set(databricks.defaults)
    return printed.getvalue(), databricks.asked


def _run(fake: FakeApp, **values: str) -> str:
    printed, secrets = run_notebook(fake.url, **values)
    assert set(secrets) == {(values.get("scope", "notebook-backup"), values.get("secret", "function-key"))}
    assert {asked.headers["x-functions-key"] for asked in fake.asked} == {KEY}
    return printed


def test_it_is_a_notebook_in_source_format_that_names_the_app_and_no_secret() -> None:
    source = make_notebook("https://me:pass@backup.example.net/x?code=secret")
    cells = source.split("\n# COMMAND ----------\n")
    assert source.startswith("# Databricks notebook source\n# MAGIC %md\n")
    assert len(cells) >= 5
    for cell in cells:
        code = [line for line in cell.splitlines() if line and not line.startswith("# Databricks notebook source")]
        assert all(line.startswith("# MAGIC") for line in code) or not any(line.startswith("# MAGIC") for line in code)
    assert "APP = 'https://backup.example.net/x'\n" in source
    assert ("pass" in source.replace("passes", ""), "code=secret" in source, "@APP_URL@" in source) == (False,) * 3


def test_an_address_cannot_leave_its_string() -> None:
    scope: dict[str, Any] = {}
    source = make_notebook("https://x/'\nraise SystemExit#")
    exec(next(line for line in source.splitlines() if line.startswith("APP =")), scope)  # noqa: S102
    assert scope["APP"].startswith("https://x/'")


def test_history_shows_versions_by_a_key_of_the_named_secret(fake: FakeApp) -> None:
    first = version(kind="created", author=None, size=None, path="/Clients/before")
    fake.give("GET", "versions", {"path": PATH, "versions": [version(), first], "next": None})
    lines = _run(fake, path=PATH, scope="ours", secret="k").splitlines()
    assert fake.asked[0].query == {"path": PATH}
    assert lines[0].split() == ["3f2a9c1d0000", "2026-11-02T02:30:00", "changed", "ada@example.com", "77", PATH.strip()]
    assert lines[1].split() == ["3f2a9c1d0000", "2026-11-02T02:30:00", "created", "/Clients/before"]


def test_preview_shows_the_content_of_a_version(fake: FakeApp) -> None:
    fake.give("GET", "content", "print('é')\n".encode())
    assert _run(fake, action="preview", path=PATH, version="3f2a9c1") == "print('é')\n\n"
    assert fake.asked[0].query == {"path": PATH, "at": "3f2a9c1"}


@pytest.mark.parametrize(("unified", "shown"), [("-é\n+b\n", "-é\n+b\n\n"), ("", "No difference.\n")])
def test_difference_compares_a_version_with_the_workspace(fake: FakeApp, unified: str, shown: str) -> None:
    fake.give("GET", "diff", unified.encode())
    assert _run(fake, action="difference", path=PATH, version="2026-11-01") == shown
    assert fake.asked[0].query == {"path": PATH, "from": "2026-11-01", "to": "live", "format": "text"}


def test_a_restore_is_only_planned_until_it_is_confirmed(fake: FakeApp) -> None:
    fake.give("POST", "restores", restore(item()))
    told = _run(fake, action="restore", path=PATH, version="2026-11-01")
    assert ("overwrite  /Clients/acme/load" in told, "Set `confirm` to yes" in told) == (True, True)
    assert fake.bodies() == [{"paths": [PATH], "at": "2026-11-01", "dry_run": True}]


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"path": PATH}, {"paths": [PATH]}),
        ({"path": "/Clients/acme/"}, {"folder": "/Clients/acme"}),
        ({"path": PATH, "target_folder": "/Beside"}, {"paths": [PATH], "target": "/Beside"}),
    ],
)
def test_a_confirmed_restore_shows_both_hashes_and_the_id_for_undo(
    fake: FakeApp, values: dict[str, str], what: dict[str, Any]
) -> None:
    done = restore(item(outcome="verified", expected_sha256="e" * 64, found_sha256="f" * 64), **DONE)
    fake.give("POST", "restores", restore(item()), {**done, "status": "running", "items": []})
    fake.give("GET", f"restores/{DONE['id']}", {**done, "status": "running"}, done)
    told = _run(fake, action="restore", confirm="yes", version="2026-11-01", **values)
    body = {**what, "at": "2026-11-01"}
    assert fake.bodies() == [{**body, "dry_run": True}, {**body, "plan": RESTORE_ID, "at": COMMIT}]
    assert ("verified" in told, "e" * 64 in told, "f" * 64 in told) == (True, True, True)
    assert told.endswith(f"restore_to_undo {DONE['id']}\n")


def test_failures_beyond_the_first_answer_are_shown_once_each(fake: FakeApp) -> None:
    failed = [item(f"/Clients/f{n}", outcome="failed", reason="bytes_differ") for n in range(1_001)]
    done = {**restore(*failed), **DONE, "status": "partial"}
    fake.give("POST", "restores", restore(item()), {**done, "items": failed[:200]})
    route = f"restores/{DONE['id']}"
    fake.give("GET", route, {**done, "items": failed[:1_000]}, {**done, "items": failed[1_000:]})
    told = _run(fake, action="restore", confirm="yes", path="/Clients/")
    assert re.findall("^  failed  (.*)  bytes_differ$", told, re.MULTILINE) == [i["target"] for i in failed]
    assert [a.query["offset"] for a in fake.asked if a.path == route] == ["0", "1000"]


@pytest.mark.parametrize(
    "plan",
    [
        restore(item(action="refuse", reason="not_in_backup", detail="look at its versions")),
        restore(item(action="unchanged")),
        restore(status="failed", error="look at its versions"),
    ],
    ids=["refused", "unchanged", "failed"],
)
def test_a_plan_that_would_write_nothing_is_not_carried_out(fake: FakeApp, plan: dict[str, Any]) -> None:
    fake.give("POST", "restores", plan)
    told = _run(fake, action="restore", confirm="yes", path=PATH)
    assert ("Nothing was changed" in told, len(fake.bodies())) == (True, 1)
    assert ("look at its versions" in told) == (plan["counts"]["unchanged"] == 0)


def test_an_undo_names_its_restore(fake: FakeApp) -> None:
    fake.give("POST", f"restores/{RESTORE_ID}/undo", restore(item()), restore(item(outcome="verified"), **DONE))
    told = _run(fake, action="undo", confirm="yes", restore_to_undo=f" {RESTORE_ID} ")
    assert fake.bodies() == [{"dry_run": True}, {}]
    assert "verified" in told


@pytest.mark.parametrize("values", [{}, {"action": "restore", "confirm": "yes"}, {"action": "undo", "confirm": "yes"}])
def test_a_widget_that_is_missing_is_named_and_nothing_asked(fake: FakeApp, values: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"Set the widget `(path|restore_to_undo)`"):
        _run(fake, **values)
    assert fake.asked == []


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [(404, {"detail": "The backup holds no notebook x."}, "holds no notebook x"), (401, b"", "check `sign_in`")],
)
def test_a_problem_ends_the_cell_with_what_to_do(fake: FakeApp, status: int, body: Any, words: str) -> None:
    fake.give("GET", "versions", body, status=status)
    with pytest.raises(RuntimeError, match=words):
        _run(fake, path=PATH)


def test_an_app_that_is_not_reached_is_named() -> None:
    with pytest.raises(RuntimeError, match=r"http://127\.0\.0\.1:9 does not answer .*has to reach it"):
        _run(FakeApp(url="http://127.0.0.1:9"), path=PATH)
