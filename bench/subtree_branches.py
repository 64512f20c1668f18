"""What the branches of Git folders cost: 700 folders on 100,000 notebooks, a daily backup with and without.

`python -m bench.subtree_branches` needs git alone. Both sides are the real adapter against a served bare
repository: a first backup of everything, then days in each of which 1,000 notebooks in 500 folders change, by
three authors. One line of JSON.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from local.git_server import make_repository
from local.memory.clock import ManualClock
from local.memory.storage import MemoryBlobs, MemoryTables
from local.workspace.content import source
from shared.adapters.repository import GitRepository
from shared.domain.folder_branches import branch_name
from shared.domain.versions import CommitMark
from shared.protocols import Signature, WriteFile
from shared.services.git_folders.branches import FolderBranchService
from shared.services.git_folders.store import GitFolderStore
from shared.services.state.manifests import ManifestStore

FOLDERS, NOTEBOOKS, DAYS, CHANGED = 700, 100_000, 10, 1_000
AUTHORS = ("Ada", "Grace", "Linus")
PREFIX = "folders/"


@dataclass
class Side:
    """One served repository, backed up day by day; `linked` has a branch for each folder."""

    folder: Path
    linked: bool
    clock: ManualClock = field(default_factory=ManualClock)
    seconds: list[float] = field(default_factory=list)
    advances: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.served = self.folder / "remote.git"
        make_repository(self.served)
        url = f"file://{self.served}"
        self.repository = GitRepository(url, "main", self.folder / "mirror.git", lambda: "Basic eDp4")
        blobs, tables = MemoryBlobs(self.clock), MemoryTables()
        self.manifests = ManifestStore(blobs, tables, self.clock)
        self.store = GitFolderStore(tables, self.clock)
        self.service = FolderBranchService(
            branches=self.repository.branches(),
            store=self.store,
            manifests=self.manifests,
            blobs=blobs,
            prefix=PREFIX,
        )
        if self.linked:
            for number in range(FOLDERS):
                name = f"client_{number:04}"
                self.store.link(f"/Clients/{name}", name, branch_name(PREFIX, name))

    def back_up(self, day: int, changes: list[int]) -> None:
        """One run: a commit for each author, the push, the checkpoint, the branches."""
        began = time.perf_counter()
        head = parent = self.repository.fetch()
        when = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)
        for number, author in enumerate(AUTHORS):
            who = Signature(author, f"{author.lower()}@example.com", when)
            writes = _writes(day, changes[number :: len(AUTHORS)])
            parent = self.repository.build_commit(parent, (), writes, f"Day {day}\n\nBackup-Run: d{day}\n", who, who)
        self.repository.push(str(parent), head)
        pushed = time.perf_counter()
        self.manifests.save(f"d{day}", CommitMark(day + 1, str(parent)), {}, self.manifests.load())
        if self.linked:
            advanced = self.service.advance()
            if advanced.refused or advanced.notices:
                raise SystemExit(f"branches were not advanced: {advanced}")
        self.seconds.append(time.perf_counter() - began)
        self.advances.append(time.perf_counter() - pushed)

    def size(self) -> int:
        """The repository as a server packs it, bytes."""
        subprocess.run(["git", "-C", str(self.served), "repack", "-a", "-d", "-q"], check=True)
        return sum(f.stat().st_size for f in (self.served / "objects" / "pack").glob("*.pack"))

    def check(self) -> None:
        """Every branch's root tree is its folder's very object."""
        asked = [f"refs/heads/{f.branch}^{{tree}}\nmain:{f.tree}" for f in self.store.followed()]
        told = subprocess.run(
            ["git", "-C", str(self.served), "cat-file", "--batch-check=%(objecttype) %(objectname)"],
            input="\n".join(asked).encode(),
            capture_output=True,
            check=True,
        ).stdout.splitlines()
        trees = [line for line in told if line.startswith(b"tree ")]
        if len(trees) != 2 * FOLDERS or trees[::2] != trees[1::2]:
            raise SystemExit("a branch does not show its folder's tree")


def _writes(day: int, numbers: list[int]) -> Iterator[WriteFile]:
    for number in numbers:
        data = source(number, day, "PYTHON")
        file = f"client_{number % FOLDERS:04}/area_{number // FOLDERS % 8}/notebook_{number:06}.py"
        yield WriteFile(file, len(data), iter([data]))


def main() -> None:
    draw = random.Random(1)
    days = [draw.sample(range(NOTEBOOKS), CHANGED) for _ in range(DAYS)]
    with tempfile.TemporaryDirectory() as name:
        sides = {linked: Side(Path(name) / str(linked), linked) for linked in (False, True)}
        sizes = {}
        for linked, side in sides.items():
            side.back_up(0, list(range(NOTEBOOKS)))
            sizes[linked] = [side.size()]
        for day, changes in enumerate(days, 1):
            for side in sides.values():
                side.back_up(day, changes)
        sides[True].check()
        for linked, side in sides.items():
            sizes[linked].append(side.size())
        fresh = sides[True]
        fresh.repository.forget()
        fresh.back_up(DAYS + 1, days[0])
        fresh.check()
    found = {
        "folders": FOLDERS,
        "notebooks": NOTEBOOKS,
        "changed_a_day": CHANGED,
        "first_run_seconds": {str(k): round(s.seconds[0], 2) for k, s in sides.items()},
        "first_branches_seconds": round(fresh.advances[0], 2),
        "daily_seconds_without": round(median(sides[False].seconds[1:]), 2),
        "daily_seconds_with": round(median(fresh.seconds[1 : DAYS + 1]), 2),
        "daily_branches_seconds": round(median(fresh.advances[1 : DAYS + 1]), 2),
        "branches_seconds_on_a_new_instance": round(fresh.advances[-1], 2),
        "bytes_without": sizes[False],
        "bytes_with": sizes[True],
        "bytes_a_day_for_branches": round((sizes[True][1] - sizes[True][0] - sizes[False][1] + sizes[False][0]) / DAYS),
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
