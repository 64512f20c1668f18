"""What a protected branch lacks of the backup: files to write and to remove there, beside what people keep in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from shared.domain.commits import ATTRIBUTES_FILE
from shared.domain.folder_merges import may_be_notebook
from shared.domain.siblings import parents

type Files = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Overlay:
    """Changes that bring a branch to what the backup holds.

    `conflicts` are backed-up files that people changed there: the workspace's bytes overrule them. `blocked` are
    files that cannot be written without removing one of people's own.
    """

    deletes: tuple[str, ...]
    writes: Mapping[str, str]
    conflicts: tuple[str, ...]
    blocked: tuple[str, ...]

    def beside(self, target: Files, ground: Files) -> dict[str, str | None]:
        """What the branch is to hold otherwise than the backup's own does: files of people, None for what it lacks."""
        gone = set(self.deletes)
        after = {**{f: b for f, b in target.items() if f not in gone}, **self.writes}
        return {f: after.get(f) for f in after.keys() | ground.keys() if after.get(f) != ground.get(f)}


def overlay(target: Files, ground: Files, published: Files, backed_up: Collection[str]) -> Overlay:
    """Compare the protected branch with the backup's own.

    `published` is what the backup held when it last reached the protected branch; `backed_up` are the files of
    notebooks. A file of people's own that the backup's branch has, too, comes where nobody changed it since.
    """
    ours = {*backed_up, ATTRIBUTES_FILE}
    gone = {f: blob for f, blob in published.items() if f not in ground and f in target}
    # What is no notebook's, and was changed since, is people's own.
    deletes = {f for f, blob in gone.items() if target[f] == blob or may_be_notebook(f)}
    writes: dict[str, str] = {}
    conflicts = [f for f in deletes if target[f] != published[f]]
    for file, blob in ground.items():
        now, then = target.get(file), published.get(file)
        if now == blob:
            continue
        if file in ours or now == then:
            writes[file] = blob
        if file in ours and now != then:
            conflicts.append(file)
    kept = target.keys() - deletes - writes.keys()
    folders = {parent for file in kept for parent in parents(file)}
    blocked = sorted(f for f in writes if f in folders or any(parent in kept for parent in parents(f)))
    return Overlay(
        deletes=tuple(sorted(deletes)),
        writes={f: b for f, b in sorted(writes.items()) if f not in blocked},
        conflicts=tuple(sorted(set(conflicts) - set(blocked))),
        blocked=tuple(blocked),
    )
