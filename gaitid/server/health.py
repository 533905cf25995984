"""The service `grpc.health.v1.Health`, beside the limits of all other calls.

A watcher that does not read its answers holds up nobody: every watcher waits for the next change by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Any

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from gaitid.errors import DeadlineExceeded, MessageError
from gaitid.server.admission import ARRIVAL_S, first

MAX_WATCHES = 4096
"""Largest number of open `Watch` calls, about 20 KB each; checks are always answered."""

_SERVING, _NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING
_UNKNOWN = HealthCheckResponse.SERVICE_UNKNOWN


class Health:
    """Status of the server and of its services; used on the event loop only.

    Args:
        services: Full names of the services; the empty name is the server. All are SERVING at first.
    """

    def __init__(self, services: Iterable[str]) -> None:
        self._status: dict[str, Any] = dict.fromkeys(services, _SERVING)
        self._changed = asyncio.Event()
        self._watches = 0
        self._is_stopping = False

    def set(self, service: str, *, is_serving: bool) -> None:
        """Change the status of a service, and tell its watchers."""
        status = _SERVING if is_serving and not self._is_stopping else _NOT_SERVING
        if self._status[service] != status:
            self._status[service] = status
            self._changed.set()  # wakes those who wait for this event; later ones wait for the next
            self._changed = asyncio.Event()

    def stop(self) -> None:
        """Report NOT_SERVING for everything, from now on."""
        self._is_stopping = True
        for service in self._status:
            self.set(service, is_serving=False)

    def handlers(self) -> grpc.GenericRpcHandler:
        """Handlers of the rpcs, for ``add_generic_rpc_handlers``.

        They are streamed on the server's side, so that a call whose message never arrives ends.
        """
        read, write = HealthCheckRequest.FromString, HealthCheckResponse.SerializeToString
        return grpc.method_handlers_generic_handler(
            "grpc.health.v1.Health",
            {
                "Check": grpc.stream_unary_rpc_method_handler(self._check, read, write),
                "Watch": grpc.stream_stream_rpc_method_handler(self._watch, read, write),
            },
        )

    async def _check(self, requests: AsyncIterator[HealthCheckRequest], context: Any) -> HealthCheckResponse:
        status = self._status.get((await _request(requests, context)).service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "No such service")
        return HealthCheckResponse(status=status)

    async def _watch(self, requests: AsyncIterator[HealthCheckRequest], context: Any) -> None:
        if self._watches >= MAX_WATCHES:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{self._watches} watches are open")
        self._watches += 1
        try:
            await self._report((await _request(requests, context)).service, context)
        finally:
            self._watches -= 1

    async def _report(self, service: str, context: Any) -> None:
        last = None
        while True:
            changed, status = self._changed, self._status.get(service, _UNKNOWN)
            if status != last:
                with suppress(asyncio.TimeoutError):  # of a watcher that does not read
                    await asyncio.wait_for(context.write(HealthCheckResponse(status=status)), ARRIVAL_S)
                    last = status
                    continue
                return
            await changed.wait()


async def _request(requests: AsyncIterator[HealthCheckRequest], context: Any) -> HealthCheckRequest:
    try:
        return await first(requests)
    except (DeadlineExceeded, MessageError) as error:
        await context.abort(getattr(grpc.StatusCode, error.status), str(error))
        raise AssertionError("abort returned") from error  # pragma: no cover - abort always raises
