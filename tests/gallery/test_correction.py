"""The correction by camera profiles against its definition, and what is learned from walks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gaitid.gallery.scoring.learning import FEWEST, Cameras, Owner, Statistics
from gaitid.gallery.scoring.profiles import NOWHERE, Profile, Profiles, Site, corrected, profiles_of

D, PARTS = 12, 3
NUMBERS = st.floats(-1, 1, width=32)


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def shift(camera: str) -> np.ndarray:
    """What a camera adds to everybody."""
    return np.random.default_rng(len(camera)).standard_normal(D)


# -- the correction --------------------------------------------------------------------------------


def by_hand(vector, mean, parts):
    """The definition, in a loop."""
    pieces = []
    for own, common in zip(np.split(vector, parts), np.split(mean, parts), strict=True):
        rest = own.astype(np.float64) - common
        length = np.linalg.norm(rest)
        pieces.append(np.linalg.norm(own) * rest / length if length > 1e-6 else 0 * rest)
    made = np.concatenate(pieces)
    return made / np.linalg.norm(made) if np.linalg.norm(made) > 1e-6 else vector


@given(arrays(np.float32, (4, D), elements=NUMBERS), arrays(np.float32, D, elements=NUMBERS))
def test_correction_is_its_definition(drawn, mean):
    vectors = unit(drawn + np.eye(4, D, dtype=np.float32) * 3)
    mean = (mean / max(1.0, np.linalg.norm(mean))).astype(np.float32)
    for parts in (1, 2, 3):
        found = corrected(vectors, mean, parts)
        assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
        for vector, one in zip(vectors, found, strict=True):
            assert one == pytest.approx(by_hand(vector, mean, parts), abs=1e-3)
            assert np.array_equal(one, corrected(vector[None], mean[None], parts)[0])  # batches change no bit


def test_each_part_keeps_its_share_of_the_length():
    vectors = unit(np.random.default_rng(0).standard_normal((5, D)))
    found = corrected(vectors, vectors.mean(axis=0), PARTS)
    before, after = (np.linalg.norm(some.reshape(5, PARTS, -1), axis=2) for some in (vectors, found))
    assert after == pytest.approx(before, abs=1e-5)


def test_a_vector_with_nothing_of_its_own_stays_and_one_part_without_becomes_zero():
    vectors = unit(np.random.default_rng(1).standard_normal((2, D)))
    assert corrected(vectors, vectors, PARTS) == pytest.approx(vectors, abs=1e-6)
    mean = vectors[0].copy()
    mean[4:] = 0
    found = corrected(vectors[:1], mean, PARTS)[0]
    assert not found[:4].any()
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-6)


def test_without_profiles_vectors_stay_bit_for_bit():
    vectors = unit(np.random.default_rng(2).standard_normal((3, D)))
    assert Profiles(PARTS).correct(vectors, [Site("gate")] * 3) is vectors


def test_the_general_profile_corrects_cameras_without_their_own():
    gate, general = (Profile(3, unit(shift(name)[None])[0] / 2) for name in ("gate", "all cameras"))
    used = profiles_of(PARTS, {Site("gate"): gate, NOWHERE: general})
    vectors = unit(np.random.default_rng(3).standard_normal((3, D)))
    found = used.correct(vectors, [Site("gate"), Site("new"), NOWHERE])
    right = corrected(vectors, np.stack([gate.mean, general.mean, general.mean]), PARTS)
    assert np.array_equal(found, right)
    versions = [used.version(site, vectors[0]) for site in (Site("gate", "left"), Site("new"), NOWHERE)]
    assert versions == [3, 0, 0]


def test_an_unknown_direction_is_that_of_the_nearest_mean():
    left, right = (Profile(n, np.eye(D, dtype=np.float32)[n] / 2) for n in (1, 2))
    used = profiles_of(1, {Site("gate", "left"): left, Site("gate", "right"): right})
    vectors = unit(np.eye(D)[[1, 2, 1]] + 0.1)
    sites = [Site("gate"), Site("gate"), Site("gate", "right")]
    assert [used.version(site, one) for site, one in zip(sites, vectors, strict=True)] == [1, 2, 2]
    means = np.stack([left.mean, right.mean, right.mean])
    assert np.array_equal(used.correct(vectors, sites), corrected(vectors, means))


# -- what is learned -------------------------------------------------------------------------------


def vector_of(number):
    return unit(np.random.default_rng(number).standard_normal((1, D)))[0]


def test_a_subject_is_one_person_however_often_she_passes():
    one = Statistics(np.zeros(D))
    for noise in range(50):
        one.add(vector_of(noise % 2), Owner("ann", b"a"), 0, 1.0)
    one.add(vector_of(7), Owner("bob", b"b"), 0, 1.0)
    assert (one.people, one.walks) == (2, 51)
    ann = (vector_of(0) + vector_of(1)) / 2
    assert one.mean == pytest.approx((ann + vector_of(7)) / 2, abs=0.05)


def test_a_track_is_one_visitor_until_its_number_returns_later():
    one = Statistics(np.zeros(D))
    for at in (0.0, 10.0, 20.0):
        one.add(vector_of(1), None, 5, at)
    assert (one.people, one.walks) == (1, 3)
    one.add(vector_of(2), None, 5, 5000.0)
    one.add(vector_of(3), None, 6, 5000.0)
    one.add(vector_of(3), None, 0, 5000.0)  # a track without a number is its own visitor
    assert (one.people, one.walks) == (4, 6)


def test_a_camera_that_was_moved_recovers():
    one = Statistics(np.zeros(D))
    before, after = np.eye(D, dtype=np.float32)[:2]
    for number in range(200):
        one.add(before, None, number + 1, 0.0)
    assert one.people == pytest.approx(64, abs=1)
    for number in range(200):
        one.add(after, None, number + 1000, 0.0)
    assert one.mean[1] > 0.9


def test_a_mean_is_shrunk_by_the_number_of_people():
    cameras = Cameras(D, PARTS)
    for number in range(4):
        cameras.add(vector_of(number), Site("gate"), None, number + 1, 0.0)
    mean = np.mean([vector_of(number) for number in range(4)], axis=0)
    assert cameras.mean(NOWHERE) == pytest.approx(mean / 2, abs=1e-6)  # of one camera, and zero
    assert cameras.mean(Site("gate")) == pytest.approx((4 * mean + mean / 2) / 5, abs=1e-6)


def test_a_mean_is_used_from_three_people_on_and_again_when_people_or_the_camera_have_changed():
    cameras, site = Cameras(D, PARTS), Site("gate")
    versions = []
    for number in range(40):
        cameras.add(vector_of(number), site, None, number + 1, 0.0)
        fresh = cameras.due([site])
        cameras.use(fresh)
        versions.append(fresh[site].version if site in fresh else 0)
    assert versions[:FEWEST] == [0, 0, 1]
    assert 3 < max(versions) < 12
    assert cameras.profiles.general.version < 12
    assert cameras.due([site]) == {}
    assert cameras.due([site], always=True)[site].version == max(versions) + 1
    for number in range(100, 164):  # the camera is moved
        cameras.add(unit(vector_of(number) + 2 * shift("moved"))[()], site, None, number, 0.0)
    assert site in cameras.due([site])
