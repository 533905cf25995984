"""Runs of limited time: the number of steps that fits, at the pace that is measured."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from .recipe import Schedule

_FIRST = 5
"""Steps before the pace is trusted; the first ones warm up caches or compile the network."""
_RECENT = 100
"""Steps that the pace is the mean of."""
_UNKNOWN = 0.03
"""Share of the time that is kept for the last validation until one was measured."""
_QUICKEST = 0.1
"""Largest share of the network in its moving average, per step."""


def fitted(schedule: Schedule, steps: int) -> Schedule:
    """The schedule shortened to `steps`: warm-up, milestones and moving average keep their share of the run.

    Args:
        schedule: Of the recipe.
        steps: Steps that fit; the recipe's number if that is smaller.
    """
    if steps >= schedule.steps:
        return schedule
    share = max(steps, 1) / schedule.steps
    return replace(
        schedule,
        steps=steps,
        warmup=round(share * schedule.warmup),
        milestones=tuple(round(share * stone) for stone in schedule.milestones),
        ema=max(1 - (1 - schedule.ema) / share, min(schedule.ema, 1 - _QUICKEST)),
    )


class Budget:
    """Wall time that a run may take, of which a resumed run has used a part.

    Args:
        minutes: Time for steps, validations and the weight file.
        used_s: Seconds that earlier parts of the run took.
        now: Clock in seconds.

    Attributes:
        minutes: The limit.
    """

    def __init__(
        self, minutes: float, used_s: float = 0.0, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.minutes = minutes
        self._limit, self._now, self._began = 60 * minutes, now, now() - used_s
        self._apart = self._validation = 0.0
        self._marks: deque[float] = deque(maxlen=_RECENT)
        self._steps = 0

    @property
    def used_s(self) -> float:
        """Seconds that the run took so far, all parts together."""
        return self._now() - self._began

    def validated(self, seconds: float) -> None:
        """Record the time of a validation, which is no part of the pace."""
        self._apart += seconds
        self._validation = max(self._validation, seconds)

    def plan(self, step: int, schedule: Schedule, planned: Schedule) -> Schedule:
        """Plan the rest of the run after a step.

        Args:
            step: Steps taken, in all parts of the run.
            schedule: Of the recipe.
            planned: The last plan; returned until the pace is known.
        """
        self._marks.append(self.used_s - self._apart)
        self._steps += 1
        if self._steps < _FIRST:
            return planned
        pace = (self._marks[-1] - self._marks[0]) / (len(self._marks) - 1)
        kept = 2 * self._validation or _UNKNOWN * self._limit  # the last one, and that of the weight file
        left = self._limit - self.used_s - kept
        each = pace + self._validation / schedule.check_every
        return fitted(schedule, step + max(0, int(left / max(each, 1e-9))))
