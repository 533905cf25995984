"""A progress bar with the time left."""

from __future__ import annotations

import time
from typing import TextIO

_REFRESH_S = 0.1
_WIDTH = 30
"""Characters of the bar."""


class Bar:
    """A progress bar: redrawn on a terminal, one line at the end anywhere else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._start: tuple[float, int] | None = None
        self._drawn = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` sequences are finished."""
        now = time.monotonic()
        if self._start is None:
            self._start = (now, done)
        last = done == total
        if not last and (not self._stream.isatty() or now - self._drawn < _REFRESH_S):
            return
        self._drawn = now
        elapsed, fresh = now - self._start[0], done - self._start[1]
        rate = fresh / elapsed if elapsed > 0 else 0.0
        left = f"{_clock((total - done) / rate)} left" if rate and not last else f"in {_clock(elapsed)}"
        filled = _WIDTH * done // max(total, 1)
        line = f"[{'#' * filled}{' ' * (_WIDTH - filled)}] {done}/{total} {rate:.0f} seq/s {left}"
        self._stream.write(f"\r{line:<78}" + ("\n" if last else ""))
        self._stream.flush()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
