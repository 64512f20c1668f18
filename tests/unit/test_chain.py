"""The committer: one instance, which lives for as long as a run needs it."""

from __future__ import annotations

import pytest

from shared.services.state.batch_rows import EXPORT_QUEUE
from shared.wiring import services
from tests.pages_site import LOAD, Site, write
from tests.registered import functions


def _slice() -> bool:
    """One time slice, as the durable instance calls it."""
    (found,) = [f for f in functions() if f.get_function_name() == "commit_slice"]
    return bool(found.get_user_function()(""))


def _exported() -> str:
    """A run whose batches are staged, so that one slice ends it."""
    run_id = services().runs.start("http")
    while not (step := services().plan.plan(run_id)).done:
        pass
    assert step.messages, f"nothing for {EXPORT_QUEUE}"
    for batch_id in services().batches.waiting(run_id):
        services().export.export_batch(run_id, batch_id)
    return run_id


def test_the_committer_ends_with_the_last_run(site: Site) -> None:
    write(site.world, LOAD, "print(1)\n")
    run_id = _exported()
    assert _slice() is True
    assert services().runs.get(run_id)["status"] == "succeeded"
    assert services().runs.active() is None


def test_a_run_that_began_while_the_last_one_was_told_of_keeps_the_committer(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(site.world, LOAD, "print(1)\n")
    first = _exported()
    begun: list[str] = []

    def told(run_id: str) -> None:
        assert run_id == first
        write(site.world, LOAD, "print(2)\n")
        # Its planning finds that the committer lives, and leaves it at that.
        begun.append(_exported())

    monkeypatch.setattr(services().telling.endings, "run_ended", told)
    assert _slice() is False
    monkeypatch.undo()
    assert services().runs.active() == begun[0]
    assert _slice() is True
    assert [services().runs.get(r)["status"] for r in (first, *begun)] == ["succeeded"] * 2
