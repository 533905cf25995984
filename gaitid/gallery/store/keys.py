"""Encryption keys for templates on disk: AES-256-GCM with a separate key for each subject.

    key-encryption key (a file, the environment, a KMS; never in the data directory)
      wraps   the data key of each subject (random, 256 bits)
      seals   the subject's templates

Both steps authenticate the subject, gallery and contract they belong to, so a sealed template or key that is
moved to another row does not open. A key that is wrapped as final states, authenticated, that nothing else in
the database is plain (`sealing`). Nonces are random, 96 bits. A data key seals a few templates and a
key-encryption key some millions of data keys, far below the 2^32 that NIST SP 800-38D (sec. 8.3) allows. The
data key of a subject is deleted with the subject.

Key text has one line per key, ``NAME BASE64-OF-32-BYTES``; the last key is in use. ``#`` begins a comment.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gaitid.errors import ConfigError, KeyMissing, StoreCorrupt
from gaitid.gallery.store.sealing import FINAL, WRAPPED
from gaitid.records import check_name

ENVIRONMENT = "GAITID_KEYS"
"""Environment variable that holds key text."""

_KEY, _NONCE = 32, 12


class DataKey:
    """The key of one subject.

    Args:
        key: 32 bytes.
        bound: What its templates belong to; authenticated, not stored.
    """

    def __init__(self, key: bytes, bound: bytes) -> None:
        self._cipher = AESGCM(key)
        self._bound = b"template\0" + bound

    def seal(self, plain: bytes) -> bytes:
        """Encrypt; return nonce, ciphertext and tag."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher.encrypt(nonce, plain, self._bound)

    def unseal(self, sealed: bytes) -> bytes:
        """Decrypt.

        Raises:
            StoreCorrupt: The data were changed, or belong to another subject, gallery or contract.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], self._bound)
        except (InvalidTag, ValueError) as error:
            raise StoreCorrupt(
                "A sealed template does not open: it was changed or moved",
                "a template sealed for its subject",
                "Restore a backup",
            ) from error


class KeyRing:
    """Key-encryption keys by name; the last one wraps new data keys.

    Args:
        load: Returns all keys, 32 bytes each, the one in use last; called now and by each `reload`.

    Raises:
        ConfigError: There is no key, or one is malformed.
    """

    def __init__(self, load: Callable[[], Mapping[str, bytes]]) -> None:
        self._load = load
        self.reload()

    def reload(self) -> None:
        """Read the keys again, as a rotation does.

        Raises:
            ConfigError: See `KeyRing`; the keys stay as they were.
        """
        keys = dict(self._load())
        if not keys:
            raise ConfigError("The key text has no key", "at least one", "Run 'gaitid keys create'")
        for name, key in keys.items():
            check_name(name, "key")
            if len(key) != _KEY:
                raise ConfigError(
                    f"Key {name!r} has {len(key)} bytes", f"{_KEY} bytes", "Run 'gaitid keys create'"
                )
        # Swapped at once: other threads wrap meanwhile.
        self._keys = keys, next(reversed(keys))

    @property
    def current(self) -> str:
        """Name of the key in use."""
        return self._keys[1]

    def new(self, bound: bytes, stage: bytes = FINAL) -> tuple[DataKey, str, bytes]:
        """Make a data key; return it, the name of the wrapping key, and it wrapped at a stage of sealing."""
        key, name, wrapped = self.new_secret(bound, stage)
        return DataKey(key, bound), name, wrapped

    def open(self, name: str, wrapped: bytes, bound: bytes) -> DataKey:
        """Unwrap a data key.

        Raises:
            KeyMissing: No key has that name, or it does not unwrap the data key.
        """
        return DataKey(self.open_secret(name, wrapped, bound), bound)

    def new_secret(self, bound: bytes, stage: bytes = FINAL) -> tuple[bytes, str, bytes]:
        """Make 32 random bytes; return them, the name of the wrapping key, and them wrapped; see `new`."""
        secret = secrets.token_bytes(_KEY)
        return secret, *self._wrap(secret, bound, stage)

    def open_secret(self, name: str, wrapped: bytes, bound: bytes) -> bytes:
        """Unwrap a secret; see `open`."""
        return self._unwrap(name, wrapped, bound)

    def rewrap(self, name: str, wrapped: bytes, bound: bytes, stage: bytes = FINAL) -> tuple[str, bytes]:
        """Wrap a data key or secret again by the key in use; return that key's name and the wrapped bytes."""
        return self._wrap(self._unwrap(name, wrapped, bound), bound, stage)

    def _wrap(self, key: bytes, bound: bytes, stage: bytes) -> tuple[str, bytes]:
        keys, name = self._keys
        nonce = secrets.token_bytes(_NONCE)
        return name, stage + nonce + AESGCM(keys[name]).encrypt(nonce, key, b"key\0" + stage + bound)

    def _unwrap(self, name: str, wrapped: bytes, bound: bytes) -> bytes:
        keys, _ = self._keys
        if name not in keys:
            raise KeyMissing(
                f"Templates are sealed under key {name!r}, and the key text has {', '.join(keys)}",
                f"key {name!r} in the key text",
                "Add its line above the key in use",
            )
        try:
            stage, body = wrapped[:-WRAPPED], wrapped[-WRAPPED:]
            return AESGCM(keys[name]).decrypt(body[:_NONCE], body[_NONCE:], b"key\0" + stage + bound)
        except (InvalidTag, ValueError, TypeError) as error:  # TypeError: there is no data key
            raise KeyMissing(
                f"Key {name!r} does not open a data key",
                "the key that wrapped it, and an unchanged row",
                "Pass the right key, or restore a backup if it is right",
            ) from error


def ring_from_file(path: Path) -> KeyRing:
    """Load the keys of a file of key text.

    Raises:
        ConfigError: The file cannot be read, other users may read it, or a line is malformed.
    """

    def load() -> Mapping[str, bytes]:
        try:
            mode, text = path.stat().st_mode, path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"Key file {path} cannot be read ({error})",
                "a readable file of key text",
                "Correct the path or its permissions",
            ) from error
        if mode & (stat.S_IROTH | stat.S_IWOTH):
            raise ConfigError(f"Key file {path} is open to all users", "mode 600", f"Run 'chmod 600 {path}'")
        return parse(text)

    return KeyRing(load)


def ring_from_environment() -> KeyRing:
    """Load the keys from the environment variable `ENVIRONMENT`.

    Raises:
        ConfigError: It is not set, or a line is malformed.
    """
    return KeyRing(lambda: parse(os.environ.get(ENVIRONMENT, "")))


def parse(text: str) -> dict[str, bytes]:
    """Parse key text.

    Raises:
        ConfigError: A line is malformed, or a name occurs twice.
    """
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        try:
            name, key = words[0], base64.b64decode(words[1], validate=True)
        except (IndexError, binascii.Error):
            name, key = "", b""
        if len(words) != 2 or not name or name in keys:  # never show the line: it may hold a key
            raise ConfigError(
                f"Line {number} of the key text is malformed",
                "NAME BASE64-OF-32-BYTES, each name once",
                "Correct that line, or make a new key with 'gaitid keys create'",
            )
        keys[name] = key
    return keys


def append_key(path: Path, name: str) -> None:
    """Add a new random key to a key file, which is made when it does not exist (mode 600).

    Raises:
        ConfigError: The file cannot be written or read, or already has a key of that name.
        InputError: The name is malformed.
    """
    check_name(name, "key")
    line = f"{name} {base64.b64encode(secrets.token_bytes(_KEY)).decode()}\n"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+") as file:
            text = file.read()
            if name in parse(text):
                raise ConfigError(
                    f"Key file {path} already has a key {name!r}", "a new name", "Choose another name"
                )
            file.write(line if not text or text.endswith("\n") else "\n" + line)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"Key file {path} cannot be written ({error})",
            "a writable file",
            "Correct the path or its permissions",
        ) from error
