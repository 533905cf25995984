"""Segmentation noise, occlusion, keypoint noise, and alignment of whole walks."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaitid.errors import InputError
from gaitid.perception.align import align, binarise
from gaitid.synthetic import Population
from gaitid.synthetic.detect import detect
from gaitid.synthetic.frames import Extent, align_all
from gaitid.synthetic.noise import Segmenter, degrade, draw_segmenter
from gaitid.synthetic.occlude import cut_at_border, hide_behind_object, join_walker

CLEAN = Segmenter(0.006, 0, 0, 0, 0, 0.1, 0, 0, 0, 1, (1, 1), 1, 0.0)
WALK = Population(0, "test").sequence(1, view=90, frames=24, height_px=90)


def noise(seed: int = 0, **changes) -> np.ndarray:
    return degrade(WALK.clean, np.random.default_rng(seed), replace(CLEAN, **changes))


def test_without_noise_only_corners_are_rounded():
    found = noise()
    assert (found != WALK.clean).mean() < 0.01
    assert found.shape == WALK.clean.shape


EFFECTS = {
    "bias thins": ({"bias": 80.0}, lambda found: found.sum() < 0.95 * WALK.clean.sum()),
    "bias fattens": ({"bias": -80.0}, lambda found: found.sum() > 1.05 * WALK.clean.sum()),
    "coarse bulges": ({"coarse": 70.0}, lambda found: 0.003 < (found != WALK.clean).mean() < 0.1),
    "holes": ({"hole": 400.0}, lambda found: (WALK.clean & ~found & 1).sum() > 0.01 * WALK.clean.sum()),
    "feet are lost": ({"feet": 1.0}, lambda found: lower(found) < lower(WALK.clean) - 1),
    "shadow": ({"shadow": 0.25}, lambda found: width(found[:, -12:]) > width(WALK.clean[:, -12:]) + 5),
    "dirt": ({"dirt": 1.0}, lambda found: (found & ~WALK.clean & 1).sum() > 20),
    "closing fills": ({"close": (9, 9)}, lambda found: found.sum() > 1.01 * WALK.clean.sum()),
    "small parts go": ({"dirt": 1.0, "keep": 0.5}, lambda found: (found & ~WALK.clean & 1).mean() < 0.01),
}


def lower(masks: np.ndarray) -> float:
    return float(Extent.of(masks).bottom.mean())


def width(masks: np.ndarray) -> float:
    extent = Extent.of(masks)
    return float((extent.right - extent.left).mean())


@pytest.mark.parametrize(("changes", "holds"), EFFECTS.values(), ids=EFFECTS)
def test_each_error_has_its_effect(changes, holds):
    assert holds(noise(**changes))


def test_noise_comes_from_the_seed():
    first, again, other = (
        degrade(WALK.clean, np.random.default_rng(seed), draw_segmenter(np.random.default_rng(1)))
        for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), level=st.floats(0.1, 2))
def test_noise_at_any_strength_leaves_most_of_the_body(seed, level):
    rng = np.random.default_rng(seed)
    found = degrade(WALK.clean, rng, draw_segmenter(rng, level))
    assert found.max() <= 1
    assert (found & WALK.clean).sum() > 0.35 * WALK.clean.sum()


def test_an_empty_walk_stays_empty():
    empty = np.zeros((3, 40, 30), np.uint8)
    assert not degrade(empty, np.random.default_rng(0), CLEAN).any()
    assert not align_all(empty).any()


@pytest.mark.parametrize("size", [(64, 44), (64, 64), (128, 88)])
def test_alignment_of_a_walk_is_that_of_its_frames(size):
    masks = WALK.masks()
    masks = np.concatenate([masks, np.zeros_like(masks[:1])])
    for mask, found in zip(masks, align_all(masks, size), strict=True):
        gray = align(np.ascontiguousarray(mask), size)
        assert np.array_equal(found, np.zeros(size) if gray is None else binarise(gray))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_alignment_of_any_blobs_is_that_of_its_frames(seed):
    rng = np.random.default_rng(seed)
    masks = (rng.random((4, *rng.integers(9, 90, 2))) < rng.uniform(0.005, 0.9)).astype(np.uint8)
    for mask, found in zip(masks, align_all(masks), strict=True):
        gray = align(mask)
        assert np.array_equal(found, np.zeros((64, 44)) if gray is None else binarise(gray))


@pytest.mark.parametrize("hide", [hide_behind_object, cut_at_border])
def test_occlusion_removes_pixels_and_never_adds_any(hide):
    lost = []
    for seed in range(12):
        found = hide(WALK.clean, WALK.corners, np.random.default_rng(seed))
        assert not (found & ~WALK.clean & 1).any()
        lost.append(1 - found.sum() / WALK.clean.sum())
    assert max(lost) > 0.05
    assert min(lost) < 0.7


def test_another_walker_merges_or_hides():
    other = np.roll(WALK.clean, 8, axis=2)
    results = [join_walker(WALK.clean, other, np.random.default_rng(seed)).sum() for seed in range(10)]
    assert min(results) < WALK.clean.sum() < max(results)
    with pytest.raises(InputError, match="same windows"):
        join_walker(WALK.clean, other[:, :-1], np.random.default_rng(0))


def keypoints(level: float, seen: float = 1.0, seed: int = 0) -> np.ndarray:
    height = np.full(len(WALK.times), 90.0)
    rng = np.random.default_rng(seed)
    return detect(WALK.keypoints, np.full(WALK.seen.shape, seen), height, rng, level)


def test_a_perfect_estimator_gives_the_truth():
    found = keypoints(0.0)
    assert np.allclose(found[..., :2], WALK.keypoints, atol=1e-3)
    assert (found[..., 2] == 1).all()


def error(found: np.ndarray) -> float:
    good = found[..., 2] > 0
    return float(np.median(np.linalg.norm(found[..., :2] - WALK.keypoints, axis=2)[good]))


def test_hidden_joints_are_worse_and_less_trusted():
    free = [keypoints(1.0, 1.0, seed) for seed in range(10)]
    hidden = [keypoints(1.0, 0.0, seed) for seed in range(10)]
    assert 0.3 < np.mean([error(f) for f in free]) < 4  # pixels, of a body 90 pixels tall
    assert np.mean([error(f) for f in hidden]) > 1.5 * np.mean([error(f) for f in free])
    assert np.mean([f[..., 2].mean() for f in hidden]) < np.mean([f[..., 2].mean() for f in free]) - 0.1
    missed = np.mean([(f[..., 2] == 0).mean() for f in hidden])
    assert 0.02 < missed < 0.5
    confidence = np.stack(free + hidden)[..., 2]
    assert 0 <= confidence.min() <= confidence.max() <= 1


def test_sides_are_swapped_sometimes():
    swapped = 0
    for seed in range(40):
        found = keypoints(1.0, 1.0, seed)[:, 15:17, :2]
        straight = np.linalg.norm(found - WALK.keypoints[:, 15:17], axis=2).sum(1)
        crossed = np.linalg.norm(found[:, ::-1] - WALK.keypoints[:, 15:17], axis=2).sum(1)
        swapped += int((crossed + 8 < straight).any())
    assert 2 <= swapped <= 38


def test_far_limbs_are_hidden_from_the_side():
    walk = Population(0, "test").sequence(2, view=90, frames=24)  # the left side is near
    assert walk.seen[:, [5, 7, 9, 13]].mean() > walk.seen[:, [6, 8, 10, 14]].mean() + 0.1
    assert walk.seen.min() >= 0
    assert walk.seen.max() <= 1
