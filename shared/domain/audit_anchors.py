"""Which commits anchor the audit trail: the backup's own alone, by who committed them and by the form of what they say.

Whoever may push can copy both, since Git proves neither. A commit that contradicts the trail is therefore named, and
can be declared as foreign: see docs/decisions/0013-audit-chain.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from shared.domain.audit import ANCHOR_TRAILER, AuditHead, anchors_in
from shared.domain.commits import SUBJECT_START
from shared.domain.own_commits import ToldCommit, has_own_form, trailers


@dataclass(frozen=True, slots=True)
class CommitAnchors:
    """The heads that the backup's own commits name, with those commits.

    `foreign` counts commits that were declared as such, `strange` those that name a head and are not the backup's.
    """

    named: Mapping[AuditHead, tuple[str, ...]] = field(default_factory=dict)
    foreign: int = 0
    strange: int = 0


def own_anchor(commit: ToldCommit, address: str) -> AuditHead | None:
    """The head that a commit names, where it has the form of the backup's own; None otherwise."""
    if commit.committer != address or not commit.message.startswith(SUBJECT_START):
        return None
    named = [anchors_in(line) for name, line in trailers(commit.message) if name == ANCHOR_TRAILER]
    return named[0][0] if has_own_form(commit.message) and len(named) == 1 and named[0] else None


def anchors_of(commits: Iterable[ToldCommit], address: str, foreign: Collection[str] = ()) -> CommitAnchors:
    """What commits anchor; those of `foreign`, by their ids, are left out."""
    named: dict[AuditHead, tuple[str, ...]] = {}
    declared = strange = 0
    for commit in commits:
        if commit.commit in foreign:
            declared += 1
        elif head := own_anchor(commit, address):
            named[head] = (*named.get(head, ()), commit.commit)
        else:
            strange += bool(anchors_in(commit.message))
    return CommitAnchors(named, declared, strange)


def without_lost(
    found: CommitAnchors, lost: AuditHead, parents: Callable[[], Mapping[str, Collection[str]]]
) -> CommitAnchors:
    """The anchors of the trail that began after another was lost, whose last head is `lost`.

    They are in commits that follow on one that names `lost`, by `parents` (children before parents), however dates
    and merges order them. Where no commit names `lost`, nothing is left out.
    """
    last = found.named.get(lost)
    if last is None:
        return found
    later: set[str] = set()
    for commit, above in reversed(list(parents().items())):
        if any(parent in later or parent in last for parent in above):
            later.add(commit)
    told = {head: tuple(c for c in names if c in later) for head, names in found.named.items() if head != lost}
    return replace(found, named={head: names for head, names in told.items() if names})
