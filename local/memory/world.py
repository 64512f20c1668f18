"""The whole chain in one thread: in-memory systems, the app's own services, a host's deliveries, a moved clock."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from local.faults.crash_points import Crash
from local.faults.taps import Tap, tapped
from local.memory.changes import MemoryChangeLog
from local.memory.clock import ManualClock
from local.memory.git_folders import MemoryGitFolders, MemorySource, endpoints_of
from local.memory.issuer import MemoryIssuer
from local.memory.meter import MemoryMeter
from local.memory.pull_requests import MemoryPullRequests
from local.memory.repository import MemoryRemote
from local.memory.storage import MemoryBlobs, MemoryMessage, MemoryQueues, MemoryTables
from local.memory.vault import MemoryVault
from local.memory.workspace import PRINCIPAL, MemoryWorkspace
from local.workspace.content import EXTENSION
from local.workspace.model import WorkspaceModel
from shared.domain.messages import MalformedMessage, read_message
from shared.domain.names import BadFileName, parse_file
from shared.domain.runs import RunStatus
from shared.errors import BackupError, RunActive
from shared.protocols import Mailer, NoTelemetry, Repository, Telemetry
from shared.services.reporting.outbox import MAIL_QUEUE
from shared.services.state.batch_rows import EXPORT_QUEUE
from shared.services.state.maintenance import MAINTENANCE_QUEUE, Kind
from shared.services.state.runs import PLAN_QUEUE, planning_message
from shared.settings import Settings
from shared.wiring import Adapters, Services, build

ROOT = "/Clients"
MOST_DELIVERIES = 5
INVISIBLE_SECONDS = 600.0
WATCH_SECONDS = 300.0
COMMITTER_ATTEMPTS = 10
MOST_STEPS = 3_000
type Notebooks = dict[tuple[str, str], bytes]


class NeverSettled(Exception):
    """A run went on and on."""


class Remote(Protocol):
    """The served repository, as people and administrators see it; `mirror` is how a process reaches it."""

    @property
    def head(self) -> str | None:
        """The branch's head, or None where there is no branch."""
        ...

    def mirror(self, scratch: Path) -> Repository:
        """A repository adapter for a new process."""
        ...

    def contents(self) -> dict[str, bytes]:
        """The branch's files with their bytes."""
        ...

    def messages(self) -> dict[str, str]:
        """The messages of the branch's commits by id, the newest first."""
        ...

    def unchanged(self) -> list[str]:
        """Commits of the backup that changed nothing."""
        ...

    def person_commits(self, files: dict[str, bytes | None], author: str = "somebody") -> str:
        """A commit by a person; a file given as None is removed. Returns its id."""
        ...

    def move(self, commit: str | None) -> None:
        """Move the branch to any commit, as a forced push does; None deletes it."""
        ...

    def empty(self) -> None:
        """Put an empty repository in its place."""
        ...


@dataclass
class _Steps:
    """What the host runs, by queue."""

    handlers: dict[str, Callable[[bytes], None]]
    poison: dict[str, Callable[[bytes], None]]


class World:
    """A workspace, a repository and an app. `process()` is a new process on the same stored state."""

    def __init__(
        self,
        scratch: Path,
        *,
        seed: int = 0,
        remote: Remote | None = None,
        mailer: Mailer | None = None,
        telemetry: Telemetry | None = None,
        **settings: str | float,
    ) -> None:
        self.mailer, self.telemetry = mailer, telemetry or NoTelemetry()
        self.clock = ManualClock()
        self.model = WorkspaceModel(now=lambda: self.clock.now().timestamp())
        self.workspace = MemoryWorkspace(self.model)
        self.remote: Remote = remote or MemoryRemote()
        self.endpoints = endpoints_of(self.workspace, MemorySource(self.remote), PRINCIPAL)
        self.blobs, self.tables, self.queues = MemoryBlobs(self.clock), MemoryTables(), MemoryQueues(self.clock)
        self.anchors = MemoryBlobs(self.clock)
        self.vault, self.databricks_tokens = MemoryVault(), MemoryIssuer(self.clock)
        self.git_tokens = MemoryIssuer(self.clock, users=set())
        self.pull_requests = MemoryPullRequests(self.remote) if isinstance(self.remote, MemoryRemote) else None
        self.draw, self.seen = random.Random(seed), Counter[str]()
        self.scratch, self.settings = scratch, settings
        self._watched_at = 0.0
        self.early_checkpoints: list[str] = []
        self.committing, self.committer_failures = False, 0
        self.model.apply("mkdir", "ada", path=ROOT)
        self.process()

    def process(self, tap: Tap | None = None) -> Services:
        """Start the app anew; what the process before held in memory is gone."""
        repository: Any = self.remote.mirror(self.scratch)
        reader: Any = self.remote.mirror(self.scratch)
        adapters = Adapters(
            workspace=self.workspace,
            repository=repository,
            reader=reader,
            meter=MemoryMeter(self.remote.contents),
            blobs=self.blobs,
            queue=self.queues,
            box=self.queues,
            tables=self.tables,
            clock=self.clock,
            branches=repository.branches(),
            tags=reader.tags(),
            git_folders=MemoryGitFolders(self.workspace, self.endpoints, PRINCIPAL),
            changes=MemoryChangeLog(self.model, self.workspace.behaviour),
            anchors=self.anchors if self.settings.get("audit_anchor_container") else None,
            mailer=self.mailer,
            telemetry=self.telemetry,
            vault=self.vault if self.settings.get("key_vault_uri") else None,
            databricks_tokens=self.databricks_tokens,
            git_tokens=self.git_tokens,
            pull_requests=self.pull_requests if self.settings.get("commit_mode") == "pull_request" else None,
        )
        settings = Settings.model_validate(
            {
                "databricks_host": "https://adb-1.azuredatabricks.net",
                "git_remote_url": "https://dev.azure.com/o/p/_git/r",
                "scratch": self.scratch,
                "workspace_threads": 1,
                "step_budget_seconds": 2,
                "commit_max_files": 20,
                "verify_days": 2,
                **self.settings,
            }
        )
        self.app = build(settings, tapped(adapters, tap) if tap else adapters)
        return self.app

    def start(self, retry_of: str | None = None, confirms: str | None = None) -> str | None:
        """The timer fires; the run's id, or None where one is under way or the start failed."""
        run_id = self._guarded(lambda: self.app.runs.start("timer", retry_of=retry_of, confirms=confirms))
        if run_id:
            self.queues.send(PLAN_QUEUE, planning_message(run_id))
        return run_id

    def back_up(self, retry_of: str | None = None, confirms: str | None = None) -> dict[str, Any]:
        """A run from its start to its end."""
        run_id = self.start(retry_of, confirms)
        while run_id is None:
            self.settle()
            run_id = self.start(retry_of, confirms)
        self.settle()
        return self.app.status.run(run_id)

    def maintain(self, kind: Kind) -> dict[str, Any]:
        """A verification or rebuild from its start to its end."""
        identity = None
        while identity is None:
            identity = self._guarded(lambda: self.app.maintenance.start(kind, "test"))
        self.settle()
        return self.app.maintenance.get(kind, identity)

    def settle(self) -> None:
        """Let the host work until no run is active and no message waits. Raises `NeverSettled`."""
        for _ in range(MOST_STEPS):
            if not self._step():
                return
        raise NeverSettled(f"{self.app.runs.active()} after {self.clock.now()}")

    def notebooks(self) -> Notebooks:
        """What the workspace holds, by path and language."""
        root = self.model.get(ROOT)
        return {(n.path, n.language or ""): n.source() for n in root.notebooks()}

    def backed_up(self, files: dict[str, bytes] | None = None) -> Notebooks:
        """What the branch holds, by path and language; files of people are left out."""
        found: Notebooks = {}
        for file, data in (self.remote.contents() if files is None else files).items():
            try:
                parsed = parse_file(file)
            except BadFileName:
                continue
            found[(f"{ROOT}/{'/'.join(parsed.parts)}", parsed.language.value)] = data
        return found

    def _step(self) -> bool:
        """One delivery, one committer's slice, or a minute; False where there is nothing to wait for."""
        if self.clock.monotonic() - self._watched_at >= WATCH_SECONDS:
            self._watched_at = self.clock.monotonic()
            self.committing |= bool(self._guarded(lambda: self.app.watch.watch()))
            self._guarded(self.look_around)
        worked = self._deliver() | self._commit()
        if worked:
            return True
        if not any(self.queues.stored.values()) and self.tables_say_idle():
            return False
        self.clock.sleep(60)
        return True

    def look_around(self) -> None:
        """The timer that catches up."""
        self.app.telling.look_around()

    def tables_say_idle(self) -> bool:
        """Whether no run holds the lease, read past any tap."""
        lease = self.tables.get("checkpoints", "lease", "run")
        return lease is None or not lease.row.get("run_id")

    def _commit(self) -> bool:
        if not self.committing:
            return False
        self.clock.sleep(1)
        try:
            step = self.app.drive.drive()
            self.committing = not step.done
            if step.done and step.run_id:
                self.app.telling.endings.run_ended(step.run_id)
            self.committer_failures = 0
        except Crash:
            self.restart()
        except Exception as error:  # noqa: BLE001 - the orchestration retries whatever an activity raises
            self.seen[type(error).__name__] += 1
            self.committer_failures += 1
            # After its attempts the orchestration fails, and the watchdog starts it again.
            self.committing = self.committer_failures % COMMITTER_ATTEMPTS != 0
            self.clock.sleep(5)
        return True

    def _deliver(self) -> bool:
        steps = self._steps()
        queues = [q for q in (*steps.handlers, *steps.poison) if self.queues.stored.get(q)]
        self.draw.shuffle(queues)
        for queue in queues:
            self.draw.shuffle(self.queues.stored[queue])
            message = self.queues.receive(queue, INVISIBLE_SECONDS)
            if message:
                self._handle(queue, message, steps)
                return True
        return False

    def _handle(self, queue: str, message: MemoryMessage, steps: _Steps) -> None:
        handler = steps.handlers.get(queue) or steps.poison[queue]
        try:
            handler(message.text.encode())
        except Crash:
            self.restart()
            return
        except Exception as error:  # noqa: BLE001 - a function that raises is a failed delivery
            self.seen[type(error).__name__] += 1
            message.visible_at = self.clock.monotonic()
            if message.dequeue_count < MOST_DELIVERIES:
                return
            if queue in steps.handlers:
                self.queues.send(f"{queue}-poison", message.text)
        self.queues.delete(queue, message)

    def restart(self) -> None:
        """The process died: a new one goes on; the orchestration outlives it."""
        self.seen["restart"] += 1
        if not self.checkpoint_is_held():
            self.early_checkpoints.append(str(self.clock.now()))
        self.process()

    def checkpoint_is_held(self) -> bool:
        """Whether the remote holds the commit that the checkpoint names, at this very moment."""
        row = self.tables.get("checkpoints", "backup", "current")
        return row is None or row.row["commit"] in self.remote.messages()

    def _guarded[T](self, call: Callable[[], T]) -> T | None:
        try:
            return call()
        except Crash:
            self.restart()
        except RunActive:
            return None
        except Exception as error:  # noqa: BLE001 - a timer or a request that fails is tried another time
            self.seen[type(error).__name__] += 1
        return None

    def _steps(self) -> _Steps:
        return _Steps(
            {
                PLAN_QUEUE: self._plan,
                EXPORT_QUEUE: self._export,
                MAINTENANCE_QUEUE: self._maintain,
                MAIL_QUEUE: lambda body: self.app.telling.mail.send(*read_message(body, "mail")),
            },
            {
                f"{PLAN_QUEUE}-poison": self._plan_poison,
                f"{EXPORT_QUEUE}-poison": self._export_poison,
                f"{MAINTENANCE_QUEUE}-poison": self._maintenance_poison,
                f"{MAIL_QUEUE}-poison": lambda body: self.app.telling.mail.give_up(*read_message(body, "mail")),
            },
        )

    def _plan(self, body: bytes) -> None:
        step = self.app.plan.plan(*read_message(body, "run_id"))
        self.committing |= step.done
        for text in step.messages:
            self.queues.send(EXPORT_QUEUE, text)

    def _export(self, body: bytes) -> None:
        self.app.export.export_batch(*read_message(body, "run_id", "batch_id"))

    def _maintain(self, body: bytes) -> None:
        kind, identity = read_message(body, "kind", "id")
        try:
            if kind == Kind.VERIFY:
                self.app.verify.verify(identity)
            else:
                self.app.rebuild.rebuild(identity)
        except BackupError as error:
            if error.retriable:
                raise
            self.app.maintenance.stop(Kind(kind), identity, str(error))
        if kind == Kind.VERIFY:
            self.app.telling.endings.verification_ended(identity)

    def _plan_poison(self, body: bytes) -> None:
        try:
            (run_id,) = read_message(body, "run_id")
            self.app.watch.fail(run_id, "planning failed at every delivery")
            self.app.telling.endings.run_ended(run_id)
        except MalformedMessage:
            self.seen["dropped"] += 1

    def _export_poison(self, body: bytes) -> None:
        try:
            run_id, batch_id = read_message(body, "run_id", "batch_id")
            self.app.batches.give_up(run_id, batch_id, "failed at every delivery")
        except MalformedMessage:
            self.seen["dropped"] += 1

    def _maintenance_poison(self, body: bytes) -> None:
        kind, identity = read_message(body, "kind", "id")
        self.app.maintenance.stop(Kind(kind), identity, "failed at every delivery")


def succeeded(run: dict[str, Any]) -> bool:
    """Whether a run says that everything is in."""
    return bool(run["status"] == RunStatus.SUCCEEDED)


def file_of(path: str, language: str) -> str:
    """The file of a plain notebook."""
    return path.removeprefix(f"{ROOT}/") + EXTENSION[language]
