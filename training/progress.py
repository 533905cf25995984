"""Record of a run: ``metrics.csv`` with a row per step, and the time that steps take."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .batches import LabelledClips
from .validation import MEASURES


class Metrics:
    """``metrics.csv``, one row per step. On resuming, rows after the checkpoint's step are dropped.

    Args:
        path: File to write.
        step: Last step to keep.
    """

    _COLUMNS = (
        *["step", "loss", "contrastive", "cross_entropy", "triplet", "hard_triplet", "projected"],
        *["open_set", "centred", "traits", "gradient", "strangers", "rate", "seconds"],
        *MEASURES,
    )

    def __init__(self, path: Path, step: int) -> None:
        self._path = path
        self._rows: list[dict[str, Any]] = []
        old: list[dict[str, str]] = []
        if path.exists():
            with path.open(newline="") as file:
                old = [row for row in csv.DictReader(file) if int(row["step"]) <= step]
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._COLUMNS)
            writer.writeheader()
            writer.writerows(old)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Add the row of a step."""
        rounded = {k: f"{v:.6g}" for k, v in values.items()}
        self._rows.append({"step": step, **rounded})

    def flush(self) -> None:
        """Write the rows added since the last call."""
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, self._COLUMNS).writerows(self._rows)
        self._rows.clear()


class Clock:
    """Seconds since the run was started or resumed, and the share of them spent waiting for batches.

    Args:
        step: Step at which the run starts.
    """

    def __init__(self, step: int) -> None:
        self._began, self._step = time.monotonic(), step
        self._waited = 0.0

    def waiting(self, batches: Iterator[LabelledClips]) -> Iterator[LabelledClips]:
        """Yield the batches and record the time spent waiting for them."""
        while True:
            began = time.monotonic()
            batch = next(batches, None)
            self._waited += time.monotonic() - began
            if batch is None:
                return
            yield batch

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def eta(self, step: int, steps: int) -> str:
        """Pace and remaining time at a step of `steps`, for the log."""
        pace = self.seconds / max(1, step - self._step)
        left = int(pace * (steps - step))
        idle = self._waited / max(self.seconds, 1e-9)
        return f"{pace:.2f} s per step, {left // 60} min left, {idle:.0%} waiting for data"
