"""Whether the wall clock can be trusted with the end of a retention, which erases subjects.

A clock that is wrong for a moment (a dead battery, a time server, a slip of the hand) must not erase anybody.
Its time is trusted if the audit trail, or this process by a clock that cannot be set, has been near it for an
hour.
"""

from __future__ import annotations

import logging
import sqlite3
import time

from gaitid.gallery.store import query

STEADY_S = 3600.0
"""How long a time must have been going on before it is trusted, seconds."""
MOST_IDLE_S = 86_400.0
"""Longest pause of the audit trail after which the next time is trusted at once, seconds."""
_DRIFT = 0.01

_LOG = logging.getLogger(__name__)
_EARLIER = "SELECT at FROM audit WHERE at <= ? ORDER BY number DESC LIMIT 1"
_FIRST = "SELECT at FROM audit ORDER BY number LIMIT 1"


class Clock:
    """Compares the wall clock with the audit trail and with the time that this process has been running.

    Args:
        db: The database; the caller of the methods holds it.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._opened, self._opened_monotonic = time.time(), time.monotonic()
        self._is_told = False

    def is_trusted(self, now: float) -> bool:
        """Whether subjects that have expired at `now`, Unix seconds, may be erased; logged if not.

        Within a process whose wall clock was not set, an hour is enough. Otherwise the last entry of the
        trail that is an hour old, or else its first one, must be at most a day and an hour ago.
        """
        trusts = self._is_steady(now) or self._is_near_the_trail(now)
        if not trusts and not self._is_told:
            _LOG.warning(
                "the clock is more than %.0f h ahead of the audit trail: expired subjects are in no answer,"
                " and are erased when it has been so for %.0f min",
                MOST_IDLE_S / 3600,
                STEADY_S / 60,
            )
        self._is_told = not trusts
        return trusts

    def _is_steady(self, now: float) -> bool:
        """Whether this process is an hour old, and the wall clock ran as the other did."""
        passed = time.monotonic() - self._opened_monotonic
        return passed >= STEADY_S and abs(now - self._opened - passed) <= _DRIFT * passed

    def _is_near_the_trail(self, now: float) -> bool:
        earlier = query.column(self._db, _EARLIER, now - STEADY_S) or query.column(self._db, _FIRST)
        return bool(earlier) and now - earlier[0] <= MOST_IDLE_S + STEADY_S
