"""Thirty days of people who edit, commit, merge and switch branches: everything agrees at the end of each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from local.faults.crash_points import CrashPoint, CrashTap, play_dead
from local.memory.world import World, succeeded
from local.workspace.model import ApiError
from tests.git_folders import write
from tests.together import (
    check_together,
    commit,
    commit_and_push,
    converted,
    folders,
    history,
    merge_request,
    notebook,
    shows,
    switch,
)

LANGUAGES = {"py": "PYTHON", "sql": "SQL", "scala": "SCALA", "r": "R"}


class Month:
    """People at work for days, and what they are owed."""

    def __init__(self, world: World) -> None:
        self.world, self.draw = world, world.draw
        self.committed: set[str] = set()
        self.did: Counter[str] = Counter()

    def day(self) -> None:
        for _ in range(self.draw.randrange(3, 9)):
            self.world.clock.sleep(self.draw.random() * 3_000)
            often = (self.edit, self.edit, self.edit, self.request, self.request)
            seldom = (self.conflict, self.branch_off, self.come_back, self.commit_here, self.plain, self.on_main)
            act = self.draw.choice((*often, *seldom))
            if act():
                self.did[act.__name__] += 1

    def _path(self, below: str = "/Clients") -> str:
        paths = sorted(path for path, _ in self.world.notebooks() if path.startswith(f"{below}/"))
        return str(self.draw.choice(paths)) if paths else f"{below}/none"

    def _file(self, row: Any) -> str:
        remote: Any = self.world.remote
        files = sorted(f for f in remote.commits[remote.branches[row.branch]].tree if f.endswith((".py", ".sql")))
        return str(self.draw.choice(files)) if files else "first.py"

    def edit(self) -> bool:
        row = self.draw.choice(folders(self.world))
        op = self.draw.choice(("edit", "edit", "create", "delete", "set_language"))
        path = f"{row.path}/n_{self.draw.randrange(30)}" if op == "create" else self._path(row.path)
        node = self.world.model.find(path)
        now = str(node.language) if node else ""
        language = now if op == "edit" else self.draw.choice(("PYTHON", "SQL", "R"))
        try:
            content = notebook(f"-- {self.draw.random()}", language)
            self.world.model.apply(op, "ada", path=path, language=language, content=content)
        except ApiError:
            return False
        if op == "set_language":
            self.world.model.apply("edit", "ada", path=path, language=language, content=content)
        return True

    def plain(self) -> bool:
        write(self.world, f"/Clients/plain/p_{self.draw.randrange(9)}", f"# {self.draw.random()}")
        return True

    def request(self) -> bool:
        row = self.draw.choice(folders(self.world))
        file, number = self._file(row), self.draw.randrange(20)
        body = notebook(f"# {self.draw.random()}", "PYTHON" if file.endswith(".py") else "SQL")
        new = {f"pr_{number}.py": notebook(f"# {self.draw.random()}")}
        mixed = {file: body, f"docs/{number}.md": "words", f"sub/pr_{number}.py": notebook("# in")}
        change = self.draw.choice(({file: body}, {file: None}, new, mixed))
        squash = self.draw.random() < 0.5
        self.committed.add(
            merge_request(self.world, row.branch, change, self.draw.choice(("grace", "hopper")), squash=squash)
        )
        return True

    def conflict(self) -> bool:
        """The same notebook in a pull request and in the workspace."""
        row = self.draw.choice(folders(self.world))
        file = self._file(row)
        path = f"{row.path}/{file.rpartition('.')[0]}"
        node = self.world.model.find(path)
        language = LANGUAGES[file.rpartition(".")[2]]
        if node is None or (node.kind, node.language) != ("NOTEBOOK", language):
            return False
        self.committed.add(commit(self.world, row.branch, {file: notebook(f"# theirs {self.draw.random()}", language)}))
        self.world.model.apply("edit", "ada", path=path, content=notebook(f"# live {self.draw.random()}", language))
        return True

    def branch_off(self) -> bool:
        row = self.draw.choice(folders(self.world))
        return switch(self.world, row.path, f"feature/{self.draw.randrange(3)}-{row.tree}")

    def come_back(self) -> bool:
        away = [row for row in folders(self.world) if shows(self.world, row.path)[0] != row.branch]
        if not away:
            return False
        row = self.draw.choice(away)
        commit_and_push(self.world, row.path, "linus")
        return switch(self.world, row.path, row.branch)

    def commit_here(self) -> bool:
        row = self.draw.choice(folders(self.world))
        made = commit_and_push(self.world, row.path, "linus")
        if made and shows(self.world, row.path)[0] == row.branch:
            self.committed.add(made)
        return made is not None

    def on_main(self) -> bool:
        file = self.draw.choice(sorted(self.world.remote.contents()))
        self.world.remote.person_commits({file if self.draw.random() < 0.5 else "pipeline.yml": b"theirs\n"})
        return True


@pytest.mark.parametrize("dies", [False, True], ids=["undisturbed", "processes die"])
@pytest.mark.parametrize("seed", range(4))
def test_thirty_days_of_people_who_share_folders_with_git(tmp_path: Path, seed: int, dies: bool) -> None:
    world = converted(World(tmp_path, seed=seed, deletion_guard_share=1.0))
    month = Month(world)
    died = 0
    for _ in range(30):
        month.day()
        tap = _somewhere(world) if dies else None
        world.process(tap)
        run = world.back_up()
        world.process()
        if tap and tap.dead:
            died += 1
            run = world.back_up()
        assert succeeded(run), run
        check_together(world)
    for row in folders(world):
        switch(world, row.path, row.branch)
    world.back_up()
    world.back_up()
    check_together(world)
    remote: Any = world.remote
    kept = set().union(*(history(world, remote.branches[f.branch]) for f in folders(world)))
    assert month.committed <= kept, "a person's commit was lost"
    assert len(month.did) >= 7, month.did
    assert (died > 10) is dies


def _somewhere(world: World) -> CrashTap:
    """A process that dies at one of its effects."""
    call = r"(branches\.|repository\.push|git_folders\.|tables\.upsert|blobs\.put)"
    return CrashTap(CrashPoint(world.draw.choice(("before", "after")), call, world.draw.randrange(1, 40)), play_dead)
