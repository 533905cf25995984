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
IDLE_S = 30.0
"""Longest pause between two messages of a streamed request, seconds."""
STREAM_S = 7200.0
"""Longest time of a streamed request, seconds."""
CONNECTION_CALLS = 1024
"""Largest number of open calls on a connection, health checks included; more wait in the client."""
OPEN_PER_PLACE = 4
"""Open calls for each call that may be in progress; the others have not sent their message yet."""

M = TypeVar("M")


class Admission:
    """Counts the open calls of the server, of each peer and of each connection.

    Args:
        most: Largest number of open calls.
        per_peer: Largest number of a peer: of the name in a certificate, else of an address.
        per_connection: Largest number on one connection.
    """

    def __init__(self, most: int, per_peer: int, per_connection: int) -> None:
        self._limits = (most, per_peer, per_connection)
        self._open: Counter[str] = Counter()

    @contextmanager
    def admitted(self, context: Any, name: str) -> Iterator[None]:
        """Count a call within this context.

        Args:
            context: Context of the call.
            name: The first name in the caller's certificate, or `ANONYMOUS`.

        Raises:
            Overloaded: The server, the peer or the connection has as many open calls as it may have.
        """
        counted = ("The server", *_origin(str(context.peer()), name))
        for name, limit in zip(counted, self._limits, strict=True):
            if self._open[name] >= limit:
                raise overloaded(f"{name} has {self._open[name]} open calls", limit)
        self._open.update(counted)
        try:
            yield
        finally:
            self._open.subtract(counted)
            for name in counted:
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


async def first(messages: AsyncIterator[M]) -> M:
    """The first message of a call.

    Raises:
        MessageError: The caller ended the call without one.
        DeadlineExceeded: None came within `ARRIVAL_S`.
    """
    try:
        return await asyncio.wait_for(anext(messages), ARRIVAL_S)
    except StopAsyncIteration:
        raise MessageError("The call has no message", "one request", "Send the request") from None
    except asyncio.TimeoutError as error:
        raise DeadlineExceeded(
            "The call sent nothing", f"its message within {ARRIVAL_S:.0f} s", "Send the message with the call"
        ) from error


async def timely(messages: AsyncIterator[M]) -> AsyncIterator[M]:
    """Yield the messages of a stream.

    Raises:
        DeadlineExceeded: A pause is longer than `IDLE_S`, or the stream longer than `STREAM_S`.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + STREAM_S
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
