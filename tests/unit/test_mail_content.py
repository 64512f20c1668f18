"""What mails say, and what hostile names in them can do: nothing."""

from __future__ import annotations

import email
import email.policy
import re
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.adapters.mail_templates import JinjaMailTemplates
from shared.adapters.smtp_mail import SmtpAddress, make_message
from shared.domain.advice import OTHERWISE, WHAT_TO_DO, what_to_do
from shared.domain.mail import Mail, MailContent, MailKind, Recipients, Section, Tone, subject_line
from shared.domain.mail_contents import (
    MOST_NAMED,
    credential_content,
    heartbeat_content,
    held_content,
    run_content,
    size_content,
    verification_content,
)
from shared.settings import Settings
from tests.names import HOSTILE_NAMES

WHEN = datetime(2026, 11, 24, 2, 41, tzinfo=UTC)
LINK = "https://backup.example.com/api/dashboard"
BASE = {"databricks_host": "https://x", "git_remote_url": "https://y"}
COUNTS = dict.fromkeys(("created", "changed", "renamed", "deleted", "conflict", "held", "unchanged"), 0)
EXPECTED_TAGS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "body",
        "table",
        "tr",
        "td",
        "th",
        "p",
        "h1",
        "h2",
        "div",
        "strong",
        "code",
        "a",
    ),
}


def _run(**changes: Any) -> dict[str, Any]:
    return {
        "run_id": "20261124T023000Z-3fa9",
        "status": "succeeded",
        "started_at": "2026-11-24T02:30:00+00:00",
        "seconds": 671.0,
        "notebooks": 70_000,
        "notebooks_per_second": 104.3,
        "commit": "1234567890abcdef1234567890abcdef12345678",
        "error": None,
        "counts": {**COUNTS, "changed": 12, "unchanged": 69_988},
        "failures": [],
        "notices": [],
        **changes,
    }


def _failure(path: str, code: str = "permission_denied", reason: str = "denied") -> dict[str, str]:
    return {"path": path, "code": code, "reason": reason}


class _Reader(HTMLParser):
    """Tags, links and text; nothing may be there that a mail program would fetch or run."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str | None] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in ("href", "src", "background")]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.words += data


def _rendered(content: MailContent) -> tuple[str, _Reader]:
    text, html = JinjaMailTemplates().render(content)
    text.encode()
    html.encode()
    read = _Reader(html)
    assert read.tags <= EXPECTED_TAGS
    assert set(read.links) <= {LINK}
    return text, read


def _received(mail: Mail) -> EmailMessage:
    message = email.message_from_bytes(make_message(mail, "backup@example.com"), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def test_a_success_names_its_figures_and_leads_to_the_dashboard() -> None:
    text, html = _rendered(run_content(_run(), LINK, "/Clients"))
    for words in (text, html.words):
        for figure in ("70,000", "69,988", "11 min 11 s", "104.3", "1234567890ab", "20261124T023000Z-3fa9"):
            assert figure in words
        assert "What to do" not in words
    assert html.links == [LINK]
    assert LINK in text


def test_failures_are_named_by_code_with_reason_and_what_to_do() -> None:
    failures = [_failure("/Clients/a"), _failure("/Clients/b"), _failure("/Clients/big", "too_large", "11 MB")]
    run = _run(status="partial", failures=failures, notices=[_failure("/Clients/n", "conflict_overruled", "theirs")])
    text, html = _rendered(run_content(run, LINK, "/Clients"))
    for words in (text, html.words):
        for said in (
            "2 × permission_denied",
            "/Clients/a",
            "/Clients/b",
            "denied",
            "Grant the backup's identity CAN READ",
        ):
            assert said in words
        for said in ("1 × too_large", "11 MB", "Split the notebook", "conflict_overruled: theirs"):
            assert said in words


def test_a_day_of_many_failures_stays_readable_and_says_what_it_leaves_out() -> None:
    run = _run(status="partial", failures=[_failure(f"/Clients/{n}") for n in range(MOST_NAMED + 1_234)])
    text, html = _rendered(run_content(run, LINK, "/Clients"))
    assert text.count("/Clients/") == html.words.count("/Clients/") == MOST_NAMED
    assert "1,234 more" in text
    assert "1,234 more" in html.words


def test_every_other_kind_says_what_happened_and_what_to_do() -> None:
    found = {
        "id": "v",
        "status": "failed",
        "started_at": "2026-11-24T06:30:00+00:00",
        "files": 9,
        "failures": [],
        "notices": [],
    }
    problems = {**found, "failures": [_failure("/Clients/a", "bytes_differ", "other bytes")]}
    contents = {
        "did not come to its end: no rights": run_content(_run(status="failed", error="no rights"), LINK, "/C"),
        "17 deletions held": held_content(_run(counts={**COUNTS, "held": 17}), LINK, "/C"),
        "1 × bytes_differ": verification_content(problems, LINK, "/C"),
        "could not be done: timed out": verification_content(
            {**found, "status": "stopped", "error": "timed out"}, LINK, "/C"
        ),
        "No successful run in 26 hours": heartbeat_content(WHEN, 26, [_run(status="failed")], LINK, "/C"),
        "None has ever succeeded": heartbeat_content(None, 26, [], LINK, "/C"),
        "GIT_TOKEN expires in 7 days": credential_content("GIT_TOKEN", WHEN, 7, LINK, "/C"),
        "GIT_TOKEN has expired": credential_content("GIT_TOKEN", WHEN, -1, LINK, "/C"),
        "80 % of the advised size": size_content("warning", 8 * 2**30, 10 * 2**30, 40.0, LINK, "/C"),
    }
    for said, content in contents.items():
        for words in (_rendered(content)[0], _rendered(content)[1].words):
            assert said in words
            assert words.count("What to do:") == 1
        assert content.tone is not Tone.GOOD


@pytest.mark.parametrize(
    "name", [*HOSTILE_NAMES, "<img src=//x onerror=alert(1)>", "\ud800", "a\r\nBcc: x@y.z", "\u202egnp.exe", "\x1b[2J"]
)
def test_hostile_names_show_as_text(name: str) -> None:
    run = _run(status="partial", failures=[_failure(f"/Clients/{name}", "not_found", name)])
    text, html = _rendered(run_content(run, LINK, name))
    for words in (text, html.words):
        assert not {"\ud800", "\r", "\u202e", "\x1b"} & set(words)
    line = next(line for line in text.splitlines() if line.startswith("  - "))
    assert line.startswith("  - /Clients/")


@given(st.text(max_size=300), st.text(max_size=50))
def test_no_text_adds_a_header_or_breaks_a_mail(subject: str, body: str) -> None:
    content = MailContent(
        MailKind.FAILED, Tone.BAD, subject, body, body, ((body, body),), (Section(body, body, ((body, body),)),)
    )
    text, html = JinjaMailTemplates().render(content)
    received = _received(Mail("failed-x", ("a@example.com",), subject, text, html, WHEN))
    assert received["Subject"] == subject_line(subject) or not subject_line(subject)
    expected = ["Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
    assert received.keys() == expected
    parts = {p.get_content_type(): p.get_content() for p in received.walk() if p.get_content_maintype() == "text"}
    assert parts["text/plain"].split() == text.split()
    assert parts["text/html"].split() == html.split()


def test_a_mail_has_plain_headers_and_the_same_id_whenever_it_is_made() -> None:
    mail = Mail("failed-x", ("a@example.com", "b@example.com"), "s\nBcc: c@example.com", "t", "<p>h</p>", WHEN)
    received = _received(mail)
    assert received["To"] == "a@example.com, b@example.com"
    assert received["From"] == "Notebook backup <backup@example.com>"
    assert received["Subject"] == "s\\u000aBcc: c@example.com"
    assert received["Message-ID"] == "<failed-x@example.com>"
    assert received["Bcc"] is None
    assert received["Date"].datetime == WHEN


def test_every_code_of_the_api_guide_has_its_advice() -> None:
    guide = (Path(__file__).resolve().parent.parent.parent / "docs" / "api.md").read_text()
    tables = re.findall(r"^\| failure \|.*\n\|[- |]+\n((?:\|.*\n)+)", guide, re.MULTILINE)
    codes = {
        code for table in tables for row in table.splitlines() for code in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    assert len(tables) == 2
    assert codes == WHAT_TO_DO.keys()
    assert what_to_do("secret_held") != OTHERWISE
    assert what_to_do("batch_poisoned", "R-1").endswith("./backup sync --retry R-1")
    assert what_to_do("never heard of").startswith("Look at the reason")
    assert all(advice.endswith((".", "RUN", "rebuild")) for advice in WHAT_TO_DO.values())


def test_recipients_are_one_list_for_all_or_lists_by_kind() -> None:
    one = Settings.model_validate({**BASE, "mail_to": " a@x.org, b@x.org ,"}).mail_to
    assert one == Recipients(("a@x.org", "b@x.org"))
    text = '{"default": "a@x.org", "succeeded": [], "verification": ["v@x.org", "v@x.org"]}'
    some = Settings.model_validate({**BASE, "mail_to": text}).mail_to
    assert some.of(MailKind.FAILED) == ("a@x.org",)
    assert some.of(MailKind.SUCCEEDED) == ()
    assert some.of(MailKind.VERIFICATION) == ("v@x.org",)
    assert Settings.model_validate(BASE).mail_to.of(MailKind.FAILED) == ()


@pytest.mark.parametrize(
    "value",
    [
        "a",
        "a@x.org\r\nBcc: b@x.org",
        "A <a@x.org>",
        "a@x.org;b@x.org",
        '{"sometimes": []}',
        '{"default": 1}',
        "{",
        '{"size": [1]}',
    ],
)
def test_wrong_recipients_are_told_at_start(value: str) -> None:
    with pytest.raises(ValidationError, match="BACKUP_MAIL_TO"):
        Settings.model_validate({**BASE, "BACKUP_MAIL_TO": value})


def test_mails_lead_to_the_app() -> None:
    assert Settings.model_validate({**BASE, "app_url": "https://b/"}).dashboard_url == "https://b/api/dashboard"
    assert Settings.model_validate({**BASE, "site_host": "b.net"}).dashboard_url == "https://b.net/api/dashboard"
    assert Settings.model_validate(BASE).dashboard_url == ""


def test_an_smtp_address_wants_tls_but_on_this_machine() -> None:
    far = SmtpAddress.parse("smtp://u%40x:p%2Fw@mail.example.com")
    assert (far.host, far.port, far.tls, far.starttls, far.user, far.password) == (
        "mail.example.com",
        587,
        False,
        True,
        "u@x",
        "p/w",
    )
    assert SmtpAddress.parse("smtps://mail.example.com").port == 465
    assert SmtpAddress.parse("smtp://127.0.0.1:2525").starttls is False
    assert SmtpAddress.parse("smtp://relay.internal:25?starttls=off").starttls is True
    assert "p/w" not in repr(far)


@pytest.mark.parametrize("url", ["http://x", "smtp://", "x", "smtp://h:port", "smtp://u:password@h:port"])
def test_a_wrong_smtp_address_is_told_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="SMTP_URL") as caught:
        SmtpAddress.parse(url)
    assert "password@" not in str(caught.value)


def test_a_credential_is_told_of_by_its_name_alone() -> None:
    content = credential_content("GIT_TOKEN", WHEN + timedelta(days=3), 3, LINK, "/C")
    assert content.subject == "[Notebook backup] GIT_TOKEN expires in 3 days (/C)"
