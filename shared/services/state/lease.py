"""A blob lease held for the length of a `with` block, renewed in the background."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shared.errors import LeaseLost
from shared.protocols import BlobLease, BlobStore

LEASE_SECONDS = 30
RENEWAL_SECONDS = 8.0
MOST_MISSED = 3
"""Renewals in a row that may fail before the lease counts as lost: it ends by itself soon after."""
_log = logging.getLogger("backup.lease")


@contextmanager
def held(blobs: BlobStore, name: str) -> Iterator[Callable[[], None]]:
    """Hold the lease `name`; yields a check that raises `LeaseLost` once it is somebody else's.

    Raises `LeaseLost` where another holds it. A holder that dies blocks others for at most 30 seconds.
    """
    lease = blobs.acquire_lease(name, LEASE_SECONDS)
    if lease is None:
        raise LeaseLost(name=name)
    stop, lost = threading.Event(), threading.Event()
    renewal = threading.Thread(target=_renew, args=(blobs, lease, stop, lost), daemon=True)
    renewal.start()

    def check() -> None:
        if lost.is_set():
            raise LeaseLost(name=name)

    try:
        yield check
    finally:
        stop.set()
        renewal.join()
        blobs.release_lease(lease)


def _renew(blobs: BlobStore, lease: BlobLease, stop: threading.Event, lost: threading.Event) -> None:
    missed = 0
    while not stop.wait(RENEWAL_SECONDS):
        try:
            blobs.renew_lease(lease)
            missed = 0
        except LeaseLost:
            lost.set()
            return
        except Exception as error:  # noqa: BLE001 - whatever the storage says, the lease runs on for a while
            missed += 1
            _log.warning("the lease %s was not renewed: %s", lease.name, type(error).__name__)
            if missed >= MOST_MISSED:
                lost.set()
                return
