"""Quality of a sequence: gait cycles, cadence, regularity, symmetry, and the reasons against it.

The movement of the legs is one vector a frame. For silhouettes it is the leg region in coarse cells, folded
about the vertical axis; for skeletons the distance between the ankles along the axis in which it varies
most. Its main component is the gait signal, which is high when the feet are apart.

Periods come from the autocorrelation. Source: Moe-Nilssen & Helbostad, "Estimation of gait cycle
characteristics by trunk accelerometry", J. Biomechanics 37, 2004, sec. 2: regularity is the
autocorrelation at the stride lag, symmetry the ratio of those at the step and the stride lag.
Deviations: the autocorrelation is that of a vector, which survives weak views better than any single
width; and the dominant lag may be a step (frontal and lateral views) or a whole stride (oblique views from
a near or high camera, which show the near leg larger). `_is_step` distinguishes the two by whether the legs
agree better still after twice the lag, since left and right steps differ a little in every walk.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import SequenceError
from gaitid.modalities.skeleton import side_view
from gaitid.records import JOINTS, GaitSequence, Quality, Reason
from gaitid.records import QualityPolicy as QualityPolicy

Array = NDArray[np.float64]

GRID_HZ = 60.0
"""Rate of the uniform grid on which the signal is analysed, points a second."""
ANALYSED_S = 60.0
"""Seconds of a sequence in which rhythm and steps are searched; bounds time and memory for any input."""
PERIOD_S = (0.30, 3.10)
"""Shortest and longest dominant period searched, seconds: a step at 200 and a stride at 39 steps a minute."""
_USUAL_STEP_S, _ALTERNATION, _CLEAR = 0.8, 0.05, 0.15
"""Period of silhouettes, seconds, up to which a step is more usual than a stride; differences of two
autocorrelations that tell one from the other against that; see `_is_step`."""
_USUAL_CADENCE = 108.0
"""Usual cadence, steps a minute."""
_LONGEST_LAG_S = 2 * PERIOD_S[1]
"""Longest lag of the autocorrelation, seconds."""
_TREND_S = 1.5
"""Window of the moving mean that is subtracted, seconds; slow walks get 1.25 strides."""
_COMPONENTS = 8
"""Principal components kept of 66 leg cells: cadence errors of drawn walkers do not grow, and the analysis
takes a third less time."""
_BRIDGED_GAP_S = 0.22
"""Gaps up to this, seconds, are interpolated: one frame lost at 10 frames/s, half a step at most."""
_MEDIAN_GAPS = 1.6
"""Gaps up to this many median intervals are interpolated too."""
_CADENCE_COST, _CADENCE_STEP, _MOST_COST = 0.05, 0.2, 0.2
"""Loss of strength of a cadence 1.22 times the usual one, that factor as a logarithm, the greatest loss."""
_NEAR = 0.08
"""Relative distance from the dominant period within which its exact value is searched."""
_SPREADS = (
    *((15, 16, 1.0, PERIOD_S[1]), (13, 14, 2.0, PERIOD_S[1])),
    *((11, 15, 1.0, 0.0), (12, 16, 1.0, 0.0), (11, 13, 2.0, 0.0), (12, 14, 2.0, 0.0)),
)
"""Pairs of joints whose distance shows the gait, the best first: a factor to that of the ankles, and the
longest period that is a step. One leg has the period of a stride."""
_SPREAD_SHARE = 0.25
"""Least share of frames that show a pair."""
_THIGH = 0.245
"""Length of a thigh over body height. Source: Winter 2009, figure 4.1."""
_STEP_SHORTEST, _STEP_LONGEST = 0.6, 1.4
"""Shortest and longest duration of a single step, in mean steps."""
_ENOUGH_S = 0.5
"""Least seconds of pairs from which a correlation is computed."""


@dataclass(frozen=True, slots=True, eq=False)
class GaitAnalysis:
    """The rhythm of a walk.

    Attributes:
        times: (T,) seconds of the frames in the first minute; long gaps do not count.
        signal: (T,) gait signal without its trend; high when the feet are apart.
        motion: RMS of the signal: for silhouettes the share of a cell that changes, for skeletons the
            distance of the ankles as a share of body height.
        step_period_s: Seconds from step to step; 0 if no rhythm is found.
        step_times: (S,) seconds at which the feet are farthest apart, once a step.
        cycles: (C, 2) seconds, start and end of each whole gait cycle (two steps) without a gap.
        covered_cycles: Gait cycles that the good frames of the whole sequence cover, with fractions.
        rhythm: 0..1, how far the movement agrees with itself after whole periods and disagrees between
            them (`_rhythm`).
        regularity: 0..1, autocorrelation at one stride.
        symmetry: 0..1, autocorrelation at one step over that at one stride, or the inverse if that is
            smaller; 0 if unknown, because the walk is too short or the view shows the legs differently.
        step_durations_s: Mean duration of every other step, and of the steps between them, seconds; which
            of the two is the left foot is unknown. 0 if there are too few.
    """

    times: Array
    signal: Array
    motion: float
    step_period_s: float
    step_times: Array
    cycles: Array
    covered_cycles: float
    rhythm: float
    regularity: float
    symmetry: float
    step_durations_s: tuple[float, float]

    @property
    def cadence(self) -> float:
        """Steps a minute; 0 if no rhythm is found."""
        return 60.0 / self.step_period_s if self.step_period_s else 0.0


def assess(sequence: GaitSequence, policy: QualityPolicy | None = None) -> Quality:
    """Judge a sequence. Poor quality gives reasons and a low score, never an exception.

    The score is 100 times the geometric mean of shares 0..1, each of which grows with one property:
    frames, cycles, body height, frame rate, leg movement and rhythm (1 at twice the policy's
    minimum), the share of the track's frames that are good, and the share of leg joints seen, up to the
    policy's minimum.
    """
    policy = policy or QualityPolicy()
    analysis = analyse(sequence)
    frames, rate = len(sequence), _frame_rate(sequence.times)
    height = 0.0 if sequence.boxes is None else float(np.median(sequence.boxes[:, 3] - sequence.boxes[:, 1]))
    return Quality(
        score=_score(sequence, analysis, policy, rate, height),
        frames=frames,
        cycles=analysis.covered_cycles,
        cadence=analysis.cadence,
        height_px=height,
        frame_rate=rate,
        regularity=analysis.regularity,
        symmetry=analysis.symmetry,
        reasons=_reasons(sequence, analysis, policy, rate, height),
    )


def analyse(sequence: GaitSequence) -> GaitAnalysis:
    """Find steps and gait cycles; a sequence with both streams is analysed by its silhouettes."""
    covered_s = _covered_s(sequence.times)
    sequence = sequence.part(slice(int(np.searchsorted(_closed_gaps(sequence.times), ANALYSED_S, "right"))))
    times = _closed_gaps(sequence.times)
    movement, longest_step = _leg_features(sequence)
    signal, grid, valid, rhythm = _searched(times, movement, longest_step, _TREND_S)
    if 2 * rhythm.step_s > _TREND_S:  # a slow walk, whose strides that window flattens
        signal, grid, valid, rhythm = _searched(times, movement, longest_step, 2.5 * rhythm.step_s)
    peaks = _peaks(grid, np.interp(grid, times, signal), valid, rhythm.step_s)
    steps = np.interp(peaks, times, sequence.times)
    cycles, durations = _segment(steps, rhythm.step_s)
    return GaitAnalysis(
        times=sequence.times,
        signal=signal,
        motion=float(np.sqrt(np.mean(signal**2))),
        step_period_s=rhythm.step_s,
        step_times=steps,
        cycles=cycles,
        covered_cycles=covered_s / (2 * rhythm.step_s) if rhythm.step_s else 0.0,
        rhythm=rhythm.strength,
        regularity=rhythm.regularity,
        symmetry=rhythm.symmetry,
        step_durations_s=durations,
    )


class _Rhythm(NamedTuple):
    step_s: float
    strength: float
    regularity: float
    symmetry: float


def _searched(
    times: Array, movement: Array, longest_step: float | None, window_s: float
) -> tuple[Array, Array, NDArray[np.bool_], _Rhythm]:
    """Search the rhythm of the movement (T, F), less its mean over a window.

    Returns:
        (T,) gait signal, (G,) grid, (G,) whether a point of it is in no gap, and the rhythm.
    """
    features = _detrended(times, movement, window_s)
    components = _components(features)
    signal = components[:, 0] / math.sqrt(features.shape[1])
    grid, values, valid = _resampled(times, components)
    return signal, grid, valid, _rhythm(_autocorrelation(values, valid), longest_step)


def _leg_features(sequence: GaitSequence) -> tuple[Array, float | None]:
    """Return the (T, F) movement of the legs, and the longest period, seconds, that is a step, if known."""
    if sequence.silhouettes is not None:
        return _folded_legs(sequence.silhouettes), None
    return _leg_spread(sequence)


def _folded_legs(silhouettes: NDArray[np.uint8]) -> Array:
    """Return the (T, 6 * 11) occupancy of the lower 3/8, left folded on right.

    Cells are height/16 x height/32. The columns run from the outer edge to the axis; 64x64 silhouettes are
    cut to 44 columns first.
    """
    frames, height, width = silhouettes.shape
    cell, half = height // 32, 11 * (height // 32)
    legs = silhouettes[:, -12 * cell :, width // 2 - half : width // 2 + half].astype(np.float64)
    folded = ((legs + legs[:, :, ::-1]) / 2.0)[:, :, :half]
    cells = folded.reshape(frames, 6, 2 * cell, 11, cell)
    return np.asarray(cells.mean(axis=(2, 4)).reshape(frames, 66))


def _leg_spread(sequence: GaitSequence) -> tuple[Array, float]:
    """Return the (T, 1) distance of the ankles along the axis in which it varies most, over body height.

    The sign is dropped, so a detector that mixes up left and right does no harm. Of a body whose ankles are
    not both seen, it is twice the distance of the knees, or the swing of one leg, whose period is a stride.
    Where a joint is missing, the neighbouring frames are interpolated; without a thigh the result is zeros.
    """
    joints = _joints(sequence).astype(np.float64)
    seen = joints[:, :, 2] > 0
    height, least = _body_height(joints, seen), max(2, _SPREAD_SHARE * len(joints))
    pairs = [pair for pair in _SPREADS if (seen[:, pair[0]] & seen[:, pair[1]]).sum() >= least]
    if not pairs or height <= 0:
        return np.zeros((len(sequence), 1)), PERIOD_S[1]
    first, second, factor, longest_step = pairs[0]
    both = seen[:, first] & seen[:, second]
    apart = factor * (joints[:, second, :2] - joints[:, first, :2]) / height
    times = sequence.times
    apart = np.stack([np.interp(times, times[both], apart[both, axis]) for axis in (0, 1)], axis=1)
    centred = _detrended(_closed_gaps(times), apart, _TREND_S)
    _, axes = np.linalg.eigh(centred.T @ centred)
    swing = centred @ axes[:, -1:]
    return np.asarray(np.abs(swing) if longest_step else swing), longest_step


def _body_height(joints: Array, seen: NDArray[np.bool_]) -> float:
    """Return the body height in the unit of the joints: from head to foot, or from the thighs.

    0 if no thigh is seen.
    """
    thighs = [
        np.linalg.norm(joints[there, knee, :2] - joints[there, hip, :2], axis=1)
        for hip, knee in ((11, 13), (12, 14))
        if (there := seen[:, hip] & seen[:, knee]).any()
    ]
    both = seen[:, 15] & seen[:, 16]
    if thighs and both.any():
        low = np.where(seen, joints[:, :, 1], np.inf).min(axis=1)
        high = np.where(seen, joints[:, :, 1], -np.inf).max(axis=1)
        return float(np.median((high - low)[both]))
    return float(np.quantile(np.concatenate(thighs), 0.9)) / _THIGH if thighs else 0.0


def _joints(sequence: GaitSequence) -> NDArray[np.float32]:
    """Return (T, 17, 3) x, y, confidence: the skeletons, or the side view of those in space."""
    if sequence.skeletons is not None:
        return sequence.skeletons
    joints = sequence.skeletons_3d
    if joints is None:
        return np.zeros((len(sequence), JOINTS, 3), np.float32)
    try:
        return side_view(joints, round(_TREND_S / 4 * _frame_rate(sequence.times)))
    except SequenceError:  # without a trunk the direction is unknown
        return np.zeros((len(joints), JOINTS, 3), np.float32)


def _detrended(times: Array, features: Array, window_s: float) -> Array:
    """Subtract from features (T, F) their mean over some seconds around each frame."""
    first = np.searchsorted(times, times - window_s / 2, side="left")
    last = np.searchsorted(times, times + window_s / 2, side="right")
    total = np.concatenate([np.zeros((1, features.shape[1])), np.cumsum(features, axis=0)])
    return np.asarray(features - (total[last] - total[first]) / (last - first)[:, None])


def _components(features: Array) -> Array:
    """Return the (T, K) principal components of the features, the strongest first.

    The first is signed so that it is high when the feet are apart.
    """
    if features.shape[1] == 1:
        return features
    _, axes = np.linalg.eigh(features.T @ features)
    axes = axes[:, : -_COMPONENTS - 1 : -1]
    outwards = np.tile(np.linspace(1.0, -1.0, 11), 6)
    return np.asarray(features @ axes * (1.0 if axes[:, 0] @ outwards >= 0 else -1.0))


def _closed_gaps(times: Array) -> Array:
    """Return the seconds from the first frame, with gaps shortened to the longest lag that is compared."""
    return np.concatenate([[0.0], np.cumsum(np.minimum(np.diff(times), _LONGEST_LAG_S))])


def _longest_interval(intervals: Array) -> float:
    """Return the longest interval between frames, seconds, that is interpolated."""
    return max(_BRIDGED_GAP_S, _MEDIAN_GAPS * float(np.median(intervals)))


def _covered_s(times: Array) -> float:
    intervals = np.diff(times)
    return float(intervals[intervals <= _longest_interval(intervals)].sum()) if len(intervals) else 0.0


def _frame_rate(times: Array) -> float:
    return float(1.0 / np.median(np.diff(times))) if len(times) > 1 else 0.0


def _resampled(times: Array, features: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Return a uniform grid (G,), the features (T, F) on it (G, F), and False where a point is in a gap."""
    grid = np.arange(0.0, times[-1] + 1e-9, 1.0 / GRID_HZ)
    if len(times) < 2:
        return grid, features[:1], np.ones(len(grid), dtype=bool)
    steps = np.diff(times)
    left = np.clip(np.searchsorted(times, grid, side="right") - 1, 0, len(steps) - 1)
    share = ((grid - times[left]) / steps[left])[:, None]
    values = features[left] * (1.0 - share) + features[left + 1] * share
    return grid, values, steps[left] <= _longest_interval(steps)


def _autocorrelation(values: Array, valid: NDArray[np.bool_]) -> Array:
    """Return the autocorrelation of the features at each lag of the grid; NaN below 0.5 s of pairs."""
    lags = int(_LONGEST_LAG_S * GRID_HZ) + 1
    size = 1 << (len(values) + lags).bit_length()
    mask = valid.astype(np.float64)[:, None]
    ones = np.fft.rfft(mask, size, axis=0)
    series = np.fft.rfft(values * mask, size, axis=0)
    energy = np.fft.rfft((values**2).sum(axis=1, keepdims=True) * mask, size, axis=0)

    def pairs(early: NDArray[np.complex128], late: NDArray[np.complex128]) -> Array:
        return np.asarray(np.fft.irfft(np.conj(early) * late, size, axis=0)[:lags])

    count = np.maximum(np.round(pairs(ones, ones)), 1.0)
    early, late = pairs(series, ones) / count, pairs(ones, series) / count  # (L, F) means
    both = np.fft.irfft((np.conj(series) * series).sum(axis=1), size)[:lags, None] / count
    spread = (pairs(energy, ones) / count - (early**2).sum(axis=1, keepdims=True)) * (
        pairs(ones, energy) / count - (late**2).sum(axis=1, keepdims=True)
    )
    enough = (count >= _ENOUGH_S * GRID_HZ) & (spread > 1e-12)
    product = both - (early * late).sum(axis=1, keepdims=True)
    correlation = np.where(enough, product / np.sqrt(np.where(enough, spread, 1.0)), np.nan)
    return np.asarray(np.clip(correlation, -1.0, 1.0)[:, 0])


def _rhythm(correlation: Array, longest_step: float | None) -> _Rhythm:
    """Find the step period, its strength, regularity and symmetry; zeros without a rhythm.

    At the dominant period P the legs agree with themselves after P and 2P and disagree after P/2, 3P/2,
    P/3 and 2P/3; the thirds rule out that three steps are taken for a stride. The strength is the mean of
    the six, as far as the sequence is long enough. Cadences far from the usual one, whether P is a step or a
    stride, need better evidence; see `_CADENCE_COST`.

    Args:
        correlation: Autocorrelation by lag.
        longest_step: Longest P, seconds, that is a step; None if that is not known.
    """
    lags = np.arange(*PERIOD_S, 0.25 / GRID_HZ)
    known = np.flatnonzero(~np.isnan(correlation))

    def at(wanted: Array) -> Array:
        return np.interp(wanted * GRID_HZ, known, correlation[known], right=np.nan)

    if len(known) < 2 or known[-1] < PERIOD_S[0] * GRID_HZ:
        return _Rhythm(0.0, 0.0, 0.0, 0.0)
    shares = (1.0, 2.0, 1 / 2, 3 / 2, 1 / 3, 2 / 3)
    terms = np.stack([at(lags * share) * (1 if share in (1.0, 2.0) else -1) for share in shares])
    seen = ~np.isnan(terms)
    comb = np.where(seen, terms, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    scored = comb - np.minimum(_cost(lags), _cost(lags / 2))
    possible = seen[0] & (np.where(seen[0], terms[0], 0.0) > 0) & (comb > 0)
    if not possible.any():
        return _Rhythm(0.0, 0.0, 0.0, 0.0)
    rough = int(np.argmax(np.where(possible, scored, -np.inf)))
    near = seen[0] & (np.abs(lags / lags[rough] - 1.0) < _NEAR)
    whole = terms[:2] if seen[1][near].all() else terms[:1]  # else lags whose double is known would win
    best = int(np.argmax(np.where(near, whole.sum(axis=0), -np.inf)))
    strength, period = float(comb[rough]), float(lags[best])
    once, twice = max(float(terms[0][best]), 0.0), float(terms[1][best])
    if not _is_step(period, once, twice, longest_step):
        return _Rhythm(period / 2, strength, once, 0.0)
    if np.isnan(twice):
        return _Rhythm(period, strength, once, 0.0)
    twice = max(twice, 0.0)
    return _Rhythm(period, strength, twice, min(once / twice, twice / once) if once and twice else 0.0)


def _is_step(period: float, once: float, twice: float, longest_step: float | None) -> bool:
    """Whether the dominant period is that of a step, not of a stride.

    If the longest step is not known, alternation decides: the legs agree better after two steps than after
    one, but not better after two strides than after one. Of generated walkers from the side the
    autocorrelations at twice and at once the period differ by 0.12 to 0.63, from oblique views by -0.36 to
    -0.02. Without a clear difference the usual cadence is taken; a stride of a fast walk needs a clearer one.
    """
    if longest_step is not None:
        return period < longest_step
    alternation = 0.0 if math.isnan(twice) else twice - once
    if period < _USUAL_STEP_S:
        return period / 2 < PERIOD_S[0] or alternation > -_CLEAR
    return alternation > _ALTERNATION


def _cost(steps: Array) -> Array:
    """Loss of strength of steps that take these seconds."""
    unusual = np.log(60.0 / steps / _USUAL_CADENCE) / _CADENCE_STEP
    return np.asarray(np.minimum(_CADENCE_COST * unusual**2, _MOST_COST))


def _peaks(grid: Array, values: Array, valid: NDArray[np.bool_], step: float) -> Array:
    """Return the grid times of the signal's maxima, at least 0.6 steps apart; higher ones win."""
    if not step:
        return np.zeros(0)
    half = max(1, int(step * GRID_HZ / 4))
    kernel = np.hanning(2 * half + 3)[1:-1]
    weight = np.convolve(valid.astype(np.float64), kernel, "same")
    smooth = np.convolve(np.where(valid, values, 0.0), kernel, "same") / np.maximum(weight, 1e-9)
    inner = smooth[1:-1]
    top = 1 + np.flatnonzero((inner >= smooth[:-2]) & (inner > smooth[2:]) & valid[1:-1])
    kept: list[int] = []
    for index in top[np.argsort(-smooth[top], kind="stable")]:
        if all(abs(index - other) >= _STEP_SHORTEST * step * GRID_HZ for other in kept):
            kept.append(int(index))
    return grid[np.sort(np.array(kept, dtype=np.intp))]


def _segment(steps: Array, step: float) -> tuple[Array, tuple[float, float]]:
    """Return the cycles of two plausible steps in a row, and the mean durations of alternate steps."""
    durations = np.diff(steps)
    good = (durations > _STEP_SHORTEST * step) & (durations < _STEP_LONGEST * step)
    starts = np.flatnonzero(good[:-1] & good[1:]) if len(good) > 1 else np.zeros(0, dtype=np.intp)
    cycles = np.stack([steps[starts], steps[starts + 2]], axis=1) if len(starts) else np.zeros((0, 2))
    sides = [durations[side::2][good[side::2]] for side in (0, 1)]
    if not (len(sides[0]) and len(sides[1])):
        return cycles, (0.0, 0.0)
    return cycles, (float(sides[0].mean()), float(sides[1].mean()))


def _reasons(
    sequence: GaitSequence, analysis: GaitAnalysis, policy: QualityPolicy, rate: float, height: float
) -> tuple[Reason, ...]:
    walking = analysis.motion >= _needed_motion(sequence, policy)
    seen_enough = len(sequence) >= policy.min_frames and rate >= policy.min_frame_rate
    found = {
        Reason.TOO_SHORT: len(sequence) < policy.min_frames,
        Reason.TOO_SMALL: sequence.boxes is not None and height < policy.min_height_px,
        Reason.LOW_FRAME_RATE: rate < policy.min_frame_rate,
        Reason.STANDING: not walking,
        Reason.IRREGULAR: walking and seen_enough and analysis.rhythm < policy.min_rhythm,
        Reason.TOO_FEW_CYCLES: analysis.covered_cycles < policy.min_cycles,
    }
    if sequence.skeletons is not None or sequence.skeletons_3d is not None:
        found[Reason.MISSING_JOINTS] = _joints_seen(sequence) < policy.min_joints
    total = len(sequence) + sum(sequence.dropped.values())
    for code, count in sequence.dropped.items():
        if count > policy.max_dropped * total:
            found[Reason(code)] = True
    return tuple(reason for reason in Reason if found.get(reason))


def _needed_motion(sequence: GaitSequence, policy: QualityPolicy) -> float:
    return policy.min_ankle_motion if sequence.silhouettes is None else policy.min_motion


def _joints_seen(sequence: GaitSequence) -> float:
    """Return the share of the hip, knee and ankle joints (11..16) that were seen."""
    return float((_joints(sequence)[:, 11:, 2] > 0).mean())


def _score(
    sequence: GaitSequence, analysis: GaitAnalysis, policy: QualityPolicy, rate: float, height: float
) -> float:
    pairs = [
        (len(sequence), 2 * policy.min_frames),
        (analysis.covered_cycles, 2 * policy.min_cycles),
        (rate, 2 * policy.min_frame_rate),
        (analysis.motion, 2 * _needed_motion(sequence, policy)),
        (analysis.rhythm, 2 * policy.min_rhythm),
        (len(sequence), len(sequence) + sum(sequence.dropped.values())),
    ]
    if sequence.skeletons is not None or sequence.skeletons_3d is not None:
        pairs.append((min(_joints_seen(sequence), policy.min_joints), policy.min_joints))
    if sequence.boxes is not None:
        pairs.append((height, 2 * policy.min_height_px))
    shares = [min(value / enough, 1.0) if enough > 0 else 1.0 for value, enough in pairs]
    return 100.0 * math.prod(shares) ** (1.0 / len(shares))
