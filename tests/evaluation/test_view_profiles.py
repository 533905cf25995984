"""Camera profiles in evaluation."""

import numpy as np
import pytest

from gaitid.evaluation.profiles import corrected_by_view, drawn, parts_of, view_means


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_means_are_of_each_view_alone():
    vectors = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    means = view_means(vectors, np.array(["a", "a", "b"]))
    assert {view: mean.tolist() for view, mean in means.items()} == {"a": [0.5, 0.5], "b": [1.0, 0.0]}


def test_what_a_view_adds_is_taken_away():
    random = np.random.default_rng(0)
    people = random.standard_normal((40, 32))
    shift = {"000": 8 * random.standard_normal(32), "090": 8 * random.standard_normal(32)}
    views = np.array(["000"] * 40 + ["090"] * 40)
    seen = unit(np.concatenate([people + shift["000"], people + shift["090"]]))
    means = view_means(seen, views)
    found = corrected_by_view(seen, views, means)

    def rank_1(vectors):
        return ((vectors[:40] @ vectors[40:].T).argmax(1) == np.arange(40)).mean()

    assert rank_1(seen) < 0.3
    assert rank_1(found) > 0.95
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)


def test_a_view_without_a_mean_is_left_alone():
    vectors = unit(np.random.default_rng(0).standard_normal((3, 8)))
    found = corrected_by_view(vectors, np.array(["a", "b", "c"]), {"b": vectors[0]})
    assert found[[0, 2]] == pytest.approx(vectors[[0, 2]], abs=1e-6)
    assert abs(found[1] - vectors[1]).max() > 0.01


def test_a_draw_has_each_name_once_and_repeats_itself():
    names = np.array(["a", "b", "b", "c", "c", "d"])
    assert sorted(drawn(names, 9, 0)) == ["a", "b", "c", "d"]
    assert len(set(drawn(names, 3, 0))) == 3
    assert drawn(names, 3, 5).tolist() == drawn(names, 3, 5).tolist()


def test_an_encoder_without_parts_has_one():
    assert parts_of(object()) == 1
