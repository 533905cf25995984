"""A small certificate authority for development and for sites without one: a folder of PEM files.

    ca.pem ca.key        the authority
    NAME.pem NAME.key    a server or a node
    crl.pem              revoked certificates

Keys are of the curve P-256. The owner of ``ca.key`` can make any certificate: keep the folder off the server.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gaitid.errors import ConfigError
from gaitid.records import check_name

CA, CRL = "ca", "crl.pem"
CA_DAYS, CERTIFICATE_DAYS = 3650, 397
"""Validity of the authority and its list, and of a certificate unless another is asked for."""


def create_authority(folder: Path) -> None:
    """Create an authority and its empty list of revoked certificates.

    Raises:
        ConfigError: The folder has an authority, or cannot be written.
    """
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gaitid authority")])
    key = ec.generate_private_key(ec.SECP256R1())
    usage = _usage(certificates=True)
    built = (
        _builder(name, name, key.public_key(), CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder, CA, key, built.sign(key, hashes.SHA256()))
    _write_list(folder, [])


def issue(folder: Path, name: str, hosts: Sequence[str] = (), days: float = CERTIFICATE_DAYS) -> Path:
    """Issue a certificate for a server or a node.

    Args:
        folder: Folder of the authority.
        name: Common name and name of the files.
        hosts: Host names and addresses of a server; a node needs none.
        days: Validity.

    Returns:
        The certificate's file.

    Raises:
        InputError: The name cannot be the name of a file.
        ConfigError: The folder has no authority, has a certificate of this name, or cannot be written.
    """
    check_name(name, "name")
    authority, signer = _authority(folder)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if hosts else [])]
    built = (
        _builder(subject, authority.subject, key.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()),  # type: ignore[arg-type]
            critical=False,
        )
        .add_extension(x509.SubjectAlternativeName([_host(one) for one in hosts or [name]]), critical=False)
    )
    return _write(folder, name, key, built.sign(signer, hashes.SHA256()))


def revoke(folder: Path, name: str) -> Path:
    """Add a certificate to the list of revoked ones; return the list's file.

    Raises:
        InputError: The name cannot be the name of a file.
        ConfigError: The folder has no authority or no such certificate.
    """
    check_name(name, "name")
    certificate = _load(folder / f"{name}.pem")
    revoked = x509.load_pem_x509_crl((folder / CRL).read_bytes())
    now = datetime.datetime.now(datetime.timezone.utc)
    one = x509.RevokedCertificateBuilder(certificate.serial_number, now).build()
    return _write_list(folder, [*revoked, one])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: float
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))  # clocks of nodes differ
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=certificates, crl_sign=certificates, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _authority(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    certificate = _load(folder / f"{CA}.pem")
    key = serialization.load_pem_private_key((folder / f"{CA}.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101 - `create_authority` makes no other
    return certificate, key


def _load(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"Certificate {path} cannot be read ({error})",
            "a file of 'gaitid pki'",
            "Check the folder and the name, or run 'gaitid pki init' first",
        ) from error


def _write(folder: Path, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> Path:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / f"{name}.pem"
    try:
        handle = os.open(folder / f"{name}.key", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(private)
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    except OSError as error:
        raise ConfigError(
            f"Certificate {path} cannot be written ({error})",
            "a folder without such a certificate",
            "Choose another name, or move the old files away",
        ) from error
    return path


def _write_list(folder: Path, revoked: Sequence[x509.RevokedCertificate]) -> Path:
    authority, key = _authority(folder)
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.subject)
        .last_update(now)
        .next_update(now + datetime.timedelta(days=CA_DAYS))
    )
    for one in revoked:
        builder = builder.add_revoked_certificate(one)
    path = folder / CRL
    partial = folder / f"{CRL}.part"
    partial.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return partial.replace(path)
