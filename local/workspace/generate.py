"""Fills a workspace: with notebooks that look like work, or with a folder of real ones."""

from __future__ import annotations

import random
import unicodedata
from pathlib import Path

from local.workspace.content import EXTENSION, first_line
from local.workspace.model import WorkspaceModel

LOADER = "loader@example.com"
_STEPS = ("load", "clean", "join", "report", "train", "score", "export", "check", "backfill", "merge")
_AREAS = ("etl", "reports", "ml", "adhoc", "finance", "sales", "ops", "quality")
_LANGUAGES = ("PYTHON",) * 7 + ("SQL",) * 2 + ("SCALA", "R")
_MADE_AT_MS = 1_700_000_000_000
_BY_EXTENSION = {extension: language for language, extension in EXTENSION.items()}

HOSTILE_NAMES = (
    "two words",
    "Übersicht",
    unicodedata.normalize("NFC", "café"),
    unicodedata.normalize("NFD", "café"),
    "Case",
    "case",
    ".git",
    "con",
    "dot.",
    "a:b",
    "100%",
    "🚀",
    "x",
)


def generate(model: WorkspaceModel, root: str, notebooks: int, folders: int, seed: int, *, plain: bool) -> None:
    """Place `notebooks` in about `folders` folders below `root`, deterministically."""
    draw = random.Random(seed)
    _folder(model, root)
    paths = _folder_paths(root, folders, draw)
    for path in paths:
        _folder(model, path)
    hostile = [] if plain or notebooks < 100 else list(HOSTILE_NAMES)
    _hostile(model, f"{root}/names that hurt", hostile)
    for number in range(notebooks - len(hostile)):
        path = f"{paths[number % len(paths)]}/{_STEPS[number % 10]}_{number // len(paths):04}"
        model.add(path, "NOTEBOOK", draw.choice(_LANGUAGES), _MADE_AT_MS + number)
        if hostile and number == 0:
            model.get(path).oversize = True
    for kind, name in (("FILE", "requirements.txt"), ("LIBRARY", "tools.whl"), ("MLFLOW_EXPERIMENT", "trial")):
        model.add(f"{paths[0]}/{name}", kind, None, _MADE_AT_MS)


def _folder_paths(root: str, folders: int, draw: random.Random) -> list[str]:
    if folders <= 1:
        return [f"{root}/all"]
    paths: list[str] = []
    client = 0
    while len(paths) < folders:
        client += 1
        base = f"{root}/client_{client:04}"
        areas = [f"{base}/{area}" for area in draw.sample(_AREAS, 4)]
        nested = [f"{area}/{year}" for area in areas[:2] for year in (2024, 2025)]
        paths += [base, *areas, *nested]
    return paths[:folders]


def _folder(model: WorkspaceModel, path: str) -> None:
    node = model.root
    for part in path.strip("/").split("/"):
        children = node.children or {}
        node = children.get(part) or model.add(f"{node.path.rstrip('/')}/{part}", "DIRECTORY", None, _MADE_AT_MS)


def _hostile(model: WorkspaceModel, folder: str, names: list[str]) -> None:
    if not names:
        return
    _folder(model, folder)
    _folder(model, f"{folder}/x.py")
    for name in names:
        model.add(f"{folder}/{name}", "NOTEBOOK", "PYTHON", _MADE_AT_MS)


def holds_a_notebook(source: Path) -> bool:
    """Whether a folder of files holds one that is loaded as a notebook. Raises `OSError`."""
    return any(_is_notebook(file, file.read_bytes()) for file in _files(source))


def _files(source: Path) -> list[Path]:
    return sorted(p for p in source.rglob("*") if p.is_file() and ".git" not in p.parts)


def _is_notebook(file: Path, data: bytes) -> bool:
    language = _BY_EXTENSION.get(file.suffix.lower())
    return language is not None and data.startswith(first_line(language).encode())


def load_folder(model: WorkspaceModel, root: str, source: Path) -> int:
    """Fill the workspace with the notebooks among a folder's files; returns their number."""
    _folder(model, root)
    count = 0
    for file in _files(source):
        relative = file.relative_to(source)
        data = file.read_bytes()
        language = _BY_EXTENSION.get(file.suffix.lower())
        is_notebook = _is_notebook(file, data)
        _folder(model, f"{root}/{relative.parent.as_posix()}" if relative.parent != Path() else root)
        name = relative.with_suffix("") if is_notebook else relative
        path = f"{root}/{name.as_posix()}"
        if model.find(path):
            path = f"{root}/{relative.as_posix()}"
        node = model.add(path, "NOTEBOOK" if is_notebook else "FILE", language if is_notebook else None, _MADE_AT_MS)
        node.content = data
        count += is_notebook
    return count
