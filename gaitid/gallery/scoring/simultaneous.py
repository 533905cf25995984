"""Free impostors: two tracks that one camera sees at the same time are two people.

Their scores calibrate a site without a label. Only scores are kept. An embedding is held in memory until a
walk comes `_WINDOW_S` after it, and there are at most `_MOST_RECENT`.

Times must be of one clock, so only walks of live sources count, whose times are Unix seconds. The same two
people may meet every day; a pair of the same two names counts `_PAIR_A_DAY` times a day.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FEWEST, MOST = 20, 4_000
"""Fewest scores that calibrate, and most that are kept."""
GROWTH = 1.25
"""A site is calibrated again when it has this many times as many scores."""

_LIVE_S = 1e9
"""Times from here on are Unix seconds; those of files begin with 0."""
_OVERLAP_S = 1.0
"""Two tracks are seen together for at least this long; a tracker that loses somebody may begin too early."""
_WINDOW_S, _MOST_RECENT = 60.0, 16
_PAIR_A_DAY = 2
_DAY_S = 86_400
_MOST_PAIRS = 10_000


class Passage(NamedTuple):
    """A walk past a camera.

    Attributes:
        camera: Name of the camera.
        track: Its track number there.
        start: First time, Unix seconds.
        end: Last time, Unix seconds.
        name: Who it seems to be; empty = nobody who is enrolled.
    """

    camera: str
    track: int
    start: float
    end: float
    name: str = ""

    @property
    def is_live(self) -> bool:
        """Whether it can be compared with others: its camera, track and clock are known."""
        return bool(self.camera) and bool(self.track) and self.start >= _LIVE_S

    def is_beside(self, other: Passage) -> bool:
        """Whether one camera saw both at the same time, as two tracks."""
        together = min(self.end, other.end) - max(self.start, other.start)
        return self.camera == other.camera and self.track != other.track and together >= _OVERLAP_S


class Encounters:
    """Scores of people who were seen together; any number of threads may use it.

    Args:
        scores: Scores that are known already, -1..1.
        corrected: Whether they are of embeddings corrected by camera profiles.
    """

    def __init__(self, scores: Sequence[float] = (), *, corrected: bool = False) -> None:
        self._scores, self._corrected = deque(scores, MOST), corrected
        self._recent: deque[tuple[Passage, NDArray[np.float32], float]] = deque(maxlen=_MOST_RECENT)
        self._pairs: Counter[tuple[object, ...]] = Counter()
        self._calibrated_at = len(scores)
        self._lock = Lock()

    def add(
        self, passage: Passage, vector: NDArray[np.float32], arrived: float, *, corrected: bool
    ) -> tuple[float, ...]:
        """Compare a walk with those seen beside it.

        Args:
            passage: The walk.
            vector: (D,) float32 its embedding as it is compared, norm 1.
            arrived: Now, Unix seconds.
            corrected: Whether a camera profile has corrected it.

        Returns:
            All scores, when there are enough new ones to calibrate; else nothing.
        """
        if not passage.is_live:
            return ()
        with self._lock:
            if corrected != self._corrected:
                self._corrected, self._calibrated_at = corrected, 0
                self._scores.clear()
                self._recent.clear()
            self._drop_old(arrived)
            for other, seen, _ in self._recent:
                if passage.is_beside(other) and self._counts(passage, other):
                    self._scores.append(round(float(np.clip(vector @ seen, -1, 1)), 4))
            self._recent.append((passage, vector, arrived))
            return self._due()

    def forget(self) -> None:
        """Drop all embeddings, as when a subject is erased."""
        with self._lock:
            self._recent.clear()
            self._pairs.clear()

    def _drop_old(self, now: float) -> None:
        while self._recent and now - self._recent[0][2] > _WINDOW_S:
            self._recent.popleft()

    def _counts(self, one: Passage, other: Passage) -> bool:
        """Whether this pair of people counts, which it does only some times a day."""
        known = one.name != other.name  # both cannot be the same subject: neither name is sure then
        names = sorted(p.name if known and p.name else f"{p.camera}\0{p.track}" for p in (one, other))
        key = (*names, int(one.start // _DAY_S))
        if len(self._pairs) >= _MOST_PAIRS:
            self._pairs.clear()
        self._pairs[key] += 1
        return self._pairs[key] <= _PAIR_A_DAY

    def _due(self) -> tuple[float, ...]:
        if len(self._scores) < max(FEWEST, GROWTH * self._calibrated_at):
            return ()
        self._calibrated_at = len(self._scores)
        return tuple(self._scores)
