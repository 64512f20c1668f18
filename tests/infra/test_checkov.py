"""checkov has nothing to say about what would be deployed, but what is skipped with a reason."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from local.bootstrap import ensure_tool
from tests.infra.arm import skips, template
from tests.infra.bicep import INFRA, deploy
from tests.infra.variants import FLEX_PRIVATE, PRIVATE

# checkov takes long to load: it runs once.
pytestmark = pytest.mark.xdist_group("checkov")

FOR_PUBLIC_ACCESS = {"CKV_AZURE_35", "CKV_AZURE_59", "CKV_AZURE_109", "CKV_AZURE_189", "CKV_AZURE_222"}
"""Skipped where everything is reached over the internet, and never where networking is private."""
MODULES = {
    "storage.bicep": ("stateAccount", "anchorAccount", "packageAccount"),
    "vault.bicep": ("keyVault",),
    "api.bicep": ("appServicePlan", "functionApp"),
    "network.bicep": ("endpointSecurityGroup", "appSecurityGroup", "virtualNetwork"),
}


@cache
def _checkov() -> str:
    return str(ensure_tool("checkov").with_name("checkov"))


def _check(folder: Path) -> dict[str, dict[str, Any]]:
    """What checkov reports, by framework. Nothing is fetched."""
    command = [_checkov(), "--directory", str(folder), "--framework", "arm", "bicep", "--skip-download"]
    environment = {**os.environ, "LOG_LEVEL": "ERROR", "ANSI_COLORS_DISABLED": "1"}
    done = subprocess.run([*command, "--output", "json"], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode in (0, 1), done.stderr[-2000:]
    return {found["check_type"]: found for found in json.loads(done.stdout)}


def _write(folder: Path, name: str, parameters: Mapping[str, Any], *dropped: str) -> None:
    body = template(deploy(**parameters))
    for resource in body["resources"]:
        known = resource["metadata"]["checkov"]
        resource["metadata"]["checkov"] = [skip for skip in known if skip["id"] not in dropped]
    (folder / f"{name}.json").write_text(json.dumps(body, indent=1))


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Of three deployments, of the templates themselves, and of two files that are wrong on purpose."""
    folder = tmp_path_factory.mktemp("deployed")
    _write(folder, "public", {})
    _write(folder, "premium", PRIVATE, *FOR_PUBLIC_ACCESS)
    _write(folder, "flex", FLEX_PRIVATE, *FOR_PUBLIC_ACCESS)
    wrong = template(deploy())
    for resource in wrong["resources"]:
        for name, value in (("minimumTlsVersion", "TLS1_0"), ("enablePurgeProtection", False), ("httpsOnly", False)):
            if name in resource["properties"]:
                resource["properties"][name] = value
    (folder / "wrong.json").write_text(json.dumps(wrong, indent=1))
    shutil.copytree(INFRA, folder / "infra", ignore=shutil.ignore_patterns("*.json"))
    (folder / "wrong.bicep").write_text(
        "resource s 'Microsoft.Storage/storageAccounts@2024-01-01' = {\n  name: 'a'\n  location: 'x'\n}\n"
    )
    return _check(folder)


@pytest.fixture
def report(reports: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Of the deployments, as plain resources."""
    return reports["arm"]


def _of(report: Mapping[str, Any], outcome: str, name: str) -> list[str]:
    checks = [c for c in report["results"][f"{outcome}_checks"] if c["file_path"] == f"/{name}.json"]
    return [f"{c['check_id']} {c['resource']} ({c['check_name']})" for c in checks]


@pytest.mark.parametrize("name", ["public", "premium", "flex"])
def test_nothing_fails(report: dict[str, Any], name: str) -> None:
    assert _of(report, "failed", name) == []
    assert len(_of(report, "passed", name)) > 20
    assert report["summary"]["parsing_errors"] == 0


def test_what_is_wrong_is_found(report: dict[str, Any]) -> None:
    found = {line.split()[0] for line in _of(report, "failed", "wrong")}
    # An old TLS, no purge protection, plain HTTP.
    assert found >= {"CKV_AZURE_44", "CKV_AZURE_110", "CKV_AZURE_70"}


def test_a_skip_has_a_reason_and_something_to_skip(report: dict[str, Any]) -> None:
    declared = {
        check: why for file, symbols in MODULES.items() for s in symbols for check, why in skips(file, s).items()
    }
    written = "".join(p.read_text() for p in INFRA.rglob("*.bicep")).count("checkov:skip=")
    assert written == sum(len(skips(file, s)) for file, symbols in MODULES.items() for s in symbols)
    assert all(len(why.split()) >= 8 for why in declared.values())
    needed = {line.split()[0] for name in ("public", "premium", "flex") for line in _of(report, "skipped", name)}
    assert needed == declared.keys()


def test_the_templates_themselves_pass(reports: dict[str, dict[str, Any]]) -> None:
    failed = {check["file_path"] for check in reports["bicep"]["results"]["failed_checks"]}
    assert failed == {"/wrong.bicep"}
    assert reports["bicep"]["summary"]["parsing_errors"] == 0
