"""What restores wrote and removed, as attribution holds it beside what a backup finds."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from shared.domain.attribution import RestoreWrite
from shared.domain.restores import Outcome, RestoreItem, RestoreResult
from shared.errors import DamagedBlob
from shared.services.state.restore_store import Restore, RestoreStore

_log = logging.getLogger("backup.attribution")


class RestoredNotebooks:
    """Reads what the restores kept of themselves."""

    def __init__(self, store: RestoreStore) -> None:
        self._store = store

    def since(self, when: datetime) -> list[RestoreWrite]:
        """What restores did that were under way then or later, as far as it is proved. Raises what the storage raises.

        A restore whose plan or results are lost is left out: what it wrote is by nobody who is known.
        """
        found: dict[str, list[RestoreWrite]] = {}
        # One that ends between the two questions of `since` is told of twice: the later row has its end.
        for restore in self._store.since(when):
            try:
                found[restore.id] = list(self._writes(restore))
            except (KeyError, DamagedBlob) as error:
                told = "what restore %s wrote is not known: %s"
                _log.warning(told, restore.id, type(error).__name__, extra={"action": "attribution.restores"})
        return [write for writes in found.values() for write in writes]

    def _writes(self, restore: Restore) -> Iterator[RestoreWrite]:
        for batch in range(restore.batches):
            results = self._store.results(restore, batch)
            if results is not None:
                done = zip(self._store.plan(restore, batch), results, strict=True)
                yield from (write for item, result in done if (write := _write(restore, item, result)))


def _write(restore: Restore, item: RestoreItem, result: RestoreResult) -> RestoreWrite | None:
    """What was done with one notebook; None where nothing was, or where it is not proved."""
    ended = restore.row.get("finished_at")
    done = RestoreWrite(
        restore=restore.id,
        actor=restore.request.requested_by,
        path=item.target,
        object_id=item.live.object_id if item.live else 0,
        began_ms=_milliseconds(restore.row["created_at"]),
        ended_ms=_milliseconds(ended) if ended else None,
    )
    if result.outcome is Outcome.REMOVED and item.live:
        return done
    if result.outcome is not Outcome.VERIFIED or result.written is None or result.found_sha256 is None:
        return None
    return replace(
        done,
        object_id=result.written.object_id,
        modified_at=result.written.modified_at,
        sha256=result.found_sha256,
        from_ms=item.modified_at,
    )


def _milliseconds(moment: object) -> int:
    return int(datetime.fromisoformat(str(moment)).timestamp() * 1000)
