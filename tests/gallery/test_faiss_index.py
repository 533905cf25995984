"""The index above its switch point: compressed, rebuilt by a thread, and still correct."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaitid.errors import InputError
from gaitid.gallery.index.exact import ExactIndex
from gaitid.gallery.index.faiss_index import FaissIndex
from gaitid.gallery.index.protocol import VectorsGone
from gaitid.gallery.index.ranking import best, exact_scores
from gaitid.gallery.index.segments import Codes, Segment

D = 32


def vectors(count: int, seed: int = 0, dimension: int = D) -> np.ndarray:
    made = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def ids(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


class Truth:
    """Vectors by id, as in a store; requests are counted."""

    def __init__(self) -> None:
        self.rows: dict[int, np.ndarray] = {}
        self.fetched = 0

    def __call__(self, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.fetched += len(wanted)
        keys = sorted(key for key in set(wanted.tolist()) if key in self.rows)
        rows = [self.rows[key] for key in keys]
        return ids(*keys), np.stack(rows) if rows else np.empty((0, D), np.float32)


def make(truth: Truth, *, exact_up_to: int = 200, tail: int = 50, dimension: int = D) -> FaissIndex:
    return FaissIndex(dimension, truth, exact_up_to=exact_up_to, tail=tail)


def put(index, truth: Truth, keys: np.ndarray, rows: np.ndarray) -> None:
    truth.rows.update(zip(keys.tolist(), rows, strict=True))
    index.add(keys, rows)


def found(index, probe: np.ndarray, k: int) -> tuple[list[int], list[float]]:
    """The best `k` after exact scoring, like a gallery."""
    near = index.search(probe[None], k + 8)[0][0]
    keys, scores = best(near, exact_scores(index.vectors(near), probe), min(k, len(near)))
    return keys.tolist(), scores.tolist()


def test_up_to_the_switch_point_nothing_is_compressed_or_fetched():
    truth = Truth()
    index = make(truth)
    put(index, truth, np.arange(200), vectors(200))
    index.settle()
    assert index.is_exact
    assert found(index, vectors(1)[0], 3)[0][0] == 0
    assert truth.fetched == 0


def test_above_the_switch_point_memory_falls_and_answers_stay():
    truth, exact = Truth(), ExactIndex(D)
    index, stored = make(truth), vectors(1000)
    for start in range(0, 1000, 90):
        keys = np.arange(start, min(start + 90, 1000))
        put(index, truth, keys, stored[keys])
    exact.add(np.arange(1000), stored)
    index.settle()
    assert not index.is_exact
    state = index._state
    assert len(state.tail.ids) <= 50
    assert sum(part.count for part in state.segments) + len(state.tail.ids) == len(index) == 1000
    for probe in stored[::20] + 0.1 * vectors(50, seed=1):
        keys, scores = exact.search(probe[None], 1)
        assert found(index, probe, 1) == (keys[0].tolist(), scores[0].tolist())
    assert np.array_equal(index.vectors(ids(999, 3)), stored[[999, 3]])


def test_scores_of_compressed_rows_are_close():
    truth = Truth()
    index, stored = make(truth), vectors(500)
    put(index, truth, np.arange(500), stored)
    index.settle()
    keys, scores = index.search(stored[:20], 10)
    for n in range(20):
        assert scores[n] == pytest.approx(exact_scores(stored[keys[n]], stored[n]), abs=0.01)
    assert (np.diff(scores) <= 0).all()


def test_without_a_fetch_nothing_is_compressed():
    index = FaissIndex(D, exact_up_to=10, tail=5)
    index.add(np.arange(100), vectors(100))
    index.settle()
    assert index.is_exact
    assert np.array_equal(index.vectors(ids(99)), vectors(100)[99:])


def test_as_many_are_found_as_requested():
    truth = Truth()
    index = make(truth)
    put(index, truth, np.arange(700), vectors(700))
    index.settle()
    index.remove(np.arange(0, 700, 3))
    for k in (1, 65, 300, 466, 1000):
        keys = index.search(vectors(2, seed=5), k)[0]
        assert keys.shape == (2, min(k, 466))
        assert len(set(keys[0].tolist())) == len(keys[0])
        assert not (keys % 3 == 0).any()


def test_removed_neighbours_do_not_hide_what_is_left():
    """FastScan scans removed rows too: 300 of them are nearer than the remaining one."""
    truth = Truth()
    index = make(truth)
    probe = vectors(1)[0]
    near = probe + 0.01 * vectors(300, seed=1)
    put(index, truth, np.arange(300), np.float32(near / np.linalg.norm(near, axis=1, keepdims=True)))
    put(index, truth, ids(300), vectors(1, seed=2) * np.float32(0.5) + probe * np.float32(0.5))
    put(index, truth, np.arange(301, 1000), vectors(699, seed=3))
    index.settle()
    index.remove(np.arange(300))
    assert found(index, probe, 1)[0] == [300]


@pytest.mark.parametrize("part", ["tail", "segment"])
def test_a_removed_row_is_gone_at_once_and_may_come_back(part):
    truth = Truth()
    index, stored = make(truth), vectors(320)
    put(index, truth, np.arange(300), stored[:300])
    index.settle()
    put(index, truth, np.arange(300, 320), stored[300:])
    key = 310 if part == "tail" else 7
    index.remove(ids(key))
    assert key not in index.search(stored[key : key + 1], 319)[0]
    with pytest.raises(InputError, match="not in the index"):
        index.vectors(ids(key))
    with pytest.raises(InputError, match="not in the index"):
        index.remove(ids(key))
    put(index, truth, ids(key), -stored[key : key + 1])
    assert found(index, -stored[key], 1)[0] == [key]
    assert len(index) == 320
    with pytest.raises(InputError, match="already in the index"):
        index.add(ids(key), stored[:1])


def test_removed_rows_leave_memory_in_the_end():
    truth = Truth()
    index = make(truth)
    put(index, truth, np.arange(2000), vectors(2000))
    index.settle()
    for start in range(0, 1900, 100):
        index.remove(np.arange(start, start + 100))
    index.settle()
    assert sum(len(part.alive) for part in index._state.segments) <= 200
    index.remove(np.arange(1900, 2000))
    index.settle()
    assert index._state.segments == ()
    assert len(index) == 0
    assert index.search(vectors(1), 5)[0].shape == (1, 0)


def test_removed_rows_leave_a_flat_index_too():
    index = FaissIndex(D)
    index.add(np.arange(1000), vectors(1000))
    for key in range(500):
        index.remove(ids(key))
    index.settle()
    assert len(index._state.tail.ids) <= 500 + 64 + 125
    assert index.search(vectors(1), 500)[0].min() >= 500


def test_small_segments_are_merged_and_large_ones_left_alone():
    truth = Truth()
    index = make(truth, exact_up_to=100, tail=20)
    for start in range(0, 2000, 25):
        keys = np.arange(start, start + 25)
        put(index, truth, keys, vectors(25, seed=start))
        index.settle()
    sizes = sorted(part.count for part in index._state.segments)
    assert sum(sizes) + len(index._state.tail.ids) == 2000
    assert len(sizes) <= 8  # and not 80


def test_a_rebuild_that_fails_changes_nothing(monkeypatch, caplog):
    truth = Truth()
    index = make(truth)
    put(index, truth, np.arange(200), vectors(200))

    def fail(parts):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(Segment, "of", fail)
        put(index, truth, ids(200), vectors(1, seed=9))
        index.settle()
    assert index.is_exact
    assert "it stays unchanged" in caplog.text
    assert found(index, vectors(1, seed=9)[0], 1)[0] == [200]
    put(index, truth, ids(201), vectors(1, seed=8))
    index.settle()
    assert not index.is_exact
    assert len(index) == 202


def test_changes_during_a_rebuild_are_kept(monkeypatch):
    """The tail is compressed while rows are added, removed, and replaced by another vector."""
    truth, begun, go_on = Truth(), threading.Event(), threading.Event()
    index, stored = make(truth), vectors(400)
    build = Segment.of

    def slow(parts):
        begun.set()
        go_on.wait(10)
        return build(parts)

    index.add(ids(), vectors(0))
    put(index, truth, np.arange(200), stored[:200])
    index.remove(ids(5, 6))  # dead before the rebuild looks
    monkeypatch.setattr(Segment, "of", slow)
    put(index, truth, np.arange(200, 250), stored[200:250])
    assert begun.wait(10)
    put(index, truth, np.arange(250, 260), stored[250:260])  # new
    index.remove(ids(0, 255))  # of the sealed, of the new
    put(index, truth, ids(5), stored[300:301])  # back, of the dead
    index.remove(ids(1))
    put(index, truth, ids(1), stored[301:302])  # back, of the sealed
    index.remove(ids(2))
    put(index, truth, ids(2), stored[302:303])
    index.remove(ids(2))  # back and gone again
    expected = set(range(260)) - {0, 2, 6, 255}
    for _ in ("before", "after"):
        assert set(index.search(stored[:1], 300)[0][0].tolist()) == expected
        assert len(index) == len(expected)
        assert np.array_equal(index.vectors(ids(5, 1, 256)), stored[[300, 301, 256]])
        assert found(index, stored[301], 1)[0] == [1]
        go_on.set()
        index.settle()
    assert not index.is_exact


def test_an_erased_vector_is_not_made_up():
    truth = Truth()
    index = make(truth)
    put(index, truth, np.arange(300), vectors(300))
    index.settle()
    del truth.rows[7]
    with pytest.raises(VectorsGone):
        index.vectors(ids(7))


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    dimension=st.sampled_from([1, 3, 16, 33]),
    steps=st.lists(st.tuples(st.integers(1, 120), st.floats(0, 0.6)), max_size=8),
)
def test_any_history_leaves_what_was_not_removed(seed, dimension, steps):
    """After any order of adds, removals and rebuilds the content is right and the best row is found."""
    random, truth = np.random.default_rng(seed), Truth()
    index = make(truth, exact_up_to=60, tail=20, dimension=dimension)
    exact = ExactIndex(dimension)
    for n, (count, removed) in enumerate(steps):
        keys = random.permutation(np.setdiff1d(np.arange(1000), exact.rows.ids))[:count].astype(np.int64)
        rows = vectors(count, seed + n, dimension)
        put(index, truth, keys, rows)
        exact.add(keys, rows)
        gone = exact.rows.ids[random.random(len(exact)) < removed]
        index.remove(gone)
        exact.remove(gone)
        if n % 2:
            index.settle()
    assert len(index) == len(exact)
    assert np.array_equal(index.ids(), exact.ids())
    assert np.array_equal(index.ids(np.arange(500)), exact.ids(np.arange(500)))
    assert np.array_equal(np.sort(index.search(vectors(1, 1, dimension), 2000)[0][0]), exact.rows.ids)
    assert np.array_equal(index.vectors(exact.rows.ids), exact.rows.vectors)
    for probe in vectors(3, seed + 99, dimension):
        expected = exact.search(probe[None], 1)[1][0].tolist()
        assert found(index, probe, 1)[1] == expected
    index.settle()


def test_codes_do_not_drift_when_they_are_made_again():
    codes = Codes.of(np.arange(100), vectors(100))
    again = Codes.of(codes.ids, codes.vectors(slice(None)))
    assert np.array_equal(codes.codes, again.codes)
    assert again.scales == pytest.approx(codes.scales, rel=1e-6)
    nothing = Codes.of(ids(1), np.zeros((1, D), np.float32))
    assert not nothing.vectors(slice(None)).any()
