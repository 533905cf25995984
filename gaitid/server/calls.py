"""Runs blocking rpcs behind grpc.aio: bounded, cancellable, and every fault a typed status."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError, Message

from gaitid import wire
from gaitid.caller import Caller, calling
from gaitid.errors import GaitIdError, InternalError, MessageError, Overloaded, ServerUnreachable

_log = logging.getLogger(__name__)
_DETAILS = "grpc-status-details-bin"
_CODES = {code.name: code for code in grpc.StatusCode}


class Calls:
    """Wraps blocking functions into handlers of a grpc.aio server.

    Args:
        workers: Threads that do the work.
        max_concurrent: Calls in work or waiting for a thread; more are told to come back.
    """

    def __init__(self, workers: int, max_concurrent: int) -> None:
        self._executor = ThreadPoolExecutor(workers, "gaitid-call")
        self._idle = asyncio.Semaphore(workers)  # threads without work
        self._limit = max_concurrent
        self._running = 0
        self._is_stopping = False

    def handlers(self, module: Any, service: object) -> list[grpc.GenericRpcHandler]:
        """Handlers of all services of a generated module; `service` has one method for each rpc."""
        return [
            grpc.method_handlers_generic_handler(
                descriptor.full_name,
                {
                    method.name: self.handler(
                        getattr(service, method.name), getattr(module, method.input_type.name)
                    )
                    for method in descriptor.methods
                },
            )
            for descriptor in module.DESCRIPTOR.services_by_name.values()
        ]

    def handler(self, work: Callable[[Any], Message], kind: type[Message]) -> grpc.RpcMethodHandler[Any, Any]:
        """The handler that answers requests of `kind` by `work`, in a thread of the pool.

        A call that is cancelled or expires while it waits for a thread is never begun.
        """

        def parse(data: bytes) -> Message | MessageError:
            try:
                return kind.FromString(data)
            except DecodeError:
                name = kind.DESCRIPTOR.full_name
                return MessageError(f"{len(data)} bytes", f"a {name}", "use the messages of protos/gaitid/v1")

        async def answer(request: Message | MessageError, context: Any) -> Message:
            if isinstance(request, MessageError):
                await _abort(context, request)
            if self._is_stopping:
                await _abort(context, _stopping())
            if self._running >= self._limit:
                await _abort(context, self._overloaded())
            self._running += 1
            try:
                return await self._work(_as(_caller(context), work), request)
            except GaitIdError as error:
                await _abort(context, error)
            except Exception as error:
                await _abort(context, _unforeseen(error, kind))
            finally:
                self._running -= 1

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=parse,
            response_serializer=_serialized,
        )

    async def _work(self, work: Callable[[Any], Message], request: Message) -> Message:
        # Waiting here and not in the executor's queue: a call that is given up lets its request go.
        await self._idle.acquire()
        future = self._executor.submit(work, request)
        try:
            return await asyncio.wrap_future(future)
        finally:
            if future.done():
                self._idle.release()
            else:  # given up, but its thread is busy until the work is done
                loop = asyncio.get_running_loop()
                future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._idle.release))

    async def drain(self, grace_s: float) -> None:
        """Refuse new calls; return when those in work or waiting are done, or `grace_s` is over."""
        self._is_stopping = True
        deadline = time.monotonic() + grace_s
        while self._running and time.monotonic() < deadline:
            await asyncio.sleep(0.02)

    def close(self) -> None:
        """Wait for the work that has begun."""
        self._executor.shutdown(wait=True)

    def _overloaded(self) -> Overloaded:
        return Overloaded(
            f"server has {self._running} calls in work",
            f"fewer than {self._limit}",
            f"try again in {wire.RETRY_AFTER_S} s",
        )


def _caller(context: Any) -> Caller:
    """Who calls: the common name of a verified certificate, else its first other name, else nobody."""
    identity = context.auth_context()
    names = (*identity.get("x509_common_name", ()), *identity.get("x509_subject_alternative_name", ()))
    actor = names[0].decode(errors="replace") if names else "anonymous"
    purpose = dict(context.invocation_metadata() or ()).get(wire.PURPOSE, "")
    return Caller(actor, wire.unpack_purpose(purpose))


def _as(caller: Caller, work: Callable[[Any], Message]) -> Callable[[Any], Message]:
    """`work` done for a caller."""

    def act(request: Any) -> Message:
        with calling(caller.purpose, actor=caller.actor):
            return work(request)

    return act


def _stopping() -> ServerUnreachable:
    return ServerUnreachable("server is stopping", "a running one", "try again when it is back")


def _serialized(message: Message) -> bytes:
    return message.SerializeToString()


async def _abort(context: Any, error: GaitIdError) -> NoReturn:
    status = wire.pack_error(error)
    await context.abort(_CODES[error.status], status.message, ((_DETAILS, status.SerializeToString()),))
    raise AssertionError("abort returned")  # pragma: no cover - abort always raises


def _unforeseen(error: Exception, kind: type[Message]) -> InternalError:
    # The text of an exception may hold vectors or names, so type and place must do.
    incident = secrets.token_hex(6)
    place = " < ".join(
        f"{frame.filename}:{frame.lineno}" for frame in reversed(traceback.extract_tb(error.__traceback__))
    )
    _log.error("incident %s: %s on %s at %s", incident, type(error).__name__, kind.DESCRIPTOR.name, place)
    return InternalError(f"server failed (incident {incident})", "", "find the incident in the server's log")
