"""Checks of the outside systems: workspace, repository, storage, and what the probes reach."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from shared.clock import Clock
from shared.domain.notebooks import ExportFormat, ObjectType
from shared.errors import PermissionDenied, TooLarge
from shared.protocols import (
    BlobStore,
    ChangeLog,
    MessageBox,
    Probes,
    PullRequests,
    Queue,
    Repository,
    Tables,
    Workspace,
)
from shared.services.operations.doctor import Check, Finding, Level

PROBE = "doctor/probe"
PROBE_QUEUE = "backup-doctor"
MOST_LOOKED = 20
"""Folders that are looked through for a notebook to export."""
LEAST_GIT = (2, 32)
"""`push.negotiate` came with 2.32, the other options that are used before."""
MOST_SKEW_SECONDS = 60.0
FATAL_SKEW_SECONDS = 300.0
"""Tokens are refused by clocks that differ by five minutes or more, as Entra ID and Storage allow."""
LEAST_DISK, FATAL_DISK = 500 * 2**20, 100 * 2**20
LEAST_MEMORY = 1_536 * 2**20
_STORAGE = "check AzureWebJobsStorage, or its three service addresses; the identity needs the role {} on the account"


@dataclass(frozen=True, slots=True)
class Systems:
    """What is checked; `changes`, `anchors`, `probes` and `restoring` are None where there are none."""

    workspace: Workspace
    repository: Repository
    blobs: BlobStore
    queue: Queue
    box: MessageBox
    tables: Tables
    clock: Clock
    root: str
    changes: ChangeLog | None = None
    anchors: BlobStore | None = None
    probes: Probes | None = None
    has_mail: bool = False
    has_vault: bool = False
    restoring: Workspace | None = None
    pull_requests: PullRequests | None = None
    target: str = ""


def system_checks(s: Systems) -> list[Check]:
    """Every check that the settings give a reason for."""
    return [*_WorkspaceChecks(s).checks(), *_RepositoryChecks(s).checks(), *_storage(s), *_others(s)]


class _WorkspaceChecks:
    def __init__(self, s: Systems) -> None:
        self._s = s

    def checks(self) -> Sequence[Check]:
        rights = "check DATABRICKS_HOST and its token, and grant the backup's identity CAN READ on BACKUP_ROOT"
        found = [
            Check("workspace", self._lists, rights),
            Check("workspace export", self._exports, f"{rights}; a workspace admin can switch notebook export on"),
        ]
        if self._s.changes:
            remedy = "see DATABRICKS_WAREHOUSE_ID, CAN USE on that warehouse, and the grants on system.access.audit"
            found.append(Check("who changed it", self._audit_table, remedy))
        if self._s.restoring:
            remedy = "add the restoring identity to the workspace, and grant it CAN MANAGE on BACKUP_ROOT"
            found.append(Check("workspace for restores", self._restores, remedy))
        if self._s.probes:
            found += [
                Check("workspace identity", self._identity, "add the identity to the workspace as a service principal"),
                Check("workspace settings", self._settings, "a workspace admin looks at the workspace's settings"),
            ]
        return found

    def _lists(self) -> Finding:
        return Finding(f"{self._s.root} lists {len(self._s.workspace.list(self._s.root))} objects")

    def _restores(self) -> Finding:
        assert self._s.restoring  # noqa: S101 - asked above
        found = len(self._s.restoring.list(self._s.root))
        return Finding(f"restores' own identity lists {found} objects; that it may write shows at the first restore")

    def _exports(self) -> Finding:
        for path in self._notebooks():
            try:
                data = self._s.workspace.export(path, ExportFormat.SOURCE)
            except TooLarge:
                continue
            return Finding(f"one notebook was exported, {len(data):,} bytes")
        return Finding(f"no notebook was found in the first {MOST_LOOKED} folders, so none was exported")

    def _notebooks(self) -> Iterator[str]:
        """Notebooks, breadth first; folders that cannot be listed are passed by."""
        folders, looked = deque([self._s.root]), 0
        while folders and looked < MOST_LOOKED:
            looked += 1
            try:
                children = self._s.workspace.list(folders.popleft())
            except PermissionDenied:
                continue
            yield from (c.path for c in children if c.object_type is ObjectType.NOTEBOOK)
            folders += [c.path for c in children if c.object_type is ObjectType.DIRECTORY]

    def _audit_table(self) -> Finding:
        assert self._s.changes  # noqa: S101 - asked above
        now = int(self._s.clock.now().timestamp() * 1000)
        hour = int(timedelta(hours=1).total_seconds() * 1000)
        found = sum(1 for _ in self._s.changes.events(now - hour, now))
        return Finding(f"the audit table was read: {found} changes within the last hour")

    def _identity(self) -> Finding:
        assert self._s.probes  # noqa: S101 - asked above
        return Finding(f"the workspace knows the backup as {self._s.probes.identity()}")

    def _settings(self) -> Finding:
        assert self._s.probes  # noqa: S101 - asked above
        on = self._s.probes.export_is_on()
        if on is None:
            return Finding("not readable: only admins of the workspace may, and the backup needs to be none")
        if on:
            return Finding("notebook export is on")
        told = "notebook export is switched off for the workspace"
        return Finding(told, Level.WARNING, "if exports fail: admin settings, workspace, Notebook and file exporting")


class _RepositoryChecks:
    def __init__(self, s: Systems) -> None:
        self._s = s

    def checks(self) -> Sequence[Check]:
        remedy = "check GIT_REMOTE_URL, GIT_BRANCH and GIT_TOKEN, or that the identity is a user of the organisation"
        found = [Check("repository", self._reads, remedy)]
        if self._s.pull_requests:
            remedy = "grant the identity Contribute to pull requests, or set BACKUP_COMMIT_MODE to direct"
            found.append(Check("pull requests", self._requests, remedy))
        if self._s.probes:
            found.append(
                Check(
                    "repository push", self._pushes, "grant the identity Contribute, Create branch and Create tag there"
                )
            )
            found.append(Check("git", self._git, "deploy the package that ./package makes, or set BACKUP_GIT"))
        return found

    def _reads(self) -> Finding:
        head = self._s.repository.fetch()
        return Finding(f"the branch is at {head[:12]}" if head else "there is no branch yet: the first run makes it")

    def _requests(self) -> Finding:
        assert self._s.pull_requests  # noqa: S101 - asked above
        count = len(self._s.pull_requests.active(self._s.target))
        return Finding(f"{count} pull requests towards {self._s.target} are open")

    def _pushes(self) -> Finding:
        assert self._s.probes  # noqa: S101 - asked above
        self._s.probes.try_push()
        return Finding("a push was let through, and not carried out. A branch policy would show at a real one only")

    def _git(self) -> Finding:
        assert self._s.probes  # noqa: S101 - asked above
        version = self._s.probes.git_version()
        named = ".".join(map(str, version))
        if version[:2] < LEAST_GIT:
            return Finding(f"git {named} lacks what the backup uses", Level.FAILED, "take git 2.32 or newer")
        return Finding(f"git {named}, with HTTPS")


def _storage(s: Systems) -> Sequence[Check]:
    def blobs() -> Finding:
        s.blobs.put(PROBE, b"probe")
        s.blobs.get(PROBE)
        s.blobs.delete(PROBE)
        return Finding("a blob was written, read and removed")

    def queues() -> Finding:
        s.queue.send(PROBE_QUEUE, "probe")
        seen = s.box.peek(PROBE_QUEUE, 32)
        removed = sum(s.box.remove(PROBE_QUEUE, m.id) for m in seen)
        return Finding("a message was sent, seen and removed" if removed else "a message was sent")

    def tables() -> Finding:
        s.tables.upsert("checkpoints", "doctor", "probe", {"ok": True})
        s.tables.delete("checkpoints", "doctor", "probe")
        return Finding("a row was written and removed")

    def anchors() -> Finding:
        assert s.anchors  # noqa: S101 - asked below
        return Finding(f"{sum(1 for _ in s.anchors.names(''))} heads of the audit trail are kept there")

    found = [
        Check("blobs", blobs, _STORAGE.format("Storage Blob Data Owner")),
        Check("queues", queues, _STORAGE.format("Storage Queue Data Contributor")),
        Check("tables", tables, _STORAGE.format("Storage Table Data Contributor")),
    ]
    if s.anchors:
        found.append(Check("anchors", anchors, "check BACKUP_AUDIT_ANCHOR_CONTAINER and the role on that container"))
    return found


def _others(s: Systems) -> Sequence[Check]:
    probes = s.probes
    if probes is None:
        return []
    found = [
        Check("clock", lambda: _skew(probes.seconds_ahead()), "have the machine's clock set by NTP"),
        Check("disk", lambda: _disk(probes.machine().free_disk), "free the folder of BACKUP_SCRATCH, or move it"),
        Check("memory", lambda: _memory(probes.machine().memory), "choose an instance size of 2 GB or more"),
    ]
    if s.has_mail:
        mail = "check SMTP_URL, or BACKUP_MAIL_ENDPOINT and the identity's role on it"
        found.append(Check("mail", lambda: Finding(probes.greet_mail_server()), mail))
    if s.has_vault:
        vault = "check KEY_VAULT_URI; the identity needs the role Key Vault Secrets User there"
        found.append(Check("vault", lambda: Finding(probes.vault()), vault))
    return found


def _skew(ahead: float) -> Finding:
    told = f"this clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the workspace's"
    if abs(ahead) < MOST_SKEW_SECONDS:
        return Finding(told)
    return Finding(told, Level.FAILED if abs(ahead) >= FATAL_SKEW_SECONDS else Level.WARNING)


def _disk(free: int) -> Finding:
    told = f"{free / 2**20:,.0f} MB are free for the mirror, the index and staged archives"
    if free >= LEAST_DISK:
        return Finding(told)
    return Finding(told, Level.FAILED if free < FATAL_DISK else Level.WARNING)


def _memory(most: int) -> Finding:
    told = f"this instance may take {most / 2**20:,.0f} MB"
    return Finding(told, Level.OK if most >= LEAST_MEMORY else Level.WARNING)
