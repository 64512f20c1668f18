"""Differences between any two versions of a notebook, or a version and what the workspace holds now."""

from __future__ import annotations

from dataclasses import dataclass

from shared.domain.differences import Block, blocks, counts, unified
from shared.domain.notebooks import Language
from shared.errors import NotFound
from shared.services.recovery.content import LIVE, ContentService, NotebookContent
from shared.services.recovery.history import LATEST, NotInBackup


@dataclass(frozen=True, slots=True)
class Side:
    """One side: what was asked for, and what that is; `content` is None where there is no notebook."""

    at: str
    label: str
    content: NotebookContent | None
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """How `before` becomes `after`. `added` and `removed` are lines."""

    path: str
    before: Side
    after: Side
    blocks: tuple[Block, ...]
    added: int
    removed: int

    @property
    def equal(self) -> bool:
        """Whether both sides have the same bytes."""
        sides = [side.content.sha256 if side.content else None for side in (self.before, self.after)]
        return sides[0] == sides[1]

    @property
    def coarse(self) -> bool:
        """Whether the sides were too large or too different to compare each line with each."""
        return any(block.coarse for block in self.blocks)

    @property
    def language(self) -> Language:
        """The language of the newer side that exists."""
        content = self.after.content or self.before.content
        return content.language if content else Language.PYTHON

    def unified(self) -> str:
        """A unified diff; empty where the texts are equal."""
        return unified(self.before.lines, self.after.lines, self.before.label, self.after.label)


class CompareService:
    """Compares contents as text; bytes that are no UTF-8 are shown as replacement characters."""

    def __init__(self, content: ContentService) -> None:
        self._content = content

    def compare(
        self, path: str, before: str = LATEST, after: str = LIVE, *, before_path: str | None = None
    ) -> Difference:
        """Compare two moments. One at which the notebook was not there is an empty side; both is an error.

        `before_path` is where the notebook was before, if it was renamed.

        Raises what `ContentService.at` raises.
        """
        sides = [self._side(before_path or path, before), self._side(path, after)]
        if not any(side.content for side in sides):
            raise NotInBackup(path=path, at=f"{before} or {after}")
        found = blocks(sides[0].lines, sides[1].lines)
        added, removed = counts(found)
        return Difference(path, sides[0], sides[1], tuple(found), added, removed)

    def _side(self, path: str, at: str) -> Side:
        try:
            content = self._content.at(path, at)
        except (NotInBackup, NotFound):
            return Side(at, f"{path} ({at}: not there)", None, ())
        label = f"{path} ({content.commit[:12] if content.commit else LIVE})"
        return Side(at, label, content, tuple(content.data.decode("utf-8", "replace").split("\n")))
