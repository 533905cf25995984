"""Makes retried mutations safe: one `request_id`, one change, one answer (AIP-155).

The answers live in the memory of this process, so a retry that crosses a restart of the server is
carried out again; the store then answers by its own state, for example `SubjectExists`.
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
"""Answers kept at most; the oldest goes first. About 1 KB each."""
MAX_ID = 64
"""Longest `request_id`, letters."""


@dataclass(frozen=True, slots=True)
class _Entry:
    digest: bytes
    since: float
    answer: Future[Message] = field(default_factory=Future)


class Replay:
    """Answers of recent mutations by their `request_id`; safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def __call__(self, request_id: str, request: Message, work: Callable[[], Message]) -> Message:
        """Do the work, or give the answer it had; a second caller waits for the first.

        Only success is kept, and a request that failed may be tried again: it changed nothing, or its error
        says what it did. An erasure that got no receipt then goes on where it failed.

        Raises:
            MessageError: The id is too long, or was used with another request.
        """
        if not request_id:
            return work()
        if len(request_id) > MAX_ID:
            raise MessageError(f"request_id has {len(request_id)} letters", f"at most {MAX_ID}", "use a UUID")
        entry, is_new = self._enter(request_id, _digest(request))
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
                f"request_id {request_id!r} was used with another request",
                "one id for one request",
                "make a new UUID for each change",
            )
        return entry, False

    def _forget_old(self) -> None:
        while self._entries:
            oldest = next(iter(self._entries.values()))
            is_old = self._clock() - oldest.since > KEEP_S
            if not (is_old or len(self._entries) >= MAX_ANSWERS):
                return
            self._entries.popitem(last=False)


def _digest(request: Message) -> bytes:
    name = request.DESCRIPTOR.full_name.encode()
    return hashlib.sha256(name + b"\0" + request.SerializeToString(deterministic=True)).digest()
