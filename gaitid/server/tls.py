"""Certificates of the server: checked when they are read, read again when their files change."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from gaitid.errors import ConfigError, Unauthenticated

_log = logging.getLogger(__name__)
Stamp = tuple[tuple[int, int, int], ...]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of a server.

    Attributes:
        certificate: Chain of the server's certificate, its own first.
        key: Its private key.
        client_ca: Authorities of client certificates; None = clients need none.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def paths(self) -> tuple[Path, ...]:
        """All files."""
        return tuple(path for path in (self.certificate, self.key, self.client_ca) if path)

    def load(self) -> tuple[bytes, bytes, bytes | None]:
        """Read and check the files; return key, chain and authorities.

        Raises:
            ConfigError: A file cannot be read or is no PEM of its kind, the key is of another certificate, or
                a certificate has expired.
        """
        chain, authorities = _certificates(self.certificate), self.client_ca and _certificates(self.client_ca)
        key = _read(self.key)
        try:
            own = serialization.load_pem_private_key(key, None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise _wrong(self.key, str(error), "a private key without password, PEM") from error
        if own.public_key() != chain[0].public_key():
            raise _wrong(self.key, f"is not the key of {self.certificate}", "the key of this certificate")
        for path, found in ((self.certificate, chain[0]), *((self.client_ca, a) for a in authorities or ())):
            if found.not_valid_after_utc.timestamp() < time.time():
                raise _wrong(path, f"expired on {found.not_valid_after_utc:%Y-%m-%d}", "a valid certificate")
        return key, _read(self.certificate), _read(self.client_ca) if self.client_ca else None


class _Reread(Generic[T]):
    """What files contain, read again when one of them changes; if that fails, the last content stays."""

    def __init__(self, paths: Sequence[Path], read: Callable[[], T]) -> None:
        self._paths, self._read = tuple(paths), read
        self._stamp, self.content = _stamp(self._paths), read()

    def changed(self) -> bool:
        """Whether there is new content."""
        try:
            stamp = _stamp(self._paths)
            if stamp == self._stamp:
                return False
            self._stamp = stamp
            self.content = self._read()
        except (ConfigError, OSError) as error:
            _log.error("certificates stay as they were: %s", error)
            return False
        _log.info("certificates were read again")
        return True


def credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Credentials that follow the files: a new connection gets the certificate that is there then.

    Raises:
        ConfigError: See `TlsFiles.load`.
    """

    def configuration() -> grpc.ServerCertificateConfiguration:
        key, chain, authorities = files.load()
        return grpc.ssl_server_certificate_configuration([(key, chain)], authorities)

    held = _Reread(files.paths(), configuration)
    return grpc.dynamic_ssl_server_credentials(
        held.content,
        lambda: held.content if held.changed() else None,  # type: ignore[arg-type, return-value]
        require_client_authentication=files.client_ca is not None,
    )


class Revocations:
    """A list of revoked certificates (RFC 5280, sec. 5) of the authority of client certificates.

    Args:
        path: The list, PEM or DER.
        client_ca: The authorities, one of which must have signed it.

    Raises:
        ConfigError: The list cannot be read, or another authority signed it.
    """

    def __init__(self, path: Path, client_ca: Path) -> None:
        def serials() -> frozenset[int]:
            revoked = _revocation_list(path)
            if not any(_signed(revoked, authority) for authority in _certificates(client_ca)):
                raise _wrong(path, f"is not signed by {client_ca}", "a list of this authority")
            return frozenset(one.serial_number for one in revoked)

        self._held = _Reread((path, client_ca), serials)

    def check(self, identity: Mapping[str, Sequence[bytes]]) -> None:
        """Return if the certificate of a call is not revoked.

        Args:
            identity: Authentication context of the call.

        Raises:
            Unauthenticated: It is.
        """
        self._held.changed()
        for pem in identity.get("x509_pem_cert", ()):
            serial = x509.load_pem_x509_certificate(pem).serial_number
            if serial in self._held.content:
                raise Unauthenticated(
                    f"Certificate {serial:x} is revoked", "a valid certificate", "Ask the site for a new one"
                )


def _signed(revoked: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    key = authority.public_key()
    return revoked.issuer == authority.subject and revoked.is_signature_valid(key)  # type: ignore[arg-type]


def _revocation_list(path: Path) -> x509.CertificateRevocationList:
    content = _read(path)
    try:
        is_pem = content.lstrip().startswith(b"-----")
        return (x509.load_pem_x509_crl if is_pem else x509.load_der_x509_crl)(content)
    except ValueError as error:
        raise _wrong(path, str(error), "a list of revoked certificates") from error


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(path))
    except ValueError as error:
        raise _wrong(path, str(error), "certificates, PEM") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"File {path} cannot be read ({error})", "a PEM file", "Check the path") from error


def _stamp(paths: Sequence[Path]) -> Stamp:
    stats = [path.stat() for path in paths if path.exists()]
    return tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in stats)


def _wrong(path: Path | None, got: str, expected: str) -> ConfigError:
    return ConfigError(f"File {path}: {got}", expected, "Check the TLS files of server.toml")
