from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaitid.errors import InputError
from gaitid.perception.align import align, binarise
from gaitid.records import SILHOUETTE_SIZES


def convention(gray: np.ndarray, size: int, cut: int) -> np.ndarray:
    """The published convention, step by step, for masks whose centre is not at column 0."""
    used = np.nonzero(gray.sum(axis=1))[0]
    gray = gray[used[0] : used[-1] + 1]
    gray = cv2.resize(gray, (int(size * gray.shape[1] / gray.shape[0]), size), interpolation=cv2.INTER_CUBIC)
    total, running, centre = int(gray.sum()), 0, -1
    for column in range(gray.shape[1]):
        running += int(gray[:, column].sum())
        if running > total / 2:
            centre = column
            break
    padded = np.pad(gray, ((0, 0), (size, size)))
    whole = padded[:, size + centre - size // 2 : size + centre + size // 2]
    return whole[:, cut : size - cut]


def blob(seed: int, height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    for _ in range(4):
        centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        axes = (int(rng.integers(5, width)), int(rng.integers(5, height)))
        cv2.ellipse(mask, centre, axes, int(rng.integers(0, 180)), 0, 360, 255, -1)
    return mask


@pytest.mark.parametrize(
    ("name", "mask"),
    [
        ("no pixels at all", np.zeros((0, 0), np.uint8)),
        ("empty", np.zeros((100, 40), np.uint8)),
        ("one pixel", np.eye(1, 4000, 77, dtype=np.uint8).reshape(100, 40)),
        ("39 pixels", np.ones((39, 1), np.uint8)),
    ],
)
def test_almost_no_pixels_give_none(name, mask):
    assert align(mask) is None


def test_forty_pixels_are_enough_however_thin():
    thin = np.zeros((1000, 3), np.uint8)
    thin[:, 1] = 1  # its resized width would be 0
    assert align(thin).shape == (64, 44)


@pytest.mark.parametrize(("size", "cut"), [((64, 44), 10), ((64, 64), 0), ((128, 88), 20)])
@given(seed=st.integers(0, 10_000), height=st.integers(20, 300), width=st.integers(12, 200))
@settings(max_examples=40, deadline=None)
def test_equals_the_convention_bit_for_bit(size, cut, seed, height, width):
    mask = blob(seed, height, width)
    if int(mask.sum()) <= 10_000:
        assert align(mask, size) is None
    elif int(size[0] * width / (np.ptp(np.nonzero(mask.any(axis=1))[0]) + 1)) > 0:
        np.testing.assert_array_equal(align(mask, size), convention(mask, size[0], cut))


def test_a_centre_at_column_0_is_kept():
    mask = np.zeros((64, 30), np.uint8)
    mask[:, 0] = 1
    mask[10, :5] = 1
    aligned = align(mask)
    assert (aligned[20] > 127).nonzero()[0].tolist() == [22]


@pytest.mark.parametrize("size", SILHOUETTE_SIZES)
def test_sizes_and_binarise(size):
    gray = align(np.pad(np.ones((90, 30), np.uint8), 10), size)
    assert gray.shape == size
    assert gray.dtype == np.uint8
    assert set(np.unique(binarise(gray))) == {0, 1}


@given(dy=st.integers(0, 40))
@settings(max_examples=20, deadline=None)
def test_a_vertical_shift_in_the_frame_changes_nothing(dy):
    roomy = np.pad(blob(3, 90, 40), ((60, 60), (5, 5)))
    np.testing.assert_array_equal(align(roomy), align(np.roll(roomy, dy, 0)))


def test_zero_one_masks_and_gray_masks_agree():
    mask = blob(5, 120, 50)
    np.testing.assert_array_equal(align(mask), align((mask > 0).astype(np.uint8)))


@pytest.mark.parametrize(
    ("mask", "size"),
    [
        (np.ones((80, 40), np.uint8), (64, 43)),
        (np.ones((80, 40), bool), (64, 44)),
        (np.ones((80, 40, 1), np.uint8), (64, 44)),
    ],
)
def test_bad_input_is_refused(mask, size):
    with pytest.raises(InputError, match=r"(?i)expected|one of|uint8"):
        align(mask, size)
