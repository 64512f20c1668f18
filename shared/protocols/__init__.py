"""The outside systems, as the services see them. One adapter implements each."""

from shared.protocols.capacity import RepositorySize, SizeMeter, SizeSource
from shared.protocols.changes import ChangeLog
from shared.protocols.credentials import TokenIssuer, Vault
from shared.protocols.diagnosis import Machine, Probes
from shared.protocols.folder_branches import FolderBranches
from shared.protocols.git_folders import GitFolders, Grant, RemoteFolder
from shared.protocols.history import IndexedChange, IndexedCommit, IndexedVersion, VersionIndex
from shared.protocols.mail import Delivered, Delivery, Mailer, MailTemplates
from shared.protocols.people import DigestMail, Outbox
from shared.protocols.poison import MessageBox, WaitingMessage
from shared.protocols.pull_requests import PullRequest, PullRequests, RequestStatus
from shared.protocols.repository import Contents, FileChange, GitCommit, PointFile, Repository, Signature, WriteFile
from shared.protocols.storage import BlobLease, BlobStore, Queue, Row, StoredRow, Tables
from shared.protocols.tags import Tags
from shared.protocols.telemetry import NoTelemetry, Telemetry
from shared.protocols.volume import Volume, VolumeFault, VolumeFile
from shared.protocols.workspace import MOST_FOUND_SECRETS, FoundSecret, SecretFinder, Workspace

__all__ = [
    "MOST_FOUND_SECRETS",
    "BlobLease",
    "BlobStore",
    "ChangeLog",
    "Contents",
    "Delivered",
    "Delivery",
    "DigestMail",
    "FileChange",
    "FolderBranches",
    "FoundSecret",
    "GitCommit",
    "GitFolders",
    "Grant",
    "IndexedChange",
    "IndexedCommit",
    "IndexedVersion",
    "Machine",
    "MailTemplates",
    "Mailer",
    "MessageBox",
    "NoTelemetry",
    "Outbox",
    "PointFile",
    "Probes",
    "PullRequest",
    "PullRequests",
    "Queue",
    "RemoteFolder",
    "Repository",
    "RepositorySize",
    "RequestStatus",
    "Row",
    "SecretFinder",
    "Signature",
    "SizeMeter",
    "SizeSource",
    "StoredRow",
    "Tables",
    "Tags",
    "Telemetry",
    "TokenIssuer",
    "Vault",
    "VersionIndex",
    "Volume",
    "VolumeFault",
    "VolumeFile",
    "WaitingMessage",
    "Workspace",
    "WriteFile",
]
