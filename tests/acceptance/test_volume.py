"""The way out of an older backup on the whole system: its copies imported, compared, and what that came to, told."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from typer.testing import CliRunner, Result

from local.lab import Lab, git
from shared.cli import app
from tests.copies import source, write_copy

OPTIONS = {"notebooks": 60, "plain": True}
pytestmark = pytest.mark.xdist_group("volume")


@pytest.fixture(scope="module", autouse=True)
def past(lab: Lab) -> None:
    assert lab.back_up()["status"] == "succeeded"


@pytest.fixture
def volume(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copies of two days, made of what the backup holds; the newer one is today's."""
    monkeypatch.setenv("GIT_REMOTE_URL", lab.system.git_url)
    monkeypatch.setenv("GIT_TOKEN", lab.system.secrets["git"])
    monkeypatch.setenv("BACKUP_SCRATCH", str(tmp_path / "scratch"))
    for name in ("2024-01-31", f"{datetime.now(UTC):%Y%m%d}"):
        shutil.copytree(lab.clone(), tmp_path / "volume" / name, ignore=shutil.ignore_patterns(".git*"))
    write_copy(tmp_path / "volume", "2024-01-31", {"long gone.py": "1"})
    return tmp_path / "volume"


def _run(lab: Lab, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["--url", lab.system.url, "--key", lab.system.key, *arguments])


def _acts(lab: Lab, action: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = lab.client.call("GET", "audit", params={"action": action})["records"]
    return found


def test_copies_are_imported_beside_the_backup_and_recorded_once(lab: Lab, volume: Path) -> None:
    first = _run(lab, "import-volume", str(volume), "--json")
    assert (first.exit_code, first.stderr) == (0, "")
    assert [c["status"] for c in json.loads(first.stdout)] == ["imported", "imported"]
    assert [c["counts"]["deleted"] for c in json.loads(first.stdout)] == [0, 1]
    again = _run(lab, "import-volume", str(volume), "--json")
    assert [c["status"] for c in json.loads(again.stdout)] == ["already", "already"]
    clone = lab.clone()
    dates = git(clone, "log", "--reverse", "--format=%as", "origin/imported/volume").split()
    assert dates == ["2024-01-31", f"{datetime.now(UTC):%Y-%m-%d}"]
    assert "long gone.py" not in git(clone, "ls-tree", "-r", "--name-only", "origin/imported/volume")
    assert git(clone, "diff", "--stat", "origin/main", "origin/imported/volume") == ""
    assert [r["result"] for r in _acts(lab, "volume_imported")] == ["done", "done"]


def test_the_backups_own_branch_is_no_place_for_copies(lab: Lab, volume: Path) -> None:
    result = _run(lab, "import-volume", str(volume), "--as-root")
    assert (result.exit_code, "history is never rewritten" in result.stderr) == (2, True)


def test_parity_finds_what_differs_keeps_a_record_and_tells_since_when_both_agree(lab: Lab, volume: Path) -> None:
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    agreed = _run(lab, "parity", str(volume), "--json")
    (found,) = json.loads(agreed.stdout)
    assert found["findings"] == []
    assert (agreed.exit_code, found["agreed"], found["day"]) == (0, True, today)
    assert found["equal"] == found["notebooks"] == len(lab.truth())
    report = lab.client.call("GET", "parity")
    assert (report["agreed_since"], report["agreed"]) == (today, {"compared": 1, "days_without": 0})
    copy = volume / f"{datetime.now(UTC):%Y%m%d}"
    assert report["space"]["copies_bytes"] == sum(f.stat().st_size for f in copy.rglob("*") if f.is_file())
    changed, lost, *_ = sorted(copy.rglob("*.py"))
    changed.write_bytes(source("a.py", "edited in the copy"))
    lost.unlink()
    differ = _run(lab, "parity", str(volume))
    assert differ.exit_code == 1
    assert "they differ" in differ.stdout
    assert "/Clients/" + changed.relative_to(copy).with_suffix("").as_posix() in differ.stderr
    kept = lab.client.call("GET", f"parity/{today}")
    assert (kept["different"], kept["extra"] + kept["explained"], len(kept["findings"])) == (1, 1, 2)
    assert lab.client.call("GET", "parity")["agreed_since"] is None
    assert [r["result"] for r in _acts(lab, "parity_compared")] == ["done", "partial"]
    told = _run(lab, "parity")
    assert (told.exit_code, "not at the last comparison" in told.stdout) == (0, True)


def test_a_listing_comes_in_pages_and_names_every_notebook(lab: Lab) -> None:
    first = lab.client.call("GET", "listing", params={"limit": 50})
    second = lab.client.call("GET", "listing", params={"limit": 50, "after": first["next"]})
    paths = [n["path"] for n in first["notebooks"] + second["notebooks"]]
    assert (len(first["notebooks"]), second["next"]) == (50, None)
    assert set(paths) == {path for path, _ in lab.truth()}
    assert paths == sorted(paths)


@pytest.mark.parametrize(("day", "status"), [("2020-01-01", 404), ("yesterday", 400)])
def test_a_day_without_a_comparison_is_told(lab: Lab, day: str, status: int) -> None:
    headers = {"x-functions-key": lab.system.key}
    assert requests.get(f"{lab.system.url}/api/parity/{day}", headers=headers, timeout=30).status_code == status
