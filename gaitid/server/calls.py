"""Runs blocking rpcs behind grpc.aio: bounded, cancellable, with a typed status for every failure."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NoReturn, TypeAlias, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from gaitid import wire
from gaitid.caller import calling
from gaitid.errors import (
    DeadlineExceeded,
    GaitIdError,
    InternalError,
    MessageError,
    Overloaded,
    PermissionDenied,
    ServerUnreachable,
    Unauthenticated,
)
from gaitid.server.access import Access, Entrant, check, first_name, seeing
from gaitid.server.refusals import Refusals
from gaitid.server.uploads import Upload

IDLE_S = 30.0
"""Longest pause between two messages of a streamed request, seconds."""
MAX_UPLOADS = 4
"""Largest number of streamed requests at a time; each may keep `selection.MAX_PROBES` embeddings."""

_log = logging.getLogger(__name__)
_DETAILS = "grpc-status-details-bin"
_CODES = {code.name: code for code in grpc.StatusCode}
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
T = TypeVar("T")


class Calls:
    """Wraps blocking functions into handlers of a grpc.aio server.

    Args:
        workers: Number of threads that do the work; streamed requests share one more, so that minutes of
            embedding do not delay other calls.
        max_concurrent: Largest number of calls in progress or waiting for a thread; others get `Overloaded`.
        access: Decides who may call what; everybody may do everything by default.
        refusals: Records who was refused; None = nobody does.
    """

    def __init__(
        self,
        workers: int,
        max_concurrent: int,
        access: Access | None = None,
        refusals: Refusals | None = None,
    ) -> None:
        self._access, self._refusals = access or Access(is_open=True), refusals
        self._calls = _Pool(workers, "gaitid-call")
        self._streams = _Pool(1, "gaitid-stream")
        self._limit = max_concurrent
        self._running = 0
        self._uploads = 0
        self._is_stopping = False

    def handlers(self, module: Any, service: object) -> list[grpc.GenericRpcHandler]:
        """Make the handlers of all services of a generated module; `service` has one method per rpc."""
        return [
            grpc.method_handlers_generic_handler(
                descriptor.full_name,
                {
                    method.name: (self.stream_handler if method.client_streaming else self.handler)(
                        method.name, getattr(service, method.name), getattr(module, method.input_type.name)
                    )
                    for method in descriptor.methods
                },
            )
            for descriptor in module.DESCRIPTOR.services_by_name.values()
        ]

    def handler(self, rpc: str, work: Callable[[Any], Message], kind: type[Message]) -> Handler:
        """Make the handler of an rpc that answers requests of `kind` by `work`, in a thread of the pool.

        A call that is cancelled or expires while it waits for a thread is never started.
        """

        async def answer(request: Message | MessageError, context: Any) -> Message:
            async def act(entrant: Entrant) -> Message:
                check(entrant, rpc, _gallery(_valid(request)))
                return await self._calls.work(_as(entrant, work), _valid(request))

            return await self._guarded(act, context, rpc, kind)

        return grpc.unary_unary_rpc_method_handler(answer, _parser(kind), _serialized)

    def stream_handler(self, rpc: str, begin: Callable[[], Upload], kind: type[Message]) -> Handler:
        """Make the handler of streamed requests: one `Upload` for each, fed in threads of the pool."""

        async def answer(requests: Any, context: Any) -> Message:
            async def act(entrant: Entrant) -> Message:
                with self._uploading():
                    upload, is_first = begin(), True
                    async for message in _timely(requests):
                        if is_first:  # later ones name no gallery
                            check(entrant, rpc, _gallery(_valid(message)))
                            is_first = False
                        await self._streams.work(_as(entrant, upload.add), _valid(message))
                    return await self._streams.work(_as(entrant, lambda _: upload.finish()), None)

            return await self._guarded(act, context, rpc, kind)

        return grpc.stream_unary_rpc_method_handler(answer, _parser(kind), _serialized)

    async def _guarded(
        self, act: Callable[[Entrant], Awaitable[Message]], context: Any, rpc: str, kind: type[Message]
    ) -> Message:
        """Answer a call if there is room, and abort it with a typed status if it fails."""
        if self._is_stopping:
            await _abort(context, _stopping())
        if self._running >= self._limit:
            await _abort(context, _overloaded(f"{self._running} calls in progress", self._limit))
        self._running += 1
        actor = first_name(context)
        try:
            entrant = self._access.admit(context)
            actor = entrant.caller.actor
            return await act(entrant)
        except (Unauthenticated, PermissionDenied) as error:
            if self._refusals is not None:
                await asyncio.to_thread(self._refusals.record, error, rpc, actor, context.peer())
            await _abort(context, error)
        except GaitIdError as error:
            await _abort(context, error)
        except Exception as error:
            await _abort(context, _unforeseen(error, kind))
        finally:
            self._running -= 1

    @contextmanager
    def _uploading(self) -> Iterator[None]:
        if self._uploads >= MAX_UPLOADS:
            raise _overloaded(f"{self._uploads} streamed requests in progress", MAX_UPLOADS)
        self._uploads += 1
        try:
            yield
        finally:
            self._uploads -= 1

    async def drain(self, grace_s: float) -> None:
        """Refuse new calls; return when all others are done, or after `grace_s` seconds."""
        self._is_stopping = True
        deadline = time.monotonic() + grace_s
        while self._running and time.monotonic() < deadline:
            await asyncio.sleep(0.02)

    def close(self) -> None:
        """Wait for work in progress."""
        self._calls.close()
        self._streams.close()


class _Pool:
    """Threads that do blocking work for coroutines."""

    def __init__(self, threads: int, name: str) -> None:
        self._executor = ThreadPoolExecutor(threads, name)
        self._idle = asyncio.Semaphore(threads)  # threads without work

    async def work(self, work: Callable[[Any], T], request: Message | None) -> T:
        """Do the work in a thread, when one is idle."""
        # Wait here and not in the executor's queue, so that an abandoned call releases its request.
        await self._idle.acquire()
        future = self._executor.submit(work, request)
        try:
            return await asyncio.wrap_future(future)
        finally:
            if future.done():
                self._idle.release()
            else:  # abandoned, but its thread is busy until the work is done
                loop = asyncio.get_running_loop()
                future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._idle.release))

    def close(self) -> None:
        """Wait for work in progress."""
        self._executor.shutdown(wait=True)


def _as(entrant: Entrant, work: Callable[[Any], T]) -> Callable[[Any], T]:
    """Make `work` run on behalf of a caller."""

    def act(request: Any) -> T:
        with calling(entrant.caller.purpose, actor=entrant.caller.actor), seeing(entrant):
            return work(request)

    return act


def _parser(kind: type[Message]) -> Callable[[bytes], Message | MessageError]:
    # An exception in a deserialiser would become a bare INTERNAL, so the error is returned.
    def parse(data: bytes) -> Message | MessageError:
        try:
            return kind.FromString(data)
        except DecodeError:
            name = kind.DESCRIPTOR.full_name
            return MessageError(
                f"The request is {len(data)} bytes that cannot be parsed",
                f"a {name}",
                "Use the messages of protos/gaitid/v1",
            )

    return parse


def _gallery(request: Message) -> str:
    """The gallery that a request names; empty if it names none."""
    return getattr(request, "gallery", "")


def _valid(request: Message | MessageError) -> Message:
    if isinstance(request, MessageError):
        raise request
    return request


async def _timely(requests: Any) -> AsyncIterator[Message | MessageError]:
    """Yield the messages of a stream; a pause longer than `IDLE_S` is a `DeadlineExceeded`."""
    messages = aiter(requests)
    while True:
        try:
            message = await asyncio.wait_for(anext(messages), IDLE_S)
        except StopAsyncIteration:
            return
        except asyncio.TimeoutError as error:
            raise DeadlineExceeded(
                "The stream paused",
                f"a message at least every {IDLE_S:.0f} s",
                "Make all probes before the call",
            ) from error
        yield message


def _overloaded(load: str, limit: int) -> Overloaded:
    return Overloaded(f"The server has {load}", f"fewer than {limit}", f"Try again in {wire.RETRY_AFTER_S} s")


def _stopping() -> ServerUnreachable:
    return ServerUnreachable("The server is stopping", "a running server", "Try again after its restart")


def _serialized(message: Message) -> bytes:
    return message.SerializeToString()


async def _abort(context: Any, error: GaitIdError) -> NoReturn:
    status = wire.pack_error(error)
    await context.abort(_CODES[error.status], status.message, ((_DETAILS, status.SerializeToString()),))
    raise AssertionError("abort returned")  # pragma: no cover - abort always raises


def _unforeseen(error: Exception, kind: type[Message]) -> InternalError:
    # The text of an exception may contain vectors or names, so only its type and place are logged.
    incident = secrets.token_hex(6)
    place = " < ".join(
        f"{frame.filename}:{frame.lineno}" for frame in reversed(traceback.extract_tb(error.__traceback__))
    )
    _log.error("incident %s: %s on %s at %s", incident, type(error).__name__, kind.DESCRIPTOR.name, place)
    return InternalError(
        f"The server failed (incident {incident})", "", "Look up the incident in the server's log"
    )
