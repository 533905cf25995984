"""Makes retried changes safe: one `request_id`, one change, one answer (AIP-155).

Answers are kept for a day, in memory and in the data directory. On disk they are encrypted by a key that
follows from the `request_id` and the request, which only the caller has: an erased subject is in no readable
answer.

The answer is kept after the change and before the caller gets it. A server that is killed in between, within
about a millisecond, carries the retry out again. Its answer then follows from the state of the store, for
example `SubjectExists`.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from google.protobuf import descriptor_pool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from gaitid.errors import MessageError, StoreError

_log = logging.getLogger(__name__)

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


class Kept(Protocol):
    """A kept answer."""

    @property
    def digest(self) -> bytes:
        """Digest of its request."""
        ...

    @property
    def answer(self) -> bytes:
        """The sealed answer."""
        ...


class Answers(Protocol):
    """Keeps answers over a restart; see `gallery.store.answers`."""

    def keep(self, name: bytes, digest: bytes, answer: bytes) -> None:
        """See `gallery.store.answers.Answers.keep`."""
        ...

    def find(self, name: bytes) -> Kept | None:
        """See `gallery.store.answers.Answers.find`."""
        ...


class Replay:
    """Answers of recent changes by their `request_id`; safe to use from several threads.

    Args:
        clock: Seconds.
        answers: Keeps them over a restart; None = they are not.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, answers: Answers | None = None) -> None:
        self._clock, self._answers = clock, answers
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
            answer = self._recall(request_id, digest)
            if answer is None:
                answer = work()
                self._keep(request_id, digest, answer)
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
            raise _reused(request_id)
        return entry, False

    def _recall(self, request_id: str, digest: bytes) -> Message | None:
        """The answer from before a restart, if it is kept."""
        kept = self._answers.find(_hashed(b"name", request_id)) if self._answers else None
        if kept is None:
            return None
        if kept.digest != _hashed(b"request", request_id, digest):
            raise _reused(request_id)
        return _opened(kept.answer, request_id, digest)

    def _keep(self, request_id: str, digest: bytes, answer: Message) -> None:
        """Keep an answer; a failure is logged only, since the change is made."""
        if self._answers is None:
            return
        try:
            name, request = _hashed(b"name", request_id), _hashed(b"request", request_id, digest)
            self._answers.keep(name, request, _sealed(answer, request_id, digest))
        except StoreError as error:
            _log.warning("an answer is not kept over a restart: %s", error.code)

    def _forget_old(self) -> None:
        while self._entries:
            oldest = next(iter(self._entries.values()))
            is_old = self._clock() - oldest.since > KEEP_S
            if not (is_old or len(self._entries) >= MAX_ANSWERS):
                return
            self._entries.popitem(last=False)


def _reused(request_id: str) -> MessageError:
    return MessageError(
        f"Field request_id {request_id!r} was used with another request",
        "one id per request",
        "Make a new UUID for each change",
    )


def _hashed(what: bytes, request_id: str, digest: bytes = b"") -> bytes:
    return hashlib.sha256(b"gaitid answer\n%b\n%b\n%b" % (what, request_id.encode(), digest)).digest()


def _stream(nonce: bytes, request_id: str, digest: bytes, length: int) -> bytes:
    """Key stream of one answer (SHAKE-256 as an extendable-output function, FIPS 202)."""
    return hashlib.shake_256(nonce + _hashed(b"key", request_id, digest)).digest(length)


def _mixed(text: bytes, stream: bytes) -> bytes:
    return (int.from_bytes(text, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(text), "big")


def _sealed(answer: Message, request_id: str, digest: bytes) -> bytes:
    nonce = secrets.token_bytes(16)
    text = answer.DESCRIPTOR.full_name.encode() + b"\n" + answer.SerializeToString()
    return nonce + _mixed(text, _stream(nonce, request_id, digest, len(text)))


def _opened(sealed: bytes, request_id: str, digest: bytes) -> Message:
    nonce, text = sealed[:16], sealed[16:]
    name, _, data = _mixed(text, _stream(nonce, request_id, digest, len(text))).partition(b"\n")
    kind = GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name.decode()))
    return kind.FromString(data)


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
