"""Every index of the registry and of every engine fulfils `gallery.index.protocol.Index`."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaitid import registry
from gaitid.errors import InputError
from gaitid.gallery.index.exact import ExactIndex
from gaitid.gallery.index.protocol import Index
from gaitid.gallery.index.reconciliation import differing, fetch_from, reconcile
from tests import engines
from tests.conformance.conftest import INDEXES

D = 16


@pytest.fixture(params=INDEXES)
def name(request):
    return request.param


@pytest.fixture
def make(maker, name):
    return maker(name)


def vectors(count: int, seed: int = 0, dimension: int = D) -> np.ndarray:
    made = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def ids(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def test_implements_the_protocol(make):
    assert isinstance(make(D), Index)


def test_an_empty_index_finds_nothing(make):
    found, scores = make(D).search(vectors(3), 5)
    assert found.shape == scores.shape == (3, 0)


def test_no_probe_gives_no_rows(make):
    index = make(D)
    index.add(ids(1), vectors(1))
    assert index.search(vectors(0), 5)[0].shape == (0, 1)


def test_one_vector_finds_itself(make):
    index = make(D)
    index.add(ids(7), vectors(1))
    found, scores = index.search(vectors(1), 5)
    assert found.tolist() == [[7]]
    assert scores[0, 0] == pytest.approx(1.0, abs=1e-6)
    assert len(index) == 1
    assert np.array_equal(index.vectors(ids(7)), vectors(1))


def test_the_order_is_that_of_a_float64_product(make):
    index, stored, probes = make(D), vectors(500), vectors(4, seed=1)
    index.add(np.arange(500) * 3, stored)
    found, scores = index.search(probes, 10)
    product = probes.astype(np.float64) @ stored.astype(np.float64).T
    assert np.array_equal(found, np.argsort(-product, axis=1)[:, :10] * 3)
    assert np.allclose(scores, -np.sort(-product, axis=1)[:, :10], atol=1e-12)


@pytest.mark.parametrize("copies", [2, 9, 60])  # more than any over-fetch
def test_equal_scores_are_ordered_by_id(make, copies):
    index, one = make(D), vectors(1)
    order = np.random.default_rng(0).permutation(copies)
    for n in order:  # whatever the order of arrival
        index.add(ids(int(n)), one)
    index.add(ids(1000), -one)
    for k in (1, copies // 2, copies):
        assert index.search(one, k)[0][0].tolist() == list(range(k))


def test_a_removed_vector_is_not_found(make):
    index, stored = make(D), vectors(50)
    index.add(np.arange(50), stored)
    index.remove(ids(3, 49, 0))
    assert len(index) == 47
    for n in (3, 49, 0):
        assert n not in index.search(stored[n : n + 1], 50)[0]
        with pytest.raises(InputError, match="not in the index"):
            index.vectors(ids(n))
    index.add(ids(3), stored[3:4])
    assert index.search(stored[3:4], 1)[0].tolist() == [[3]]


def test_removing_the_last_leaves_it_empty(make):
    index = make(D)
    index.add(ids(1, 2), vectors(2))
    index.remove(ids(2, 1))
    assert len(index) == 0
    assert index.search(vectors(1), 1)[0].shape == (1, 0)


@pytest.mark.parametrize(
    ("mistake", "change"),
    [
        ("wrong dimension", lambda i: i.add(ids(5), vectors(1, dimension=D + 1))),
        ("wrong dtype", lambda i: i.add(ids(5), vectors(1).astype(np.float64))),
        ("unequal counts", lambda i: i.add(ids(5), vectors(2))),
        ("id present", lambda i: i.add(ids(1), vectors(1))),
        ("id twice", lambda i: i.add(ids(5, 5), vectors(2))),
        ("unknown id", lambda i: i.remove(ids(6))),
        ("probe of another dimension", lambda i: i.search(vectors(1, dimension=3), 1)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_change_is_refused_and_changes_nothing(make, mistake, change):
    index = make(D)
    index.add(ids(1, 2), vectors(2))
    with pytest.raises(InputError):
        change(index)
    assert len(index) == 2
    assert index.search(vectors(2), 1)[0].tolist() == [[1], [2]]


def test_adding_nothing_changes_nothing(make):
    index = make(D)
    index.add(ids(), vectors(0))
    index.remove(ids())
    assert len(index) == 0


def test_searches_while_adding_and_removing_are_right(make, name):
    """A vector that is never removed is always found first, whatever the writer does."""
    index, stored = make(D), vectors(300)
    index.add(np.arange(100), stored[:100])
    stop, wrong, searches = threading.Event(), [], [0]

    def search() -> None:
        while not stop.is_set():
            found, scores = index.search(stored[:1], 5)
            searches[0] += 1
            if found[0, 0] != 0 or abs(scores[0, 0] - 1) > 1e-6:
                wrong.append((found, scores))

    readers = [threading.Thread(target=search) for _ in range(3)]
    for reader in readers:
        reader.start()
    rounds = 30 if name in engines.NAMES else 300
    for n in range(rounds):
        index.add(ids(1000 + n), stored[n : n + 1])
        if n % 3 == 0 and n:
            index.remove(ids(1000 + n - 1))
    stop.set()
    for reader in readers:
        reader.join(30)
    assert not wrong
    assert searches[0]
    assert len(index) == 100 + rounds - (rounds - 1) // 3


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    count=st.integers(0, 200),
    distinct=st.integers(1, 200),
    dimension=st.sampled_from([1, 2, 16, 100]),
    probes=st.integers(1, 8),
    k=st.integers(1, 30),
    removed=st.floats(0, 1),
)
def test_all_indexes_agree_with_the_exact_one(seed, count, distinct, dimension, probes, k, removed):
    """Ids and scores are equal bit for bit, with repeated vectors and after removals."""
    check_agreement(
        [registry.resolve("indexes", name) for name in registry.names("indexes")],
        *(seed, count, distinct, dimension, probes, k, removed),
    )


@pytest.mark.parametrize(
    ("seed", "count", "distinct", "dimension", "probes", "k", "removed"),
    [
        (0, 0, 1, 16, 1, 5, 0),
        (1, 1, 1, 1, 2, 1, 0),
        (2, 200, 3, 16, 8, 30, 0.3),  # equal vectors, more than a search fetches at first
        (3, 200, 200, 100, 4, 10, 0.5),
        (4, 50, 50, 1408, 2, 60, 0.1),
        (5, 30, 30, 16, 2, 3, 1),
    ],
)
def test_an_index_agrees_with_the_exact_one(make, seed, count, distinct, dimension, probes, k, removed):
    check_agreement([make], seed, count, distinct, dimension, probes, k, removed)


def check_agreement(makers, seed, count, distinct, dimension, probes, k, removed):
    random = np.random.default_rng(seed)
    pool = vectors(min(distinct, max(count, 1)), seed, dimension)
    stored = pool[random.integers(0, len(pool), count)]
    keys = random.permutation(1000)[:count].astype(np.int64)
    gone = keys[random.random(count) < removed]
    wanted = np.concatenate((pool[:2], vectors(probes, seed + 1, dimension)))
    answers = []
    for make in (ExactIndex, *makers):
        index = make(dimension)
        index.add(keys, stored)
        index.remove(gone)
        answers.append(index.search(wanted, k))
    for found, scores in answers[1:]:
        assert np.array_equal(found, answers[0][0])
        assert np.array_equal(scores, answers[0][1])


def test_one_index_does_not_see_anothers(make):
    first, second = make(D), make(D)
    first.add(ids(1, 2), vectors(2))
    second.add(ids(2, 3), vectors(2, seed=1))
    assert sorted(first.search(vectors(1), 9)[0][0]) == [1, 2]
    first.remove(ids(2))
    assert second.ids().tolist() == [2, 3]


def test_ids_are_those_held(make):
    index = make(D)
    assert index.ids().tolist() == index.ids(ids(1)).tolist() == []
    index.add(ids(9, 4, 7), vectors(3))
    index.remove(ids(7))
    assert index.ids().tolist() == [4, 9]
    assert index.ids(ids(9, 8, 7)).tolist() == [9]
    assert index.ids(ids()).tolist() == []


@pytest.mark.parametrize("by_vector", [False, True])
def test_an_index_is_reconciled(make, by_vector):
    index, wanted = make(D), vectors(5)
    first, later = fetch_from(ids(1, 2, 3), wanted[:3]), fetch_from(ids(2, 3, 4, 8), wanted[1:])
    assert reconcile(index, ids(), first, by_vector=by_vector) == (0, 0)
    assert reconcile(index, ids(1, 2, 3), first, by_vector=by_vector) == (3, 0)
    assert reconcile(index, ids(1, 2, 3), first, by_vector=by_vector) == (0, 0)
    assert reconcile(index, ids(2, 3, 4, 8), later, by_vector=by_vector) == (2, 1)
    assert index.ids().tolist() == [2, 3, 4, 8]
    changed = np.concatenate((wanted[1:2], vectors(1, seed=1), wanted[3:]))
    latest = fetch_from(ids(2, 3, 4, 8), changed)
    assert differing(index, ids(2, 3, 4, 8), latest).tolist() == [3]
    assert reconcile(index, ids(2, 3, 4, 8), latest, by_vector=by_vector) == ((1, 1) if by_vector else (0, 0))
    assert np.array_equal(index.vectors(ids(3))[0], changed[1] if by_vector else wanted[2])
