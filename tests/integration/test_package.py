"""What ./package makes: its contents, the same bytes each time, its licences, and what the platform loads of it."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from local.packaging import PackagingFailed, build_package
from local.packaging.archive import EPOCH, files_of, write_zip
from local.packaging.dependencies import SITE_PACKAGES, install_dependencies
from local.packaging.portable_git import SUBCOMMANDS, add_git
from local.packaging.sizes import MOST_ZIP_BYTES, check_limits, describe, part_sizes
from tests.packages import EVERYWHERE, libraries, search_path

pytestmark = pytest.mark.xdist_group("package")

ROOT = Path(__file__).resolve().parent.parent.parent
HEAVY = (
    "azure.communication",
    "azure.data.tables",
    "azure.identity",
    "azure.monitor",
    "azure.storage",
    "dulwich",
    "git",
    "google.protobuf",
    "jinja2",
    "msal",
    "opentelemetry.exporter",
    "pygments",
    "re2",
)
LOAD = """
import json, sys
sys.path[:0] = sys.argv[1].split(":")
import function_app
print(json.dumps({"modules": sorted(sys.modules), "files": sorted(
    m.__file__ for m in sys.modules.values() if getattr(m, "__file__", None))}))
"""
INDEX = """
import json, sys
sys.path[:0] = sys.argv[1].split(":")
from azure_functions_runtime import loader
rows = {}
for f in loader.index_function_app("function_app.py"):
    rows[f.get_function_name()] = sorted(json.dumps(b.get_dict_repr(), sort_keys=True, default=str)
                                         for b in f.get_bindings())
print(json.dumps(rows))
"""


def _asked(program: str, *paths: str, folder: Path = ROOT) -> Any:
    command = [sys.executable, "-I", "-S", "-W", "ignore", "-c", program, ":".join(paths)]
    settings = {"BACKUP_SCHEDULE": "0 30 2 * * *", "BACKUP_VERIFY_SCHEDULE": "0 30 6 * * *"}
    result = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads(result.stdout.splitlines()[-1])


def _manifest(package: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((package / "package" / "manifest.json").read_text())
    return found


def test_it_holds_the_app_and_nothing_of_its_development(package: Path) -> None:
    files = files_of(package / "package")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    app = {f for f in tracked if f.startswith(("functions/", "shared/")) and not f.startswith("shared/cli/")}
    alone = {"function_app.py", "host.json", "requirements.txt", "LICENSE", ".funcignore", "manifest.json"}
    ours = {f for f in files if not f.startswith((".python_packages/", "portable_git/")) and "__pycache__" not in f}
    assert ours == app | alone
    assert not [f for f in files if {"tests", "test", "bin"} & set(Path(f).parts[:-2]) and SITE_PACKAGES in f]


def test_the_manifest_names_each_file_with_its_hash(package: Path) -> None:
    named = _manifest(package)["files"]
    for file in files_of(package / "package"):
        if file != "manifest.json":
            data = (package / "package" / file).read_bytes()
            assert named.pop(file)["sha256"] == hashlib.sha256(data).hexdigest()
    assert named == {}


def test_the_manifest_says_what_it_was_made_of(package: Path) -> None:
    found = _manifest(package)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert found["version"] == "0.1.0"
    assert found["commit"].removesuffix("+changes") == head.strip()
    assert found["python"] == "3.13"
    installed = subprocess.run(["git", "version"], check=True, capture_output=True, text=True).stdout.split()[2]
    assert found["git"]["version"] == installed
    assert any(name.startswith("git ") for name in found["git"]["packages"])


def test_the_zip_carries_the_modes_and_one_date(package: Path) -> None:
    with zipfile.ZipFile(package / "package.zip") as archive:
        entries = archive.infolist()
        assert archive.testzip() is None
    assert [e.filename for e in entries] == sorted(files_of(package / "package"))
    assert {e.date_time for e in entries} == {EPOCH}
    modes = {e.filename: stat.S_IMODE(e.external_attr >> 16) for e in entries}
    assert modes["portable_git/bin/git"] == modes["portable_git/bin/git-remote-https"] == 0o755
    assert modes["function_app.py"] == modes["portable_git/lib/libc.so.6"] == 0o644
    assert set(modes.values()) == {0o644, 0o755}


def test_the_same_inputs_make_the_same_bytes(package: Path, tmp_path: Path) -> None:
    mask = os.umask(0o077)
    try:
        again = build_package(tmp_path / "elsewhere")
    finally:
        os.umask(mask)
    files = {f: _hash(again.folder / f) for f in files_of(again.folder)}
    assert files == {f: _hash(package / "package" / f) for f in files_of(package / "package")}
    assert again.sha256 == _hash(package / "package.zip")


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_every_module_has_its_bytecode_and_none_looks_at_dates(package: Path) -> None:
    folder = package / "package"
    sources = list(folder.rglob("*.py"))
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
        # The flags after the magic number: by hash, and not compared with the source (PEP 552).
        assert compiled.read_bytes()[4:8] == b"\x01\0\0\0", source
    assert len(sources) == len(list(folder.rglob("*.pyc"))) > 1_000


def test_core_tools_find_the_packages_in_step_with_the_requirements(package: Path) -> None:
    folder = package / "package"
    digest = hashlib.md5((folder / "requirements.txt").read_bytes(), usedforsecurity=False).digest()
    assert (folder / ".python_packages" / "requirements.txt.md5").read_text() == base64.b64encode(digest).decode()


def test_every_file_of_git_has_its_licence_and_its_source(package: Path) -> None:
    folder = package / "package" / "portable_git"
    readme = (folder / "licences" / "README.md").read_text()
    rows = [[cell.strip(" `") for cell in row.split("|")[1:-1]] for row in readme.splitlines() if row.startswith("| `")]
    carried = {f for f in files_of(folder) if f.startswith(("bin/", "lib/"))}
    assert {row[0] for row in rows} == carried
    for _, name, source in rows:
        assert len((folder / "licences" / name.partition(":")[0] / "copyright").read_text()) > 200
        assert source.startswith("https://")
    assert "GNU GENERAL PUBLIC LICENSE" in (folder / "licences" / "common" / "GPL-2").read_text()


def test_every_python_package_keeps_what_says_its_licence(package: Path) -> None:
    site = package / "package" / SITE_PACKAGES
    distributions = list(site.glob("*.dist-info"))
    assert len(distributions) > 40
    for distribution in distributions:
        named = [f for f in distribution.rglob("*") if f.name.upper().startswith(("LICEN", "COPYING", "NOTICE"))]
        text = (distribution / "METADATA").read_text(errors="replace")
        assert named or "License" in text, distribution.name


def test_its_modules_need_of_the_system_what_every_linux_has(package: Path) -> None:
    needed = libraries((package / "package" / SITE_PACKAGES).rglob("*.so"))
    own = package / "package"
    outside = {Path(name).name for name in needed if not Path(name).is_relative_to(own)}
    assert outside <= {*EVERYWHERE, "ld-linux-x86-64.so.2"}


def test_the_platforms_worker_finds_every_function_with_the_checkouts_bindings(package: Path) -> None:
    runtime = next(path for path in sys.path if (Path(path) / "azure_functions_runtime").is_dir())
    folder = package / "package"
    platform = _asked(INDEX, str(folder), str(folder / SITE_PACKAGES), runtime, folder=folder)
    assert platform == _asked(INDEX, str(ROOT), runtime)
    assert len(platform) > 40


def test_the_app_is_loaded_from_the_package_alone_and_without_what_takes_long(package: Path) -> None:
    folder = package / "package"
    found = _asked(LOAD, *search_path(folder).split(":"), folder=Path("/"))
    loaded = [name for name in found["modules"] if name.startswith(tuple(f"{heavy}." for heavy in HEAVY))]
    assert loaded == []
    homes = (str(folder), sys.base_prefix)
    assert [file for file in found["files"] if not file.startswith(homes)] == []


def test_the_list_of_subcommands_is_what_the_adapters_call() -> None:
    called = set()
    for file in sorted((ROOT / "shared" / "adapters").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and node.value in SUBCOMMANDS:
                called.add(node.value)
    # `init` is GitPython's call, and `version` what it asks while it is loaded.
    assert called | {"init", "version"} == set(SUBCOMMANDS)


def test_the_largest_parts_are_named(package: Path) -> None:
    text = describe(package / "package", package / "package.zip", parts=3)
    assert len(text.splitlines()) == 4
    assert "portable_git" in text
    total = sum((package / "package" / f).stat().st_size for f in files_of(package / "package"))
    assert part_sizes(package / "package").total() == total


def test_a_package_that_no_plan_takes_is_refused(tmp_path: Path) -> None:
    folder, archive = tmp_path / "package", tmp_path / "package.zip"
    (folder / "shared").mkdir(parents=True)
    (folder / "shared" / "large.bin").write_bytes(b"x" * 2**20)
    write_zip(folder, archive)
    check_limits(folder, archive)
    with archive.open("ab") as stream:
        stream.truncate(MOST_ZIP_BYTES + 1)
    with pytest.raises(PackagingFailed, match=r"the zip has 1024\.0 MB.*shared 1\.0 MB"):
        check_limits(folder, archive)


def test_a_package_whose_hash_is_another_is_not_installed(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"six==1.17.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(PackagingFailed, match="Check that the package registry"):
        install_dependencies(requirements, tmp_path / "site")
    assert not (tmp_path / "site" / "six.py").exists()


def test_without_a_git_to_carry_it_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PackagingFailed, match="apt-get install git"):
        add_git(tmp_path / "portable_git")


def test_a_failure_leaves_the_package_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "host.json").write_text("{}")
    (tmp_path / "package.zip").write_bytes(b"before")
    monkeypatch.setattr("local.packaging.build.install_dependencies", _fails)
    with pytest.raises(PackagingFailed, match="no registry"):
        build_package(tmp_path)
    assert (tmp_path / "package.zip").read_bytes() == b"before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["package", "package.zip"]


def _fails(*_: Path) -> None:
    raise PackagingFailed("no registry")
