"""Builds a running server from a matcher, services, limits and TLS."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

import grpc
import grpc.aio

from gaitid import blas, wire
from gaitid.caller import Caller, calling
from gaitid.encoders.base import load_encoder
from gaitid.errors import ConfigError, GaitIdError
from gaitid.gallery.index.engine import EngineSettings
from gaitid.local import LocalMatcher, find_keys
from gaitid.matcher import Matcher
from gaitid.records import QualityPolicy
from gaitid.server.access import Access, AccessRule
from gaitid.server.admission import CONNECTION_CALLS
from gaitid.server.calls import Calls
from gaitid.server.health import Health
from gaitid.server.refusals import Refusals
from gaitid.server.replay import Answers
from gaitid.server.service import SERVICES, Service
from gaitid.server.tokens import TokenFile
from gaitid.settings import is_loopback, split_address

_log = logging.getLogger(__name__)
EXPIRY_S = 60.0
"""How often expired subjects are erased, seconds; changes of a gallery erase its own, too."""
_REPORT_S = 1.0
"""How often health follows the disk, seconds."""
CHANGING = tuple(f"gaitid.v1.{name}Service" for name in ("Gallery", "Subject", "Camera"))
"""Services that are not serving while every change is refused; searches go on."""
_LAST_BYTES_S = 1.0
"""Longest time to send the remaining answers after the work is done, seconds."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The keys of ``server.toml``.

    Attributes:
        address: ``host:port`` to listen on; port 0 = any free port.
        data: Data directory of the galleries.
        encoder: Name of the encoder.
        index: Name of the index, or of the engine that stores it.
        key_file: Keys that encrypt the templates on disk; None = the keys in the environment variable
            GAITID_KEYS, or no encryption if it is not set.
        mark_file: File that detects a data directory that was replaced by an older copy; keep it on
            another disk. None = no such check.
        backup_dir: Folder into which `CreateBackup` writes; None = backups are refused.
        audit_within_s: Longest delay of a search's entry in the audit trail, seconds, at most 60;
            0 = written before the answer.
        max_message_bytes: Largest request and answer, bytes. Open calls take at most 4 times
            `max_concurrent` times as much memory.
        workers: Number of threads that embed and search; streamed requests share one more.
        max_concurrent: Largest number of calls in progress or waiting; others are refused as `Overloaded`.
        max_per_peer: Largest number of open calls of one certificate, or of one address without certificate.
        max_per_connection: Largest number of open calls on one connection.
        max_wait_s: Longest expected wait for a thread, seconds, or one call's work if that is longer.
        tls_certificate: PEM file of the server's certificate chain; enables TLS together with `tls_key`.
        tls_key: PEM file of its private key.
        tls_client_ca: PEM file of the authority of client certificates; if set, clients need one.
        tls_revoked: List of revoked client certificates, PEM or DER. All TLS files are read again when they
            change.
        access: What callers with client certificates may do.
        token_file: File of 'gaitid token create' with the tokens that are accepted; needs TLS, or an address
            of this machine.
        insecure: Allow other hosts to connect without TLS.
        shutdown_grace_s: How long calls may take to finish after SIGTERM, seconds.
        quality: Smallest quality of a sequence that is searched or enrolled.
        engine: Address and search settings of an engine.
    """

    address: str = "127.0.0.1:7443"
    data: Path = Path("gaitid-data")
    encoder: str = "strider"
    index: str = "faiss"
    key_file: Path | None = None
    mark_file: Path | None = None
    backup_dir: Path | None = None
    audit_within_s: float = 1.0
    max_message_bytes: int = wire.MAX_MESSAGE_BYTES
    workers: int = 2
    max_concurrent: int = 64
    max_per_peer: int = 64
    max_per_connection: int = 32
    max_wait_s: float = 0.05
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    tls_revoked: Path | None = None
    access: tuple[AccessRule, ...] = ()
    token_file: Path | None = None
    insecure: bool = False
    shutdown_grace_s: float = 10.0
    quality: QualityPolicy = field(default_factory=QualityPolicy)
    engine: EngineSettings = field(default_factory=EngineSettings)

    def __post_init__(self) -> None:
        is_local = is_loopback(split_address(self.address)[0])
        for key in ("max_message_bytes", "workers", "max_concurrent", "max_per_peer", "max_per_connection"):
            if getattr(self, key) < 1:
                raise ConfigError(
                    f"Setting {key} is {getattr(self, key)}", "1 or more", "Set it to 1 or more"
                )
        if not 0 <= self.shutdown_grace_s < float("inf"):
            raise ConfigError(
                f"Setting shutdown_grace_s is {self.shutdown_grace_s}", "0 or more seconds", "Set it to 10"
            )
        if not self.max_wait_s >= 0:
            raise ConfigError(
                f"Setting max_wait_s is {self.max_wait_s}", "0 or more seconds", "Set it to 0.05"
            )
        if not 0 <= self.audit_within_s <= 60:
            raise ConfigError(
                f"Setting audit_within_s is {self.audit_within_s}", "0 to 60 seconds", "Set it to 1"
            )
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ConfigError(
                "Only one of tls_certificate and tls_key is set", "both or neither", "Set the other one"
            )
        for key, needed in (
            ("tls_client_ca", "tls_certificate"),
            ("tls_revoked", "tls_client_ca"),
            ("access", "tls_client_ca"),
        ):
            if getattr(self, key) and not getattr(self, needed):
                raise ConfigError(f"Setting {key} is set without {needed}", "both", f"Set {needed}")
        if not (self.tls_certificate or self.insecure or is_local):
            raise ConfigError(
                f"Address {self.address} is open to other hosts without TLS",
                "tls_certificate and tls_key",
                "Set them, listen on 127.0.0.1, or set insecure = true",
            )
        self._check_access(is_local=is_local)

    def _check_access(self, *, is_local: bool) -> None:
        if self.token_file and not (self.tls_certificate or is_local):
            raise ConfigError(
                f"Tokens would be sent to {self.address} in the clear",
                "tls_certificate and tls_key",
                "Set them, or listen on 127.0.0.1",
            )
        if self.tls_client_ca and not (self.access or self.token_file):
            raise ConfigError(
                "No [[access]] table says what client certificates may do",
                "at least one, or a token_file",
                'Write one; certificate = "*" and role = "admin" let every certificate do everything',
            )
        if self.tls_certificate and not (self.tls_client_ca or self.token_file or is_local):
            raise ConfigError(
                f"Address {self.address} is open to strangers: they need neither certificate nor token",
                "tls_client_ca or token_file",
                "Set one of them",
            )

    @property
    def is_open(self) -> bool:
        """Whether callers without certificate and token may do everything."""
        return not (self.tls_client_ca or self.token_file)


class Served(Matcher, Protocol):
    """A matcher that a server can serve: it also erases expired subjects and records refused calls."""

    @property
    def answers(self) -> Answers | None:
        """See `LocalMatcher.answers`; None = retries are safe until a restart only."""
        ...

    def expire(self) -> None:
        """See `LocalMatcher.expire`."""
        ...

    def accepts_changes(self) -> bool:
        """See `LocalMatcher.accepts_changes`."""
        ...

    def record_refusal(self, detail: str, count: int) -> None:
        """See `LocalMatcher.record_refusal`."""
        ...


@asynccontextmanager
async def start(settings: ServerSettings, matcher: Served | None = None) -> AsyncIterator[str]:
    """Serve until the context ends; yields the bound address (``host:port``).

    At the end new calls are refused, calls in progress may finish within `shutdown_grace_s`, and the
    galleries are closed.

    Args:
        settings: Settings of the server.
        matcher: Matcher to serve, closed at the end; None opens the galleries of `settings.data`.

    Raises:
        ConfigError: The address cannot be bound, or a TLS file cannot be read.
        StoreError: The data directory cannot be used.
        UnknownName: The encoder or index is unknown.
    """
    with blas.one_thread():  # the worker threads share the cores
        async with _started(settings, matcher) as address:
            yield address


@asynccontextmanager
async def _started(settings: ServerSettings, matcher: Served | None) -> AsyncIterator[str]:
    secured, access = _credentials(settings), _access(settings)
    matcher = matcher or _open(settings)
    refusals = Refusals(partial(_record_refusal, matcher))
    calls = Calls(
        settings.workers,
        settings.max_concurrent,
        access,
        refusals,
        per_peer=settings.max_per_peer,
        per_connection=settings.max_per_connection,
        max_wait_s=settings.max_wait_s,
    )
    try:
        health = Health(["", *_service_names()])
        server = _server(settings, calls, matcher, health)
        port = _bind(server, settings.address, secured)
        await server.start()
        address = f"{split_address(settings.address)[0]}:{port}"
        _log.info("serving on %s", address)
        expiring = asyncio.create_task(_expire(matcher))
        reporting = asyncio.create_task(_report(matcher, health))
        try:
            yield address
        finally:
            expiring.cancel()
            reporting.cancel()
            health.stop()
            # Drain first: grpc's own stop answers calls that arrive in between with CANCELLED.
            await calls.drain(settings.shutdown_grace_s)
            await server.stop(_LAST_BYTES_S)
    finally:
        calls.close()
        matcher.close()


async def serve(settings: ServerSettings, ready: Callable[[str], None] = lambda address: None) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: Settings of the server.
        ready: Called with the bound address when the server is ready.

    Raises:
        GaitIdError: See `start`.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with start(settings) as address:
        ready(address)
        await stop.wait()
        _log.info("stopping")


@contextmanager
def running(settings: ServerSettings, matcher: Served | None = None) -> Iterator[str]:
    """Serve in a thread of this process; yields the bound address. See `start`."""
    begun: Future[tuple[str, Callable[[], object]]] = Future()

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        async with start(settings, matcher) as address:
            begun.set_result((address, lambda: loop.call_soon_threadsafe(stop.set)))
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            if begun.done():
                raise
            begun.set_exception(error)

    thread = threading.Thread(target=run, name="gaitid-server")
    thread.start()
    try:
        address, stop = begun.result()
    except BaseException:
        thread.join()
        raise
    try:
        yield address
    finally:
        stop()
        thread.join()


async def _expire(matcher: Served) -> None:
    """Erase expired subjects at regular times; a failure is logged and repeated at the next."""
    while True:
        await asyncio.sleep(EXPIRY_S)
        try:
            await asyncio.to_thread(matcher.expire)
        except GaitIdError as error:
            _log.error("expired subjects could not be erased: %s", error.code)


async def _report(matcher: Served, health: Health) -> None:
    """Report the services that change galleries as NOT_SERVING while changes are refused."""
    while True:
        accepts = await asyncio.to_thread(matcher.accepts_changes)
        for service in CHANGING:
            health.set(service, is_serving=accepts)
        await asyncio.sleep(_REPORT_S)


def _open(settings: ServerSettings) -> Served:
    encoder = load_encoder(settings.encoder)
    keys = find_keys(settings.key_file)
    return LocalMatcher(
        encoder,
        settings.data,
        index=settings.index,
        engine=settings.engine,
        keys=keys,
        mark=settings.mark_file,
        backups=settings.backup_dir,
        audit_within_s=settings.audit_within_s,
        policy=settings.quality,
    )


def _server(settings: ServerSettings, calls: Calls, matcher: Served, health: Health) -> grpc.aio.Server:
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", settings.max_message_bytes),
            ("grpc.max_send_message_length", settings.max_message_bytes),
            ("grpc.max_metadata_size", 32768),
            ("grpc.so_reuseport", 0),
            ("grpc.max_concurrent_streams", CONNECTION_CALLS),
            ("grpc.server_handshake_timeout_ms", 10_000),
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ]
    )
    server.add_generic_rpc_handlers((health.handlers(),))
    service = Service(matcher, matcher.answers)
    for module in SERVICES:
        server.add_generic_rpc_handlers(tuple(calls.handlers(module, service)))
    return server


def _service_names() -> list[str]:
    return [name.full_name for module in SERVICES for name in module.DESCRIPTOR.services_by_name.values()]


def _bind(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None) -> int:
    try:
        if credentials is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise ConfigError(
            f"Address {address} cannot be bound", "a free address of this host", "Choose another port"
        ) from error


def _credentials(settings: ServerSettings) -> grpc.ServerCredentials | None:
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    from gaitid.server.tls import TlsFiles, credentials  # 10 MB of certificates' formats

    return credentials(TlsFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_ca))


def _access(settings: ServerSettings) -> Access:
    tokens = TokenFile(settings.token_file) if settings.token_file else None
    if tokens is not None:
        tokens.tokens()  # fail now, not at the first call
    revocations = None
    if settings.tls_revoked and settings.tls_client_ca:
        from gaitid.server.tls import Revocations

        revocations = Revocations(settings.tls_revoked, settings.tls_client_ca)
    if settings.is_open and not is_loopback(split_address(settings.address)[0]):
        _log.warning("everybody who reaches %s may do everything: neither TLS nor tokens", settings.address)
    return Access(settings.access, tokens, revocations, is_open=settings.is_open)


def _record_refusal(matcher: Served, caller: Caller, detail: str, count: int) -> None:
    with calling(caller.purpose, actor=caller.actor):
        matcher.record_refusal(detail, count)
