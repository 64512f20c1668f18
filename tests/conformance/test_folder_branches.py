"""What the branches of Git folders promise, kept by git (beside it and over HTTP) and in memory."""

from __future__ import annotations

import base64
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local.git_server import REPOSITORY, make_repository
from local.memory.repository import MemoryRemote
from shared.adapters.repository import GitRepository
from shared.domain.folder_branches import EMPTY_TREE
from shared.protocols import Signature, WriteFile
from shared.protocols.folder_branches import BranchChain, BranchMove, Link
from tests.servers import TOKEN

ADA = Signature("Ada", "ada@example.com", datetime(2026, 1, 2, tzinfo=UTC))
US = Signature("Backup", "backup@example.com", datetime(2026, 1, 3, tzinfo=UTC))
BASIC = "Basic " + base64.b64encode(f":{TOKEN}".encode()).decode()


@dataclass
class Remote:
    """One implementation: where it is served, and new mirrors of it."""

    held: MemoryRemote | None
    served: Path
    url: str
    folder: Path
    count: int = 0

    def mirror(self) -> Any:
        if self.held:
            return self.held.mirror(self.folder)
        self.count += 1
        return GitRepository(self.url, "main", self.folder / f"mirror-{self.count}", lambda: BASIC)

    def set_branch(self, branch: str, commit: str | None) -> None:
        """As an administrator does, whatever was there."""
        if self.held and commit:
            self.held.branches[branch] = commit
        elif self.held:
            del self.held.branches[branch]
        else:
            what = [f"refs/heads/{branch}", commit] if commit else ["-d", f"refs/heads/{branch}"]
            subprocess.run(["git", "-C", str(self.served), "update-ref", *what], check=True)


@pytest.fixture(params=["memory", "git", "git over http"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Remote:
    if request.param == "memory":
        return Remote(MemoryRemote(), tmp_path, "", tmp_path)
    if request.param == "git":
        make_repository(tmp_path / "remote.git")
        return Remote(None, tmp_path / "remote.git", f"file://{tmp_path}/remote.git", tmp_path)
    server = request.getfixturevalue("serve")("local.git_server")
    return Remote(None, server.folder / REPOSITORY, f"{server.url}/{REPOSITORY}", tmp_path)


def _write(file: str, text: str) -> WriteFile:
    return WriteFile(file, len(text), iter([text.encode()]))


def _backup(repository: Any, *writes: WriteFile, author: Signature = ADA, deletes: tuple[str, ...] = ()) -> str:
    head = repository.fetch()
    commit = repository.build_commit(head, deletes, writes, "Back up\n\nBackup-Run: r1\n", author, US)
    repository.push(commit, head)
    return str(commit)


def _chain(parent: str | None, *trees: str) -> BranchChain:
    return BranchChain(parent, tuple(Link(tree, ADA, US, f"follow\n\nBackup-Commit: {tree}\n") for tree in trees))


def test_a_branch_shows_the_very_tree_of_its_folder(remote: Remote) -> None:
    repository = remote.mirror()
    first = _backup(repository, _write("a b/x.py", "1"), _write("a b/c/y.py", "2"), _write("z.py", "3"))
    branches = repository.branches()
    trees = branches.subtrees([first], ["a b", "a b/c", "", "none", "z.py"])
    assert trees.keys() == {(first, "a b"), (first, "a b/c"), (first, "")}
    one, two, three = branches.build([_chain(None, trees[(first, f)]) for f in ("a b", "a b/c", "")])
    moves = [BranchMove("folders/a", one), BranchMove("folders/a.c", two), BranchMove("folders/%root", three)]
    assert branches.push(moves) == set()
    other = remote.mirror().branches()
    assert other.heads("folders/") == {"folders/a": one, "folders/a.c": two, "folders/%root": three}
    assert other.heads("main") == ({} if remote.held else {"main": first})
    described = other.describe([one, two, three, "0" * 40])
    assert {c: d.tree for c, d in described.items()} == {
        one: trees[(first, "a b")],
        two: trees[(first, "a b/c")],
        three: trees[(first, "")],
    }
    assert described[one].message.strip().endswith(f"Backup-Commit: {trees[(first, 'a b')]}")


def test_a_branch_follows_in_order_and_is_moved_by_another_mirror(remote: Remote) -> None:
    repository = remote.mirror()
    commits = [_backup(repository, _write("a/x.py", "1"))]
    branches = repository.branches()
    trees = [branches.subtrees(commits, ["a"])[(commits[0], "a")]]
    (first,) = branches.build([_chain(None, *trees)])
    assert branches.push([BranchMove("folders/a", first)]) == set()
    grace = Signature("Grace", "grace@example.com", datetime(2026, 2, 2, tzinfo=UTC))
    commits.append(_backup(repository, _write("a/x.py", "2"), author=grace))
    commits.append(_backup(repository, _write("b/x.py", "1")))
    fresh = remote.mirror()
    fresh.fetch()
    branches = fresh.branches()
    found = branches.since(commits[2], commits[0])
    assert [(c.commit, c.author) for c in found] == [(commits[1], grace), (commits[2], ADA)]
    assert {c.committer for c in found} == {US}
    assert found[0].message.strip() == "Back up\n\nBackup-Run: r1"
    assert [c.commit for c in branches.since(commits[2], commits[2])] == [commits[2]]
    assert [c.commit for c in branches.since(commits[2], "0" * 40)] == [commits[2]]
    assert [c.commit for c in branches.since(commits[2], None)] == [commits[2]]
    known = branches.subtrees(commits, ["a"])
    assert known[(commits[1], "a")] == known[(commits[2], "a")] != trees[0]
    assert branches.describe([first]).keys() == {first}
    (second,) = branches.build([_chain(first, known[(commits[1], "a")], EMPTY_TREE)])
    assert branches.push([BranchMove("folders/a", second)]) == set()
    other = remote.mirror().branches()
    assert other.describe([second, first]).keys() == {first, second}
    assert other.describe([second])[second].tree == EMPTY_TREE
    assert (other.contains(second, first), other.contains(first, second)) == (True, False)


def test_no_branch_is_forced_and_one_that_is_refused_keeps_none_other(remote: Remote) -> None:
    repository = remote.mirror()
    commit = _backup(repository, _write("a/x.py", "1"), _write("b/x.py", "2"))
    branches = repository.branches()
    trees = branches.subtrees([commit], ["a", "b"])
    ours, theirs = branches.build([_chain(None, trees[(commit, "a")]), _chain(None, trees[(commit, "b")])])
    assert branches.push([BranchMove("folders/a", ours), BranchMove("folders/c", theirs)]) == set()
    (other,) = branches.build([_chain(None, trees[(commit, "b")])]) if remote.held else [theirs]
    moves = [BranchMove("folders/a", theirs), BranchMove("folders/b", other)]
    assert branches.push(moves) == {"folders/a"}
    assert branches.heads("folders/") == {"folders/a": ours, "folders/b": other, "folders/c": theirs}
    assert branches.push([BranchMove("folders/a", ours), BranchMove("folders/b", other)]) == set()
    remote.set_branch("folders/a", None)
    assert branches.heads("folders/a") == {}
    assert branches.push([BranchMove("folders/a", ours)]) == set()
    assert branches.heads("folders/a") == {"folders/a": ours}


def _persons(remote: Remote, branches: Any, parent: str, tree: str, who: Signature, onto: str | None = None) -> str:
    """A commit by somebody on a branch, a merge where `onto` is given."""
    (made,) = branches.build([BranchChain(parent, (Link(tree, who, who, "mine\n\nand why\n", onto),))])
    assert branches.push([BranchMove("folders/a", made)]) == set()
    return str(made)


def test_what_people_committed_is_told_commit_by_commit_and_merged(remote: Remote) -> None:
    repository = remote.mirror()
    grace = Signature("Grace", "grace@example.com", datetime(2026, 2, 2, tzinfo=UTC))
    one = _backup(repository, _write("a/x.py", "1"), _write("a/b/y.py", "1"), _write("a/é.py", "1"))
    two = _backup(repository, _write("a/x.py", "2"), _write("a/b/new.py", "1"), deletes=("a/é.py",))
    three = _backup(repository, _write("a/b/y.py", "3"))
    branches = repository.branches()
    trees = {c: branches.subtrees([c], ["a"])[(c, "a")] for c in (one, two, three)}
    (base,) = branches.build([_chain(None, trees[one])])
    assert branches.push([BranchMove("folders/a", base)]) == set()
    mine = _persons(remote, branches, base, trees[two], grace)
    fresh = remote.mirror()
    fresh.fetch()
    branches = fresh.branches()
    assert branches.contains(mine, base)
    (found,) = branches.edits(mine, base)
    assert (found.commit, found.author, found.committer) == (mine, grace, "grace@example.com")
    assert found.message.strip() == "mine\n\nand why"
    then, now = fresh.tree(base), fresh.tree(mine)
    assert found.files == {"x.py": now["x.py"], "b/new.py": now["b/new.py"], "é.py": None}
    assert then["x.py"] != now["x.py"]
    ours = Link(trees[three], ADA, US, f"follow\n\nBackup-Commit: {three}\n")
    (merged,) = branches.build([BranchChain(base, (ours, Link(trees[three], US, US, "merge\n", mine)))])
    assert branches.push([BranchMove("folders/a", merged)]) == set()
    other = remote.mirror().branches()
    assert other.heads("folders/") == {"folders/a": merged}
    assert other.contains(merged, mine)
    assert other.contains(merged, base)
    told = other.edits(merged, base)
    assert {c.commit for c in told} >= {mine, merged}
    assert (len(told), told[-1].commit, told[-1].files) == (3, merged, {})
    assert [c.commit for c in other.edits(merged, mine)][-1] == merged
    assert other.edits(merged, merged) == []


def test_no_name_and_no_message_passes_for_something_else(tmp_path: Path) -> None:
    make_repository(tmp_path / "remote.git")
    served = tmp_path / "remote.git"
    held = Remote(None, served, f"file://{served}", tmp_path)
    repository = held.mirror()
    head = _backup(repository, _write("a/x.py", "1"))
    odd = b"commit refs/heads/folders/a\nauthor x\x02y\x01z <a\x02b@c> 1767312000 +0000\n"
    odd += b"committer p\x02q <d\x02e@f> 1767312000 +0000\ndata 21\nsubject\x02\x01\n\nBackup-\x01\x02\n"
    odd += b"M 100644 inline x.py\ndata 1\n2\nM 120000 inline link\ndata 4\n/etc\n"
    odd += b"M 100755 inline run.sh\ndata 2\n#!\n"
    odd += b"M 160000 " + b"1" * 40 + b" sub\ndone\n"
    feed = ["git", "-C", str(served), "fast-import", "--quiet", "--done"]
    subprocess.run(feed, input=odd, check=True)
    fresh = held.mirror()
    fresh.fetch()
    branches = fresh.branches()
    tip = branches.heads("folders/")["folders/a"]
    (described,) = branches.describe([tip]).values()
    assert described.message.startswith("subject\x02\x01")
    assert branches.modes(tip) == {"link": "120000", "sub": "160000", "run.sh": "100755"}
    (told,) = branches.since(tip, None)
    assert (told.commit, told.author.name, told.author.email) == (tip, "x\x02y\x01z", "a\x02b@c")
    kept = fresh.tree(tip)
    link = Link(
        described.tree, ADA, US, "again\n", None, {**kept, "x.py": None, "y.py": kept["x.py"]}, branches.modes(tip)
    )
    (made,) = branches.build([BranchChain(tip, (link,))])
    assert fresh.tree(made).keys() == {"y.py", "link", "sub", "run.sh"}
    assert branches.modes(made) == branches.modes(tip)
    assert branches.push([BranchMove("folders/a", made)]) == set()
    (found,) = branches.edits(made, tip)
    assert (found.author.name, found.committer) == ("Ada", "backup@example.com")
    again = repository.build_commit(head, (), [_write("b.py", "1")], "m", told.author, told.committer)
    (ours,) = repository.branches().since(again, None)
    assert (ours.author.name, ours.author.email) == ("xyz", "ab@c")


def test_the_default_branch_is_what_a_clone_checks_out(remote: Remote) -> None:
    repository = remote.mirror()
    _backup(repository, _write("a/x.py", "1"))
    assert repository.branches().default_branch() == "main"


@pytest.mark.parametrize("shallow", [True, False])
def test_a_push_of_many_trees_sends_no_contents(tmp_path: Path, shallow: bool) -> None:
    make_repository(tmp_path / "remote.git")
    served = tmp_path / "remote.git"
    held = Remote(None, served, f"file://{served}", tmp_path)
    big = "x" * 5_000
    writes = [_write(f"f{n}/{m}.py", f"{n} {m} {big}") for n in range(40) for m in range(5)]
    first = held.mirror()
    _backup(first, *writes)
    fresh = held.mirror() if shallow else first
    head = fresh.fetch()
    branches = fresh.branches()
    folders = [f"f{n}" for n in range(40)]
    trees = branches.subtrees([head], folders)
    before = _size(served)
    made = branches.build([_chain(None, trees[(head, f)]) for f in folders])
    assert branches.push([BranchMove(f"folders/{f}", c) for f, c in zip(folders, made, strict=True)]) == set()
    assert _size(served) - before < 40 * 600, "more than the commits went over"
    fsck = ["git", "-C", str(served), "fsck", "--full", "--strict"]
    assert subprocess.run(fsck, capture_output=True, check=True).stdout == b""


def _size(served: Path) -> int:
    return sum(f.stat().st_size for f in (served / "objects").rglob("*") if f.is_file())
