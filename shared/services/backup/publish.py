"""Publishing: what the backup commits to its own branch reaches a protected branch by a pull request.

The backup goes on whatever becomes of a pull request: its own branch is what the checkpoint names, and what is
restored from. Everything here can be found out anew from the two branches and the server's pull requests.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass

from shared.clock import Clock
from shared.domain.audit import AuditAction, AuditResult, Detail
from shared.domain.batches import Notice
from shared.domain.publication import Overlay, overlay
from shared.errors import BackupError
from shared.protocols import Repository, Row, Signature, Tables
from shared.protocols.folder_branches import BranchChain, BranchMove, FolderBranches, Link
from shared.protocols.pull_requests import PullRequest, PullRequests, RequestStatus
from shared.redaction import redact
from shared.services.audit.export import SYSTEM
from shared.services.audit.recorder import Recorder
from shared.services.state.findings import FindingStore
from shared.services.state.manifests import ManifestStore
from shared.services.state.runs import CHECKPOINTS

TOPICS = "backup/runs/"
MOST_TOLD = 20
_ROW = ("publication", "current")
_SOURCE = "publication"
_log = logging.getLogger("backup.publication")


@dataclass(frozen=True, slots=True)
class Topic:
    """A branch for one pull request: its tip follows on the protected branch and on the backup's own."""

    branch: str
    tip: str
    overlay: Overlay


class PublishService:
    """Keeps one pull request open while `target` lacks something, and tidies what it replaces."""

    def __init__(
        self,
        *,
        repository: Repository,
        branches: FolderBranches,
        requests: PullRequests,
        manifests: ManifestStore,
        findings: FindingStore,
        recorder: Recorder,
        tables: Tables,
        clock: Clock,
        target: str,
        root: str,
        name: str,
        email: str,
    ) -> None:
        self._repository, self._branches, self._requests = repository, branches, requests
        self._manifests, self._findings, self._recorder = manifests, findings, recorder
        self._tables, self._clock, self._target, self._root = tables, clock, target, root
        self._name, self._email = name, email
        self._topics = f"{TOPICS}{target}/"

    def prepare(self) -> None:
        """Make the backup's own branch, where there is none: of its last commit, or of the protected branch.

        Raises `RepositoryError`. What cannot be made is met by whoever commits.
        """
        if self._repository.fetch() is not None:
            return
        mark = self._manifests.mark()
        begin = mark.commit if mark else self._branches.heads(self._target).get(self._target)
        if begin is not None:
            self._repository.revive(begin)

    def after_run(self, run_id: str) -> None:
        """Publish what a run left on the backup's own branch. What fails is a notice of the run, and next time's."""
        try:
            notices = self._publish(run_id)
        except Exception as error:  # noqa: BLE001 - whatever people pushed, the backup itself is done and ends
            told = "%s waits for the next backup: %s"
            _log.error(told, self._target, redact(str(error)), extra={"run_id": run_id, "action": "publish"})
            reason = f"{self._target} waits for the next backup: {redact(str(error))}"
            notices = [Notice(self._target, "publication_waits", reason)]
        if notices:
            self._findings.record_notices(run_id, _SOURCE, notices)

    def shown(self) -> dict[str, str | int | None]:
        """For people: the protected branch, the commit that reached it, and the last pull request."""
        row = self.state()
        names = ("status", "page", "since", "published", "published_at")
        told = {name: str(row[name]) if row.get(name) else None for name in names}
        return {"target": self._target, "pull_request": int(row.get("pull_request") or 0) or None, **told}

    def state(self) -> Row:
        """The stored row; empty before anything was published."""
        stored = self._tables.get(CHECKPOINTS, *_ROW)
        return dict(stored.row) if stored else {}

    def _publish(self, run_id: str) -> list[Notice]:
        mark = self._manifests.mark()
        ground = self._repository.fetch()
        if mark is None or ground is None:
            return []
        known, notices = self._looked_after(run_id)
        head = self._branches.heads(self._target).get(self._target)
        if head is None:
            return [*notices, *self._begin(ground)]
        waiting = known.get("status") == RequestStatus.ACTIVE and (known.get("ground"), known.get("onto")) == (
            ground,
            head,
        )
        if waiting:
            self._complete(self._requests.get(int(known["pull_request"] or 0)), known)
            return notices
        topic = self._topic(run_id, ground, head, known)
        if topic is None:
            self._save(published=ground, ground=ground, onto=head, status=RequestStatus.COMPLETED.value)
            self._tidy(None)
            return notices
        self._complete(*self._open(run_id, topic, ground, head))
        # Where nobody has to agree it is completed already, or soon.
        self._looked_after(run_id)
        return [*notices, *_told(topic, self._target)]

    def _looked_after(self, run_id: str) -> tuple[Row, list[Notice]]:
        """The pull request of before as it stands now; one that was completed counts as published."""
        known = self.state()
        if not known.get("pull_request") or known.get("status") != RequestStatus.ACTIVE:
            return known, []
        now = self._requests.get(int(known["pull_request"] or 0))
        status = now.status if now else RequestStatus.ABANDONED
        if status is RequestStatus.COMPLETED:
            self._record(run_id, AuditAction.PUBLISHED, known)
            return self._save(status=status.value, published=str(known["ground"]), published_at=self._now()), []
        if status is RequestStatus.ABANDONED:
            reason = f"somebody closed the pull request {known['pull_request']}: it is opened anew"
            return self._save(status=status.value), [Notice(self._target, "pull_request_closed", reason)]
        if now and now.conflicts:
            return self._save(status="conflicts"), []
        return known, []

    def _begin(self, ground: str) -> list[Notice]:
        """Where the protected branch is not there yet, it begins as the backup's own."""
        if self._branches.push([BranchMove(self._target, ground)]):
            reason = f"{self._target} is not there, and the server refuses to make it: make it, or lift its policy once"
            return [Notice(self._target, "publication_waits", reason)]
        self._save(published=ground, ground=ground, onto=ground, status=RequestStatus.COMPLETED.value)
        return []

    def _topic(self, run_id: str, ground: str, head: str, known: Row) -> Topic | None:
        """The branch of a pull request, pushed; None where the protected branch lacks nothing."""
        checkpoint = self._manifests.load()
        files = {e.file for e in checkpoint.manifest.values()} if checkpoint else set()
        before = known.get("published") or self._branches.common(head, ground)
        then = self._repository.tree(str(before)) if before else {}
        there, ours = self._repository.tree(head), self._repository.tree(ground)
        found = overlay(there, ours, then, files)
        if not found.writes and not found.deletes:
            return None
        who = Signature(self._name, self._email, self._clock.now())
        text = f"Merge the backup of {self._root} into {self._target}\n\nBackup-Commit: {ground}\n"
        (root,) = self._branches.subtrees([ground], [""]).values()
        # From the backup's side: what people keep on the protected branch is little, the notebooks are many.
        link = Link(root, who, who, text, head, found.beside(there, ours), self._branches.modes(head))
        (tip,) = self._branches.build([BranchChain(ground, (link,))])
        branch = f"{self._topics}{run_id}"
        known_tip = self._branches.heads(branch).get(branch)
        if known_tip is not None:
            if self._repository.tree(known_tip) == self._repository.tree(tip):
                return Topic(branch, known_tip, found)
            self._branches.remove(branch, known_tip)
        if self._branches.push([BranchMove(branch, tip)]):
            raise PublicationRefused(branch=branch)
        return Topic(branch, tip, found)

    def _open(self, run_id: str, topic: Topic, ground: str, head: str) -> tuple[PullRequest, Row]:
        title = f"Back up {self._root}: {_count(topic.overlay)}"
        request = self._requests.create(topic.branch, self._target, title, self._description(run_id, topic, ground))
        row = self._save(
            pull_request=request.id,
            page=request.page,
            status=request.status.value,
            topic=topic.branch,
            tip=topic.tip,
            ground=ground,
            onto=head,
            title=title,
            automatic=False,
            since=self._now(),
        )
        self._record(run_id, AuditAction.PULL_REQUEST_OPENED, row)
        return request, row

    def _complete(self, request: PullRequest | None, row: Row) -> None:
        """Have the open one completed once it may be, and close what it replaces."""
        if request and not row.get("automatic"):
            self._requests.complete_by_itself(request, f"{row.get('title')} (pull request {request.id})")
            self._save(automatic=True)
        self._tidy(request)

    def _description(self, run_id: str, topic: Topic, ground: str) -> str:
        before = self.state().get("published")
        commits = self._branches.since(ground, str(before) if before else None)
        by = Counter(commit.author.name for commit in commits)
        lines = [f"- {name}: {count} commit{'s' if count > 1 else ''}" for name, count in by.most_common(MOST_TOLD)]
        overruled = [f"- `{file}`" for file in topic.overlay.conflicts[:MOST_TOLD]]
        more = ["", "Changed on this branch as well; the workspace wins:", *overruled] if overruled else []
        return "\n".join([f"Run {run_id} of the notebook backup.", "", *lines, *more])

    def _tidy(self, current: PullRequest | None) -> None:
        """Older pull requests of ours are closed, and topics without one removed."""
        mine = [r for r in self._requests.active(self._target) if r.source.startswith(self._topics)]
        for request in mine:
            if current is None or request.id != current.id:
                why = f"Replaced by pull request {current.id}." if current else "Nothing is left to publish."
                self._requests.abandon(request, why)
        for branch, commit in self._branches.heads(self._topics).items():
            if current is None or branch != current.source:
                self._branches.remove(branch, commit)

    def _save(self, **values: str | int | bool) -> Row:
        self._tables.upsert(CHECKPOINTS, *_ROW, {**values, "updated_at": self._now()})
        return self.state()

    def _record(self, run_id: str, action: AuditAction, row: Row) -> None:
        detail: Detail = {name: row.get(name) for name in ("pull_request", "topic")} | {"commit": row.get("ground")}
        key = f"{action.value} {row['pull_request']}"
        self._recorder.record(action, SYSTEM, self._target, AuditResult.DONE, run_id, detail, key)

    def _now(self) -> str:
        return self._clock.now().isoformat()


class PublicationRefused(BackupError):
    """The server refused the branch {branch}: allow the backup's identity to create branches below it."""

    code = "publication_refused"


def _count(found: Overlay) -> str:
    parts = ((len(found.writes), "written"), (len(found.deletes), "removed"))
    return ", ".join(f"{count} {what}" for count, what in parts if count) or "history alone"


def _told(topic: Topic, target: str) -> list[Notice]:
    overruled = f"changed on {target}: the workspace's bytes are in the pull request; the edit stays in history"
    blocked = f"a file or folder of {target} stands where it belongs, and is not touched"
    return [
        *(Notice(file, "conflict_overruled", overruled) for file in topic.overlay.conflicts),
        *(Notice(file, "publication_blocked", blocked) for file in topic.overlay.blocked),
    ]
