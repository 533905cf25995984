"""How well a sequence can be recognised: gait cycles, cadence, regularity, symmetry, reasons.

One scalar gait signal is read from the legs: from silhouettes the first principal component of
the leg region folded about the vertical axis, from skeletons the distance between the ankles.
Folding makes left and right steps look alike, so the signal has the period of a *step* in every
view from frontal to lateral, and two steps are one gait cycle (stride).

Periods come from the signal's autocorrelation. Source: Moe-Nilssen & Helbostad, "Estimation of gait
cycle characteristics by trunk accelerometry", J. Biomechanics 37, 2004, sec. 2: regularity is the
autocorrelation at the stride lag, symmetry the ratio of those at the step and the stride lag.
Deviation: step and stride lag are sought together (see `_step_lag`), because in a short sequence
the first peak alone is often noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaitid.records import GaitSequence, Quality, Reason

Array = NDArray[np.float64]

GRID_HZ = 60.0
"""Rate of the uniform grid on which the signal is analysed."""
STEP_S = (0.30, 1.20)
"""Shortest and longest step sought, seconds (200 and 50 steps a minute)."""
_TREND_S = 1.5
_LONGEST_LAG_S = 2 * STEP_S[1] + 0.1


@dataclass(frozen=True, slots=True)
class QualityPolicy:
    """What a sequence needs to be embedded.

    Attributes:
        min_frames: Fewest good frames.
        min_cycles: Fewest gait cycles.
        min_height_px: Least median body height in the source picture, pixels.
        min_frame_rate: Least median frames a second.
        min_motion: Least leg movement; see `GaitAnalysis.motion`.
        min_regularity: Least autocorrelation at the stride.
        max_dropped: Largest share of the track's frames that may be refused for one reason.
        min_joints: Least share of hip, knee and ankle joints seen, when there is a skeleton.
    """

    min_frames: int = 20
    min_cycles: float = 1.5
    min_height_px: float = 48.0
    min_frame_rate: float = 8.0
    min_motion: float = 0.03
    min_regularity: float = 0.3
    max_dropped: float = 0.5
    min_joints: float = 0.7


@dataclass(frozen=True, slots=True, eq=False)
class GaitAnalysis:
    """The rhythm of a walk.

    Attributes:
        times: (T,) seconds, those of the sequence.
        signal: (T,) gait signal without its trend; high = feet apart.
        motion: Size of the leg movement: RMS of the signal, as a share of body size.
        step_period_s: Seconds from step to step; 0 when no rhythm was found.
        step_times: (S,) seconds at which the feet are farthest apart, once a step.
        cycles: (C, 2) seconds, start and end of each whole gait cycle (two steps) without a gap.
        covered_cycles: Gait cycles that the good frames cover, with fractions.
        regularity: 0..1, autocorrelation at one stride.
        symmetry: 0..1, autocorrelation at one step over that at one stride; 0 when unknown.
        step_durations_s: Mean duration of every other step and of those between; which of them is
            the left one is not known. 0 when there are too few.
    """

    times: Array
    signal: Array
    motion: float
    step_period_s: float
    step_times: Array
    cycles: Array
    covered_cycles: float
    regularity: float
    symmetry: float
    step_durations_s: tuple[float, float]

    @property
    def cadence(self) -> float:
        """Steps a minute; 0 when no rhythm was found."""
        return 60.0 / self.step_period_s if self.step_period_s else 0.0


def assess(sequence: GaitSequence, policy: QualityPolicy | None = None) -> Quality:
    """Judge a sequence; poor quality gives reasons and a low score, never an exception.

    The score is 100 times the geometric mean of shares 0..1, each growing with one property:
    frames, cycles, body height, frame rate, leg movement and regularity (1 at twice the policy's
    minimum), and the share of the track's frames that were good.
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
    """Find steps and gait cycles; a skeleton is used where there is no silhouette."""
    times = _closed_gaps(sequence.times)
    raw, unit = _leg_features(sequence)  # (T, F)
    features = _detrended(times, raw)
    signal = _principal(features, raw)
    grid, values, valid = _resampled(times, signal)
    correlation = _autocorrelation(values, valid)
    step, regularity, symmetry = _rhythm(correlation)
    peaks = _peaks(grid, values, valid, step)
    steps = np.interp(peaks, times, sequence.times)
    cycles, durations = _segment(steps, step)
    return GaitAnalysis(
        times=sequence.times,
        signal=signal,
        motion=float(np.sqrt(np.mean(signal**2))) * unit,
        step_period_s=step,
        step_times=steps,
        cycles=cycles,
        covered_cycles=float(valid.sum() / GRID_HZ / (2 * step)) if step else 0.0,
        regularity=regularity,
        symmetry=symmetry,
        step_durations_s=durations,
    )


def _leg_features(sequence: GaitSequence) -> tuple[Array, float]:
    if sequence.silhouettes is not None:
        return _folded_legs(sequence.silhouettes), 1.0
    return _leg_spread(sequence), 1.0


def _folded_legs(silhouettes: NDArray[np.uint8]) -> Array:
    """(T, F) occupancy of the lower 40 % in cells of height/16 x width/11, folded left on right."""
    frames, height, width = silhouettes.shape
    legs = silhouettes[:, int(0.6 * height) :].astype(np.float64)
    folded = (legs + legs[:, :, ::-1])[:, :, : width // 2] / 2.0  # (T, h, W / 2)
    rows, columns = folded.shape[1] // 4, folded.shape[2] // 2
    cells = folded[:, -rows * 4 :, -columns * 2 :].reshape(frames, rows, 4, columns, 2)
    return np.asarray(cells.mean(axis=(2, 4)).reshape(frames, -1))


def _leg_spread(sequence: GaitSequence) -> Array:
    """(T, 1) distance of the ankles from their usual place beside each other, over body height."""
    skeletons = sequence.skeletons
    if skeletons is None:
        return np.zeros((len(sequence), 1))
    joints = skeletons.astype(np.float64)
    seen = joints[:, :, 2] > 0
    low = np.where(seen, joints[:, :, 1], np.inf).min(axis=1)
    high = np.where(seen, joints[:, :, 1], -np.inf).max(axis=1)
    height = float(np.median((high - low)[seen.any(axis=1)])) if seen.any() else 0.0
    both = seen[:, 15] & seen[:, 16]
    if both.sum() < 2 or height <= 0:
        return np.zeros((len(sequence), 1))
    apart = joints[:, 15, :2] - joints[:, 16, :2]
    index = np.arange(len(sequence))
    apart = np.stack([np.interp(index, index[both], apart[both, axis]) for axis in (0, 1)], axis=1)
    centred = _detrended(_closed_gaps(sequence.times), apart / height)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    return np.abs(centred @ axes[:1].T)


def _detrended(times: Array, features: Array) -> Array:
    """Features (T, F) minus their mean over the 1.5 s around each frame."""
    first = np.searchsorted(times, times - _TREND_S / 2, side="left")
    last = np.searchsorted(times, times + _TREND_S / 2, side="right")
    total = np.concatenate([np.zeros((1, features.shape[1])), np.cumsum(features, axis=0)])
    return np.asarray(features - (total[last] - total[first]) / (last - first)[:, None])


def _principal(features: Array, raw: Array) -> Array:
    """(T,) first principal component, signed so that it is high when the feet are apart."""
    if features.shape[1] == 1:
        return features[:, 0]
    _, axes = np.linalg.eigh(features.T @ features)
    signal = features @ axes[:, -1]
    columns = raw.shape[1]
    spread = features @ np.tile(np.linspace(1.0, -1.0, 11), columns // 11)
    return np.asarray(signal if float(signal @ spread) >= 0 else -signal) / np.sqrt(columns)


def _closed_gaps(times: Array) -> Array:
    """Seconds from the first frame with gaps cut to the longest lag: no pair beyond it is compared."""
    return np.concatenate([[0.0], np.cumsum(np.minimum(np.diff(times), _LONGEST_LAG_S))])


def _frame_rate(times: Array) -> float:
    return float(1.0 / np.median(np.diff(times))) if len(times) > 1 else 0.0


def _resampled(times: Array, signal: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    """The signal on a uniform grid; grid points inside a gap (1.6 frame intervals) are not valid."""
    grid = np.arange(0.0, times[-1] + 1e-9, 1.0 / GRID_HZ)
    if len(times) < 2:
        return grid, np.interp(grid, times, signal), np.ones(len(grid), dtype=bool)
    steps = np.diff(times)
    interval = np.clip(np.searchsorted(times, grid, side="right") - 1, 0, len(steps) - 1)
    return grid, np.interp(grid, times, signal), steps[interval] <= 1.6 * float(np.median(steps))


def _autocorrelation(values: Array, valid: NDArray[np.bool_]) -> Array:
    """Pearson correlation of the signal with itself at each lag of the grid; NaN under 0.5 s of pairs."""
    lags = int(_LONGEST_LAG_S * GRID_HZ) + 1
    size = 1 << (len(values) + lags).bit_length()
    mask = valid.astype(np.float64)
    spectra = [np.fft.rfft(series * mask, size) for series in (np.ones_like(values), values, values**2)]

    def pairs(early: int, late: int) -> Array:
        product = np.conj(spectra[early]) * spectra[late]
        return np.asarray(np.fft.irfft(product, size)[:lags])

    count = np.round(pairs(0, 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        early, late = pairs(1, 0) / count, pairs(0, 1) / count
        spread = np.sqrt((pairs(2, 0) / count - early**2) * (pairs(0, 2) / count - late**2))
        correlation = (pairs(1, 1) / count - early * late) / spread
    enough = (count >= 0.5 * GRID_HZ) & (spread > 1e-9)
    return np.where(enough, np.clip(correlation, -1.0, 1.0), np.nan)


def _rhythm(correlation: Array) -> tuple[float, float, float]:
    """Step period (s), regularity and symmetry; zeros when there is no rhythm.

    A step lag L is one where the signal agrees with itself after L and 2L (a stride) and disagrees
    after L/2 and 3L/2. The mean of these four says "step" only of the step: at 2L the half lag
    agrees, at L/2 the whole lag disagrees.
    """
    lags = np.arange(*STEP_S, 0.25 / GRID_HZ)
    known = np.arange(len(correlation))[~np.isnan(correlation)]
    if len(known) < 2:
        return 0.0, 0.0, 0.0

    def at(shares: Array) -> Array:
        return np.interp(shares * GRID_HZ, known, correlation[known], right=np.nan)

    whole = at(lags)
    terms = np.stack([whole, at(2 * lags), -at(lags / 2), -at(1.5 * lags)])
    comb = np.where(np.isnan(whole), -1.0, np.nanmean(np.where(np.isnan(terms), 0.0, terms), axis=0))
    best = int(np.argmax(comb))
    step = float(lags[best])
    one, two = float(whole[best]), float(terms[1][best])
    if comb[best] <= 0 or one <= 0:
        return 0.0, 0.0, 0.0
    if np.isnan(two):
        return step, one, 0.0
    return step, max(two, 0.0), min(one / two, 1.0) if two > 0 else 0.0


def _peaks(grid: Array, values: Array, valid: NDArray[np.bool_], step: float) -> Array:
    """Grid times of the signal's maxima, at least 0.6 steps apart, the highest first served."""
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
        if all(abs(index - other) >= 0.6 * step * GRID_HZ for other in kept):
            kept.append(int(index))
    return grid[np.sort(np.array(kept, dtype=np.intp))]


def _segment(steps: Array, step: float) -> tuple[Array, tuple[float, float]]:
    """Cycles of two plausible steps in a row, and mean durations of alternate steps."""
    durations = np.diff(steps)
    good = (durations > 0.6 * step) & (durations < 1.4 * step)
    starts = np.flatnonzero(good[:-1] & good[1:]) if len(good) > 1 else np.zeros(0, dtype=np.intp)
    cycles = np.stack([steps[starts], steps[starts + 2]], axis=1) if len(starts) else np.zeros((0, 2))
    sides = [durations[side::2][good[side::2]] for side in (0, 1)]
    if not (len(sides[0]) and len(sides[1])):
        return cycles, (0.0, 0.0)
    return cycles, (float(sides[0].mean()), float(sides[1].mean()))


def _reasons(
    sequence: GaitSequence, analysis: GaitAnalysis, policy: QualityPolicy, rate: float, height: float
) -> tuple[Reason, ...]:
    walking = analysis.motion >= policy.min_motion
    found = {
        Reason.TOO_SHORT: len(sequence) < policy.min_frames,
        Reason.TOO_SMALL: sequence.boxes is not None and height < policy.min_height_px,
        Reason.LOW_FRAME_RATE: rate < policy.min_frame_rate,
        Reason.STANDING: not walking,
        Reason.IRREGULAR: walking and analysis.regularity < policy.min_regularity,
        Reason.TOO_FEW_CYCLES: analysis.covered_cycles < policy.min_cycles,
    }
    total = len(sequence) + sum(sequence.dropped.values())
    for code, count in sequence.dropped.items():
        if count > policy.max_dropped * total:
            found[Reason(code)] = True
    return tuple(reason for reason in Reason if found.get(reason))


def _score(
    sequence: GaitSequence, analysis: GaitAnalysis, policy: QualityPolicy, rate: float, height: float
) -> float:
    shares = [
        len(sequence) / (2 * policy.min_frames),
        analysis.covered_cycles / (2 * policy.min_cycles),
        rate / (2 * policy.min_frame_rate),
        analysis.motion / (2 * policy.min_motion),
        analysis.regularity / (2 * policy.min_regularity),
        len(sequence) / (len(sequence) + sum(sequence.dropped.values())),
    ]
    if sequence.boxes is not None:
        shares.append(height / (2 * policy.min_height_px))
    return 100.0 * float(np.prod(np.minimum(shares, 1.0)) ** (1.0 / len(shares)))
