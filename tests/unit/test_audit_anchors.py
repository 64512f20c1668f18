"""Which commits anchor the audit trail, by what they say and who committed them."""

from __future__ import annotations

import pytest

from shared.domain.audit import AuditHead
from shared.domain.audit_anchors import CommitAnchors, anchors_of, own_anchor, without_lost
from shared.domain.commit_ids import is_whole_id, parse_ids
from shared.domain.own_commits import ToldCommit

HEAD = AuditHead(7, "a" * 64)
ADDRESS = "backup@example.com"
SUBJECT = "Back up 1 notebook at 2026-01-01 00:00:00 UTC"
BLOCK = f"Backup-Run: r1\nBackup-Workspace: w\nBackup-Root: /Clients\n{HEAD.trailer()}"
OWN = f"{SUBJECT}\n\n1 changed\n\n{BLOCK}\n"


def _commit(message: str, committer: str = ADDRESS, name: str = "1" * 40) -> ToldCommit:
    return ToldCommit(name, committer, message)


@pytest.mark.parametrize("message", [OWN, OWN.rstrip(), OWN.replace("\n", "\r\n"), f"{SUBJECT}\n\n{BLOCK}"])
def test_a_commit_of_the_backup_anchors(message: str) -> None:
    assert own_anchor(_commit(message), ADDRESS) == HEAD


@pytest.mark.parametrize(
    "message",
    [
        f"Change\n\n{BLOCK}",
        f"{SUBJECT}\n\n{HEAD.trailer()}\n",
        f"{SUBJECT}\n\n{BLOCK}\nand more",
        f"{SUBJECT}\n\n{BLOCK}\n\nSigned-off-by: Ada",
        f"{SUBJECT}\n\n{BLOCK}\n{AuditHead(8, 'b' * 64).trailer()}",
        f"{SUBJECT}\n\nBackup-Run: r0\n{BLOCK}",
        f"{SUBJECT}\n{BLOCK}",
        f"{SUBJECT}\n\n> {BLOCK}",
        OWN.replace("a" * 64, "short"),
        f"{SUBJECT}: {BLOCK}",
        "",
    ],
)
def test_what_has_another_form_does_not_anchor(message: str) -> None:
    assert own_anchor(_commit(message), ADDRESS) is None


@pytest.mark.parametrize("committer", ["", "ada@example.com", "Backup@example.com", f"{ADDRESS} "])
def test_what_somebody_else_committed_does_not_anchor(committer: str) -> None:
    assert own_anchor(_commit(OWN, committer), ADDRESS) is None


def test_commits_are_counted_by_what_becomes_of_them() -> None:
    quoted = f"See\n\n{HEAD.trailer()}"
    told = [_commit(OWN, name="a"), _commit(OWN, name="b"), _commit(OWN, name="c"), _commit(quoted), _commit("No line")]
    assert anchors_of(told, ADDRESS, ["c", "absent"]) == CommitAnchors({HEAD: ("a", "b")}, foreign=1, strange=1)


def test_a_lost_trail_ends_with_its_last_commits_wherever_a_copy_of_one_stands() -> None:
    before, lost, after = AuditHead(5, "5" * 64), AuditHead(6, "6" * 64), AuditHead(1, "1" * 64)
    # e - d - c - b - a, and beside it x - a, merged by d.
    parents = {"e": ("d",), "d": ("c", "x"), "c": ("b",), "b": ("a",), "x": ("a",), "a": ()}
    found = CommitAnchors({before: ("a",), lost: ("b", "x"), after: ("c",)}, strange=2)
    assert without_lost(found, lost, lambda: parents) == CommitAnchors({after: ("c",)}, strange=2)
    without = CommitAnchors({before: ("a",)})
    assert without_lost(without, lost, dict) == without


def test_ids_are_whole_and_hexadecimal() -> None:
    good, longer = "0123456789abcdef" * 2 + "01234567", "a" * 64
    assert (is_whole_id(good), is_whole_id(longer)) == (True, True)
    for bad in ("", "HEAD", good[:-1], f"{good}\n", good.upper(), f"-{good[1:]}", f"{good}^", "a" * 41, "١" * 40):
        assert not is_whole_id(bad), bad
    assert parse_ids(f" {good.upper()},{longer} ,,{good}") == (good, longer)
    assert parse_ids("") == ()
    for bad in ("abc1234", f"{good};{good}", f"{good} {good}", "--all"):
        with pytest.raises(ValueError, match="whole commit ids"):
            parse_ids(bad)
