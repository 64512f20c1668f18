"""The committer's lease: renewed beside the work, lost to another holder, or to a storage that does not answer."""

from __future__ import annotations

import threading

import pytest

from local.memory.clock import ManualClock
from local.memory.storage import MemoryBlobs
from shared.errors import LeaseLost
from shared.protocols import BlobLease
from shared.services.state import lease as leases
from shared.services.state.lease import MOST_MISSED, held

ENOUGH_SECONDS = 10


class _Renewing(MemoryBlobs):
    """Counts renewals and fails those that are listed."""

    def __init__(self, failing: set[int]) -> None:
        super().__init__(ManualClock())
        self.failing, self.renewals = failing, 0
        self.done = threading.Event()
        self.enough = 6

    def renew_lease(self, lease: BlobLease) -> None:
        self.renewals += 1
        try:
            if self.renewals in self.failing:
                raise OSError("the storage does not answer")
            super().renew_lease(lease)
        finally:
            if self.renewals >= self.enough:
                self.done.set()


@pytest.fixture(autouse=True)
def renew_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEWAL_SECONDS", 0.001)


def test_a_renewal_that_fails_now_and_then_keeps_the_lease() -> None:
    blobs = _Renewing(failing={1, 2, 4, 5})
    with held(blobs, "leases/x") as still_held:
        assert blobs.done.wait(ENOUGH_SECONDS)
        still_held()
    assert blobs.acquire_lease("leases/x", 15) is not None


def test_a_storage_that_stays_away_loses_the_lease() -> None:
    blobs = _Renewing(failing=set(range(1, MOST_MISSED + 1)))
    blobs.enough = MOST_MISSED
    with held(blobs, "leases/x") as still_held:
        assert blobs.done.wait(ENOUGH_SECONDS)
        _wait_until_lost(still_held)
    assert blobs.renewals == MOST_MISSED


def test_another_holder_takes_an_expired_lease_and_the_late_one_notices() -> None:
    blobs = _Renewing(failing=set())
    blobs.enough = 1
    with held(blobs, "leases/x") as still_held:
        assert blobs.done.wait(ENOUGH_SECONDS)
        blobs.leases["leases/x"] = ("somebody else", blobs.clock.monotonic() + 30, 30)
        _wait_until_lost(still_held)
    assert blobs.acquire_lease("leases/x", 15) is None


def test_a_lease_that_another_holds_is_not_taken() -> None:
    blobs = _Renewing(failing=set())
    with held(blobs, "leases/x"), pytest.raises(LeaseLost, match="leases/x"), held(blobs, "leases/x"):
        pass


def _wait_until_lost(still_held: object) -> None:
    lost = threading.Event()

    def ask() -> None:
        while not lost.is_set():
            try:
                still_held()  # type: ignore[operator]
            except LeaseLost:
                lost.set()

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(ENOUGH_SECONDS)
    assert lost.is_set()
