"""A `proc-receive` hook that refuses pushes to protected branches with the words of Azure Repos (githooks(5))."""

from __future__ import annotations

import sys

REFUSAL = "TF402455: Pushes to this branch are not permitted; you must use a pull request to update this branch."


def main() -> None:
    """The hook's protocol: a version, then commands, each answered with what became of it."""
    _lines()
    _write("version=1")
    _flush()
    refs = [line.split(" ", 2)[2] for line in _lines() if line.count(" ") >= 2]
    for ref in refs:
        _write(f"ng {ref} {REFUSAL}")
    _flush()


def _lines() -> list[str]:
    """The packet lines up to a flush."""
    found = []
    while (size := int(sys.stdin.buffer.read(4) or b"0000", 16)) > 4:
        found.append(sys.stdin.buffer.read(size - 4).decode().rstrip("\n"))
    return found


def _write(line: str) -> None:
    data = f"{line}\n".encode()
    sys.stdout.buffer.write(b"%04x%s" % (len(data) + 4, data))


def _flush() -> None:
    sys.stdout.buffer.write(b"0000")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
