"""What every adapter asks before an id reaches git or a server: whether it is a whole one, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from shared.domain.commit_ids import is_whole_id
from shared.errors import BadObjectId
from shared.protocols.folder_branches import BranchChain

_MOST_SHOWN = 80


def check_ids(*ids: str | None) -> None:
    """Raises `BadObjectId` for the first that is no whole id; None stands for an object that is not there.

    A name that git would read as an option (`--output=…`) or as a revision (`HEAD~1`, `a..b`, `^c`) is none.
    """
    for given in ids:
        if given is not None and not is_whole_id(given):
            raise BadObjectId(given=repr(given[:_MOST_SHOWN]))


def named_in(chains: Iterable[BranchChain]) -> Iterator[str | None]:
    """Every object that chains name."""
    for chain in chains:
        yield chain.parent
        for link in chain.links:
            yield from (link.tree, link.onto, *link.files.values())
