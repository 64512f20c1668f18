"""Names of tags: what Git takes, no more; which are removed when."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.tags import FIRST, Tag, checked_name, monthly_name, outdated, requested_name, tag_message

PARTS = st.sampled_from(
    ["a", "B", "1", ".", "..", "/", "@", "{", "@{", "lock", ".lock", "-", " ", "~", "ü", "\\", "\t"]
)


def _git_takes(name: str) -> bool:
    command = ["git", "check-ref-format", f"refs/tags/{name}"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@settings(max_examples=150)
@given(st.lists(PARTS, min_size=1, max_size=6).map("".join))
def test_no_name_is_taken_that_git_refuses(name: str) -> None:
    try:
        checked_name(name)
    except ValueError:
        return
    assert _git_takes(name)


@pytest.mark.parametrize("name", ["v1", "release/2026", "ü", "a@b", "a.b", "a-b", "x" * 200])
def test_ordinary_names_are_taken(name: str) -> None:
    assert checked_name(name) == name
    assert _git_takes(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "-x", "a..b", "a b", "a\nb", "a~1", "a^", "a:b", "a?", "a*", "a[", "a\\b", "/a", "a/", "a//b", ".a"),
        *("a/.b", "a.lock", "a.lock/b", "a.", "@", "a@{1}", "x" * 201, "\ud800"),
    ],
)
def test_other_names_are_refused_with_the_rules(name: str) -> None:
    with pytest.raises(ValueError, match="1 to 200 characters"):
        checked_name(name)


@pytest.mark.parametrize("name", [FIRST, "backup/x", "Backup/2026-11"])
def test_the_backups_own_names_cannot_be_asked_for(name: str) -> None:
    with pytest.raises(ValueError, match="makes by itself"):
        requested_name(name)


def _monthly(name: str) -> Tag:
    return Tag(name, "c", "o", tag_message("text", "monthly", {}))


def test_monthly_tags_go_after_their_months_and_no_others() -> None:
    today = date(2026, 11, 25)
    months = [monthly_name(date(2025, 12, 1)), monthly_name(date(2026, 8, 1)), monthly_name(today)]
    others = [
        replace(_monthly(FIRST), message=tag_message("", "first", {})),
        Tag("backup/2020-01", "c", "o", "made by hand"),
        replace(_monthly("v1"), message=tag_message("", "requested", {})),
        _monthly("backup/not-a-month"),
    ]
    tags = [*map(_monthly, months), *others]
    assert [t.name for t in outdated(tags, today, 3)] == ["backup/2025-12"]
    assert [t.name for t in outdated(tags, today, 2)] == ["backup/2025-12", "backup/2026-08"]
    assert outdated(tags, today, 0) == []


def test_a_message_is_read_back_as_it_was_meant() -> None:
    message = tag_message(
        " Before the migration\n\nof all \n", "requested", {"Backup-Requested-By": "ada", "Empty": ""}
    )
    tag = Tag("v1", "c", "o", message, "who", datetime(2026, 1, 1, tzinfo=UTC))
    assert (tag.text, tag.kind) == ("Before the migration\n\nof all", "requested")
    assert message.endswith("\n\nBackup-Tag: requested\nBackup-Requested-By: ada\n")
