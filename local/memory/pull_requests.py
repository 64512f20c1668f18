"""Pull requests in memory, over what a `MemoryRemote` holds, with what reviewers and the server do to them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from local.memory.branches import MemoryBranches
from local.memory.commits import MemoryCommit, Tree
from local.memory.repository import MemoryRemote
from shared.protocols.pull_requests import PullRequest, RequestStatus

PAGE = "https://dev.azure.com/o/p/_git/r/pullrequest"
BACKUP = "backup-id"


@dataclass
class MemoryPullRequests:
    """See `shared.protocols.pull_requests.PullRequests`.

    With `approves` every policy is met at once; else `approve` meets them. `squash` is how the server merges, whatever
    is asked for.
    """

    remote: MemoryRemote
    approves: bool = True
    squash: bool = False
    known: dict[int, PullRequest] = field(default_factory=dict)
    comments: dict[int, list[str]] = field(default_factory=dict)
    automatic: set[int] = field(default_factory=set)

    def active(self, target: str) -> list[PullRequest]:
        """See `PullRequests.active`."""
        found = [r for r in map(self._now, self.known) if r.status is RequestStatus.ACTIVE and r.target == target]
        return sorted(found, key=lambda r: r.id, reverse=True)

    def get(self, number: int) -> PullRequest | None:
        """See `PullRequests.get`."""
        return self._now(number) if number in self.known else None

    def create(self, source: str, target: str, title: str, description: str) -> PullRequest:
        """See `PullRequests.create`."""
        for request in self.active(target):
            if request.source == source:
                return request
        number = len(self.known) + 1
        made = PullRequest(number, RequestStatus.ACTIVE, source, target, BACKUP, f"{PAGE}/{number}")
        self.known[number] = made
        self.comments[number] = [title, description]
        return made

    def complete_by_itself(self, request: PullRequest, message: str) -> None:
        """See `PullRequests.complete_by_itself`."""
        del message
        self.automatic.add(request.id)
        if self.approves:
            self.approve(request.id)

    def abandon(self, request: PullRequest, comment: str) -> None:
        """See `PullRequests.abandon`."""
        self.comments[request.id].append(comment)
        if self.known[request.id].status is RequestStatus.ACTIVE:
            self.reject(request.id)

    def reject(self, number: int) -> None:
        """Somebody closes it."""
        self.known[number] = replace(self.known[number], status=RequestStatus.ABANDONED)

    def approve(self, number: int) -> bool:
        """Every policy is met: it is completed where that was asked for; False where it has conflicts."""
        request, remote = self.known[number], self.remote
        if number not in self.automatic or request.status is not RequestStatus.ACTIVE:
            return False
        tree = self._merged(request)
        if tree is None:
            return False
        head, tip = remote.branches[request.target], remote.branches.pop(request.source)
        merged = None if self.squash else tip
        when = remote.commits[tip].when
        made = MemoryCommit(head, tree, f"Merged PR {number}", "server <server@example.com> x", when, merged)
        remote.branches[request.target] = remote.enter(made)
        self.known[number] = replace(request, status=RequestStatus.COMPLETED)
        return True

    def _now(self, number: int) -> PullRequest:
        request = self.known[number]
        open_ = request.status is RequestStatus.ACTIVE
        return replace(request, conflicts=open_ and self._merged(request) is None)

    def _merged(self, request: PullRequest) -> Tree | None:
        """The tree of a merge, file by file; None where both sides changed one."""
        remote = self.remote
        head, tip = remote.branches[request.target], remote.branches[request.source]
        base = MemoryBranches(remote).common(head, tip)
        trees = [remote.commits[c].tree if c else {} for c in (base, head, tip)]
        tree: Tree = {}
        for file in trees[0].keys() | trees[1].keys() | trees[2].keys():
            then, ours, theirs = (t.get(file) for t in trees)
            if ours != theirs and then not in (ours, theirs):
                return None
            chosen = theirs if ours == then else ours
            if chosen is not None:
                tree[file] = chosen
        return tree
