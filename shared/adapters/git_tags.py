"""The tags of the remote: read through a small mirror of their own, made in the mirror that has the history."""

from __future__ import annotations

import itertools
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from shared.adapters.git_ids import check_ids
from shared.adapters.git_mirror import GitMirror
from shared.adapters.git_stream import person
from shared.domain.tags import Tag
from shared.errors import RepositoryError
from shared.protocols import Signature

_TAGS = "refs/tags/"
_SEEN = "refs/seen/"
PEELED = "^{}"
_ROW = ("objectname", "*objectname", "*objecttype", "taggername) %(taggeremail", "taggerdate:unix", "contents")
_FORMAT = "--format=" + "".join(f"%({field})%00" for field in _ROW)
_FIELDS = len(_ROW)
_MOST_AT_ONCE = 500


class GitTags:
    """See `shared.protocols.tags.Tags`; `held(commit)` sees that the mirror has the branch's history up to a commit."""

    def __init__(self, mirror: GitMirror, held: Callable[[str], bool]) -> None:
        self._mirror, self._held = mirror, held
        self._listed = mirror.beside(f"{mirror.path.stem}-list.git")
        self._turn = threading.Lock()

    def all(self) -> list[Tag]:
        """See `Tags.all`."""
        objects = self._objects()
        annotated = {objects[name.removesuffix(PEELED)] for name in objects if name.endswith(PEELED)}
        with self._turn:
            self._listed.tidy()
            self._bring(sorted(annotated - self._seen().keys()))
            seen = self._seen()
        names = sorted(name for name in objects if not name.endswith(PEELED))
        found = [seen.get(objects[n]) if objects[n] in annotated else Tag(n, objects[n], objects[n]) for n in names]
        return [replace(tag, name=name) for name, tag in zip(names, found, strict=True) if tag]

    def commits(self) -> dict[str, str]:
        """See `Tags.commits`."""
        objects = self._objects()
        return {name: objects.get(name + PEELED, o) for name, o in objects.items() if not name.endswith(PEELED)}

    def create(self, name: str, commit: str, message: str, tagger: Signature) -> bool:
        """See `Tags.create`."""
        check_ids(commit)
        with self._turn:
            if not self._held(commit):
                raise RepositoryError(action="make a tag", detail=f"the backup's branch does not hold {commit}")
            made = self._make(name, commit, message, tagger)
            return self._push(f"{made}:{_TAGS}{name}", name, "", wanted=made)

    def delete(self, tag: Tag) -> bool:
        """See `Tags.delete`."""
        check_ids(tag.commit, tag.object)
        return self._push(f":{_TAGS}{tag.name}", tag.name, tag.object, wanted=None)

    def _make(self, name: str, commit: str, message: str, tagger: Signature) -> str:
        with tempfile.TemporaryDirectory(dir=self._mirror.path.parent) as folder:
            text = Path(folder, "tag")
            head = f"object {commit}\ntype commit\ntag {name}\ntagger ".encode()
            text.write_bytes(head + person(tagger) + b"\n\n" + message.encode("utf-8", "replace"))
            return self._mirror.run("make a tag", "mktag", stdin=text).decode().strip()

    def _push(self, refspec: str, name: str, expected: str, wanted: str | None) -> bool:
        """Whether the remote's tag is as wanted afterwards; the lease keeps what another put there meanwhile."""
        lease = f"--force-with-lease={_TAGS}{name}:{expected}"
        try:
            self._mirror.remote("push a tag", "push", "--porcelain", "--quiet", lease, "origin", refspec)
        except RepositoryError:
            found = self._objects().get(name)
            if found == wanted:
                return True
            if found == (expected or None):
                raise
            return False
        return True

    def _objects(self) -> dict[str, str]:
        """What each tag names; an annotated one stands twice: itself, and with a mark what it names in the end."""
        text = self._mirror.remote("read the remote's tags", "ls-remote", "--tags", "origin")
        rows = (line.split("\t") for line in text.splitlines() if "\t" in line)
        return {ref.removeprefix(_TAGS): target for target, ref in rows}

    def _seen(self) -> dict[str, Tag]:
        """The tags that the small mirror has, by the id of their objects; they are named by it."""
        data = self._listed.run("read the tags", "for-each-ref", _FORMAT, _SEEN)
        fields = data.decode("utf-8", "replace").split("\0")[:-1]
        rows = (fields[start : start + _FIELDS] for start in range(0, len(fields), _FIELDS))
        return {tag.object: tag for row in rows if (tag := _tag(*(row[0].lstrip("\n"), *row[1:])))}

    def _bring(self, objects: Sequence[str]) -> None:
        """Fetch tags with what they name; one of something else than a commit is left out."""
        for some in itertools.batched(objects, _MOST_AT_ONCE, strict=False):
            try:
                self._fetch(some)
            except RepositoryError:
                for one in some:
                    with suppress(RepositoryError):
                        self._fetch([one])

    def _fetch(self, objects: Iterable[str]) -> None:
        # A commit here is the end of its history, and comes without its tree: in the other mirror that would be harm.
        how = ["--depth=1", "--filter=tree:0", "--no-tags", "--no-write-fetch-head", "--quiet"]
        self._listed.remote("fetch tags", "fetch", *how, "origin", *(f"+{o}:{_SEEN}{o}" for o in objects))


def _tag(*row: str) -> Tag | None:
    target, peeled, kind, tagger, at, message = row
    if kind != "commit":
        return None
    when = datetime.fromtimestamp(int(at), UTC) if at else None
    return Tag("", peeled, target, message.rstrip("\n"), tagger.strip(), when)
