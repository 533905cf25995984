"""Lifelike subjects: clothes, postures and masks with the spreads of real people."""

import copy
from dataclasses import replace

import numpy as np
import pytest

from gaitid.synthetic import Camera, Population, PopulationDataset, WalkPlan, lifelike
from gaitid.synthetic.frames import align_all
from gaitid.synthetic.noise import degrade

LIFELIKE, USUAL = (Population(3, "validation", lifelike=on) for on in (True, False))
CAMERA = Camera.beside(90.0, distance=7.0, height=1.4, focal=490.0)
HEAD, NECK, TRUNK, HIP, SHANK = slice(0, 8), slice(8, 16), slice(16, 32), slice(32, 40), slice(48, 56)


def filmed(population: Population, identity: int, number: int = 0, condition: str = "nm"):
    return population.sequence(identity, 0, number, condition=condition, frames=30, camera=CAMERA)


def widths(silhouettes: np.ndarray) -> np.ndarray:
    """(64,) mean width of each row."""
    return silhouettes.sum(2).mean(0)


def change(population: Population, condition: str, people: int = 16) -> np.ndarray:
    """(64,) mean widening of clean outlines by clothes or a bag."""
    rows = [
        widths(align_all(filmed(population, i, 0, condition).clean))
        - widths(align_all(filmed(population, i).clean))
        for i in range(people)
    ]
    return np.mean(rows, 0)


def test_subjects_keep_body_and_curves_and_change_posture_and_clothes():
    ours, usual = LIFELIKE.identity(5), USUAL.identity(5)
    np.testing.assert_array_equal(ours.figure.vertices, usual.figure.vertices)
    np.testing.assert_array_equal(ours.style.common, usual.style.common)
    assert LIFELIKE.day(5, 0).wardrobe != USUAL.day(5, 0).wardrobe
    assert LIFELIKE.day(5, 0).style["lean"] != USUAL.day(5, 0).style["lean"]


def test_postures_differ_less():
    spread = {
        name: [np.std([population.day(i, 0).style[key] for i in range(60)]) for key in ("lean", "slump")]
        for name, population in (("ours", LIFELIKE), ("usual", USUAL))
    }
    assert np.all(np.array(spread["ours"]) < 0.6 * np.array(spread["usual"]))


def test_coats_widen_neck_to_hips_and_leave_legs_and_head():
    wider = change(LIFELIKE, "cl")
    assert min(wider[NECK].mean(), wider[TRUNK].mean(), wider[HIP].mean()) > 1
    assert abs(wider[SHANK].mean()) < 0.4
    assert abs(wider[HEAD].mean()) < 0.8
    assert wider[NECK].mean() > 1.5 * change(USUAL, "cl")[NECK].mean()


def test_bags_hang_at_the_hip():
    wider = change(LIFELIKE, "bg")
    assert wider[HIP].mean() > 1.5 > 0.5 > abs(wider[SHANK].mean())


def test_walks_of_a_day_through_a_camera_differ_little():
    def within(population: Population) -> float:
        rows = [[widths(filmed(population, i, n).silhouettes) for n in range(4)] for i in range(6)]
        return float(np.std(rows, 1).mean())

    assert within(LIFELIKE) < 0.5 * within(USUAL)


def test_a_camera_sees_all_subjects_of_a_day_alike():
    keys = [LIFELIKE.sequence(i, 1, i, frames=2, view=36.0).key for i in (0, 1)]
    one, other = (lifelike.segmenter(key.camera_stream("masks")) for key in keys)
    assert one == other
    elsewhere = LIFELIKE.sequence(0, 2, frames=2, view=36.0).key
    assert one != lifelike.segmenter(elsewhere.camera_stream("masks"))


@pytest.mark.parametrize("lost", [0.0, 0.2])
def test_bursts_lose_the_head_or_the_legs_of_some_frames(lost):
    clean = LIFELIKE.sequence(2, frames=120, camera=CAMERA).clean
    steady = replace(lifelike.segmenter(np.random.default_rng(0)), lost=lost)
    masks = degrade(clean, np.random.default_rng(1), steady)
    heights = [np.ptp(np.flatnonzero(mask.any(1))) / np.ptp(np.flatnonzero(true.any(1))) for mask, true in
               zip(masks, clean, strict=True)]  # fmt: skip
    bad = np.array(heights) < 0.96
    assert bad.mean() == pytest.approx(lost, abs=0.12)
    if lost:
        assert bad.any()
        assert np.count_nonzero(np.diff(bad)) < bad.sum()  # in runs, not single frames


def test_half_of_the_cameras_have_bursts():
    drawn = [lifelike.segmenter(np.random.default_rng(seed)).lost for seed in range(200)]
    assert 0.35 < np.mean(np.array(drawn) > 0) < 0.65
    assert max(drawn) <= 0.15


def test_copies_and_caches_keep_the_kind(tmp_path):
    again = copy.deepcopy(LIFELIKE)  # as pickling does for worker processes
    item = WalkPlan(1, condition="cl", frames=8)
    wanted = item.make(LIFELIKE).silhouettes
    np.testing.assert_array_equal(item.make(again).silhouettes, wanted)
    for _ in range(2):  # rendered, then read
        data = PopulationDataset(again, [item], cache=tmp_path)
        np.testing.assert_array_equal(data[0].silhouettes, wanted)
    assert (PopulationDataset(USUAL, [item], cache=tmp_path)[0].silhouettes != wanted).any()
