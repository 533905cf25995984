"""Makes retried changes safe: one `request_id`, one change, one answer (AIP-155).

Answers are kept in the memory of this process. A retry after a restart of the server is therefore carried
out again, and the answer follows from the state of the store, for example `SubjectExists`.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from google.protobuf.message import Message

from gaitid.errors import MessageError

KEEP_S = 24 * 3600.0
"""How long an answer is kept, seconds."""
MAX_ANSWERS = 10_000
"""Largest number of answers kept, about 1 KB each; the oldest is dropped first."""
MAX_ID = 64
"""Longest `request_id`, characters."""


@dataclass(frozen=True, slots=True)
class _Entry:
    digest: bytes
    since: float
    answer: Future[Message] = field(default_factory=Future)


class Replay:
    """Answers of recent changes by their `request_id`; safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def __call__(self, request_id: str, digest: bytes, work: Callable[[], Message]) -> Message:
        """Do the work, or return the answer it had; a second caller waits for the first.

        Only successes are kept. A failed request may be sent again: it changed nothing, or its error says
        what it did. An erasure without a receipt then continues where it failed.

        Args:
            request_id: Id of the request; empty = the work is always done.
            digest: Digest of the request; see `Digest`.
            work: Makes the answer.

        Raises:
            MessageError: The id is too long, or was used with another request.
        """
        if not request_id:
            return work()
        check_id(request_id)
        entry, is_new = self._enter(request_id, digest)
        if not is_new:
            return entry.answer.result()
        try:
            answer = work()
        except BaseException as error:
            with self._lock:
                self._entries.pop(request_id, None)
            entry.answer.set_exception(error)
            raise
        entry.answer.set_result(answer)
        return answer

    def _enter(self, request_id: str, digest: bytes) -> tuple[_Entry, bool]:
        with self._lock:
            self._forget_old()
            entry = self._entries.get(request_id)
            if entry is None:
                entry = self._entries[request_id] = _Entry(digest, self._clock())
                return entry, True
        if entry.digest != digest:
            raise MessageError(
                f"Field request_id {request_id!r} was used with another request",
                "one id per request",
                "Make a new UUID for each change",
            )
        return entry, False

    def _forget_old(self) -> None:
        while self._entries:
            oldest = next(iter(self._entries.values()))
            is_old = self._clock() - oldest.since > KEEP_S
            if not (is_old or len(self._entries) >= MAX_ANSWERS):
                return
            self._entries.popitem(last=False)


class Digest:
    """SHA-256 over the messages of one request, in order."""

    def __init__(self, *messages: Message) -> None:
        self._hash = hashlib.sha256()
        for message in messages:
            self.add(message)

    def add(self, message: Message) -> None:
        """Include another message."""
        data = message.SerializeToString(deterministic=True)
        self._hash.update(f"{message.DESCRIPTOR.full_name} {len(data)}\n".encode() + data)

    def value(self) -> bytes:
        """Digest of the messages so far, 32 bytes."""
        return self._hash.digest()


def check_id(request_id: str) -> None:
    """Raise `MessageError` if a `request_id` is too long."""
    if len(request_id) > MAX_ID:
        raise MessageError(
            f"Field request_id has {len(request_id)} characters", f"at most {MAX_ID}", "Use a UUID"
        )
