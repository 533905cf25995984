"""The signing key of a data directory, which signs receipts and audit heads (Ed25519, RFC 8032).

The key is made when it is first needed and stored in the directory (mode 600). The recipient of a receipt
compares its public key with the one that the site has published. A signature alone proves only that all
receipts with that key come from one place.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gaitid.errors import InputError, StoreCorrupt, StoreError
from gaitid.gallery.store import failpoints
from gaitid.gallery.store.database import IDENTITY
from gaitid.gallery.store.schema import force
from gaitid.records import AuditHead, ErasureReceipt

Signed = TypeVar("Signed", ErasureReceipt, AuditHead)

FILE = IDENTITY
"""Name of the key file in the data directory: 32 bytes."""


class Signer(Protocol):
    """The type of `sign`."""

    def __call__(self, document: Signed, directory: Path) -> Signed:
        """See `sign`."""
        ...


def sign(document: Signed, directory: Path) -> Signed:
    """Return a receipt or head with the directory's public key and signature.

    Raises:
        StoreError: The key cannot be created or read.
    """
    key = load(directory / FILE)
    named = replace(document, public_key=key.public_key().public_bytes_raw())
    return replace(named, signature=key.sign(named.statement()))


def check(document: ErasureReceipt | AuditHead) -> None:
    """Return if the receipt or head is signed by the key it names.

    Raises:
        InputError: It is not: a part of it was changed.
    """
    try:
        key = Ed25519PublicKey.from_public_bytes(document.public_key)
        key.verify(document.signature, document.statement())
    except (InvalidSignature, ValueError) as error:
        raise InputError(
            "The signature does not match the document",
            "a document as it was issued",
            "Request it again from the server that issued it",
        ) from error


def load(path: Path) -> Ed25519PrivateKey:
    """Load the key in a file, which is made when it does not exist.

    Raises:
        StoreCorrupt: The file holds something else.
        StoreError: It cannot be created or read.
    """
    try:
        if not path.exists():
            _make(path)
        return Ed25519PrivateKey.from_private_bytes(path.read_bytes())
    except ValueError as error:
        raise StoreCorrupt(
            f"File {path} is not a signing key", "a file of 32 bytes", "Restore it from a backup"
        ) from error
    except OSError as error:
        raise StoreError(
            f"Signing key {path} cannot be used ({error})",
            "a file that this user can read and write",
            "Correct its permissions",
        ) from error


def _make(path: Path) -> None:
    """Write a new key, completely or not at all; keep a key that another thread made first."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.{id(path)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(Ed25519PrivateKey.generate().private_bytes_raw())
            file.flush()
            os.fsync(file.fileno())
        failpoints.reached("before identity link")
        try:
            os.link(fresh, path)
        except FileExistsError:
            return
        failpoints.reached("after identity link")
        force(path.parent)
    finally:
        fresh.unlink()
