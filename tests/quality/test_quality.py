from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaitid.quality import QualityPolicy, analyse, assess
from gaitid.records import GaitSequence, Reason
from gaitid.settings import build
from gaitid.synthetic import Pace, Population
from gaitid.synthetic.depth import Sensor
from tests.drawn import phases, silhouettes, skeletons, walk
from tests.paces import start_and_stop

STREAMS = ("silhouette", "skeleton")


def changed(sequence: GaitSequence, **fields) -> GaitSequence:
    values = {name: getattr(sequence, name) for name in ("streams", "times", "boxes", "dropped", "origin")}
    return GaitSequence(**{**values, **fields})


def boxes(frames: int, height: float) -> np.ndarray:
    return np.tile(np.array([0, 0, height / 2, height], np.float32), (frames, 1))


def test_one_frame_gives_reasons_and_score_zero():
    quality = assess(walk().part(slice(0, 1)))
    assert (quality.score, quality.frames, quality.cadence, quality.cycles) == (0.0, 1, 0.0, 0.0)
    assert {Reason.TOO_SHORT, Reason.TOO_FEW_CYCLES, Reason.LOW_FRAME_RATE} <= set(quality.reasons)


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("view", ["lateral", "frontal"])
@pytest.mark.parametrize("fps", [8, 10, 15, 25, 30, 60])
@pytest.mark.parametrize("cadence", [80, 110, 140])
def test_cadence_of_a_drawn_walk(stream, view, fps, cadence):
    quality = assess(walk(fps=fps, cadence=cadence, view=view, stream=stream))
    assert quality.cadence == pytest.approx(cadence, rel=0.06)
    assert quality.cycles == pytest.approx(4.0 * cadence / 120, rel=0.1)
    assert quality.usable
    assert quality.regularity > 0.7


@pytest.mark.parametrize("stream", STREAMS)
def test_cadence_survives_lost_frames(stream):
    times = np.arange(60) / 10.0
    kept = times[np.random.default_rng(0).random(60) > 0.2]
    draw = silhouettes if stream == "silhouette" else skeletons
    quality = assess(GaitSequence({stream: draw(phases(kept, 105))}, kept))
    assert quality.cadence == pytest.approx(105, rel=0.06)


@pytest.mark.parametrize(
    ("pace", "usable", "reasons"),
    [
        (Pace.steady(0.0), False, {Reason.STANDING}),
        (start_and_stop(3.0, 5.0), False, {Reason.STANDING}),  # three of four seconds
        (start_and_stop(1.0, 5.0), True, set()),
        (Pace.steady(), True, set()),
    ],
    ids=["stands", "starts late", "starts", "walks"],
)
def test_a_synthetic_walker_who_stands_is_refused_and_one_who_walks_is_not(pace, usable, reasons):
    quality = assess(Population(0, "test").sequence(0, frames=100, pace=pace).sequence())
    assert quality.usable == usable
    assert set(quality.reasons) == reasons


def test_a_long_gap_is_no_walking_time():
    sequence = walk(seconds=8)
    halves = sequence.part(np.r_[0:50, 150:200])
    assert assess(halves).cycles == pytest.approx(assess(sequence).cycles / 2, rel=0.05)
    assert all(end - start < 1.5 for start, end in analyse(halves).cycles)


def test_steps_are_the_moments_of_widest_stance():
    analysis = analyse(walk(cadence=120))  # phase = t + 0.1, feet apart at phases 0.25 and 0.75
    expected = np.arange(0.15, 4.0, 0.5)
    assert len(analysis.step_times) == len(expected)
    np.testing.assert_allclose(analysis.step_times, expected, atol=0.04)
    np.testing.assert_allclose(np.diff(analysis.cycles, axis=1), 1.0, atol=0.06)
    assert analysis.symmetry > 0.95
    assert analysis.step_durations_s == pytest.approx((0.5, 0.5), abs=0.03)


def test_a_limp_lowers_symmetry_and_parts_the_step_durations():
    times = np.arange(150) / 25.0
    steady = phases(times, 110)
    limp = steady + 0.06 * np.sin(2 * np.pi * steady)
    walks = [analyse(GaitSequence({"skeleton": skeletons(p)}, times)) for p in (steady, limp)]
    assert walks[1].symmetry < walks[0].symmetry - 0.1
    short, long = sorted(walks[1].step_durations_s)
    assert long - short > 0.1
    assert walks[1].cadence == pytest.approx(110, rel=0.05)


POOR = {
    "short": (walk(seconds=0.6), {}, {Reason.TOO_SHORT, Reason.TOO_FEW_CYCLES}),
    "slow camera": (walk(fps=5), {}, {Reason.LOW_FRAME_RATE}),
    "small": (walk(), {"boxes": boxes(100, 30)}, {Reason.TOO_SMALL}),
    "mostly merged": (walk(), {"dropped": {"merged": 150}}, {Reason.MERGED}),
    "mostly cut off": (walk(), {"dropped": {"cut_off": 101}}, {Reason.CUT_OFF}),
    "some cut off": (walk(), {"dropped": {"cut_off": 99, "merged": 50}}, set()),
    "standing": (walk(cadence=0), {}, {Reason.STANDING, Reason.TOO_FEW_CYCLES}),
    "standing skeleton": (
        walk(cadence=0, stream="skeleton"),
        {},
        {Reason.STANDING, Reason.TOO_FEW_CYCLES},
    ),
}


@pytest.mark.parametrize("name", POOR)
def test_poor_sequences_have_their_reasons(name):
    sequence, fields, reasons = POOR[name]
    quality = assess(changed(sequence, **fields))
    assert set(quality.reasons) == reasons
    assert quality.score < assess(walk()).score


@pytest.mark.parametrize("stream", STREAMS)
def test_movement_without_rhythm_is_irregular(stream):
    refused = 0
    for seed in range(20):
        phase = np.random.default_rng(seed).random(60)
        draw = silhouettes if stream == "silhouette" else skeletons
        refused += Reason.IRREGULAR in assess(GaitSequence({stream: draw(phase)}, np.arange(60) / 15)).reasons
    assert refused >= 17


def test_missing_leg_joints_are_a_reason():
    joints = skeletons(phases(np.arange(60) / 15, 110))
    joints[:, 13:17] = 0
    quality = assess(GaitSequence({"skeleton": joints}, np.arange(60) / 15))
    assert {Reason.MISSING_JOINTS, Reason.STANDING} <= set(quality.reasons)


def test_a_walk_in_space_has_the_cadence_of_its_picture():
    walk = Population(3).sequence(0, frames=90)
    space = walk.sequence(modalities=("skeleton3d",))
    picture = GaitSequence({"skeleton": walk.detected(0.0)}, walk.times)
    assert assess(space).usable
    assert assess(space).cadence == pytest.approx(assess(picture).cadence, rel=0.05)


@pytest.mark.parametrize("leg", [(11, 13), (12, 14), (11, 13, 15), (11, 12, 13, 14)])
@pytest.mark.parametrize("stream", ["skeleton", "skeleton3d"])
def test_a_partial_body_that_shows_the_gait_is_usable(leg, stream):
    made = Population(3).sequence(0, frames=100)
    whole = {"skeleton": made.detected(0.0), "skeleton3d": made.measured(Sensor.exact())}[stream]
    part = np.where(np.isin(np.arange(17), leg)[:, None], whole, 0).astype(np.float32)
    quality, usual = (assess(GaitSequence({stream: joints}, made.times)) for joints in (part, whole))
    assert (quality.usable, quality.reasons) == (True, (Reason.MISSING_JOINTS,))
    assert quality.cadence == pytest.approx(usual.cadence, rel=0.06)
    assert quality.score < usual.score


def test_ankles_without_a_thigh_show_no_gait():
    joints = skeletons(phases(np.arange(60) / 15, 110))
    joints[:, :15] = 0
    quality = assess(GaitSequence({"skeleton": joints}, np.arange(60) / 15))
    assert not quality.usable
    assert Reason.STANDING in quality.reasons


def test_a_body_in_space_without_a_trunk_is_refused_by_reasons():
    joints = Population(3).sequence(0, frames=60).measured(Sensor.exact())
    joints[:, :13] = 0
    quality = assess(GaitSequence({"skeleton3d": joints}, np.arange(60) / 25))
    assert Reason.MISSING_JOINTS in quality.reasons


def test_both_streams_together():
    times = np.arange(60) / 15
    phase = phases(times, 110)
    both = {"silhouette": silhouettes(phase), "skeleton": skeletons(phase)}
    quality = assess(GaitSequence(both, times))
    assert quality.usable
    assert quality.cadence == pytest.approx(110, rel=0.05)


@pytest.mark.parametrize("size", [(64, 44), (64, 64), (128, 88)])
def test_every_silhouette_size(size):
    times = np.arange(60) / 15
    quality = assess(GaitSequence({"silhouette": silhouettes(phases(times, 110), size=size)}, times))
    assert quality.usable
    assert quality.cadence == pytest.approx(110, rel=0.05)


MORE_IS_BETTER = {
    "frames": [walk(seconds=s) for s in (1, 1.5, 3, 4)],
    "height": [changed(walk(), boxes=boxes(100, h)) for h in (20, 50, 90, 200)],
    "kept": [changed(walk(), dropped={"merged": n}) for n in (300, 100, 10, 0)],
    "frame rate": [walk(seconds=6, fps=f) for f in (5, 8, 12, 20)],
}


@pytest.mark.parametrize("name", MORE_IS_BETTER)
def test_the_score_never_falls_as_a_property_improves(name):
    scores = [assess(sequence).score for sequence in MORE_IS_BETTER[name]]
    assert all(b >= a - 1e-9 for a, b in pairwise(scores))
    assert scores[-1] > scores[0]


def test_the_policy_can_be_set_from_a_table():
    policy = build(QualityPolicy, {"min_frames": 200, "min_height_px": 10})
    assert Reason.TOO_SHORT in assess(walk(), policy).reasons
    assert assess(changed(walk(), boxes=boxes(100, 30)), QualityPolicy(min_height_px=10)).usable


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    frames=st.integers(1, 50),
    interval=st.floats(1e-3, 1e9),
    stream=st.sampled_from(STREAMS),
)
def test_nothing_valid_raises_and_all_values_are_finite(seed, frames, interval, stream):
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.random(frames) * interval + 1e-3)
    if stream == "silhouette":
        data = rng.integers(0, 2, (frames, 64, 44), dtype=np.uint8)
    else:
        data = (rng.random((frames, 17, 3)) * [1e4, 1e4, 1]).astype(np.float32)
        data[rng.random((frames, 17)) < 0.3] = 0
    quality = assess(GaitSequence({stream: data}, times))
    values = [quality.score, quality.cycles, quality.cadence, quality.regularity, quality.symmetry]
    assert np.isfinite(values).all()
    assert 0 <= quality.score <= 100
    assert 0 <= min(quality.regularity, quality.symmetry) <= max(quality.regularity, quality.symmetry) <= 1


@pytest.mark.parametrize("value", [0, 1])
def test_blank_silhouettes_stand(value):
    quality = assess(GaitSequence({"silhouette": np.full((30, 64, 44), value, np.uint8)}, np.arange(30) / 10))
    assert Reason.STANDING in quality.reasons
    assert quality.score == 0


@pytest.mark.parametrize("interval", [1e-3, 0.04, 2.0, 1e6])
def test_the_longest_sequence_takes_bounded_time_and_memory(interval):
    times = np.arange(10_000) * interval
    blank = np.zeros((10_000, 64, 44), np.uint8)
    blank[::2, 50:, :20] = 1
    sequence = GaitSequence({"silhouette": blank}, times)
    start = time.process_time()
    analysis = analyse(sequence)
    assert time.process_time() - start < 5.0  # measured under 1 s
    assert len(analysis.times) == len(analysis.signal) <= 10_000


def test_a_walk_longer_than_the_analysed_minute_counts_all_its_cycles():
    sequence = walk(seconds=100, fps=10, stream="skeleton")
    assert assess(sequence).cycles == pytest.approx(100 * 110 / 120, rel=0.03)
    assert analyse(sequence).step_times[-1] < 61


def test_time_origin_does_not_matter():
    sequence = walk()
    late = changed(sequence, times=sequence.times + 1.8e9)
    assert assess(late).cadence == pytest.approx(assess(sequence).cadence, rel=1e-3)
