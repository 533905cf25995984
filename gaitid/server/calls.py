"""Runs blocking rpcs behind grpc.aio: bounded, cancellable, with a typed status for every failure."""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
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
    InputError,
    InternalError,
    MessageError,
    Overloaded,
    PermissionDenied,
    ServerUnreachable,
    Unauthenticated,
)
from gaitid.server.access import Access, Entrant, check, first_name, seeing
from gaitid.server.admission import OPEN_PER_PLACE, Admission, Silent, first, overloaded, timely
from gaitid.server.refusals import Refusals
from gaitid.server.uploads import Upload

MAX_UPLOADS = 4
"""Largest number of streamed requests at a time; each may keep `selection.MAX_PROBES` embeddings."""

_WEIGHT = 0.1
"""Weight of the newest call in the mean work of recent calls."""

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
        per_peer: Largest number of open calls of a certificate, or of an address; None = `max_concurrent`.
        per_connection: Largest number of open calls on a connection; None = `max_concurrent`.
        access: Decides who may call what; everybody may do everything by default.
        refusals: Records who was refused; None = nobody does.
    """

    def __init__(
        self,
        workers: int,
        max_concurrent: int,
        access: Access | None = None,
        refusals: Refusals | None = None,
        per_peer: int | None = None,
        per_connection: int | None = None,
        max_wait_s: float = math.inf,
    ) -> None:
        self._access, self._refusals = access or Access(is_open=True), refusals
        self._calls = _Pool(workers, "gaitid-call")
        self._streams = _Pool(1, "gaitid-stream")
        self._limit = max_concurrent
        self._admission = Admission(
            OPEN_PER_PLACE * max_concurrent, per_peer or max_concurrent, per_connection or max_concurrent
        )
        self._max_wait_s = max_wait_s
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

        async def answer(requests: Any, context: Any) -> Message:
            async def act(entrant: Entrant, call: Silent) -> Message:
                request = _valid(await self._begin(requests, call))
                check(entrant, rpc, _gallery(request))
                with self._place():
                    left_s = context.time_remaining()
                    self._calls.check_wait(left_s, self._max_wait_s)
                    return await self._calls.work(_as(entrant, work), request, left_s)

            return await self._guarded(act, context, rpc, kind)

        # Streamed on this side only, so that a call is seen before its message arrives.
        return grpc.stream_unary_rpc_method_handler(answer, _parser(kind), _serialized)

    def stream_handler(self, rpc: str, begin: Callable[[], Upload], kind: type[Message]) -> Handler:
        """Make the handler of streamed requests: one `Upload` for each, fed in threads of the pool."""

        async def answer(requests: Any, context: Any) -> Message:
            async def act(entrant: Entrant, call: Silent) -> Message:
                start = await self._begin(requests, call)
                with self._place(), self._uploading():
                    upload, is_first = begin(), True
                    async for message in timely(start, requests):
                        if is_first:  # later ones name no gallery
                            check(entrant, rpc, _gallery(_valid(message)))
                            is_first = False
                        await self._streams.work(_as(entrant, upload.add), _valid(message))
                    return await self._streams.work(_as(entrant, lambda _: upload.finish()), None)

            return await self._guarded(act, context, rpc, kind)

        return grpc.stream_unary_rpc_method_handler(answer, _parser(kind), _serialized)

    async def _guarded(
        self,
        act: Callable[[Entrant, Silent], Awaitable[Message]],
        context: Any,
        rpc: str,
        kind: type[Message],
    ) -> Message:
        """Answer a call if there is room, and abort it with a typed status if it fails."""
        actor = first_name(context)
        try:
            self._check_room()  # before the message is read
            with self._admission.admitted(context, actor) as call:
                entrant = self._access.admit(context)
                actor = entrant.caller.actor
                return await act(entrant, call)
        except (Unauthenticated, PermissionDenied) as error:
            if self._refusals is not None:
                await asyncio.to_thread(self._refusals.record, error, rpc, actor, context.peer())
            await _abort(context, error)
        except GaitIdError as error:
            await _abort(context, error)
        except Exception as error:
            await _abort(context, _unforeseen(error, kind))

    async def _begin(self, requests: Any, call: Silent) -> Message | InputError:
        """The first message of a call; from then on the call keeps its place."""
        message: Message | InputError = await first(requests, call)
        self._admission.heard(call)
        return message

    def _check_room(self) -> None:
        if self._is_stopping:
            raise _stopping()
        if self._running >= self._limit:
            raise overloaded(f"The server has {self._running} calls in progress", self._limit)

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Count a call that is in progress or waits for a thread."""
        self._check_room()
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    @contextmanager
    def _uploading(self) -> Iterator[None]:
        if self._uploads >= MAX_UPLOADS:
            raise overloaded(f"The server has {self._uploads} streamed requests in progress", MAX_UPLOADS)
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
        self._threads = threads
        self._idle = asyncio.Semaphore(threads)  # threads without work
        self._waiting = 0
        self._mean_s = 0.0  # of the work of recent calls

    def check_wait(self, remaining_s: float | None, most_s: float) -> None:
        """Return if a call would be answered in time.

        Args:
            remaining_s: Until the deadline of the call; None = it has none.
            most_s: Longest wait for a thread; the mean work of a call counts if it is longer.

        Raises:
            Overloaded: It would wait longer than that, or be answered after its deadline.
        """
        if not self._idle.locked():
            return
        wait = (self._waiting + 1) * self._mean_s / self._threads
        most = max(most_s, self._mean_s)
        if remaining_s is not None:
            most = min(most, remaining_s - self._mean_s)
        if wait > most:
            raise Overloaded(
                f"The call would wait {wait:.3f} s for a thread",
                f"at most {max(most, 0.0):.3f} s",
                f"Try again in {wait:.2f} s",
                retry_after_s=wait,
            )

    async def work(
        self, work: Callable[[Any], T], request: Message | None, remaining_s: float | None = None
    ) -> T:
        """Do the work in a thread, when one is idle.

        Raises:
            DeadlineExceeded: That is after the deadline of the call.
        """
        asked = time.monotonic()
        # Wait here and not in the executor's queue, so that an abandoned call releases its request.
        self._waiting += 1
        try:
            await self._idle.acquire()
        finally:
            self._waiting -= 1
        begun = time.monotonic()
        if remaining_s is not None and begun - asked >= remaining_s:
            self._idle.release()
            raise DeadlineExceeded("The deadline of the call has passed", "time left", "Allow more time")
        future = self._executor.submit(work, request)
        try:
            return await asyncio.wrap_future(future)
        finally:
            if future.done():
                self._idle.release()
                self._mean_s += _WEIGHT * (time.monotonic() - begun - self._mean_s)
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


def _parser(kind: type[Message]) -> Callable[[bytes], Message | InputError]:
    # An exception in a deserialiser would become a bare INTERNAL, so the error is returned.
    def parse(data: bytes) -> Message | InputError:
        try:
            message = kind.FromString(data)
            wire.check_strings(message)
        except InputError as error:
            return error
        except DecodeError:
            name = kind.DESCRIPTOR.full_name
            return MessageError(
                f"The request is {len(data)} bytes that cannot be parsed",
                f"a {name}",
                "Use the messages of protos/gaitid/v1",
            )
        return message

    return parse


def _gallery(request: Message) -> str:
    """The gallery that a request names; empty if it names none."""
    return getattr(request, "gallery", "")


def _valid(request: Message | InputError) -> Message:
    if isinstance(request, InputError):
        raise request
    return request


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
