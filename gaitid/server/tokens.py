"""Bearer tokens: a file with their hashes, which a running server reads again when it changes.

A token is ``gaitid_ID_SECRET``; the secret has 256 random bits. The file has one JSON object a line: a token
with the SHA-256 of its secret, or the revocation of one. Lines are only appended.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from gaitid.caller import Caller
from gaitid.errors import ConfigError, NotFound, Unauthenticated

_FORM = re.compile(r"gaitid_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Token:
    """What a token grants.

    Attributes:
        id: 12 hexadecimal digits; part of the token, and its name in lists.
        name: Who has it; recorded in the audit trail as ``token:NAME``.
        role: A role of `server.access`.
        galleries: Names or patterns of galleries.
        created_at: Unix seconds.
        expires_at: Unix seconds from which it is refused.
        sha256: SHA-256 of the secret, hexadecimal.
        revoked_at: Unix seconds; 0 = not revoked.
    """

    id: str
    name: str
    role: str
    galleries: tuple[str, ...]
    created_at: float
    expires_at: float
    sha256: str
    revoked_at: float = 0.0

    def state(self, now: float) -> str:
        """``valid``, ``expired`` or ``revoked`` at a time."""
        return "revoked" if self.revoked_at else "expired" if now >= self.expires_at else "valid"


class TokenFile:
    """Tokens in a file; any number of threads may use it.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._tokens: dict[str, Token] = {}

    def tokens(self) -> list[Token]:
        """All tokens, oldest first.

        Raises:
            ConfigError: The file cannot be read, or a line is damaged.
        """
        with self._lock:
            stamp = self._stat()
            if stamp != self._stamp:
                self._tokens, self._stamp = _read(self._path), stamp
            return list(self._tokens.values())

    def find(self, text: str) -> Token:
        """The valid token with this text.

        Raises:
            Unauthenticated: It is unknown, expired or revoked, or no token.
            ConfigError: See `tokens`.
        """
        form = _FORM.fullmatch(text)
        known = {token.id: token for token in self.tokens()}
        token = known.get(form[1]) if form else None
        if form is None or token is None or not hmac.compare_digest(token.sha256, _hash(form[2])):
            raise Unauthenticated("The token is unknown", "a token of this server", "Ask its owner for one")
        state = token.state(time.time())
        if state != "valid":
            raise Unauthenticated(
                f"Token {token.id} of {token.name} is {state}",
                "a valid token",
                "Ask its owner for a new one",
            )
        return token

    def create(self, name: str, role: str, galleries: Sequence[str], days: float) -> str:
        """Add a token; return its text, which is not stored.

        Raises:
            InputError: The name cannot be recorded in the audit trail.
            ConfigError: The file cannot be written.
        """
        Caller(f"token:{name}")
        identity, secret, now = secrets.token_hex(6), secrets.token_urlsafe(32), time.time()
        token = Token(identity, name, role, tuple(galleries), now, now + days * 86400, _hash(secret))
        self._append({key: value for key, value in asdict(token).items() if key != "revoked_at"})
        return f"gaitid_{identity}_{secret}"

    def revoke(self, identity: str) -> Token:
        """Refuse a token from now on; return it.

        Raises:
            NotFound: There is no such token.
            ConfigError: The file cannot be written.
        """
        found = next((token for token in self.tokens() if token.id == identity), None)
        if found is None:
            raise NotFound(
                f"File {self._path} has no token {identity!r:.40}",
                "the id of a token",
                "List them with 'gaitid token list'",
            )
        now = time.time()
        self._append({"revoked": identity, "at": now})
        return replace(found, revoked_at=now)

    def _append(self, fields: dict[str, Any]) -> None:
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(handle, (json.dumps(fields) + "\n").encode())
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise _unusable(self._path, error) from error

    def _stat(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError as error:
            raise _unusable(self._path, error) from error
        return found.st_ino, found.st_size, found.st_mtime_ns


def _read(path: Path) -> dict[str, Token]:
    tokens: dict[str, Token] = {}
    try:
        for line in path.read_text().splitlines():
            fields = json.loads(line)
            if "revoked" in fields:
                tokens[fields["revoked"]] = replace(tokens[fields["revoked"]], revoked_at=float(fields["at"]))
            else:
                token = Token(**{**fields, "galleries": tuple(fields["galleries"])})
                tokens[token.id] = token
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _unusable(path, error) from error
    return tokens


def _hash(secret: str) -> str:
    # The secret has 256 random bits, so that a slow hash would protect nothing.
    return hashlib.sha256(secret.encode()).hexdigest()


def _unusable(path: Path, error: Exception) -> ConfigError:
    return ConfigError(
        f"Token file {path} cannot be used ({error})",
        "a file of 'gaitid token create'",
        "Check the path and its permissions, or create a token",
    )
