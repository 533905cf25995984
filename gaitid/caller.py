"""Who calls, and what for: what the audit trail of a gallery says of every act.

    with calling("door of house 4"):
        matcher.identify("home", walk)

It holds for the calls of this thread (or asyncio task) until the block ends. A server sets the actor
itself, from the caller's certificate, and takes over the purpose.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from gaitid.errors import InputError

MAX_LETTERS = 256
"""Longest actor and purpose."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who does something, and what for.

    Attributes:
        actor: Name of a certificate, ``anonymous`` for a remote caller without one, ``local`` for this
            process (``uid:1000`` for a command line), ``gaitid`` for what happens of itself.
        purpose: In the caller's words, which must name no subject; empty = not said.
    """

    actor: str = "local"
    purpose: str = ""

    def __post_init__(self) -> None:
        for name in ("actor", "purpose"):
            text = getattr(self, name)
            if not isinstance(text, str) or len(text) > MAX_LETTERS or not text.isprintable():
                raise InputError(
                    f"{name} is {text!r:.60}", f"printable, {MAX_LETTERS} letters at most", "shorten it"
                )


_CURRENT: ContextVar[Caller] = ContextVar("gaitid caller", default=Caller())  # noqa: B039 - it is frozen


def current() -> Caller:
    """The caller of this thread or task."""
    return _CURRENT.get()


@contextmanager
def calling(purpose: str = "", *, actor: str = "local") -> Iterator[None]:
    """Say for a block of calls who makes them and what for.

    Raises:
        InputError: A text is longer than `MAX_LETTERS` or not printable.
    """
    token = _CURRENT.set(Caller(actor, purpose))
    try:
        yield
    finally:
        _CURRENT.reset(token)
