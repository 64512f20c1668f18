"""Makes the stored state of one version of the app, for the test that a later version goes on from it.

Run with that version's code on the path:

    git archive REVISION | tar -x -C FOLDER
    PYTHONPATH=FOLDER python tests/data/make_state.py tests/data/state-NAME.json.gz

The state is of a workspace that people worked in for some days, with a rename, a deletion, a person's push, a
verification, and a run that is under way: its batches wait in the queue.
"""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from local.memory.world import ROOT, World
from shared.services.state.maintenance import Kind
from tests.remotes import GitRemote

RENAMED, AFTER = f"{ROOT}/etl/load", f"{ROOT}/etl/load renamed"


def main(target: Path) -> None:
    """Write the state to a file."""
    folder = Path(tempfile.mkdtemp())
    remote = GitRemote(folder / "remote.git")
    world = World(folder / "scratch", seed=7, remote=remote)
    journal = folder / "journal"
    first = {"op": "mkdir", "user": "ada", "at": world.model.now_ms(), "path": ROOT}
    journal.write_text(json.dumps(first) + "\n")
    world.model._journal = journal
    _live(world)
    target.write_bytes(gzip.compress(json.dumps(_dump(world, remote, journal)).encode(), mtime=0))


def _live(world: World) -> None:
    for n in range(12):
        folder = f"{ROOT}/{('etl', 'etl/daily', 'Reports')[n % 3]}"
        world.model.apply("mkdir", "ada", path=folder)
        language = ("PYTHON", "SQL", "SCALA", "R")[n % 4]
        world.model.apply("create", "ada", path=f"{folder}/job {n}", language=language, content=f"# {n}\n")
    world.model.apply("create", "grace", path=RENAMED, language="PYTHON", content="print(1)\n")
    _day(world)
    world.model.apply("edit", "ada", path=RENAMED, content="print(2)\n")
    world.model.apply("delete", "linus", path=f"{ROOT}/etl/job 0")
    _day(world)
    world.model.apply("move", "grace", path=RENAMED, to=AFTER)
    world.remote.person_commits({"docs/readme.md": b"ours"})
    _day(world)
    world.maintain(Kind.VERIFY)
    for n in range(3):
        world.model.apply("create", "ada", path=f"{ROOT}/Reports/late {n}", language="SQL", content=f"-- {n}\n")
    run_id = world.start()
    step = world.app.plan.plan(str(run_id))
    world.queues.stored.clear()
    for text in step.messages:
        world.queues.send("backup-export", text)


def _day(world: World) -> None:
    world.clock.sleep(3_600)
    run = world.back_up()
    assert run["status"] == "succeeded", run
    world.app.history.publish()
    world.clock.sleep(86_400)


def _dump(world: World, remote: GitRemote, journal: Path) -> dict[str, Any]:
    history = [[v.commit.commit, v.version.kind.value, v.version.path] for v in world.app.history.versions(AFTER)]
    bundle = journal.parent / "remote.bundle"
    subprocess.run(["git", "-C", str(remote.path), "bundle", "create", "-q", str(bundle), "main"], check=True)
    return {
        "now": world.clock.now().isoformat(),
        "tables": [[*keys, row] for keys, (row, _) in world.tables.stored.items()],
        "blobs": {n: [base64.b64encode(d).decode(), seal] for n, (d, seal) in world.blobs.stored.items()},
        "queues": {name: [m.text for m in messages] for name, messages in world.queues.stored.items() if messages},
        "workspace": [json.loads(line) for line in journal.read_text().splitlines()],
        "repository": base64.b64encode(bundle.read_bytes()).decode(),
        "history": history,
        "run": world.app.runs.active(),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
