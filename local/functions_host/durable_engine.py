"""Runs durable orchestrations and keeps them in SQLite, so that they survive the host's death."""

from __future__ import annotations

import heapq
import json
import logging
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local.functions_host import durable_history as history
from local.functions_host.durable_history import Instance, Task

_log = logging.getLogger("host.durable")


class InstanceExists(Exception):
    """An instance of this id is live."""


class DurableStore:
    """Instances by id, each write durable."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("CREATE TABLE IF NOT EXISTS instances (id TEXT PRIMARY KEY, body TEXT NOT NULL)")

    def save(self, instance: Instance) -> None:
        """Write an instance whole."""
        row = (instance.instance_id, json.dumps(asdict(instance)))
        self._db.execute("INSERT OR REPLACE INTO instances VALUES (?, ?)", row)

    def load(self) -> dict[str, Instance]:
        """Every instance."""
        rows = self._db.execute("SELECT body FROM instances").fetchall()
        return {i.instance_id: i for i in (_instance(json.loads(body)) for (body,) in rows)}

    def delete(self, instance_id: str) -> None:
        """Forget an instance."""
        self._db.execute("DELETE FROM instances WHERE id = ?", (instance_id,))

    def close(self) -> None:
        """Close the database."""
        self._db.close()


def _instance(body: dict[str, Any]) -> Instance:
    return Instance(**{**body, "pending": [Task(**t) for t in body["pending"]]})


class DurableEngine:
    """Turns, activities and timers. One lock: a turn takes milliseconds, activities run outside of it."""

    def __init__(
        self,
        store: DurableStore,
        orchestrators: dict[str, Callable[[str], str]],
        activities: dict[str, Callable[[Any], Any]],
        parallel_activities: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store, self._orchestrators, self._activities, self._now = store, orchestrators, activities, now
        self._lock = threading.RLock()
        self._instances = store.load()
        self._pool = ThreadPoolExecutor(parallel_activities, thread_name_prefix="activity")
        self._timers: list[tuple[datetime, str, int]] = []
        self._wake = threading.Condition(self._lock)
        self._stopping = False
        self._thread = threading.Thread(target=self._watch_timers, name="durable-timers", daemon=True)

    def begin(self) -> None:
        """Go on with every live instance: what was under way is run again."""
        self._thread.start()
        with self._lock:
            for instance in list(self._instances.values()):
                if instance.live:
                    self._dispatch(instance, list(instance.pending))
                    self._turn_if_due(instance)

    def stop(self) -> None:
        """Start nothing more and wait for activities under way."""
        with self._lock:
            self._stopping = True
            self._wake.notify_all()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._thread.join(5)
        self._store.close()

    def start(self, function: str, instance_id: str, data: str) -> None:
        """Start an instance. Raises `InstanceExists`, or `KeyError` for a function that does not exist."""
        if function not in self._orchestrators:
            raise KeyError(function)
        with self._lock:
            known = self._instances.get(instance_id)
            if known and known.live:
                raise InstanceExists(instance_id)
            now = self._now()
            instance = Instance(instance_id, function, data, created_at=now.isoformat())
            history.begin(instance, now)
            self._instances[instance_id] = instance
            self._turn_if_due(instance)

    def get(self, instance_id: str) -> Instance | None:
        """An instance as it stands."""
        with self._lock:
            return self._instances.get(instance_id)

    def raise_event(self, instance_id: str, name: str, data: str) -> bool:
        """Deliver an external event; False where the instance is not live."""
        with self._lock:
            instance = self._instances.get(instance_id)
            if instance is None or not instance.live:
                return False
            history.raise_event(instance, name, data, self._now())
            self._turn_if_due(instance)
            return True

    def set_status(self, instance_id: str, status: str, reason: str) -> bool:
        """Terminate, suspend or resume a live instance."""
        with self._lock:
            instance = self._instances.get(instance_id)
            if instance is None or not instance.live:
                return False
            instance.status = status
            if status == "Terminated":
                instance.output, instance.pending = reason, []
            self._store.save(instance)
            if status == "Running":
                self._turn_if_due(instance)
            return True

    def purge(self, instance_id: str) -> bool:
        """Forget an instance that is over."""
        with self._lock:
            instance = self._instances.get(instance_id)
            if instance is None or instance.live:
                return False
            del self._instances[instance_id]
            self._store.delete(instance_id)
            return True

    def _turn_if_due(self, instance: Instance) -> None:
        """Run turns while something waits in the inbox; save each before anything is dispatched."""
        while instance.inbox and instance.live and instance.status != "Suspended" and not self._stopping:
            argument = history.open_turn(instance, self._now())
            try:
                answer = json.loads(self._orchestrators[instance.function](argument))
            except Exception as error:  # noqa: BLE001 - whatever an orchestrator raises ends its instance
                _log.warning("orchestration %s failed: %s", instance.instance_id, str(error)[:300])
                history.fail(instance, str(error))
                fresh = []
            else:
                fresh = history.close_turn(instance, answer, self._now())
            self._saved(instance)
            self._dispatch(instance, fresh)

    def _saved(self, instance: Instance) -> None:
        instance.updated_at = self._now().isoformat()
        self._store.save(instance)

    def _dispatch(self, instance: Instance, tasks: list[Task]) -> None:
        for task in tasks:
            if task.kind == "activity":
                if not self._stopping:
                    self._pool.submit(self._run_activity, instance, task)
            else:
                heapq.heappush(self._timers, (_time(task.fire_at), instance.instance_id, task.event_id))
                self._wake.notify_all()

    def _run_activity(self, instance: Instance, task: Task) -> None:
        try:
            result = self._activities[task.name](json.loads(task.input))
        except Exception as error:  # noqa: BLE001 - an activity that raises is a failed task
            _log.exception("activity %s failed at attempt %d", task.name, task.attempt)
            with self._lock:
                if self._current(instance):
                    fresh = history.task_failed(instance, task.event_id, str(error), self._now())
                    self._after(instance, fresh)
            return
        with self._lock:
            if self._current(instance) and history.task_done(instance, task.event_id, result, self._now()):
                self._after(instance, [])

    def _after(self, instance: Instance, fresh: list[Task]) -> None:
        if self._stopping:
            return
        self._saved(instance)
        self._dispatch(instance, fresh)
        self._turn_if_due(instance)

    def _current(self, instance: Instance) -> bool:
        return self._instances.get(instance.instance_id) is instance and instance.live

    def _watch_timers(self) -> None:
        with self._lock:
            while not self._stopping:
                now = self._now()
                if not self._timers or self._timers[0][0] > now:
                    wait = (self._timers[0][0] - now).total_seconds() if self._timers else None
                    self._wake.wait(wait)
                    continue
                _, instance_id, event_id = heapq.heappop(self._timers)
                instance = self._instances.get(instance_id)
                if instance and instance.live:
                    self._after(instance, history.timer_fired(instance, event_id, now))


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=UTC)
