"""Batching: what one queue message asks for, whole folders in one call where that is fewer calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from shared.domain.batches import Batch, ExportItem, FolderExport
from shared.domain.planning import Plan, TreeListing

MOST_ITEMS = 500
MOST_FOLDER_BYTES = 8 * 2**20
MOST_BATCH_BYTES = 16 * 2**20
ASSUMED_BYTES = 8 * 2**10
"""The size of a notebook where the listing gives none, as Databricks' does."""


def make_batches(run_id: str, plan: Plan, listing: TreeListing) -> Iterator[Batch]:
    """The plan's items as batches `b00001`, ..., in path order so that siblings travel together."""
    folders = _whole_folders(plan, listing)
    batch: list[ExportItem] = []
    exports: list[FolderExport] = []
    number, size = 1, 0
    for folder, items in _groups(plan.items, folders):
        group_size = sum(map(_size, items))
        if batch and (len(batch) + len(items) > MOST_ITEMS or size + group_size > MOST_BATCH_BYTES):
            yield Batch(run_id, f"b{number:05}", tuple(batch), tuple(exports))
            batch, exports, number, size = [], [], number + 1, 0
        batch += items
        size += group_size
        if folder is not None:
            exports.append(FolderExport(folder, tuple(i.path for i in items)))
    if batch:
        yield Batch(run_id, f"b{number:05}", tuple(batch), tuple(exports))


def _size(item: ExportItem) -> int:
    return ASSUMED_BYTES if item.size is None else item.size


def _groups(items: tuple[ExportItem, ...], folders: frozenset[str]) -> Iterator[tuple[str | None, list[ExportItem]]]:
    """Items of one whole folder together, each other item alone."""
    by_folder: dict[str, list[ExportItem]] = {}
    for item in items:
        folder = next((f for f in reversed(_ancestors(item.path)) if f in folders), None)
        if folder is None:
            yield None, [item]
        else:
            by_folder.setdefault(folder, []).append(item)
    yield from by_folder.items()


def _whole_folders(plan: Plan, listing: TreeListing) -> frozenset[str]:
    """The shallowest folders of which everything is needed and that one export call can bring."""
    listed: Counter[str] = Counter()
    needed: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for notebook in listing.notebooks():
        for folder in _ancestors(notebook.path):
            listed[folder] += 1
    for item in plan.items:
        for folder in _ancestors(item.path):
            needed[folder] += 1
            sizes[folder] += _size(item)
    return frozenset(
        folder
        for folder, count in needed.items()
        if folder in listing.folders
        and 2 <= count == listed[folder] <= MOST_ITEMS
        and sizes[folder] <= MOST_FOLDER_BYTES
    )


def _ancestors(path: str) -> list[str]:
    """Folders above a path, the nearest first."""
    found = []
    while path := path.rpartition("/")[0]:
        found.append(path)
    return found
