"""Connections to a server: channels with and without TLS, and what a failed call means."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import grpc

from gaitid import wire
from gaitid.errors import (
    ConfigError,
    DeadlineExceeded,
    GaitIdError,
    InternalError,
    Overloaded,
    PermissionDenied,
    ServerUnreachable,
    Unauthenticated,
)
from gaitid.settings import is_loopback, split_address


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates of a TLS connection.

    Attributes:
        ca: PEM file of the authority that signed the server's certificate; None = the system's authorities.
        certificate: PEM file of the client's certificate, if the server requires one; needs `key`.
        key: PEM file of the client's private key.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ConfigError(
                "Only one of certificate and key is set", "both or neither", "Set the other one"
            )


def check_token(token: str, address: str, tls: Tls | None) -> None:
    """Return if a token may be sent to an address.

    Raises:
        ConfigError: The address is malformed, the token cannot be sent in a header, or others could read it.
    """
    host, _ = split_address(address)
    if not (token.isascii() and (token.isprintable() or not token)) or " " in token:
        raise ConfigError(
            f"The token has {len(token)} characters that are not all printable",
            "a token of 'gaitid token create'",
            "Pass it without spaces and line ends",
        )
    if token and tls is None and not is_loopback(host):
        raise ConfigError(
            f"The token would be sent to {address} in the clear", "a connection with TLS", "Pass tls"
        )


def open_channel(address: str, tls: Tls | None, max_message_bytes: int) -> grpc.Channel:
    """Open a channel to a server; nothing is sent yet.

    Args:
        address: ``host:port``.
        tls: Certificates; None = without TLS.
        max_message_bytes: Largest request and answer, bytes.

    Raises:
        ConfigError: A TLS file cannot be read.
    """
    options = [
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.max_metadata_size", 32768),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 5000),
        ("grpc.enable_retries", 0),
    ]
    if tls is None:
        return grpc.insecure_channel(address, options)
    credentials = grpc.ssl_channel_credentials(_read(tls.ca), _read(tls.key), _read(tls.certificate))
    return grpc.secure_channel(address, credentials, options)


def _read(path: Path | None) -> bytes | None:
    try:
        return None if path is None else path.read_bytes()
    except OSError as error:
        raise ConfigError(f"File {path} cannot be read ({error})", "a PEM file", "Check the path") from error


def transport_error(code: grpc.StatusCode, text: str, timeout_s: float) -> GaitIdError:
    """Error for the gRPC status of a call that no server answered with details of its own."""
    match code:
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:  # a server that stops cancels calls
            return ServerUnreachable(
                f"No server answers at {text}",
                "a gaitid server",
                "Check the address and TLS, and that `gaitid serve` runs",
            )
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlineExceeded(
                f"No answer came from {text}",
                f"an answer within {timeout_s:g} s",
                "Try again, or raise the time limit of the matcher",
            )
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return Overloaded(
                f"The server is full: {text}", "a server with room", f"Try again in {wire.RETRY_AFTER_S} s"
            )
        case grpc.StatusCode.PERMISSION_DENIED:
            return PermissionDenied(
                f"Access was denied: {text}", "a caller with permission", "Ask the owner of the server"
            )
        case grpc.StatusCode.UNAUTHENTICATED:
            return Unauthenticated(
                f"The caller is unknown: {text}",
                "a known caller",
                "Pass tls with a certificate, or a token",
            )
    return InternalError(
        f"The call failed with {code.name}: {text}", "the answer of a gaitid server", "Check the address"
    )
