"""Tags of the history: the first full backup, one a month, and those that people ask for. None is ever moved."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.clock import Clock
from shared.domain.audit import AuditAction
from shared.domain.runs import RunStatus
from shared.domain.tags import FIRST, Tag, monthly_name, outdated, requested_name, tag_message
from shared.errors import BackupError
from shared.protocols import Row, Signature, Tables, Tags
from shared.services.audit.export import SYSTEM
from shared.services.audit.recorder import Recorder
from shared.services.state.manifests import ManifestStore
from shared.services.state.runs import CHECKPOINTS, RunStore, parse_time

FRESH_SECONDS = 30.0
"""How long an answer may rest on tags that were read before."""
_ROW = ("tags", "made")
_log = logging.getLogger("backup.tags")


class TagTaken(BackupError):
    """There is a tag {name} of the commit {commit} already, and a tag is never moved. Take another name."""

    code = "tag_taken"


@dataclass(frozen=True, slots=True)
class TagOptions:
    """Who makes tags, for how many months monthly ones are kept (0: for good), and what they say of the workspace."""

    name: str
    email: str
    keep_months: int
    workspace: str
    root: str


class TagService:
    """Makes and lists tags; `at` finds the commit of one."""

    def __init__(
        self,
        *,
        tags: Tags,
        runs: RunStore,
        manifests: ManifestStore,
        tables: Tables,
        recorder: Recorder,
        clock: Clock,
        options: TagOptions,
    ) -> None:
        self._tags, self._runs, self._manifests, self._tables = tags, runs, manifests, tables
        self._recorder, self._clock, self._options = recorder, clock, options
        self._lock = threading.Lock()
        self._known: Mapping[str, str] = {}
        self._read_at = float("-inf")

    def at(self, name: str) -> str | None:
        """The commit that a tag names, or None. Raises `RepositoryError`."""
        with self._lock:
            if name not in self._known or self._clock.monotonic() - self._read_at >= FRESH_SECONDS:
                self._known, self._read_at = self._tags.commits(), self._clock.monotonic()
            return self._known.get(name)

    def overview(self) -> dict[str, Any]:
        """Every tag, and why the last one that was due could not be made. Raises `RepositoryError`."""
        return {"tags": [_shown(tag) for tag in self._tags.all()], "error": self._row().get("error") or None}

    def create(self, name: str, commit: str, message: str, who: str, origin: str) -> dict[str, Any]:
        """Tag a commit of the backup, as somebody asks; once more is the same tag.

        Raises `ValueError` of a name that Git or the backup does not take, `TagTaken`, `RepositoryError`.
        """
        wanted = requested_name(name)
        known = self._tags.commits()
        # Names that differ in case alone are one file on some systems.
        same = next((n for n in known if n.casefold() == wanted.casefold()), None)
        if same is not None and (same, known[same]) != (wanted, commit):
            raise TagTaken(name=same, commit=known[same][:12])
        detail = {"commit": commit, "requested_from": origin}
        if same is None:
            self._make(wanted, commit, message or wanted, "requested", {"Backup-Requested-By": who})
        self._recorded(AuditAction.TAG_CREATED, wanted, commit, who, detail)
        return _shown(next(tag for tag in self._tags.all() if tag.name == wanted))

    def run_ended(self, run_id: str) -> None:
        """After a run that brought everything in: make the tags that are due, remove those past their time.

        Raises nothing: what failed is said in the overview, and tried again after the next run.
        """
        try:
            self._run_ended(run_id)
        except Exception as error:  # noqa: BLE001 - the backup is done
            _log.warning("tags are left to the next run: %s", error, extra={"action": "tags.make", "run_id": run_id})
            self._quietly_remember(str(error))

    def _run_ended(self, run_id: str) -> None:
        row, made = self._runs.get(run_id), self._row()
        if row["status"] != RunStatus.SUCCEEDED or not row.get("finished_at"):
            return
        ended = parse_time(row["finished_at"])
        month = monthly_name(ended.date())
        due = [name for name, kind in ((FIRST, "first"), (month, "month")) if made.get(kind) != name]
        commit = row.get("commit") or getattr(self._manifests.mark(), "commit", None)
        if not due or commit is None:
            return
        known = self._tags.commits()
        for name in due:
            made_of = known.get(name) or self._make_own(name, str(commit), run_id, ended)
            # One that was there may be of a process that died before it was recorded.
            self._recorded(AuditAction.TAG_CREATED, name, made_of, SYSTEM, {"commit": made_of, "run": run_id})
        self._remove_outdated(ended)
        done: Row = {"first": FIRST, "month": month, "error": ""}
        self._tables.upsert(CHECKPOINTS, *_ROW, done)

    def _make_own(self, name: str, commit: str, run_id: str, when: datetime) -> str:
        kind, text = "monthly", f"The backup of {when:%B %Y}"
        if name == FIRST:
            kind, text, commit = "first", "The first full backup", self._first_commit() or commit
        self._make(name, commit, text, kind, {"Backup-Run": run_id})
        return commit

    def _make(self, name: str, commit: str, text: str, kind: str, trailers: Mapping[str, str]) -> None:
        o = self._options
        said = tag_message(text, kind, {**trailers, "Backup-Workspace": o.workspace, "Backup-Root": o.root})
        tagger = Signature(o.name, o.email, self._clock.now())
        if not self._tags.create(name, commit, said, tagger):
            found = self._tags.commits().get(name)
            if found != commit:
                raise TagTaken(name=name, commit=(found or "none")[:12])

    def _remove_outdated(self, now: datetime) -> None:
        if not self._options.keep_months:
            return
        for tag in outdated(self._tags.all(), now.date(), self._options.keep_months):
            if self._tags.delete(tag):
                self._recorded(AuditAction.TAG_DELETED, tag.name, tag.commit, SYSTEM, {"commit": tag.commit})

    def _first_commit(self) -> str | None:
        """The commit of the first run that brought everything in: it may be older than the tags are."""
        rows = (run.row for run in reversed(self._runs.recent(10**9)))
        whole = (row for row in rows if row["status"] == RunStatus.SUCCEEDED and row.get("commit"))
        return next((str(row["commit"]) for row in whole), None)

    def _recorded(self, action: AuditAction, name: str, commit: str, who: str, detail: Mapping[str, str]) -> None:
        # What is asked for again has its record already.
        key = f"{action} {commit}"
        self._recorder.record(action, who, name, correlation=f"tag {name}", key=key, detail=dict(detail))

    def _row(self) -> Row:
        found = self._tables.get(CHECKPOINTS, *_ROW)
        return found.row if found else {}

    def _quietly_remember(self, error: str) -> None:
        try:
            self._tables.upsert(CHECKPOINTS, *_ROW, {"error": error[:1_000]})
        except Exception as unstored:  # noqa: BLE001 - the log has it
            _log.warning("why tags failed is not stored: %s", unstored, extra={"action": "tags.make"})


def _shown(tag: Tag) -> dict[str, Any]:
    when = tag.when.isoformat() if tag.when else None
    return {
        "name": tag.name,
        "commit": tag.commit,
        "kind": tag.kind,
        "message": tag.text,
        "tagger": tag.tagger or None,
        "tagged_at": when,
    }
