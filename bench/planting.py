"""Differences planted in a dated full copy, and what a comparison has to say of each."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from local.workspace.content import EXTENSION, first_line, jupyter

type Finding = tuple[str, str, tuple[str, ...]]
"""A difference, the path that it is told of, and the reasons that explain it."""
type Plant = Callable[[Path, str], Iterator[Finding]]
_BY_EXTENSION = {extension: language for language, extension in EXTENSION.items()}
_OTHER = {"PYTHON": "SQL", "SQL": "PYTHON", "SCALA": "R", "R": "SCALA"}
FEWEST_LINES = 4
_BOM = b"\xef\xbb\xbf"


@dataclass
class Planted:
    """What was planted in a copy: how many of each kind, and all that must be found."""

    counts: Counter[str] = field(default_factory=Counter)
    findings: set[Finding] = field(default_factory=set)


def plant(copy: Path, earlier: Path, root: str, each: int, draw: random.Random) -> Planted:
    """Spoil `each` notebooks of a copy in every way; none twice. `root` is the workspace folder that it is of.

    `earlier` is the copy before it, not changed: what differs between the two can be as it was then.
    """
    planted = Planted()
    same, edited, gone = _beside(copy, earlier)
    chosen = iter(draw.sample(same, each * len(PLANTS)))
    for kind, spoil in PLANTS.items():
        for file in (next(chosen) for _ in range(each)):
            path = f"{root}/{file.relative_to(copy).with_suffix('').as_posix()}"
            told = ((d, _named(copy, file) if p == FILE else p, why) for d, p, why in spoil(file, path))
            planted.findings.update(told)
            planted.counts[kind] += 1
    for difference, names in (("different", edited), ("missing", gone)):
        for name in draw.sample(names, min(each, len(names))):
            (copy / name).write_bytes((earlier / name).read_bytes())
            path = f"{root}/{Path(name).with_suffix('').as_posix()}"
            planted.findings.add((difference, path, ("other_time",)))
            planted.counts[f"{difference}, as it was the day before"] += 1
    return planted


def _beside(copy: Path, earlier: Path) -> tuple[list[Path], list[str], list[str]]:
    """Files of a copy that the one before has, too, and that hold something; names that differ, and that are gone."""
    names, before = ({f.relative_to(c).as_posix() for f in c.rglob("*") if f.is_file()} for c in (copy, earlier))
    edited = {n for n in names & before if (copy / n).read_bytes() != (earlier / n).read_bytes()}
    same = [copy / name for name in sorted(names & before - edited)]
    fit = [f for f in same if f.suffix in _BY_EXTENSION and f.read_bytes().count(b"\n") > FEWEST_LINES]
    return fit, sorted(edited), sorted(before - names)


FILE = ""
"""A finding that is told of the file, since nothing could be read of it."""


def _named(copy: Path, file: Path) -> str:
    """The file's name in the copy, or that of the file of another kind that took its place."""
    others = (file, file.with_suffix(".ipynb"), file.with_suffix(".html"))
    there = next(other for other in others if other.exists(follow_symlinks=False))
    return there.relative_to(copy).as_posix()


def _missing(file: Path, path: str) -> Iterator[Finding]:
    """The copy has a notebook that the backup lacks."""
    file.with_stem(f"{file.stem}_of_the_copy").write_bytes(file.read_bytes())
    yield "missing", f"{path}_of_the_copy", ()


def _extra(file: Path, path: str) -> Iterator[Finding]:
    file.unlink()
    yield "extra", path, ()


def _renamed(file: Path, path: str) -> Iterator[Finding]:
    file.rename(file.with_stem(f"{file.stem}_renamed_in_the_copy"))
    yield "extra", path, ()
    yield "missing", f"{path}_renamed_in_the_copy", ()


def _different(file: Path, path: str) -> Iterator[Finding]:
    """One byte of the last line but one."""
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)
    yield "different", path, ()


def _other_language(file: Path, path: str) -> Iterator[Finding]:
    language = _BY_EXTENSION[file.suffix]
    other = _OTHER[language]
    body = file.read_bytes().partition(b"\n")[2]
    file.with_suffix(EXTENSION[other]).write_bytes(first_line(other).encode() + b"\n" + body)
    file.unlink()
    yield "missing", path, ()
    yield "extra", path, ()


def _jupyter_of_other_cells(file: Path, path: str) -> Iterator[Finding]:
    _as_jupyter(file, "\n# and more")
    yield "different", path, ()


def _jupyter_that_is_cut(file: Path, _: str) -> Iterator[Finding]:
    made = _as_jupyter(file, "")
    made.write_bytes(made.read_bytes()[: made.stat().st_size // 2])
    yield "unread", FILE, ()


def _empty(file: Path, _: str) -> Iterator[Finding]:
    file.write_bytes(b"")
    yield "unread", FILE, ()


def _html(file: Path, path: str) -> Iterator[Finding]:
    """An export that cannot be turned back into a notebook."""
    file.rename(file.with_suffix(".html"))
    yield "unread", FILE, ()
    yield "extra", path, ()


def _link(file: Path, _: str) -> Iterator[Finding]:
    """To its own bytes, kept elsewhere: nothing outside of a copy is read."""
    kept = file.rename(file.with_suffix(".kept"))
    file.symlink_to(kept)
    yield "unread", FILE, ()


def _cut(file: Path, path: str) -> Iterator[Finding]:
    """In the middle of its bytes, behind the first line."""
    data = file.read_bytes()
    start = data.index(b"\n") + 1
    file.write_bytes(data[: start + (len(data) - start) // 2].rstrip())
    yield "different", path, ()


def _rewritten(change: Callable[[bytes], bytes], reason: str) -> Plant:
    """The same notebook, written down in another way."""

    def spoil(file: Path, path: str) -> Iterator[Finding]:
        file.write_bytes(change(file.read_bytes()))
        yield "different", path, (reason,)

    return spoil


def _the_same_cells(file: Path, path: str) -> Iterator[Finding]:
    _as_jupyter(file, "")
    yield "different", path, ("format",)


def _as_jupyter(file: Path, more: str) -> Path:
    """The notebook as a Jupyter export in place of its SOURCE, with so much more in its last cell."""
    made = file.with_suffix(".ipynb")
    notebook = json.loads(jupyter(file.read_bytes(), _BY_EXTENSION[file.suffix]))
    notebook["cells"][-1]["source"].append(more)
    made.write_text(json.dumps(notebook))
    file.unlink()
    return made


PLANTS: dict[str, Plant] = {
    "missing": _missing,
    "extra": _extra,
    "renamed": _renamed,
    "different": _different,
    "other language": _other_language,
    "other format, other cells": _jupyter_of_other_cells,
    "other format, cut": _jupyter_that_is_cut,
    "empty": _empty,
    "cut": _cut,
    "HTML": _html,
    "link": _link,
    "line ends": _rewritten(lambda data: data.replace(b"\n", b"\r\n"), "line_ends"),
    "byte order mark": _rewritten(lambda data: _BOM + data, "byte_order_mark"),
    "last line's end": _rewritten(lambda data: data[:-1], "last_line_end"),
    "no first line": _rewritten(lambda data: data.partition(b"\n")[2], "header"),
    "other format, same cells": _the_same_cells,
}
