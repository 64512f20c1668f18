"""Durable orchestrations as histories: what a turn appends, and what its answer asks for. Pure.

The events and actions are those that a host and azure-functions-durable 1.x exchange.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

STARTED, COMPLETED, FAILED, SCHEDULED = 0, 5, 6, 4
TIMER_CREATED, TIMER_FIRED = 10, 11
TURN_STARTED, TURN_COMPLETED, EVENT_RAISED = 12, 13, 15
CALL, CALL_WITH_RETRY, CONTINUE_AS_NEW, TIMER = 0, 1, 4, 5
COMPOUND = (11, 12)
FAILURE_MARK = "$OutOfProcData$:"


@dataclass(slots=True)
class Task:
    """Something that was scheduled and has not come back: `kind` is `activity` or `timer`."""

    event_id: int
    kind: str
    name: str = ""
    input: str = "null"
    fire_at: str = ""
    attempt: int = 1
    most_attempts: int = 1
    retry_milliseconds: int = 0
    retries: bool = False


@dataclass(slots=True)
class Instance:
    """One orchestration as it is stored."""

    instance_id: str
    function: str
    input: str
    status: str = "Pending"
    output: Any = None
    custom_status: Any = None
    history: list[dict[str, Any]] = field(default_factory=list)
    inbox: list[dict[str, Any]] = field(default_factory=list)
    pending: list[Task] = field(default_factory=list)
    actions_seen: int = 0
    next_event_id: int = 0
    created_at: str = ""
    updated_at: str = ""

    @property
    def live(self) -> bool:
        """Whether more will happen."""
        return self.status in ("Pending", "Running", "Suspended")


def begin(instance: Instance, now: datetime) -> None:
    """Start the history from the instance's input."""
    instance.history, instance.pending, instance.actions_seen, instance.next_event_id = [], [], 0, 0
    instance.inbox = [_event(STARTED, now, Name=instance.function, Input=instance.input, Version=""), *instance.inbox]


def open_turn(instance: Instance, now: datetime) -> str:
    """Move what arrived into the history and return the orchestrator's argument."""
    for event in instance.history:
        event["IsPlayed"] = True
    instance.history += [_event(TURN_STARTED, now), *instance.inbox]
    instance.inbox = []
    instance.status = "Running"
    return json.dumps(
        {
            "history": instance.history,
            "input": instance.input,
            "instanceId": instance.instance_id,
            "isReplaying": False,
            "parentInstanceId": None,
            "upperSchemaVersion": 1,
            "upperSchemaVersionNew": 2,
            "longRunningTimerIntervalDuration": "3.00:00:00",
            "maximumShortTimerDuration": "6.00:00:00",
            "defaultHttpAsyncRequestSleepTimeMillseconds": 30000,
        }
    )


def close_turn(instance: Instance, answer: dict[str, Any], now: datetime) -> list[Task]:
    """Take the orchestrator's answer; returns what is to be scheduled. A finished instance has a final status."""
    actions = _flat(answer.get("actions", []))
    instance.custom_status = answer.get("customStatus")
    if any(a["actionType"] == CONTINUE_AS_NEW for a in actions):
        again = [a for a in actions if a["actionType"] == CONTINUE_AS_NEW][-1]
        instance.input = str(again.get("input") or "null")
        kept = [e for e in instance.inbox if e["EventType"] == EVENT_RAISED]
        instance.inbox = kept
        begin(instance, now)
        return []
    fresh = [t for a in actions[instance.actions_seen :] if (t := _task(a))]
    instance.actions_seen = len(actions)
    if answer.get("isDone"):
        instance.status, instance.output, instance.pending = "Completed", answer.get("output"), []
        return []
    fresh = [_schedule(instance, task, now) for task in fresh]
    instance.history.append(_event(TURN_COMPLETED, now))
    return fresh


def fail(instance: Instance, error: str) -> None:
    """End an instance whose orchestrator raised."""
    instance.status, instance.output, instance.pending = "Failed", error.split(FAILURE_MARK)[0].strip(), []


def task_done(instance: Instance, event_id: int, result: Any, now: datetime) -> bool:
    """An activity came back; False where nobody waits for it any more."""
    task = _take(instance, event_id)
    if task:
        instance.inbox.append(_event(COMPLETED, now, TaskScheduledId=event_id, Result=json.dumps(result)))
    return task is not None


def task_failed(instance: Instance, event_id: int, error: str, now: datetime) -> list[Task]:
    """An activity raised. Returns the timer that follows, where it was called with retries."""
    task = _take(instance, event_id)
    if task is None:
        return []
    instance.inbox.append(_event(FAILED, now, TaskScheduledId=event_id, Reason=error, Details=error))
    if not task.retries:
        return []
    # The SDK waits for one timer more than there are retries, as the Durable Task Framework does.
    fire_at = now + timedelta(milliseconds=task.retry_milliseconds)
    instance.history += [_event(TURN_STARTED, now), *instance.inbox]
    instance.inbox = []
    timer = _schedule(instance, _retry_of(task, "timer", fire_at.isoformat()), now)
    instance.history.append(_event(TURN_COMPLETED, now))
    return [timer]


def timer_fired(instance: Instance, event_id: int, now: datetime) -> list[Task]:
    """A timer's time came. Returns the next attempt, where it was a retry's timer and attempts are left."""
    task = _take(instance, event_id)
    if task is None:
        return []
    instance.inbox.append(_event(TIMER_FIRED, now, TimerId=event_id, FireAt=task.fire_at))
    if not task.retries or task.attempt >= task.most_attempts:
        return []
    instance.history += [_event(TURN_STARTED, now), *instance.inbox]
    instance.inbox = []
    again = _schedule(instance, _retry_of(task, "activity", ""), now)
    instance.history.append(_event(TURN_COMPLETED, now))
    return [again]


def raise_event(instance: Instance, name: str, data: str, now: datetime) -> None:
    """An external event arrived; `data` is JSON text."""
    instance.inbox.append(_event(EVENT_RAISED, now, Name=name, Input=data))


def _retry_of(task: Task, kind: str, fire_at: str) -> Task:
    attempt = task.attempt + (1 if kind == "activity" else 0)
    most, pause = task.most_attempts, task.retry_milliseconds
    return Task(-1, kind, task.name, task.input, fire_at, attempt, most, pause, retries=True)


def _schedule(instance: Instance, task: Task, now: datetime) -> Task:
    task.event_id = instance.next_event_id
    instance.next_event_id += 1
    if task.kind == "activity":
        event = _event(SCHEDULED, now, Name=task.name, Input=task.input, Version="")
    else:
        event = _event(TIMER_CREATED, now, FireAt=task.fire_at)
    event["EventId"] = task.event_id
    instance.history.append(event)
    instance.pending.append(task)
    return task


def _task(action: dict[str, Any]) -> Task | None:
    kind = action["actionType"]
    if kind in (CALL, CALL_WITH_RETRY):
        task = Task(-1, "activity", action["functionName"], action.get("input") or "null")
        if kind == CALL_WITH_RETRY:
            task.retries = True
            task.most_attempts = int(action["retryOptions"]["maxNumberOfAttempts"])
            task.retry_milliseconds = int(action["retryOptions"]["firstRetryIntervalInMilliseconds"])
        return task
    if kind == TIMER and not action.get("isCanceled"):
        return Task(-1, "timer", fire_at=action["fireAt"])
    return None


def _flat(actions: list[Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for action in actions:
        if isinstance(action, list):
            found += _flat(action)
        elif action["actionType"] in COMPOUND:
            found += _flat(action["compoundActions"])
        else:
            found.append(action)
    return found


def _take(instance: Instance, event_id: int) -> Task | None:
    for task in instance.pending:
        if task.event_id == event_id:
            instance.pending.remove(task)
            return task
    return None


def _event(kind: int, now: datetime, **fields: Any) -> dict[str, Any]:
    stamp = now.isoformat().replace("+00:00", "Z")
    return {"EventType": kind, "EventId": -1, "IsPlayed": False, "Timestamp": stamp, **fields}
