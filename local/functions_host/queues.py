"""Queue triggers: batches of messages, visibility, dequeue counts and poison queues, as `host.json` says."""

from __future__ import annotations

import base64
import binascii
import contextlib
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.functions.queue import QueueMessage
from azure.storage.queue import QueueClient, QueueServiceClient

INVISIBLE_SECONDS = 600
SHORTEST_POLL_SECONDS = 0.1
POISON = "-poison"
_log = logging.getLogger("host.queues")


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """`extensions.queues` of `host.json`, with the platform's defaults."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    max_polling_seconds: float = 60.0
    visibility_seconds: int = 0
    base64: bool = True
    invisible_seconds: int = INVISIBLE_SECONDS

    @classmethod
    def from_host_json(cls, settings: dict[str, Any]) -> QueueOptions:
        """Read the options."""
        given = settings.get("extensions", {}).get("queues", {})
        size = int(given.get("batchSize", 16))
        return cls(
            batch_size=size,
            new_batch_threshold=int(given.get("newBatchThreshold", size // 2)),
            max_dequeue_count=int(given.get("maxDequeueCount", 5)),
            max_polling_seconds=_seconds(given.get("maxPollingInterval", "00:01:00")),
            visibility_seconds=int(_seconds(given.get("visibilityTimeout", "00:00:00"))),
            base64=given.get("messageEncoding", "base64") == "base64",
        )


class QueueListener:
    """Polls one queue and runs its function on up to batchSize + newBatchThreshold messages at once."""

    def __init__(
        self, name: str, service: QueueServiceClient, options: QueueOptions, run: Callable[[QueueMessage], None]
    ) -> None:
        self._name, self._service, self._options, self._run = name, service, options, run
        self._queue = _made(service, name)
        self._most = options.batch_size + options.new_batch_threshold
        self._pool = ThreadPoolExecutor(self._most, thread_name_prefix=f"queue-{name}")
        self._running = 0
        self._changed = threading.Condition()
        self._notified = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name=f"poll-{name}", daemon=True)

    def start(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def send(self, text: str) -> None:
        """Put a message on the queue for a function's output, and look at the queue at once, as the platform does."""
        send_message(self._service, self._name, text, self._options)
        with self._changed:
            self._notified = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Take no more messages and wait for those under way."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(10)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _poll(self) -> None:
        pause = SHORTEST_POLL_SECONDS
        while not self._stop.is_set():
            with self._changed:
                self._changed.wait_for(
                    lambda: self._stop.is_set() or self._running <= self._options.new_batch_threshold
                )
            try:
                found = 0 if self._stop.is_set() else self._take()
            except AzureError as error:
                _log.warning("queue %s cannot be read: %s", self._name, type(error).__name__)
                found = 0
            pause = SHORTEST_POLL_SECONDS if found else min(pause * 2, self._options.max_polling_seconds)
            if not found:
                self._wait(pause)

    def _wait(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stop.is_set() or self._notified, timeout=seconds)
            self._notified = False

    def _take(self) -> int:
        o = self._options
        messages = list(self._queue.receive_messages(max_messages=o.batch_size, visibility_timeout=o.invisible_seconds))
        for message in messages:
            with self._changed:
                self._running += 1
            self._pool.submit(self._handle, message)
        return len(messages)

    def _handle(self, message: Any) -> None:
        try:
            self._process(message)
        except AzureError as error:
            _log.warning("message %s of %s could not be settled: %s", message.id, self._name, type(error).__name__)
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _process(self, message: Any) -> None:
        if message.dequeue_count > self._options.max_dequeue_count:
            if not self._name.endswith(POISON):
                self._poison(message)
            return
        try:
            self._run(self._decoded(message))
        except Exception:  # noqa: BLE001 - a function that raises is a failed delivery
            _log.exception("a message of %s failed at delivery %d", self._name, message.dequeue_count)
            if self._name.endswith(POISON):
                # A poison queue has none of its own: the message stays hidden, then comes again.
                return
            if message.dequeue_count >= self._options.max_dequeue_count:
                self._poison(message)
            else:
                self._queue.update_message(message, visibility_timeout=self._options.visibility_seconds)
            return
        try:
            self._queue.delete_message(message)
        except ResourceNotFoundError:
            _log.warning("message %s of %s became visible again before it was done", message.id, self._name)

    def _decoded(self, message: Any) -> QueueMessage:
        text = message.content
        try:
            body = base64.b64decode(text, validate=True) if self._options.base64 else text.encode()
        except binascii.Error as error:
            raise ValueError("the message is not base64") from error
        return QueueMessage(  # type: ignore[no-untyped-call]
            id=message.id,
            body=body,
            dequeue_count=message.dequeue_count,
            expiration_time=message.expires_on,
            insertion_time=message.inserted_on,
            time_next_visible=message.next_visible_on,
            pop_receipt=message.pop_receipt,
        )

    def _poison(self, message: Any) -> None:
        _log.error("a message of %s goes to its poison queue", self._name)
        _made(self._service, f"{self._name}{POISON}").send_message(message.content)
        self._queue.delete_message(message)


def send_message(service: QueueServiceClient, queue: str, text: str, options: QueueOptions) -> None:
    """Put a message on a queue, made where it is missing, in the encoding that the options name."""
    content = base64.b64encode(text.encode()).decode() if options.base64 else text
    _made(service, queue).send_message(content)


def _made(service: QueueServiceClient, name: str) -> QueueClient:
    queue = service.get_queue_client(name)
    with contextlib.suppress(ResourceExistsError):
        queue.create_queue()
    return queue


def _seconds(text: str) -> float:
    hours, minutes, seconds = text.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds)).total_seconds()
