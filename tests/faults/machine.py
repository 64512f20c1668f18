"""The whole life of a backup as a state machine: everything that can happen, in any order, beside a model."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from azure.core.exceptions import AzureError
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from local.faults.crash_points import CRASH_POINTS, RESTORE_POINTS, Crash, CrashTap, play_dead
from local.faults.port_faults import Declared, Fault, FaultTap
from local.memory.world import ROOT, Remote, World
from shared.errors import BackupError
from shared.services.state.batch_rows import EXPORT_QUEUE
from shared.services.state.maintenance import Kind
from tests.faults.living import FOLDERS, LANGUAGES, NAMES, act, check_equal
from tests.faults.recovering import at_once, finish

folders = st.sampled_from(FOLDERS)
names = st.sampled_from(NAMES)
languages = st.sampled_from(LANGUAGES)
texts = st.text(max_size=12)
MOST_ROUNDS = 6
POINTS = CRASH_POINTS | RESTORE_POINTS
FAULTS = [
    Declared("workspace", "export", Fault.ERROR_BEFORE, times=8),
    Declared("workspace", "list", Fault.ERROR_BEFORE),
    Declared("repository", "push", Fault.ERROR_AFTER),
    Declared("repository", "push", Fault.TIMEOUT),
    Declared("repository", "fetch", Fault.STALE),
    Declared("blobs", "put", Fault.ERROR_AFTER, nth=2),
    Declared("blobs", "get_file", Fault.CUT_BODY),
    Declared("tables", "upsert", Fault.ERROR_AFTER, nth=3),
    Declared("tables", "get", Fault.STALE),
]


class BackupMachine(RuleBasedStateMachine):
    """`model` is what the workspace must hold, kept beside it by path; `theirs` what people keep in the branch."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="machine-"))
        self.world = World(self.folder / "scratch", remote=self.make_remote())
        self.model: dict[str, tuple[str, bytes | None]] = {}
        self.theirs: dict[str, bytes] = {}
        self.past: list[tuple[str, dict[str, tuple[str, bytes]]]] = []
        self.moved = False

    def make_remote(self) -> Remote | None:
        """The repository to run against; None is the one in memory."""
        return None

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    @initialize(lived=st.booleans())
    def begin(self, lived: bool) -> None:
        """Folders; and a past to restore from, or the first run still to come."""
        for folder in FOLDERS[1:]:
            self.world.model.apply("mkdir", "ada", path=ROOT + folder)
        if lived:
            for name in NAMES[:3]:
                self.create("", name, LANGUAGES[0], "as it was")
            self.back_up_and_compare()
            for path in sorted(self.model)[:2]:
                assert act(self.world, "edit", path=path, content="edited since")
                self.model[path] = (self.model[path][0], b"edited since")

    @rule(folder=folders, name=names, language=languages, text=texts)
    def create(self, folder: str, name: str, language: str, text: str) -> None:
        path = f"{ROOT}{folder}/{name}"
        if act(self.world, "create", path=path, language=language, content=text):
            self.model[path] = (language, text.encode())

    @precondition(lambda self: self.model)
    @rule(data=st.data(), text=texts)
    def edit(self, data: st.DataObject, text: str) -> None:
        path = self._any(data)
        assert act(self.world, "edit", path=path, content=text)
        self.model[path] = (self.model[path][0], text.encode())

    @precondition(lambda self: self.model)
    @rule(data=st.data(), folder=folders, name=names)
    def move(self, data: st.DataObject, folder: str, name: str) -> None:
        path, to = self._any(data), f"{ROOT}{folder}/{name}"
        if act(self.world, "move", path=path, to=to):
            self.model[to] = self.model.pop(path)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        path = self._any(data)
        assert act(self.world, "delete", path=path)
        del self.model[path]

    @precondition(lambda self: self.model)
    @rule(data=st.data(), language=languages)
    def change_language(self, data: st.DataObject, language: str) -> None:
        path = self._any(data)
        assert act(self.world, "set_language", path=path, language=language)
        # The workspace converts the source in its own way.
        self.model[path] = (language, None)

    @precondition(lambda self: self.past)
    @rule(data=st.data(), everything=st.booleans())
    def restore(self, data: st.DataObject, everything: bool) -> None:
        """A notebook, or all of them, as of a backup: each comes to be what it was, or stays what it is."""
        commit, wanted = data.draw(st.sampled_from(self.past))
        chosen = sorted(wanted) if everything else [data.draw(st.sampled_from(sorted(wanted)))]
        before = self._present()
        done = self._restored({"folder": ROOT} if everything else {"paths": chosen}, commit)
        present = self._present()
        for path in chosen:
            assert present.get(path) in (wanted[path], before.get(path))
            if done.get(path) in ("verified", "unchanged"):
                assert present[path] == wanted[path]
            if path in present:
                self.model[path] = present[path]
        assert {p: v for p, v in present.items() if p not in chosen} == {
            p: v for p, v in before.items() if p not in chosen
        }

    def _restored(self, what: dict[str, object], commit: str) -> dict[str, str]:
        """The outcome by path; nothing where a fault kept the restore from being begun."""
        try:
            restore_id = str(at_once(self.world, at=commit, **what)["id"])
        except (Crash, BackupError, AzureError):
            self.world.process()
            running = [r["id"] for r in self.world.app.restores.recent(1) if r["status"] == "running"]
            if not running:
                return {}
            restore_id = running[0]
        return {item["path"]: item["outcome"] for item in finish(self.world, restore_id)["items"]}

    def _present(self) -> dict[str, tuple[str, bytes]]:
        return {path: (language, data) for (path, language), data in self.world.notebooks().items()}

    @rule(point=st.sampled_from(sorted(POINTS)))
    def crash_soon(self, point: str) -> None:
        self.world.process(CrashTap(POINTS[point], play_dead))

    @rule(fault=st.sampled_from(FAULTS))
    def fail_soon(self, fault: Declared) -> None:
        self.world.process(FaultTap(fault))

    @rule()
    def start(self) -> None:
        self.world.start()

    @rule(steps=st.integers(1, 12))
    def work(self, steps: int) -> None:
        for _ in range(steps):
            self.world._step()

    @rule()
    def redeliver(self) -> None:
        for queue, messages in list(self.world.queues.stored.items()):
            for message in list(messages):
                self.world.queues.send(queue, message.text)

    @rule()
    def lose_messages(self) -> None:
        self.world.queues.stored[EXPORT_QUEUE] = []

    @rule()
    def expire_leases(self) -> None:
        self.world.clock.sleep(60)

    @rule(
        name=st.sampled_from(["README.md", "docs/x.md", "etl", "etl/daily/load.py/x", "load.py/notes.md"]), text=texts
    )
    def person_adds(self, name: str, text: str) -> None:
        files = self.world.remote.contents()
        in_the_way = any(f == name or f.startswith(f"{name}/") or name.startswith(f"{f}/") for f in files)
        if not in_the_way:
            self.world.remote.person_commits({name: text.encode()})
            self.theirs[name] = text.encode()

    @rule(data=st.data(), gone=st.booleans())
    def person_edits(self, data: st.DataObject, gone: bool) -> None:
        files = sorted(self.world.remote.contents().keys() - self.theirs.keys() - {".gitattributes"})
        if files:
            self.world.remote.person_commits({data.draw(st.sampled_from(files)): None if gone else b"by hand"})

    @precondition(lambda self: self.world.remote.head)
    @rule()
    def administrator_deletes_the_branch(self) -> None:
        self.world.remote.move(None)
        self.theirs.clear()
        self.past.clear()
        self.moved = True

    @rule()
    def verify(self) -> None:
        if self.world.tables_say_idle():
            self.world._guarded(lambda: self.world.app.maintenance.start(Kind.VERIFY, "rule"))

    @rule()
    def back_up_and_compare(self) -> None:
        """With the faults gone, a run or two bring everything in line."""
        self.world.process()
        self.world.settle()
        for _ in range(MOST_ROUNDS):
            if self.world.back_up()["status"] == "succeeded":
                break
        self.moved = False
        check_equal(self.world)
        expected = {(p, language): text for p, (language, text) in self.model.items()}
        found = self.world.backed_up()
        assert found.keys() == expected.keys()
        assert {k: v for k, v in found.items() if expected[k] is not None} == {
            k: v for k, v in expected.items() if v is not None
        }
        assert self.theirs.items() <= self.world.remote.contents().items()
        assert self.world.remote.unchanged() == []
        if self.model:
            self.past.append((self.world.app.history.moment("latest").commit, self._present()))

    @invariant()
    def the_checkpoint_names_what_the_remote_holds(self) -> None:
        assert self.moved or self.world.checkpoint_is_held()

    def _any(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.model)))
