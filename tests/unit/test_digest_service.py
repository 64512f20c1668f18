"""The mails that subscriptions make."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from local.memory.clock import START, ManualClock
from shared.domain.digests import Digests
from shared.protocols import DigestMail
from shared.services.reporting.digests import DigestService
from tests.telling import HOUR_MS, ROOT, History, new_history, reports

PEOPLE = '{"ada@example.com": {"name": "Ada", "team": "Sales"}, "bob@example.com": {"name": "Bob", "team": "Ops"}}'
SUBSCRIBED = (
    '[{"to": "lead@example.com", "team": "sales", "schedule": "daily"},'
    ' {"to": "bob@example.com", "author": "BOB@example.com", "schedule": "daily"},'
    ' {"to": "acme@example.com", "folder": "/Clients/acme", "schedule": "weekly"}]'
)
NOW_MS = int(START.timestamp() * 1000)


class MemoryOutbox:
    """Keeps the mails, each key once."""

    def __init__(self) -> None:
        self.sent: dict[str, DigestMail] = {}

    def took(self, key: str) -> bool:
        """See `Outbox.took`."""
        return key in self.sent

    def send(self, mail: DigestMail) -> None:
        """See `Outbox.send`."""
        self.sent.setdefault(mail.key, mail)


@pytest.fixture
def history(tmp_path: Path) -> History:
    """A Thursday, 02:30: Ada and Bob changed something the evening before."""
    found = new_history(tmp_path)
    found.write(f"{ROOT}/acme/load", ["a", "b"], "ada@example.com")
    found.write(f"{ROOT}/other/\ud800\nBcc: x", ["c"], "bob@example.com")
    found.commit(NOW_MS - 8 * HOUR_MS)
    return found


def _service(history: History, clock: ManualClock, digests: str = SUBSCRIBED) -> DigestService:
    return DigestService(reports(history, PEOPLE), Digests.parse(digests), clock, 6)


def test_each_subscriber_is_told_of_their_own_when_the_period_is_over(history: History) -> None:
    clock = ManualClock()
    service = _service(history, clock)
    assert service.due() == [], "neither the day that ended yesterday at 6 nor the week before had a change"
    clock.sleep(3.5 * 3600)
    lead, bob = service.due()
    assert (lead.to, bob.to) == ("lead@example.com", "bob@example.com")
    assert lead.subject == "Daily digest: 1 change. Notebook changes, 2025-12-31 06:00 to 2026-01-01 06:00: sales"
    for part in (lead.html, lead.text):
        assert f"{ROOT}/acme/load" in part
        assert "Bob" not in part
    for part in (bob.html, bob.text):
        assert r"other/\ud800\nBcc: x" in part
        assert "acme" not in part
    clock.sleep(timedelta(days=4).total_seconds())
    (weekly,) = service.due()
    assert weekly.to == "acme@example.com"
    assert weekly.subject.startswith("Weekly digest: 1 change.")


def test_a_digest_is_sent_once_however_often_it_is_due(history: History) -> None:
    clock, outbox = ManualClock(START + timedelta(hours=4)), MemoryOutbox()
    service = _service(history, clock)
    assert [service.send(outbox) for _ in range(3)] == [2, 0, 0]
    assert [mail.to for mail in outbox.sent.values()] == ["lead@example.com", "bob@example.com"]
    clock.sleep(86_400)
    history.write(f"{ROOT}/acme/load", ["a"], "ada@example.com")
    history.commit(NOW_MS + 5 * HOUR_MS)
    assert service.send(outbox) == 1
    assert len(outbox.sent) == 3


def test_a_subject_is_one_line_whatever_is_subscribed_to(history: History) -> None:
    digests = '[{"to": "x@example.com", "folder": "/Clients/other/\\ud800\\nBcc: x", "schedule": "daily"}]'
    (mail,) = _service(history, ManualClock(START + timedelta(hours=4)), digests).due()
    assert mail.subject.isprintable()
    assert mail.html.encode()
    assert mail.text.encode()


def test_a_mail_of_very_many_changes_is_not_cut_by_mail_programs(history: History) -> None:
    for number in range(2_000):
        path = f"{ROOT}/a client with a long name {number % 60}/some folder/another folder/a notebook {number}"
        history.write(path, ["a"], f"somebody.with.a.long.name.{number % 90}@example.com")
    history.commit(NOW_MS)
    digests = '[{"to": "x@example.com", "folder": "/Clients", "schedule": "daily"}]'
    (mail,) = _service(history, ManualClock(START + timedelta(hours=4)), digests).due()
    assert mail.subject.startswith("Daily digest: 2,002 changes.")
    assert len(mail.html.encode()) < 102_000
    assert "1,962 more changes are counted above" in mail.html
