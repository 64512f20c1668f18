"""Which commits count as the backup's own."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.commits import message
from shared.domain.own_commits import has_own_form, trailers, values
from shared.domain.planning import ChangeKind

WHEN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
OWN = message(WHEN, "20260304T050607Z-abcd", "https://adb-1.azuredatabricks.net", "/Clients", {}, {})
LINES = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=30)


@given(
    root=LINES.map(lambda name: f"/{name.strip() or 'Clients'}"),
    counts=st.dictionaries(st.sampled_from(list(ChangeKind)), st.integers(0, 200_000)),
    anchor=st.sampled_from(["", "Backup-Audit: 7:" + "a" * 64]),
)
def test_every_message_of_the_backup_has_the_form(root: str, counts: dict[ChangeKind, int], anchor: str) -> None:
    told = message(WHEN, "r1", "https://adb-1.azuredatabricks.net", root, counts, {}, anchor)
    assert has_own_form(told)
    assert values(told, "Backup-Run") == ["r1"]
    assert values(told, "Backup-Root") == [root.rstrip()]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Back up ",
        "Backup-Run: r1",
        "Back up 3 notebooks\nBackup-Run: r1",
        f"Merged PR 3: {OWN}",
        'Revert "Back up 3 notebooks at 2026-03-04 05:06:07 UTC"\n\nBackup-Run: r1',
        OWN + "\nLooks good to me\n",
        OWN + "\nSigned-off-by: Ada <ada@example.com>\n",
        OWN + "(cherry picked from commit 1234)\n",
        OWN + "Backup-Run: r2\n",
        OWN.replace("Backup-Run:", "> Backup-Run:"),
    ],
)
def test_what_quotes_the_backup_or_changes_its_message_has_another_form(text: str) -> None:
    assert has_own_form(OWN)
    assert not has_own_form(text)


@given(paragraphs=st.lists(st.lists(LINES.map(lambda line: f"x{line}"), min_size=1, max_size=3), max_size=3))
def test_trailers_are_of_the_last_paragraph_and_never_of_the_subject(paragraphs: list[list[str]]) -> None:
    told = "\n\n".join("\n".join(lines) for lines in [["Subject: of it"], *paragraphs])
    assert trailers(told + "\n\nA-Name: one\nB: two: three\nA-Name: four\n") == [
        ("A-Name", "A-Name: one"),
        ("B", "B: two: three"),
        ("A-Name", "A-Name: four"),
    ]
    assert trailers("Subject: of it") == []
