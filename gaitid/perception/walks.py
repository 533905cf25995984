"""Walks: the stretches of tracks that each show one person, and the gait sequences made from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from gaitid.perception.gates import Flags, Floats, GateSettings, SilhouetteGate
from gaitid.perception.skeleton_gates import SkeletonGate
from gaitid.records import Frame, GaitSequence, Observation, Origin, Reason

Reasons = tuple[tuple[Reason, ...], ...]

_EXCHANGE_S = 0.4
"""Seconds from which two merged walkers may be exchanged; in a shorter merger their predicted places tell
them apart when they part again."""
_CARRIED_SHARE = 0.5
"""Share of the best stream's good frames from which a walk carries another stream too."""


class Gate(Protocol):
    """Makes one stream of a walk from observations and judges its frames.

    Attributes:
        stream: Name of the stream.
        missing: Reason against a frame that lacks this stream.
    """

    stream: ClassVar[str]
    missing: ClassVar[Reason]

    def measure(self, observation: Observation, frame: Frame) -> Any | None:
        """Return what is kept of an observation, or None when it lacks this stream."""
        ...

    def glance(self, measured: Any, crowded: bool) -> tuple[Reason, ...]:
        """Return the reasons that a single frame shows."""
        ...

    def judge(self, measured: Sequence[Any], times: Floats, boxes: Floats, crowded: Flags) -> Reasons:
        """Return the reasons against each of the N frames of a walk."""
        ...

    def frames(self, measured: Sequence[Any]) -> NDArray[Any]:
        """Return the frames of the stream; all of them passed `judge`."""
        ...


def gates(settings: GateSettings) -> tuple[Gate, ...]:
    """Return the gates of all streams that perception makes."""
    return SilhouetteGate(settings), SkeletonGate(settings)


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """A stretch of a track that shows one person.

    A track makes several walks when it lasts longer than `max_walk_s`, or when another track vanishes
    into it: the person who comes out of such a merger may be the other one.

    A walk carries each stream that is good in at least half as many frames as its best one. A frame is
    good when it passes the gates of all streams that the walk carries.

    Attributes:
        track: Track number.
        times: (N,) float64 seconds of all frames in which it was seen.
        boxes: (N, 4) float32 xyxy pixels.
        reasons: N tuples: why each frame was refused; empty for a good one.
        sequence: The good frames; None when there are none.
    """

    track: int
    times: NDArray[np.float64]
    boxes: NDArray[np.float32]
    reasons: Reasons
    sequence: GaitSequence | None


@dataclass(slots=True)
class Diary:
    """What is kept of a walk while it lasts.

    Args:
        gates: Gates of the streams that may be made.
    """

    gates: tuple[Gate, ...]
    times: list[float] = field(default_factory=list)
    boxes: list[NDArray[np.float32]] = field(default_factory=list)
    crowded: list[bool] = field(default_factory=list)
    absorbs: list[bool] = field(default_factory=list)
    measured: list[tuple[Any | None, ...]] = field(default_factory=list)

    def add(self, observation: Observation, frame: Frame, crowded: bool, absorbs: bool) -> tuple[Reason, ...]:
        """Note a frame and return the reasons against it that it shows by itself.

        Args:
            observation: Observation of the track.
            frame: The frame.
            crowded: Another track overlaps its box.
            absorbs: Another track has vanished into its box.
        """
        found = tuple(gate.measure(observation, frame) for gate in self.gates)
        self.times.append(frame.time)
        self.boxes.append(observation.box)
        self.crowded.append(crowded)
        self.absorbs.append(absorbs)
        self.measured.append(found)
        against = [
            gate.glance(one, crowded or absorbs)
            for gate, one in zip(self.gates, found, strict=True)
            if one is not None
        ]
        return _union(against)

    def walks(self, origin: Origin) -> list[Walk]:
        """Judge the walk as a whole, and split it where the person may have been exchanged."""
        judged = [self._judge(column, gate) for column, gate in enumerate(self.gates)]
        carried = _carried(judged, [self._brought(column) for column in range(len(self.gates))])
        reasons = tuple(_union(frame) for frame in zip(*(judged[column] for column in carried), strict=True))
        ends = [*_exchanges(reasons, self.times, self.absorbs), len(reasons)]
        return [
            self._part(slice(start, end), reasons[start:end], carried, origin)
            for start, end in pairwise([0, *ends])
        ]

    def _brought(self, column: int) -> NDArray[np.intp]:
        """Return the frames that brought the stream of that column."""
        return np.flatnonzero([found[column] is not None for found in self.measured])

    def _judge(self, column: int, gate: Gate) -> Reasons:
        """Return the reasons of one stream against all frames, those that lack it included."""
        brought = self._brought(column)
        crowded = np.array(self.crowded) | np.array(self.absorbs)
        measured = [self.measured[i][column] for i in brought]
        times, boxes = np.array(self.times), np.array(self.boxes, float)
        found = gate.judge(measured, times[brought], boxes[brought], crowded[brought])
        by_frame = dict(zip(brought.tolist(), found, strict=True))
        return tuple(by_frame.get(i, (gate.missing,)) for i in range(len(times)))

    def _part(self, part: slice, reasons: Reasons, carried: Sequence[int], origin: Origin) -> Walk:
        times, boxes = np.array(self.times[part]), np.array(self.boxes[part], np.float32)
        good = [i for i, why in enumerate(reasons) if not why]
        sequence = None
        if good:
            measured = self.measured[part]
            sequence = GaitSequence(
                {
                    self.gates[column].stream: self.gates[column].frames([measured[i][column] for i in good])
                    for column in carried
                },
                times[good],
                boxes[good],
                dict(Counter(reason.value for why in reasons for reason in why)),
                origin,
            )
        return Walk(origin.track, times, boxes, reasons, sequence)


def _carried(judged: Sequence[Reasons], brought: Sequence[NDArray[np.intp]]) -> list[int]:
    """Return the columns of the streams that a walk carries; see `Walk`."""
    good = [sum(not why for why in reasons) for reasons in judged]
    least = _CARRIED_SHARE * max(good)
    return [column for column, frames in enumerate(brought) if len(frames) and good[column] >= least]


def _union(against: Sequence[tuple[Reason, ...]]) -> tuple[Reason, ...]:
    """Return the reasons of all streams, each once, in the order of `Reason`."""
    found = set().union(*against)
    return tuple(reason for reason in Reason if reason in found)


def _exchanges(reasons: Reasons, times: list[float], absorbs: list[bool]) -> list[int]:
    """Return the frames at which a run of merged frames ends that hid another track for `_EXCHANGE_S`."""
    found: list[int] = []
    held: list[float] = []
    for i, why in enumerate(reasons):
        if Reason.MERGED in why:
            held += [times[i]] if absorbs[i] else []
            continue
        if held and held[-1] - held[0] >= _EXCHANGE_S:
            found.append(i)
        held = []
    return found
