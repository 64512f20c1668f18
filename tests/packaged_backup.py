"""One backup by the app's services, then all that the app asks of git, under a clock and chance of our own.

`python packaged_backup.py PATHS SEED`: PATHS, with colons between them, come before all others on `sys.path`. It
stands alone: where it runs there may be nothing but the app, Python and the C library. Prints one line of JSON.
"""

from __future__ import annotations

import itertools
import json
import secrets
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

MORNING = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
MANY_BLOBS = 40


class FixedClock:
    """Stands still but for who sleeps."""

    def __init__(self, day: int) -> None:
        self._day, self._slept = day, 0.0

    def now(self) -> datetime:
        return MORNING + timedelta(days=self._day, seconds=self._slept)

    def monotonic(self) -> float:
        return self._slept

    def sleep(self, seconds: float) -> None:
        self._slept += max(seconds, 0)


def main(day: int) -> dict[str, Any]:
    """What a run of this day made, and what git says of it."""
    numbers = itertools.count(day * 1_000_000)
    secrets.token_hex = lambda nbytes=None: f"{next(numbers):0{2 * (nbytes or 16)}x}"[-2 * (nbytes or 16) :]
    import function_app
    from shared.domain.messages import read_message
    from shared.wiring import decorate, services

    made: list[Any] = []
    decorate(lambda adapters: made.append(replace(adapters, clock=FixedClock(day))) or made[0])
    s = services()
    run_id = s.runs.start("timer")
    planned = s.plan.plan(run_id)
    while not planned.done:
        planned = s.plan.plan(run_id)
    for message in planned.messages:
        s.export.export_batch(*read_message(message.encode(), "run_id", "batch_id"))
    while not s.drive.drive().done:
        pass
    s.tags.run_ended(run_id)
    row = s.status.run(run_id)
    told = {name: row[name] for name in ("run_id", "status", "commit", "notebooks", "failed")}
    functions = sorted(f.get_function_name() for f in function_app.app.get_functions())
    return {
        **told,
        "functions": len(functions),
        "tags": {tag.name: tag.object for tag in made[0].tags.all()},
        "git": asked_of_git(made[0].reader, MORNING),
        "from": function_app.__file__,
    }


def asked_of_git(repository: Any, when: datetime) -> dict[str, Any]:
    """What each question that the app puts to a repository is answered with; a person removes a file meanwhile."""
    from shared.protocols import Signature

    head = repository.fetch()
    tree = repository.tree(head)
    commits = list(repository.history(head))
    blobs = sorted(set(tree.values()))
    person = Signature("Ada", "ada@example.com", when)
    removed = min(file for file in tree if file.endswith(".py"))
    by_hand = repository.build_commit(head, [removed], [], "Remove a file", person, person)
    repository.push(by_hand, head)
    return {
        "head": head,
        "files": len(tree),
        "tree": tree,
        "commits": [(c.commit, len(c.changes)) for c in commits],
        "by hand": (by_hand, removed),
        "changed": repository.changes(head, by_hand),
        "contains": [repository.contains(head, c.commit) for c in commits],
        "one blob": len(dict(repository.blobs(blobs[:1]))),
        "many blobs": len(dict(repository.blobs(blobs[:MANY_BLOBS]))),
        "own files": len(repository.own_files(head)),
        "message": repository.message(head),
        "messages": len(repository.messages_with(head, "Backup-Run: ")),
        "common": repository.branches().common(by_hand, head) == head,
        "problems": repository.check(),
    }


if __name__ == "__main__":
    sys.path[:0] = sys.argv[1].split(":")
    sys.stdout.write(json.dumps(main(int(sys.argv[2]))) + "\n")
