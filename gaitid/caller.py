"""Actor and purpose of calls, as recorded in the audit trail.

    with calling("front door 4"):
        matcher.identify("home", walk)

They apply to the calls of this thread (or asyncio task) until the block ends. A server takes the actor
from the caller's certificate and the purpose from the call.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from gaitid.errors import InputError

MAX_LENGTH = 256
"""Longest actor and purpose, characters."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Actor and purpose of a call.

    Attributes:
        actor: Name in a certificate, ``anonymous`` for a remote caller without one, ``local`` for this
            process (``uid:1000`` for the command line), ``gaitid`` for automatic actions.
        purpose: Purpose in the caller's words, without subject ids; empty = not given.
    """

    actor: str = "local"
    purpose: str = ""

    def __post_init__(self) -> None:
        for name in ("actor", "purpose"):
            text = getattr(self, name)
            if not isinstance(text, str) or len(text) > MAX_LENGTH or not text.isprintable():
                raise InputError(
                    f"Argument {name} is {text!r:.60}",
                    f"printable text of at most {MAX_LENGTH} characters",
                    "Shorten it and remove control characters",
                )


_CURRENT: ContextVar[Caller] = ContextVar("gaitid caller", default=Caller())  # noqa: B039 - Caller is frozen


def current() -> Caller:
    """Caller of this thread or task."""
    return _CURRENT.get()


@contextmanager
def calling(purpose: str = "", *, actor: str = "local") -> Iterator[None]:
    """Set the actor and purpose of the calls in a ``with`` block.

    Raises:
        InputError: The actor or purpose is longer than `MAX_LENGTH` or not printable.
    """
    token = _CURRENT.set(Caller(actor, purpose))
    try:
        yield
    finally:
        _CURRENT.reset(token)
