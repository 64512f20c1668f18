"""The trail as people read it: pages of records, exports, proofs, and reports of a period."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

from shared.domain.audit import AuditAction, AuditHead, AuditRecord, AuditResult, Detail
from shared.errors import BackupError
from shared.protocols import BlobStore
from shared.services.audit.export import Pseudonyms
from shared.services.audit.proof import AuditProof, ProvedPart
from shared.services.audit.recorder import Recorder
from shared.services.audit.rows import AUDIT, AuditRows, Where
from shared.services.audit.trail import AuditUnavailable
from shared.services.reporting.audit_report import AuditReports, PeriodReport

PSEUDONYM_KEY = "audit/pseudonym-key"
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads, and from where."""

    name: str
    origin: str


@dataclass(frozen=True, slots=True)
class Page:
    """Records in order; `next` is the number to go on after, None where there are no more."""

    records: list[AuditRecord]
    next: int | None


@contextmanager
def _available() -> Iterator[None]:
    """A storage that does not answer is the trail's absence, to whoever reads it."""
    try:
        yield
    except BackupError:
        raise
    except Exception as error:
        raise AuditUnavailable(detail=f"{type(error).__name__}: {error}") from error


class AuditAccess:
    """Answers, once the reading itself is recorded. Raises `AuditUnavailable` where it cannot be: nothing is shown."""

    def __init__(
        self, *, rows: AuditRows, proof: AuditProof, reports: AuditReports, recorder: Recorder, blobs: BlobStore
    ) -> None:
        self._rows, self._proof, self._reports = rows, proof, reports
        self._recorder, self._blobs = recorder, blobs

    def page(self, where: Where, limit: int, reader: Reader, asked: Detail) -> Page:
        """Up to `limit` records. `asked` is what the record of this reading says."""
        with _available():
            found = list(islice(self._scan(where), limit + 1))
        self._record(AuditAction.AUDIT_READ, reader, {**asked, "records": min(len(found), limit)})
        more = len(found) > limit
        return Page(found[:limit], found[limit - 1].sequence if more else None)

    def report(self, where: Where, reader: Reader, asked: Detail, *, pseudonymise: bool) -> PeriodReport:
        """The report of a period; the reading of it is recorded after what it reports."""
        with _available():
            pseudonyms = self.pseudonyms() if pseudonymise else None
            report = self._reports.make(self._scan(where), where.from_ms, where.to_ms, pseudonyms)
        self._record(AuditAction.REPORT_READ, reader, {**asked, "records": report.actions.total()})
        return report

    def prove(self, after: AuditHead | None, reader: Reader, most: int) -> ProvedPart:
        """Prove a part of the chain; recorded with its verdict where that is the last part."""
        with _available():
            found = self._proof.part(after, most)
        if found.complete:
            fault = found.verdict.fault
            detail = {"records": found.verdict.records, "head": found.verdict.head.sequence}
            told = {"fault": fault.kind.value, "first_bad": fault.sequence} if fault else {}
            self._record(
                AuditAction.VERIFIED, reader, {**detail, **told}, AuditResult.FAILED if fault else AuditResult.DONE
            )
            self._recorder.anchor()
        return found

    def pseudonyms(self) -> Pseudonyms:
        """Pseudonyms with the backup's own key, which is made when it is first needed and stays the same."""
        self._blobs.create(PSEUDONYM_KEY, secrets.token_bytes(_KEY_BYTES))
        return Pseudonyms(self._blobs.get(PSEUDONYM_KEY))

    def _scan(self, where: Where) -> Iterator[AuditRecord]:
        return self._rows.scan(self._rows.state(), where)

    def _record(
        self, action: AuditAction, reader: Reader, detail: Detail, result: AuditResult = AuditResult.DONE
    ) -> None:
        self._recorder.record(action, reader.name, AUDIT, result, detail={"from": reader.origin, **detail})
