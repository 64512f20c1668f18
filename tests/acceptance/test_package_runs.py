"""The package does what the checkout does: read-only, without the system's git, over HTTPS, with nothing around it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.azurite import Azurite
from local.git_server import REPOSITORY, make_repository
from local.lab import Lab
from local.packaging.portable_git import HELPERS, SUBCOMMANDS
from local.processes import ChildProcess
from local.system import ROOT, LocalSystem, SystemOptions
from tests.packages import WWWROOT, git_core, in_bare_root, search_path, without_git
from tests.servers import TOKEN, Serve, Served
from tests.tls import Tls, make_tls

pytestmark = [pytest.mark.xdist_group("package"), pytest.mark.usefixtures("namespaces")]

NOTEBOOKS = 120
BY_ITSELF = {"remote-curl", "version"}
"""The transport is no subcommand of git's own program; GitPython asks for the version while it is loaded."""
type Run = Callable[[dict[str, str], int], dict[str, Any]]


@dataclass
class Systems:
    """A workspace that stands still, and a Git server with HTTPS whose repository can be made anew."""

    workspace: Served
    git: Served
    tls: Tls
    shared: Path

    def settings(self) -> dict[str, str]:
        return {
            "DATABRICKS_HOST": self.workspace.url,
            "DATABRICKS_TOKEN": TOKEN,
            "GIT_REMOTE_URL": f"{self.git.url}/{REPOSITORY}",
            "GIT_TOKEN": TOKEN,
            "GIT_CA_FILE": str(self.tls.authority),
            "BACKUP_SCRATCH": str(self.shared / "scratch"),
            "BACKUP_WORKSPACE_THREADS": "1",
            "PATH": os.environ["PATH"],
        }

    def begin_anew(self) -> None:
        shutil.rmtree(self.git.folder / REPOSITORY)
        make_repository(self.git.folder / REPOSITORY)
        shutil.rmtree(self.shared / "scratch", ignore_errors=True)


@pytest.fixture
def systems(serve: Serve, tmp_path: Path) -> Systems:
    shared = tmp_path / "shared"
    shared.mkdir()
    shutil.copyfile(ROOT / "tests" / "packaged_backup.py", shared / "packaged_backup.py")
    tls = make_tls(shared)
    workspace = serve("local.workspace", "--notebooks", str(NOTEBOOKS), "--folders", "9")
    git = serve("local.git_server", "--certificate", str(tls.certificate), "--key", str(tls.key))
    return Systems(workspace, git, tls, shared)


def _two_days(systems: Systems, run: Run) -> list[dict[str, Any]]:
    """A first backup, and one of the next day in a process of its own, with storage of their own."""
    systems.begin_anew()
    with Azurite(systems.shared.parent / f"azurite-{run.__name__}") as azurite:
        settings = {**systems.settings(), "AzureWebJobsStorage": azurite.connection_string}
        return [run(settings, day) for day in (1, 2)]


def _answer(command: list[str], environment: dict[str, str]) -> dict[str, Any]:
    result = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-4000:]
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def test_the_package_alone_in_a_bare_root_makes_the_same_commits(
    systems: Systems, deployed: Path, bare_root: Path
) -> None:
    program, trace = str(systems.shared / "packaged_backup.py"), systems.shared / "trace"

    def checkout(settings: dict[str, str], day: int) -> dict[str, Any]:
        paths = os.pathsep.join([str(ROOT), *(p for p in sys.path if p.endswith("site-packages"))])
        return _answer([sys.executable, "-I", "-S", "-W", "ignore", program, paths, str(day)], settings)

    def package(settings: dict[str, str], day: int) -> dict[str, Any]:
        python = os.path.realpath(sys.executable)
        command = in_bare_root(bare_root, python, "-I", "-S", "-W", "ignore", program, search_path(WWWROOT), str(day))
        places = {"PYTHON_HOME": sys.base_prefix, "PACKAGE": str(deployed), "SHARED": str(systems.shared)}
        return _answer(command, {**settings, **places, "GIT_TRACE2_EVENT": str(trace)})

    expected = _two_days(systems, checkout)
    assert [day["status"] for day in expected] == ["succeeded"] * 2, expected
    found = _two_days(systems, package)
    assert [day.pop("from") for day in found] == [f"{WWWROOT}/function_app.py"] * 2
    assert [day.pop("from") for day in expected] == [f"{ROOT}/function_app.py"] * 2
    assert found == expected
    assert len(found[1]["git"]["commits"]) == 3
    assert len(found[0]["tags"]) == 2
    assert found[0]["git"]["problems"] == [] and found[0]["git"]["files"] >= NOTEBOOKS
    _check_subcommands(trace)


def _check_subcommands(trace: Path) -> None:
    """What the app started itself is what the package promises; what that started is known too."""
    events = [json.loads(line) for line in trace.read_text().splitlines()]
    named = [(event["name"], "/" in event["sid"]) for event in events if event["event"] == "cmd_name"]
    started, helped = ({name for name, below in named if below is helper} for helper in (False, True))
    assert started <= {*SUBCOMMANDS, *BY_ITSELF}
    assert set(SUBCOMMANDS) - {"version"} <= started
    assert helped - {"_run_dashed_", "_query_"} <= {*SUBCOMMANDS, *HELPERS, *BY_ITSELF}


class PackagedSystem(LocalSystem):
    """The whole system, its host with the package's app where the system's git is hidden."""

    package = Path()

    def _spawn(self, name: str, module: str, arguments: list[str], settings: dict[str, str]) -> ChildProcess:
        if name != "functions-host":
            return super()._spawn(name, module, arguments, settings)
        arguments = [str(self.package) if argument == str(ROOT) else argument for argument in arguments]
        command = without_git(sys.executable, "-P", "-m", module, *arguments)
        paths = f"{search_path(self.package)}:{ROOT}"
        environment = {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "GIT_CORE": git_core(), **settings}
        process = ChildProcess(name, command, self.options.data / "logs" / f"{name}.log", environment)
        self.processes.append(process)
        return process


def test_the_packaged_app_backs_up_where_there_is_no_git(
    serve: Serve, deployed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = make_tls(tmp_path)
    server = serve("local.git_server", "--certificate", str(tls.certificate), "--key", str(tls.key))
    remote = {
        "GIT_REMOTE_URL": f"{server.url}/{REPOSITORY}",
        "GIT_TOKEN": TOKEN,
        "GIT_CA_FILE": str(tls.authority),
    }
    for name, value in remote.items():
        monkeypatch.setenv(name, value)
    PackagedSystem.package = deployed
    with PackagedSystem(SystemOptions(tmp_path / "data", port=0, notebooks=NOTEBOOKS, plain=True)) as system:
        lab = Lab(system, tmp_path)
        run = lab.back_up()
        assert (run["status"], run["failed"]) == ("succeeded", 0), system.host.log_end()
        clone = tmp_path / "clone"
        subprocess.run(["git", "clone", "--quiet", str(server.folder / REPOSITORY), str(clone)], check=True)
        assert lab.cloned(clone) == lab.truth()
        repository = next(c for c in lab.client.call("GET", "doctor")["checks"] if c["name"] == "repository")
        assert repository["ok"]


def test_a_server_whose_authority_is_not_trusted_is_refused(systems: Systems, package: Path) -> None:
    environment = systems.settings() | {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}
    del environment["GIT_CA_FILE"]
    program = (
        "import sys; sys.path[:0] = sys.argv[1].split(':')\n"
        "from shared.wiring import connect\nfrom shared.settings import Settings\n"
        "connect(Settings.model_validate({})).repository.fetch()"
    )
    command = [sys.executable, "-I", "-S", "-W", "ignore", "-c", program, search_path(package / "package")]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 1
    assert "server certificate verification failed" in result.stderr
