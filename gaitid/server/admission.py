"""Who gets in: limits on open calls, and how long the messages of a call may take.

A call is open from its first byte, long before its message has arrived, so that one that never sends anything
counts and ends, too.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from gaitid import wire
from gaitid.errors import DeadlineExceeded, MessageError, Overloaded
from gaitid.server.access import ANONYMOUS

ARRIVAL_S = 10.0
"""Longest time from the begin of a call to its first message, seconds."""
PATIENCE_S = 0.05
"""How long a call may be silent before it makes way for others at a limit, seconds."""
IDLE_S = 30.0
"""Longest pause between two messages of a streamed request, seconds."""
STREAM_S = 7200.0
"""Longest time of a streamed request, seconds."""
CONNECTION_CALLS = 1024
"""Largest number of open calls on a connection, health checks included; more wait in the client."""
OPEN_PER_PLACE = 4
"""Open calls for each call that may be in progress; the others have not sent their message yet."""

M = TypeVar("M")


class Silent:
    """An open call whose message has not arrived.

    Attributes:
        names: What it counts for.
        since: When it began, seconds of the event loop.
        ended: Done when the call has to make way for another one.
    """

    __slots__ = ("ended", "names", "since")

    def __init__(self, names: tuple[str, ...]) -> None:
        loop = asyncio.get_running_loop()
        self.names, self.since, self.ended = names, loop.time(), loop.create_future()


class Admission:
    """Counts the open calls of the server, of each peer and of each connection; used on the event loop only.

    At a limit, a call that has been silent for `PATIENCE_S` makes way for the new one.

    Args:
        most: Largest number of open calls.
        per_peer: Largest number of a peer: of the name in a certificate, else of an address.
        per_connection: Largest number on one connection.
    """

    def __init__(self, most: int, per_peer: int, per_connection: int) -> None:
        self._limits = (most, per_peer, per_connection)
        self._open: Counter[str] = Counter()
        self._silent: dict[Silent, None] = {}  # the oldest first

    @contextmanager
    def admitted(self, context: Any, name: str) -> Iterator[Silent]:
        """Count a call within this context; `heard` says when its message has arrived.

        Args:
            context: Context of the call.
            name: The first name in the caller's certificate, or `ANONYMOUS`.

        Raises:
            Overloaded: The server, the peer or the connection has as many open calls as it may have.
        """
        names = ("The server", *_origin(str(context.peer()), name))
        for one, limit in zip(names, self._limits, strict=True):
            if self._open[one] >= limit and not self._make_way(one):
                raise overloaded(f"{one} has {self._open[one]} open calls", limit)
        call = Silent(names)
        self._silent[call] = None
        self._open.update(names)
        try:
            yield call
        finally:
            self.heard(call)
            if not call.ended.done():
                self._release(call)

    def heard(self, call: Silent) -> None:
        """Note that the message of a call has arrived, so that it does not make way any more."""
        self._silent.pop(call, None)

    def _make_way(self, name: str) -> bool:
        """End the oldest silent call that counts for a name; return whether there was one."""
        latest = asyncio.get_running_loop().time() - PATIENCE_S
        for call in self._silent:
            if call.since > latest:
                return False
            if name in call.names:
                self.heard(call)
                self._release(call)
                call.ended.set_result(None)
                return True
        return False

    def _release(self, call: Silent) -> None:
        self._open.subtract(call.names)
        for name in call.names:
            if not self._open[name]:
                del self._open[name]


def _origin(connection: str, name: str) -> tuple[str, str]:
    """Peer and connection of a call."""
    peer = connection.rpartition(":")[0] if name == ANONYMOUS else name
    return f"Caller {peer}", f"Connection {connection}"


def overloaded(load: str, limit: int, retry_after_s: float = wire.RETRY_AFTER_S) -> Overloaded:
    """Error of a call for which there is no room."""
    return Overloaded(
        load, f"fewer than {limit}", f"Try again in {retry_after_s:.3g} s", retry_after_s=retry_after_s
    )


async def first(messages: AsyncIterator[M], call: Silent | None = None) -> M:
    """The first message of a call.

    Args:
        messages: The messages of the call.
        call: Ends the wait when it has to make way; None = it never has to.

    Raises:
        MessageError: The caller ended the call without one.
        DeadlineExceeded: None came within `ARRIVAL_S`.
        Overloaded: None came before another call needed the place.
    """
    arriving = asyncio.ensure_future(anext(messages))
    try:
        awaited = {arriving} if call is None else {arriving, call.ended}
        await asyncio.wait(awaited, timeout=ARRIVAL_S, return_when=asyncio.FIRST_COMPLETED)
        if arriving.done():
            return arriving.result()
    except StopAsyncIteration:
        raise MessageError("The call has no message", "one request", "Send the request") from None
    finally:
        arriving.cancel()
    if call is not None and call.ended.done():
        raise overloaded("The call was silent while others needed its place", 1)
    raise DeadlineExceeded(
        "The call sent nothing", f"its message within {ARRIVAL_S:.0f} s", "Send the message with the call"
    )


async def timely(begin: M, messages: AsyncIterator[M]) -> AsyncIterator[M]:
    """Yield the messages of a stream, of which the first has arrived.

    Raises:
        DeadlineExceeded: A pause is longer than `IDLE_S`, or the stream longer than `STREAM_S`.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + STREAM_S
    yield begin
    while True:
        left = end - loop.time()
        try:
            message = await asyncio.wait_for(anext(messages), min(IDLE_S, left))
        except StopAsyncIteration:
            return
        except asyncio.TimeoutError as error:
            raise _late(is_over=left <= IDLE_S) from error
        yield message


def _late(*, is_over: bool) -> DeadlineExceeded:
    if is_over:
        return DeadlineExceeded(
            "The stream did not end",
            f"its last message within {STREAM_S:.0f} s",
            "Send fewer probes per call",
        )
    return DeadlineExceeded(
        "The stream paused", f"a message at least every {IDLE_S:.0f} s", "Make all probes before the call"
    )
