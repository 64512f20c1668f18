"""The pipelines run what is here, publish what was checked, and hold no credential."""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.packaging.build import APP

ROOT = Path(__file__).resolve().parent.parent.parent
GITHUB, AZURE = ".github/workflows/ci.yml", "azure-pipelines.yml"
INPUTS = {
    "actions/checkout": {"persist-credentials"},
    "actions/upload-artifact": {"name", "path", "if-no-files-found"},
    "actions/download-artifact": {"name"},
    "azure/login": {"client-id", "tenant-id", "subscription-id"},
    "azurecli@2": {"azureSubscription", "scriptType", "scriptLocation", "inlineScript"},
}
"""What each action or task is given here, all of it in its published description."""


def _yaml(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a document, at any depth."""
    if isinstance(value, dict):
        yield value
    for below in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _mappings(below)


def _commands(name: str) -> list[str]:
    found = [
        m[key]
        for m in _mappings(_yaml(name))
        for key in ("run", "script", "inlineScript")
        if isinstance(m.get(key), str)
    ]
    return [line for text in found for line in text.splitlines()]


@pytest.mark.parametrize("name", [GITHUB, AZURE])
def test_each_command_is_here_and_may_be_run(name: str) -> None:
    ours = [word for line in _commands(name) for word in shlex.split(line) if word.startswith((".ci/", "./"))]
    assert ours == [".ci/container", ".ci/publish"]
    for word in ours:
        assert os.access(ROOT / word, os.X_OK)


@pytest.mark.parametrize("script", [".ci/run", ".ci/container"])
def test_the_scripts_call_commands_that_are_here(script: str) -> None:
    subprocess.run(["bash", "-n", script], cwd=ROOT, check=True)
    called = re.findall(r"(?:^|\s)(\.ci/\w+|\./\w+)\b", (ROOT / script).read_text())
    assert called
    assert [word for word in called if not os.access(ROOT / word, os.X_OK)] == []


def test_ci_makes_the_package_and_tests_that_one() -> None:
    lines = (ROOT / ".ci/run").read_text().splitlines()
    assert lines.index("./package") < lines.index('BACKUP_PACKAGE="$PWD/build" ./test')
    assert (ROOT / ".ci/container").read_text().splitlines()[-1] == ".ci/run"


def test_both_check_in_the_same_way_and_publish_the_zip_that_was_made() -> None:
    assert _commands(GITHUB)[0] == _commands(AZURE)[0]
    upload = next(m for m in _mappings(_yaml(GITHUB)) if str(m.get("uses", "")).startswith("actions/upload-artifact"))
    assert upload["with"]["path"] == "build/package.zip"
    assert next(m["publish"] for m in _mappings(_yaml(AZURE)) if "publish" in m) == "build/package.zip"
    sent = [shlex.split(line) for name in (GITHUB, AZURE) for line in _commands(name) if ".ci/publish" in line]
    assert [(command, Path(path).name) for command, path in sent] == [(".ci/publish", "package.zip")] * 2


def test_both_tell_the_publication_what_it_asks_for() -> None:
    asked = set(re.findall(r"\$\{?([A-Z][A-Z_]+)", (ROOT / ".ci/publish").read_text()))
    given = [set(m["env"]) for name in (GITHUB, AZURE) for m in _mappings(_yaml(name)) if "env" in m]
    assert given == [asked, asked]


_APP = ["--resource-group", "rg", "--name", "func"]
_ZIP = ["functionapp", "deployment", "source", "config-zip", *_APP]
_BLOB = ["storage", "blob", "upload", "--file", "package.zip", "--blob-url", "https://stp/app-package/a.zip"]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("", [[*_ZIP, "--src", "package.zip", "--build-remote", "false", "--output", "none"]]),
        ("none", [[*_ZIP, "--src", "package.zip", "--build-remote", "false", "--output", "none"]]),
        (
            "https://stp/app-package/a.zip",
            [
                [*_BLOB, "--auth-mode", "login", "--overwrite", "true", "--output", "none"],
                ["functionapp", "restart", *_APP],
            ],
        ),
    ],
)
def test_a_publication_goes_where_the_plan_takes_it_and_awaits_the_app(
    tmp_path: Path, place: str, expected: list[list[str]]
) -> None:
    done = _publish(tmp_path, place)
    assert done.returncode == 0, done.stderr
    *made, asked = [shlex.split(line) for line in (tmp_path / "calls").read_text().splitlines()]
    assert [words for _, *words in made] == expected
    assert (asked[0], asked[-1]) == ("curl", "https://app/api/health")


def test_a_publication_that_fails_is_not_taken_for_one(tmp_path: Path) -> None:
    assert _publish(tmp_path, "", az="exit 3").returncode == 3
    assert "curl" not in (tmp_path / "calls").read_text()


def _publish(folder: Path, place: str, az: str = "exit 0") -> subprocess.CompletedProcess[str]:
    for name, end in (("az", az), ("curl", "exit 0")):
        tool = folder / name
        tool.write_text(f'#!/bin/sh\necho "{name} $*" >> "{folder}/calls"\n{end}\n')
        tool.chmod(0o755)
    told = {"AZURE_RESOURCE_GROUP": "rg", "AZURE_FUNCTIONAPP_NAME": "func", "BACKUP_URL": "https://app"}
    environment = {**told, "PACKAGE_URL": place, "PATH": f"{folder}:{os.environ['PATH']}"}
    command = [str(ROOT / ".ci/publish"), "package.zip"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_an_action_is_a_commit_with_its_version_beside_it_and_dependabot_renews_it() -> None:
    uses = re.findall(r"uses: (.+)", (ROOT / GITHUB).read_text())
    assert [u for u in uses if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", u)] == []
    assert len(uses) >= 5
    kept = {u["package-ecosystem"] for u in _yaml(".github/dependabot.yml")["updates"]}
    assert kept >= {"github-actions", "pip"}


def test_actions_and_tasks_get_what_they_know() -> None:
    given = [(m["uses"].partition("@")[0], m["with"]) for m in _mappings(_yaml(GITHUB)) if "uses" in m]
    given += [(m["task"], m["inputs"]) for m in _mappings(_yaml(AZURE)) if "task" in m]
    assert {name.lower() for name, _ in given} == INPUTS.keys()
    for name, inputs in given:
        assert set(inputs) <= INPUTS[name.lower()]


def test_github_publishes_by_federated_login_after_approval_and_the_check() -> None:
    found = _yaml(GITHUB)
    publish = found["jobs"]["publish"]
    assert found["permissions"] == {"contents": "read"}
    assert publish["permissions"] == {"contents": "read", "id-token": "write"}
    assert publish["environment"]["name"] == "production"
    assert publish["needs"] == "check"
    assert "github.event_name != 'pull_request'" in publish["if"]
    assert "permissions" not in found["jobs"]["check"]


def test_azure_publishes_after_approval_and_the_check_and_never_a_pull_request() -> None:
    stages = {stage["stage"]: stage for stage in _yaml(AZURE)["stages"]}
    publish = stages["publish"]
    assert publish["dependsOn"] == "check"
    assert publish["jobs"][0]["environment"] == "production"
    assert "'refs/heads/main'" in publish["condition"]
    assert "ne(variables['Build.Reason'], 'PullRequest')" in publish["condition"]


@pytest.mark.parametrize("name", [GITHUB, AZURE])
def test_no_secret_is_needed(name: str) -> None:
    text = (ROOT / name).read_text()
    assert not re.search(r"secrets\.|publish-profile|creds:|password|client-secret", text, re.IGNORECASE)


def test_a_checkout_that_is_sent_anyway_leaves_its_development_behind() -> None:
    lines = (ROOT / ".funcignore").read_text().splitlines()
    ignored = [line.strip("/") for line in lines if line and not line.startswith("#")]
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    first = {file.split("/")[0] for file in tracked}
    assert {name for name in first if not any(fnmatch.fnmatch(name, pattern) for pattern in ignored)} == set(APP)
