"""Records refused calls in the audit trail, at a bounded rate."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from gaitid.caller import Caller
from gaitid.errors import GaitIdError

_log = logging.getLogger(__name__)

WITHIN_S, MOST = 60.0, 200
"""Seconds in which equal refusals make one entry, and all of them at most so many; others are counted."""

Write = Callable[[Caller, str, int], None]
"""Writes an entry: who was refused, what, and how many such calls were not recorded before."""


class Refusals:
    """Records who was refused what; any number of threads may use it.

    A caller can be refused thousands of times a second, and an entry stays forever. So of equal refusals
    (certificate, host, rpc, error) one in `WITHIN_S` is recorded, with the number of those that were not.

    Args:
        write: Writes an entry.
    """

    def __init__(self, write: Write) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._begun = time.monotonic()
        self._counts: dict[tuple[str, str, str, str], int] = {}
        self._unrecorded = 0

    def record(self, error: GaitIdError, rpc: str, actor: str, peer: str) -> None:
        """Record a refused call; a failure to do so is logged.

        Args:
            error: Why it was refused.
            rpc: Name of the rpc.
            actor: Who called.
            peer: Address and port that the call came from.
        """
        host = peer.rpartition(":")[0]
        before = self._due((actor, host, rpc, error.code))
        if before is None:
            return
        try:
            self._write(Caller(actor), f"{rpc} from {host}: {error.code}", before)
        except GaitIdError as failure:
            _log.error("a refused %s could not be recorded: %s", rpc, failure.code)

    def _due(self, key: tuple[str, str, str, str]) -> int | None:
        """How many refusals were not recorded before this one, if it is to be recorded."""
        with self._lock:
            if time.monotonic() - self._begun >= WITHIN_S:
                self._begun = time.monotonic()
                self._unrecorded += sum(count - 1 for count in self._counts.values())
                self._counts.clear()
            if key in self._counts or len(self._counts) >= MOST:
                if key in self._counts:
                    self._counts[key] += 1
                else:
                    self._unrecorded += 1
                return None
            self._counts[key] = 1
            before, self._unrecorded = self._unrecorded, 0
            return before
