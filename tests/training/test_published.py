"""Changes of published recipes, and the choice of frames: against their rules."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cv2", reason="OpenCV is not installed: pip install 'gaitid[edge]'")

from gaitid.training import augment, published
from gaitid.training.recipe import Augmentation, Published


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def clip() -> np.ndarray:
    """Five frames of a gray rectangle, left of the middle."""
    frames = np.zeros((5, 64, 44), np.float32)
    frames[:, 10:60, 12:24] = 0.8
    return frames


def test_without_changes_a_clip_stays_as_it_is(clip):
    np.testing.assert_array_equal(published.change(_rng(), clip, Published()), clip)


@pytest.mark.parametrize("name", ["perspective", "flip", "rotate", "erase"])
def test_each_change_has_its_probability_and_keeps_shape_and_range(clip, name):
    how = Published(**{name: 0.3})
    made = [published.change(_rng(seed), clip, how) for seed in range(300)]
    assert all(one.shape == clip.shape and one.dtype == np.float32 for one in made)
    assert all(one.min() >= 0 and one.max() <= 0.8 + 1e-6 for one in made)
    changed = np.mean([not np.array_equal(one, clip) for one in made])
    assert changed == pytest.approx(0.3, abs=0.09)
    np.testing.assert_array_equal(clip, clip[:1].repeat(5, 0))  # the original is untouched


def test_all_frames_change_alike(clip):
    how = Published(perspective=1, flip=1, rotate=1, erase=1)
    made = published.change(_rng(), clip, how)
    np.testing.assert_array_equal(made, made[:1].repeat(5, 0))


def test_flipping_mirrors_exactly(clip):
    np.testing.assert_array_equal(published.change(_rng(), clip, Published(flip=1)), clip[:, :, ::-1])


def test_erasing_hides_a_rectangle_of_a_twentieth_to_a_fifth():
    full = np.ones((2, 64, 44), np.float32)
    for seed in range(200):
        hidden = published.erase(_rng(seed), full)[0] == 0
        rows, columns = hidden.any(1), hidden.any(0)
        assert hidden.sum() == rows.sum() * columns.sum()  # a rectangle
        assert 0.045 < hidden.mean() < 0.21
        assert 0.25 < rows.sum() / columns.sum() < 3.8


def test_rotation_turns_by_at_most_ten_degrees_around_its_centre():
    angles = []
    for seed in range(200):
        line = np.zeros((1, 64, 44), np.float32)
        line[0, :, 31:34] = 1  # a vertical bar through column 32, around which the framework rotates
        made = published.rotate(_rng(seed), line)[0]
        y, x = np.nonzero(made > 0.5)
        angles.append(np.degrees(np.arctan(np.polyfit(y, x, 1)[0])))
    assert 9 < max(angles) < 10.6
    assert -10.6 < min(angles) < -9
    assert abs(np.mean(angles)) < 1.5


def test_perspective_widens_and_keeps_rows():
    body = np.zeros((1, 64, 44), np.float32)
    body[0, 8:56, 16:28] = 1
    widths = []
    for seed in range(100):
        made = published.perspective(_rng(seed), body)[0]
        rows = np.flatnonzero((made > 0.5).any(1))
        assert abs(rows[0] - 8) <= 4
        assert abs(rows[-1] - 55) <= 4
        widths.append((made > 0.5).sum() / len(rows))
    # corners are up to nine columns inside, so widths of 12 of 64 columns grow to 12 * 64 / 45 at most
    assert min(widths) > 11.5
    assert max(widths) < 13 * 64 / 45
    assert np.mean(widths) == pytest.approx(12 * 64 / 54, rel=0.06)


def test_a_stretch_leaves_out_frames_in_order():
    times = np.arange(50) / 25
    for seed in range(50):
        places = augment.ordered(_rng(seed), times, 30, Augmentation(), skip=4)
        assert len(places) == 30
        assert (np.diff(places) >= 1).all()
        assert places[-1] - places[0] <= 33
    assert any(
        np.diff(augment.ordered(_rng(s), times, 30, Augmentation(), skip=4)).max() > 1 for s in range(5)
    )


@pytest.mark.parametrize("length", [1, 7, 29, 30, 33, 34, 60])
@pytest.mark.parametrize("skip", [0, 4])
def test_a_short_walk_is_repeated_as_a_whole(length, skip):
    starts = set()
    for seed in range(60):
        places = augment.ordered(_rng(seed), np.arange(length) / 25, 30, Augmentation(), skip=skip)
        assert len(places) == 30
        assert 0 <= places.min() <= places.max() < length
        steps = np.diff(places) % length
        assert (steps <= (skip + 1) % length if length > skip + 1 else steps < length).all()
        starts.add(int(places[0]))
    assert len(starts) > 1 or length in (1, 30) or length == 34
