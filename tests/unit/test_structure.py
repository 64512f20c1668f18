"""The architecture holds: who may import whom, and how large a module may grow."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
ALLOWED = {
    "shared/domain": ("shared.domain",),
    "shared/services": (
        "shared.domain",
        "shared.services",
        "shared.protocols",
        "shared.errors",
        "shared.clock",
        "shared.redaction",
    ),
    "shared/adapters": (
        "shared.domain",
        "shared.adapters",
        "shared.protocols",
        "shared.errors",
        "shared.clock",
        "shared.redaction",
    ),
    "functions": (
        "functions",
        "shared.services",
        "shared.domain",
        "shared.protocols",
        "shared.errors",
        "shared.wiring",
    ),
}
SERVICES = (
    *("audit", "state", "access", "recovery", "reporting", "volume", "git_folders", "backup", "credentials"),
    "operations",
)
"""From the ground up: each may use itself and those before it."""
OURS = ("shared", "functions", "local", "tests", "function_app")
PURE = {"os", "pathlib", "time", "socket", "subprocess", "requests", "urllib3", "git", "azure", "threading", "random"}
MOST_LINES = 400


def _imports(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    found = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module}
    return found | {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}


def _modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("folder", ALLOWED)
def test_imports_go_one_way(folder: str) -> None:
    for file in _modules(folder):
        for name in _imports(file):
            if name.split(".")[0] in OURS:
                assert name.startswith(ALLOWED[folder]), f"{file.relative_to(ROOT)} imports {name}"


def test_services_rest_on_those_below_them_alone() -> None:
    order = {name: place for place, name in enumerate(SERVICES)}
    folders = {f.parent.name for f in _modules("shared/services")} - {"services"}
    assert folders == set(SERVICES)
    for file in _modules("shared/services"):
        for name in _imports(file):
            below = name.split(".")[2] if name.startswith("shared.services.") else SERVICES[0]
            assert order[below] <= order.get(file.parent.name, 0), f"{file.relative_to(ROOT)} imports {name}"


def _circle(root: Path, folders: Sequence[str]) -> list[str]:
    """The modules of one circle of imports, the first again at the end; empty where there is none.

    What an import within a function or for the type checker alone names counts, too: it hides a circle, and
    does not mend it.
    """
    files = [file for folder in folders for file in sorted((root / folder).rglob("*.py"))]
    dotted = {".".join(f.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): f for f in files}
    try:
        TopologicalSorter({name: _needs(name, file, dotted.keys()) for name, file in dotted.items()}).prepare()
    except CycleError as error:
        return [str(name) for name in error.args[1]]
    return []


def _needs(name: str, file: Path, known: Collection[str]) -> set[str]:
    """The modules that have to be loaded before this one, with the packages that they are in, its own left out."""
    named: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            full = (f"{node.module}.{alias.name}" for alias in node.names)
            named |= {module if module in known else node.module for module in full}
    around = {module.rsplit(".", n)[0] for module in named for n in range(1, module.count(".") + 1)}
    return (named & set(known)) | {n for n in around & set(known) if not f"{name}.".startswith(f"{n}.")}


def test_no_module_needs_itself() -> None:
    assert _circle(ROOT, ["shared", "functions", "local", "bench", "tests"]) == []


def test_a_circle_of_imports_is_named(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/__init__.py").write_text("")
    (tmp_path / "app/one.py").write_text("from app.two import f\n")
    (tmp_path / "app/two.py").write_text("def f():\n    import app.three\n")
    (tmp_path / "app/three.py").write_text("from app import four\n")
    (tmp_path / "app/four.py").write_text("import os\n")
    assert _circle(tmp_path, ["app"]) == []
    (tmp_path / "app/four.py").write_text("if TYPE_CHECKING:\n    from app.one import g\n")
    assert set(_circle(tmp_path, ["app"])) == {"app.one", "app.two", "app.three", "app.four"}
    (tmp_path / "app/four.py").write_text("from app import NAME\n")
    (tmp_path / "app/__init__.py").write_text("from app.four import NAME\n")
    assert set(_circle(tmp_path, ["app"])) == {"app", "app.four"}


def test_the_domain_is_pure() -> None:
    for file in _modules("shared/domain"):
        assert not {name.split(".")[0] for name in _imports(file)} & PURE, file.name


def test_nothing_but_settings_and_command_line_reads_the_environment() -> None:
    """Two write to it: GitPython while it is loaded, and the exporter of spans, can be told in no other way."""
    readers = [f for f in _modules("shared") if "os.environ" in f.read_text()]
    assert {f.relative_to(ROOT).as_posix() for f in readers} == {
        "shared/cli/client.py",
        "shared/cli/setup/engine.py",
        "shared/adapters/git_library.py",
        "shared/adapters/telemetry.py",
    }


def test_entry_points_restore_by_the_way_that_knows_who_asks() -> None:
    """What needs no caller: the steps of a restore that was let in."""
    found = {m for f in _modules("functions") for m in re.findall(r"services\(\)\.restores\.(\w+)", f.read_text())}
    assert found == {"step", "abandoned"}


@pytest.mark.parametrize("folder", ["shared", "functions", "local", "tests"])
def test_modules_stay_small(folder: str) -> None:
    assert {f.name: n for f in _modules(folder) if (n := len(f.read_text().splitlines())) >= MOST_LINES} == {}
