"""Mails in a world with trouble: each event at most once, tried again where nothing was taken, never in the way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from local.faults.crash_points import CrashPoint, CrashTap, play_dead
from local.faults.port_faults import Declared, Fault, FaultTap
from local.memory.mailer import MemoryMailer
from local.memory.world import World, succeeded
from shared.domain.mail import Mail, MailKind, Recipients, read_recipients
from shared.errors import StateConflict
from shared.protocols import Delivered, Delivery
from shared.services.reporting.outbox import MOST_ATTEMPTS, Event, Outbox
from shared.services.state.maintenance import Kind
from tests.faults.living import fill

TO = Recipients(("ops@example.com",))
DAY = 86_400.0
POINTS = {
    "run over, nothing told": CrashPoint("after", r"tables\.replace\(checkpoints, lease, run, \{'run_id': ''"),
    "about to write the event": CrashPoint("before", r"tables\.insert\(mails, event, succeeded"),
    "event written, message missing": CrashPoint("after", r"tables\.insert\(mails, event, succeeded"),
    "message sent, run not marked": CrashPoint("after", r"queue\.send\(backup-mail"),
    "about to claim": CrashPoint("before", r"tables\.replace\(mails, event, .*sending"),
    "claimed, not sent": CrashPoint("after", r"tables\.replace\(mails, event, .*sending"),
    "about to send": CrashPoint("before", r"mailer\.send\("),
    "sent, not written": CrashPoint("after", r"mailer\.send\("),
    "about to write that it was sent": CrashPoint("before", r"tables\.replace\(mails, event, .*'sent'"),
    "written, message not deleted": CrashPoint("after", r"tables\.replace\(mails, event, .*'sent'"),
}
CLAIMED = {"claimed, not sent", "about to send", "sent, not written", "about to write that it was sent"}


def _world(folder: Path, mailer: MemoryMailer, **settings: Any) -> World:
    world = World(folder, mailer=mailer, mail_from="backup@example.com", **{"mail_to": TO, **settings})
    fill(world)
    return world


def _wait(world: World, seconds: float) -> None:
    """Time passes, and the timers fire."""
    until = world.clock.monotonic() + seconds
    while world.clock.monotonic() < until:
        world.clock.sleep(300)
        world._guarded(world.look_around)
        world.settle()


def _statuses(world: World) -> dict[str, str]:
    rows = world.tables.query("mails", "event")
    return {row.key: str(row.row["status"]) for row in rows}


def test_a_run_is_told_of_once_after_everything_else(tmp_path: Path) -> None:
    mailer = MemoryMailer()
    world = _world(tmp_path, mailer)
    run = world.back_up()
    _wait(world, 3 * 3_600)
    (mail,) = mailer.sent
    assert (mail.key, mail.to) == (f"succeeded-{run['run_id']}", ("ops@example.com",))
    assert run["run_id"] in mail.text
    assert _statuses(world) == {mail.key: "sent"}


@pytest.mark.parametrize("name", POINTS)
def test_a_process_that_dies_anywhere_sends_at_most_one(tmp_path: Path, name: str) -> None:
    mailer = MemoryMailer()
    world = _world(tmp_path, mailer)
    tap = CrashTap(POINTS[name], play_dead)
    world.process(tap)
    run = world.back_up()
    _wait(world, 3 * 3_600)
    assert tap.dead, "the point was never reached"
    assert succeeded(world.app.status.run(run["run_id"]))
    key = f"succeeded-{run['run_id']}"
    if name in CLAIMED:
        # Whether it arrived is not known: it is said so, and not sent again.
        assert _statuses(world) == {key: "unsure"}
        assert mailer.attempts == len(mailer.sent) == (0 if name in ("claimed, not sent", "about to send") else 1)
    else:
        assert _statuses(world) == {key: "sent"}
        assert mailer.attempts == len(mailer.sent) == 1


def test_a_mail_of_which_nobody_knows_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mailer = MemoryMailer()
    world = _world(tmp_path, mailer)
    world.process(CrashTap(POINTS["sent, not written"], play_dead))
    run = world.back_up()
    _wait(world, 3_600)
    told = [r.getMessage() for r in caplog.records if r.levelname == "ERROR" and r.name == "backup.mail"]
    assert len(told) == 1
    assert re.search(rf"succeeded-{run['run_id']} is unsure", told[0])


def _answers(*outcomes: Delivery) -> Any:
    remaining: Iterator[Delivery] = iter(outcomes)
    return lambda mail: Delivered(next(remaining), "as told")


def test_what_passes_is_tried_again_with_growing_pauses(tmp_path: Path) -> None:
    mailer = MemoryMailer(answer=_answers(Delivery.LATER, Delivery.LATER, Delivery.LATER, Delivery.SENT))
    world = _world(tmp_path, mailer)
    times: list[float] = []
    answer = mailer.answer

    def timed(mail: Mail) -> Delivered:
        times.append(world.clock.monotonic())
        return answer(mail)

    mailer.answer = timed
    world.back_up()
    pauses = [after - before for before, after in pairwise(times)]
    assert [pause >= least for pause, least in zip(pauses, (60, 120, 240), strict=True)] == [True] * 3
    assert len(mailer.sent) == 1
    assert list(_statuses(world).values()) == ["sent"]


@pytest.mark.parametrize(
    ("outcome", "attempts", "status"),
    [(Delivery.LATER, MOST_ATTEMPTS, "failed"), (Delivery.REFUSED, 1, "failed"), (Delivery.UNSURE, 1, "unsure")],
)
def test_a_mail_server_that_never_takes_one_fails_no_backup(
    tmp_path: Path, outcome: Delivery, attempts: int, status: str
) -> None:
    mailer = MemoryMailer(answer=lambda mail: Delivered(outcome, "no"))
    world = _world(tmp_path, mailer)
    assert succeeded(world.back_up())
    _wait(world, DAY / 2)
    assert (mailer.attempts, list(_statuses(world).values())) == (attempts, [status])
    assert succeeded(world.back_up())


@pytest.mark.parametrize("fault", [Fault.ERROR_BEFORE, Fault.ERROR_AFTER, Fault.TIMEOUT])
@pytest.mark.parametrize(
    ("port", "method"), [("tables", "insert"), ("tables", "replace"), ("tables", "get"), ("queue", "send")]
)
def test_storage_that_fails_while_it_is_told_sends_at_most_one(
    tmp_path: Path, port: str, method: str, fault: Fault
) -> None:
    mailer = MemoryMailer()
    world = _world(tmp_path, mailer)
    run = world.back_up()
    mailer.sent.clear()
    world.clock.sleep(60)
    tap = FaultTap(Declared(port, method, fault))
    world.process(tap)
    for kind in ("first", "second"):
        world._guarded(lambda kind=kind: world.app.telling.mail.size_warning(kind, 9, 10, None))  # type: ignore[misc]
        world.settle()
    world._guarded(lambda: world.app.telling.mail.size_warning("first", 9, 10, None))
    _wait(world, 3 * 3_600)
    assert tap.fired == 1
    keys = [mail.key for mail in mailer.sent]
    assert sorted(set(keys)) == sorted(keys)
    settled = _statuses(world)
    del settled[f"succeeded-{run['run_id']}"]
    assert set(settled) == {"size-first-202601", "size-second-202601"}
    assert all(status == "sent" or (key not in keys or status == "unsure") for key, status in settled.items())
    assert "waiting" not in settled.values()
    assert "sending" not in settled.values()


def test_deliveries_at_once_send_one(tmp_path: Path) -> None:
    world = _world(tmp_path, mailer := MemoryMailer())
    outer = world.app.telling.mail

    def again(mail: Mail) -> Delivered:
        # While one sender is at it, the same message reaches another.
        world.process().telling.mail.send(mail.key)
        return Delivered(Delivery.SENT)

    mailer.answer = again
    outer.size_warning("warning", 9, 10, None)
    outer.send("size-warning-202601")
    outer.send("size-warning-202601")
    assert mailer.attempts == 1


def test_a_claim_has_one_holder_and_is_never_taken_over(tmp_path: Path) -> None:
    world = _world(tmp_path, MemoryMailer())
    outbox = Outbox(world.tables, world.queues, world.clock)
    outbox.add(Event(MailKind.SIZE, "x"))
    claimed = outbox.claim("size-x")
    assert claimed is not None
    assert outbox.claim("size-x") is None
    world.clock.sleep(DAY)
    assert outbox.claim("size-x") is None
    assert outbox.repair() == ["size-x"]
    assert outbox.claim("size-x") is None
    # A sender that was only slow learns that it was given up.
    with pytest.raises(StateConflict):
        outbox.settle(claimed, Delivered(Delivery.SENT))
    assert outbox.claim("size-nobody") is None


def test_partial_held_and_failed_runs_each_have_their_mail(tmp_path: Path) -> None:
    mailer = MemoryMailer()
    world = _world(tmp_path, mailer)
    world.workspace.behaviour.zip_style = "never"
    world.back_up()
    path = sorted(world.notebooks())[0][0]
    world.model.apply("edit", "ada", path=path, content="# new\n")
    world.workspace.behaviour.denied = [path]
    partial = world.back_up()
    assert partial["status"] == "partial"
    assert mailer.sent[-1].key == f"partial-{partial['run_id']}"
    assert path in mailer.sent[-1].text
    assert "CAN READ" in mailer.sent[-1].text
    world.workspace.behaviour.denied = []
    for gone, _ in sorted(world.notebooks())[1:]:
        world.model.apply("delete", "ada", path=gone)
    held = world.back_up()
    assert held["counts"]["held"]
    # One mail where the deletions are all that the run holds back.
    assert mailer.sent[-1].key == f"deletions-held-{held['run_id']}"
    assert len(mailer.sent) == 3


def test_recipients_are_chosen_by_kind(tmp_path: Path) -> None:
    mailer = MemoryMailer()
    to = read_recipients("", {"default": ["all@example.com"], "succeeded": [], "verification": ["v@example.com"]})
    world = _world(tmp_path, mailer, mail_to=to)
    world.back_up()
    assert mailer.sent == []
    world.blobs.stored.pop(next(name for name in world.blobs.stored if name.startswith("manifests/")))
    proof = world.maintain(Kind.VERIFY)
    assert proof["status"] == "failed"
    (mail,) = mailer.sent
    assert (mail.key, mail.to) == (f"verification-{proof['id']}", ("v@example.com",))
    assert "manifest_missing" in mail.text
    _wait(world, 3_600)
    assert len(mailer.sent) == 1


def test_a_verification_that_passes_is_told_to_nobody(tmp_path: Path) -> None:
    mailer = MemoryMailer()
    world = _world(tmp_path, mailer)
    world.back_up()
    mailer.sent.clear()
    assert world.maintain(Kind.VERIFY)["status"] == "passed"
    assert mailer.sent == []


def test_no_run_for_too_long_is_told_of_once_a_day(tmp_path: Path) -> None:
    mailer = MemoryMailer()
    world = _world(tmp_path, mailer)
    world.back_up()
    mailer.sent.clear()
    _wait(world, 25.5 * 3_600)
    assert mailer.sent == []
    _wait(world, 3_600)
    assert mailer.kinds() == ["heartbeat"]
    assert "No successful run in 26 hours" in mailer.sent[0].text
    _wait(world, 2.5 * DAY)
    assert mailer.kinds() == ["heartbeat"] * 3
    assert succeeded(world.back_up())
    mailer.sent.clear()
    _wait(world, DAY)
    assert mailer.sent == []


def test_an_app_that_was_just_installed_has_its_first_26_hours(tmp_path: Path) -> None:
    mailer = MemoryMailer()
    world = _world(tmp_path, mailer)
    _wait(world, 25 * 3_600)
    assert mailer.sent == []
    _wait(world, 2 * 3_600)
    assert mailer.kinds() == ["heartbeat"]
    assert "None has ever succeeded" in mailer.sent[0].text


def test_a_credential_is_told_of_at_each_threshold(tmp_path: Path) -> None:
    mailer = MemoryMailer()
    world = _world(tmp_path, mailer, heartbeat_hours=10_000)
    expires = world.clock.now() + timedelta(days=40)
    told = []
    for _ in range(42):
        world.app.telling.mail.credential_expires("GIT_TOKEN", expires)
        world.settle()
        told += [round((expires - world.clock.now()) / timedelta(days=1)) for _ in mailer.sent]
        mailer.sent.clear()
        world.clock.sleep(DAY)
    assert told == [30, 14, 7, 3, 1, 0]


def test_without_a_mail_server_nothing_is_kept(tmp_path: Path) -> None:
    world = World(tmp_path)
    fill(world)
    world.back_up()
    world.app.telling.mail.size_warning("warning", 9, 10, None)
    assert _statuses(world) == {}
    assert not world.queues.stored.get("backup-mail")


def test_a_mail_that_cannot_be_made_is_given_up_and_fails_no_backup(tmp_path: Path) -> None:
    mailer = MemoryMailer()
    world = _world(tmp_path, mailer)
    world.back_up()
    Outbox(world.tables, world.queues, world.clock).add(Event(MailKind.VERIFICATION, "nobody"))
    world.settle()
    assert _statuses(world)["verification-nobody"] == "failed"
    assert succeeded(world.back_up())


def test_a_mail_that_waited_for_two_days_is_old_news(tmp_path: Path) -> None:
    mailer = MemoryMailer()
    world = _world(tmp_path, mailer, heartbeat_hours=10_000)
    world.mailer = None
    Outbox(world.tables, world.queues, world.clock).add(Event(MailKind.SIZE, "x", {"level": "x"}))
    world.process()
    _wait(world, 1.5 * DAY)
    assert _statuses(world) == {"size-x": "waiting"}
    _wait(world, DAY)
    assert _statuses(world) == {"size-x": "failed"}
    world.mailer = mailer
    world.process()
    _wait(world, 3_600)
    assert mailer.attempts == 0


def test_held_deletions_that_nobody_is_told_of_are_in_the_runs_own_mail(tmp_path: Path) -> None:
    mailer = MemoryMailer()
    to = read_recipients("", {"default": ["all@example.com"], "deletions-held": []})
    world = _world(tmp_path, mailer, mail_to=to, deletion_guard_share=0.0)
    fill(world, 30)
    world.back_up()
    for gone, _ in sorted(world.notebooks())[:15]:
        world.model.apply("delete", "ada", path=gone)
    held = world.back_up()["counts"]["held"]
    assert held == 15
    assert mailer.kinds() == ["succeeded", "partial"]
    assert "15 held deletions" in mailer.sent[-1].subject


def test_one_damaged_row_does_not_keep_the_heartbeat_silent(tmp_path: Path) -> None:
    mailer = MemoryMailer()
    world = _world(tmp_path, mailer)
    run = world.back_up()
    world.back_up()
    mailer.sent.clear()
    world.tables.upsert("runs", "run", run["run_id"], {"finished_at": "nonsense", "told": False})
    _wait(world, 27 * 3_600)
    assert mailer.kinds() == ["heartbeat"]
    world.process(CrashTap(POINTS["run over, nothing told"], play_dead))
    after = world.back_up()
    world.tables.upsert("runs", "run", f"{after['run_id']}-damaged", {"status": "succeeded", "finished_at": "nonsense"})
    _wait(world, 3_600)
    assert mailer.kinds() == ["heartbeat", "succeeded"]


def test_events_are_forgotten_after_90_days(tmp_path: Path) -> None:
    mailer = MemoryMailer()
    world = _world(tmp_path, mailer, heartbeat_hours=10_000)
    world.back_up()
    assert len(_statuses(world)) == 1
    world.clock.sleep(91 * DAY)
    world.look_around()
    assert _statuses(world) == {}
