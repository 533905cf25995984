"""Walks of any frame rate, gaps and length are resampled to the rate of the networks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaitid.encoders.clips import CHUNK, RATE_HZ, chunks, resample


def test_one_frame_stays():
    assert resample(np.array([7.5])).tolist() == [0]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ("as fast", (np.arange(4) / 12.5, [0, 1, 2, 3])),
        ("twice as fast", (np.arange(7) / 25, [0, 2, 4, 6])),
        ("slower: frames repeat", (np.arange(4) * 0.125, [0, 1, 1, 2, 3])),
        ("a gap is left out", (np.array([0, 0.08, 0.16, 1.15, 1.23]), [0, 1, 2, 3, 4])),
        ("another clock", (1.7e9 + np.arange(7) / 25, [0, 2, 4, 6])),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_worked_examples(times, expected):
    moments, places = expected
    assert resample(moments).tolist() == places


@given(
    st.lists(st.floats(1e-3, 2.0), min_size=0, max_size=60),
    st.floats(-1e6, 1e9),
)
def test_indices_are_in_range_and_in_order(gaps, start):
    times = start + np.concatenate([[0.0], np.cumsum(gaps)])
    times = np.unique(times)
    places = resample(times)
    assert len(places) >= 1
    assert (np.diff(places) >= 0).all()
    assert places[0] == 0
    assert places[-1] < len(times)
    assert len(places) <= (times[-1] - times[0]) * RATE_HZ + 2


def test_a_changed_clock_costs_nothing():
    frames = np.arange(30) / 25
    found = resample(np.concatenate([frames, 1.7e9 + frames]))
    np.testing.assert_array_equal(found[:15], resample(frames))
    assert len(found) <= 2 * 15 + 1


@given(st.integers(1, 2000))
def test_chunks_cover_all_and_are_even(length):
    parts = chunks(length)
    assert [i for part in parts for i in range(part.start, part.stop)] == list(range(length))
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes) <= CHUNK
    assert max(sizes) - min(sizes) <= 1
