"""Mails that no run sends: digests to their subscribers, and a repository that nears its size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local.memory.mailer import MemoryMailer
from local.memory.telemetry import MemoryTelemetry
from local.memory.world import World
from shared.domain.digests import Digests
from shared.domain.mail import Recipients
from tests.faults.living import fill

TO = Recipients(("ops@example.com",))
DAY = 86_400.0


def _world(folder: Path, mailer: MemoryMailer, **settings: Any) -> tuple[World, MemoryTelemetry]:
    telemetry = MemoryTelemetry()
    given = {"mail_to": TO, "mail_from": "backup@example.com", **settings}
    world = World(folder, mailer=mailer, telemetry=telemetry, **given)
    fill(world)
    return world, telemetry


def test_a_digest_goes_once_to_whom_its_subscription_names(tmp_path: Path) -> None:
    mailer = MemoryMailer()
    subscriptions = '[{"to": "lead@example.com", "folder": "/Clients", "schedule": "daily"}]'
    world, _ = _world(tmp_path, mailer, mail_to=Recipients(), digests=Digests.parse(subscriptions), digest_hour=6)
    world.back_up()
    world.clock.sleep(DAY)
    for _ in range(3):
        outbox = world.app.telling.mail.digests
        assert outbox is not None
        world.app.digests.send(outbox)
        world.settle()
        world.process()
    (mail,) = mailer.sent
    assert mail.to == ("lead@example.com",)
    assert "/Clients/etl/job" in mail.text
    assert "/Clients/etl/job" in mail.html
    assert [row.row["status"] for row in world.tables.query("mails", "event")] == ["sent"]


@pytest.mark.parametrize(("level", "told"), [("ok", 0), ("watch", 0), ("warning", 1), ("critical", 1)])
def test_a_repository_that_nears_its_size_is_told_of_once_a_month(tmp_path: Path, level: str, told: int) -> None:
    mailer = MemoryMailer()
    world, telemetry = _world(tmp_path, mailer, heartbeat_hours=10_000)
    days = {"days_until_advised": None}
    overview = {"measured": {"bytes": 9}, "advised_bytes": 10, "level": level, "growth": days, "assumed": days}
    for _ in range(3):
        world.app.telling.size_measured(overview)
        world.settle()
        world.clock.sleep(DAY)
    assert [mail.key.partition("-")[0] for mail in mailer.sent] == ["size"] * told
    assert telemetry.of("backup.repository.size")[-1][0] == 9


def test_a_measured_repository_is_told_as_the_capacity_service_says_it(tmp_path: Path) -> None:
    world, telemetry = _world(tmp_path, MemoryMailer())
    world.back_up()
    overview = world.app.capacity.measure()
    assert overview is not None
    world.app.telling.size_measured(overview)
    assert telemetry.of("backup.repository.size")[-1][0] == overview["measured"]["bytes"] > 0
