"""Comparing a full copy with the Git backup of the same day, notebook by notebook, by hash."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import batched
from typing import Protocol

from shared.domain.names import BadFileName, parse_file
from shared.domain.notebooks import MOST_NOTEBOOK_BYTES, ExportFormat, Language
from shared.domain.parity import Difference, Explanation, Finding, explain, same_name
from shared.domain.volume import DatedCopy, has_header
from shared.protocols import Repository
from shared.services.volume.full_copy import CopiedNotebook, CopyChanged, CopyReader, ReadCopy

AROUND = (timedelta(days=1), timedelta(days=2))
"""A copy may have been made up to a day before its date's beginning, or until the end of the day after it."""
MOST_LOOKED_UP = 500
"""Notebooks whose earlier and later versions are asked for: beyond, a difference stays unexplained."""
_AT_ONCE = 500
_SEPARATE_FILES = ("no_notebook", "outside_root")


@dataclass(frozen=True, slots=True)
class Held:
    """A notebook as the backup holds it; `blob` is the Git id of its bytes."""

    path: str
    language: Language
    format: ExportFormat
    blob: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything that the backup held as of a moment."""

    commit: str
    committed_at: datetime
    notebooks: tuple[Held, ...]


class BackedUp(Protocol):
    """What the function app knows of the backup."""

    def listing(self, at: str) -> Listing:
        """Every notebook as of a date."""
        ...

    def versions(self, path: str) -> list[tuple[datetime, str | None]]:
        """When each version of a notebook was backed up, with its blob, the newest first; None where it was gone."""
        ...


@dataclass(slots=True)
class Parity:
    """What a comparison came to; `size` is that of all files of the copy."""

    copy: DatedCopy
    commit: str
    committed_at: datetime
    notebooks: int
    size: int
    files: int
    equal: int = 0
    findings: list[Finding] = field(default_factory=list)
    left_out: int = 0

    @property
    def agreed(self) -> bool:
        """Whether nothing differs that is not explained."""
        return all(f.is_explained for f in self.findings)

    def counts(self) -> Counter[str]:
        """Notebooks by how they differ, those that are explained apart."""
        found = Counter({kind.value: 0 for kind in Difference} | {"explained": 0})
        found.update("explained" if f.is_explained else f.difference.value for f in self.findings)
        return found


class ParityCheck:
    """Reads a copy and what the app lists, and of Git the tree and the contents that differ. Changes nothing."""

    def __init__(self, reader: CopyReader, app: BackedUp, repository: Repository) -> None:
        self._reader, self._app, self._repository = reader, app, repository

    def compare(self, copy: DatedCopy) -> Parity:
        """Compare a copy with the last backup by the end of its day (UTC). Raises `RepositoryError`."""
        without_header: set[str] = set()

        def keep(notebook: CopiedNotebook, data: bytes) -> None:
            if notebook.format is ExportFormat.SOURCE and not has_header(data, notebook.language):
                without_header.add(notebook.name)

        found = self._reader.read(copy.name, keep)
        listing = self._app.listing(f"{copy.when:%Y-%m-%d}")
        result = Parity(copy, listing.commit, listing.committed_at, len(found.notebooks), found.size, found.files)
        result.left_out = sum(n.code in _SEPARATE_FILES for n in found.notices)
        result.findings += [Finding(f.path, Difference.UNREAD, (), f"{f.code}: {f.reason}") for f in found.failures]
        held = {h.path: h for h in listing.notebooks}
        pairs = self._pair(found, held, without_header, result)
        self._compare_bytes(copy, pairs, result)
        self._explain_by_time(copy, found, result)
        self._hold_to_git(listing, result)
        result.findings.sort(key=lambda f: (f.is_explained, f.path))
        return result

    def _pair(
        self, found: ReadCopy, held: Mapping[str, Held], without_header: set[str], result: Parity
    ) -> list[tuple[CopiedNotebook, Held]]:
        """Each copied notebook with that of the backup; names those that are in one of the two alone."""
        normalised = {same_name(path): h for path, h in held.items()}
        pairs: list[tuple[CopiedNotebook, Held]] = []
        met: set[str] = set()
        for notebook in found.notebooks:
            other = held.get(notebook.path) or normalised.get(same_name(notebook.path))
            if other and (other.language, True) == (notebook.language, other.path not in met):
                met.add(other.path)
                pairs.append((notebook, other))
            elif notebook.name in without_header:
                result.notebooks -= 1
                result.left_out += 1
            else:
                detail = f"the backup has it as {other.language}" if other else "the backup does not have it"
                result.findings.append(Finding(notebook.path, Difference.MISSING, (), f"{notebook.name}: {detail}"))
        unknown = {path for path in held if not found.knows(path.removeprefix(f"{self._reader.root}/"))}
        detail = "the copy does not have it"
        extra = sorted(held.keys() - met - unknown)
        result.findings += [Finding(path, Difference.EXTRA, (), detail) for path in extra]
        return pairs

    def _compare_bytes(self, copy: DatedCopy, pairs: list[tuple[CopiedNotebook, Held]], result: Parity) -> None:
        result.equal = sum(n.blob == h.blob and n.path == h.path for n, h in pairs)
        for notebook, other in pairs:
            if notebook.blob == other.blob and notebook.path != other.path:
                reason = (Explanation.NAME_NORMALISED,)
                result.findings.append(Finding(other.path, Difference.DIFFERENT, reason, notebook.name))
        different = [(n, h) for n, h in pairs if n.blob != h.blob]
        for some in batched(different, _AT_ONCE, strict=False):
            contents = dict(self._repository.blobs((h.blob for _, h in some), MOST_NOTEBOOK_BYTES))
            result.findings += [self._finding(copy, n, h, contents.get(h.blob)) for n, h in some]

    def _finding(self, copy: DatedCopy, notebook: CopiedNotebook, other: Held, backup: bytes | None) -> Finding:
        if backup is None:
            return Finding(other.path, Difference.UNREAD, (), "the backup's has more bytes than a notebook can have")
        try:
            mine = b"".join(self._reader.bytes_of(copy.name, notebook))
        except (CopyChanged, OSError) as error:
            return Finding(other.path, Difference.UNREAD, (), f"changed while it was read: {error}")
        why = explain((mine, notebook.format), (backup, other.format), other.language)
        detail = f"SHA-256 {notebook.sha256[:16]} in the copy, Git blob {other.blob[:12]} in the backup"
        return Finding(other.path, Difference.DIFFERENT, why, detail)

    def _hold_to_git(self, listing: Listing, result: Parity) -> None:
        """What the app lists must be what Git holds: the proof does not rest on the app's own record."""
        tree = set(_notebooks(self._repository.tree(listing.commit), self._reader.root))
        reason = "Git does not hold what the backup's record names: run ./backup verify"
        lost = [h for h in listing.notebooks if (h.path, h.blob) not in tree]
        result.findings += [Finding(h.path, Difference.MISSING, (), reason) for h in lost]

    def _explain_by_time(self, copy: DatedCopy, found: ReadCopy, result: Parity) -> None:
        """Notebooks that the backup held like this within a day or so: edited between the two, and in Git."""
        blobs: dict[str, set[str]] = {}
        for notebook in found.notebooks:
            blobs.setdefault(notebook.path, set()).add(notebook.blob)
        looked = 0
        for index, finding in enumerate(result.findings):
            if finding.is_explained or finding.difference is Difference.UNREAD or looked >= MOST_LOOKED_UP:
                continue
            looked += 1
            of_copy: set[str | None] = {*blobs.get(finding.path, ())} or {None}
            if self._around(copy.when, finding.path) & of_copy:
                detail = "the backup held it like this within a day of the copy"
                result.findings[index] = Finding(
                    finding.path, finding.difference, (Explanation.OTHER_TIME,), f"{finding.detail}; {detail}"
                )

    def _around(self, when: datetime, path: str) -> set[str | None]:
        """The blobs that the backup held of a notebook around a time; None among them where it was not there."""
        start, end = when - AROUND[0], when + AROUND[1]
        versions = self._app.versions(path)
        held: set[str | None] = set()
        until = datetime.max.replace(tzinfo=when.tzinfo)
        for since, blob in versions:
            if since < end and until > start:
                held.add(blob)
            until = since
        return held | ({None} if versions and until > start else set())


def _notebooks(tree: Mapping[str, str], root: str) -> Iterator[tuple[str, str]]:
    """The notebooks that a tree's files stand for, each with its blob; files of people that stand for none are left."""
    for file, blob in tree.items():
        with suppress(BadFileName):
            yield "/".join((root, *parse_file(file).parts)), blob


def by_reason(findings: Iterable[Finding]) -> Counter[str]:
    """How many notebooks each explanation stands for."""
    return Counter(reason.value for f in findings for reason in f.explanations)
