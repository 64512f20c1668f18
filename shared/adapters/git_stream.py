"""The input of `git fast-import`: one commit as a stream of bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from shared.adapters.git_ids import check_ids
from shared.protocols import PointFile, Signature, WriteFile


def commit_stream(
    ref: str,
    parent: str | None,
    deletes: Iterable[str],
    writes: Iterable[WriteFile | PointFile],
    message: str,
    author: Signature,
    committer: Signature,
) -> Iterator[bytes]:
    """Deletions first, since a file may give way to a folder of its name; `done` last, so that a cut is noticed."""
    text = message.encode()
    yield b"commit %s\nauthor %s\ncommitter %s\n" % (ref.encode(), person(author), person(committer))
    yield b"data %d\n%s\n" % (len(text), text)
    if parent:
        yield b"from %s\n" % parent.encode()
    for file in deletes:
        yield b"D %s\n" % quoted(file)
    for write in writes:
        if isinstance(write, PointFile):
            check_ids(write.blob)
            yield b"M %s %s %s\n" % (write.mode.encode(), write.blob.encode(), quoted(write.file))
        else:
            yield b"M 100644 inline %s\ndata %d\n" % (quoted(write.file), write.size)
            yield from write.chunks
            yield b"\n"
    yield b"done\n"


def quoted(file: str) -> bytes:
    """A path as fast-import reads it; bytes that are no UTF-8 come back as they were."""
    data = file.encode("utf-8", "surrogateescape")
    if not data.startswith(b'"') and b"\n" not in data:
        return data
    return b'"' + data.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'


def person(who: Signature) -> bytes:
    name = "".join(c for c in who.name if c not in "<>" and c >= " ").strip()
    email = "".join(c for c in who.email if c not in "<>" and c > " ")
    return f"{name} <{email}> {int(who.when.timestamp())} +0000".encode()
