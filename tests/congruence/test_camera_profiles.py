"""Camera profiles of the local and the remote matcher: equal answers, equal errors."""

from __future__ import annotations

import numpy as np
import pytest
from congruent import check, outcome, vector, walk

from gaitid import errors
from gaitid.caller import calling
from gaitid.records import GaitSequence

PEOPLE = 5
SKELETONS = GaitSequence({"skeleton": np.zeros((20, 17, 3), np.float32)}, np.arange(20.0))


def crowd(first=0, count=PEOPLE, **walked):
    """Walks of different people: one blob each."""
    return [walk(first + n, **walked) for n in range(count)]


@pytest.fixture
def home(pair):
    check(pair, "create_gallery", "home")
    for n, name in enumerate(("ada", "bob")):
        check(pair, "enrol", "home", name, [walk(40 + n)], check="off")
    return pair


def profiles(pair, gallery="home"):
    """Camera, direction, version and walks of every profile; equal on both sides."""
    check(pair, "cameras", gallery)
    return [(one.camera, one.direction, one.version, one.walks) for one in pair[0].cameras(gallery)]


def test_a_camera_is_learned_listed_and_forgotten(home):
    learned = check(home, "learn_camera", "home", "door", crowd())
    assert ("version", 1) in learned[1]
    assert ("walks", PEOPLE) in learned[1]
    assert ("door", "", 1, PEOPLE) in profiles(home)
    assert check(home, "forget_camera", "home", "door") == 1
    assert "door" not in {camera for camera, *_ in profiles(home)}
    assert check(home, "forget_camera", "home", "door") == 0
    check(home, "list_audit", gallery="home")


def test_a_decision_names_the_version_that_corrected_its_probe(home):
    probe = walk(40, camera="door")
    before = check(home, "identify", "home", probe)
    assert ("profile_version", 0) in before[1]
    check(home, "learn_camera", "home", "door", crowd())
    after = check(home, "identify", "home", probe)
    assert ("profile_version", 1) in after[1]
    assert before[1][1] != after[1][1]  # other scores
    assert ("profile_version", 1) in check(home, "verify", "home", "ada", probe)[1]
    assert ("profile_version", 0) in check(home, "identify", "home", walk(40, camera="yard"))[1]
    assert ("profile_version", 0) in check(home, "identify", "home", walk(40, camera=""))[1]


def test_an_embedding_is_corrected_like_the_walk_that_it_was_made_from(home):
    check(home, "create_gallery", "copy")
    for n, name in enumerate(("ada", "bob")):
        check(home, "enrol", "copy", name, [walk(40 + n)], check="off")
    for gallery in ("home", "copy"):
        check(home, "learn_camera", gallery, "door", crowd())
    probe = walk(40, camera="door", speed=20.0)
    check(home, "embed", probe)
    for matcher in home:
        embedding, _ = matcher.embed(probe)
        assert (embedding.origin, embedding.direction) == (probe.origin, "right")
        by_walk, by_embedding = matcher.identify("home", probe), matcher.identify("copy", embedding)
        assert by_embedding.profile_version == by_walk.profile_version == 1
        scores = [[one.score for one in found.candidates] for found in (by_walk, by_embedding)]
        assert scores[0] == scores[1]


def test_directions_have_profiles_of_their_own(home):
    walks = crowd(speed=20.0) + crowd(10, speed=-20.0)
    check(home, "learn_camera", "home", "hall", walks)
    assert [one[:3] for one in profiles(home) if one[0] == "hall"] == [
        ("hall", "left", 1),
        ("hall", "right", 1),
    ]
    given = check(home, "learn_camera", "home", "yard", crowd(speed=20.0), direction="away")
    assert ("direction", "away") in given[1]
    assert [one[:2] for one in profiles(home) if one[0] == "yard"] == [("yard", "away")]
    assert check(home, "forget_camera", "home", "hall") == 2


def test_cameras_are_learned_from_walks_that_arrive(home):
    for n in range(PEOPLE):
        check(home, "identify", "home", walk(60 + n, camera="hall", track=3 * n))
        check(home, "verify", "home", "ada", walk(70 + n, camera="yard", track=3 * n))
    seen = {camera: walks for camera, _, _, walks in profiles(home)}
    assert seen["hall"] == seen["yard"] == PEOPLE


def test_who_had_a_camera_learned_or_forgotten_is_on_record(home):
    with calling("gate was moved"):
        check(home, "forget_camera", "home", "gate")
        check(home, "learn_camera", "home", "gate", crowd(count=2))  # too few for a profile
    check(home, "list_audit", gallery="home")
    for matcher in home:
        found = [(one.action, one.count) for one in matcher.list_audit() if one.purpose == "gate was moved"]
        assert found == [("forget_camera", 1), ("learn_camera", 2)]


def test_a_purpose_with_a_subject_id_is_refused_before_anything_is_learned(home):
    check(home, "enrol", "home", "zebra-1", [walk(50, camera="")], check="off")
    before = profiles(home)
    with calling("look for zebra-1"):
        assert check(home, "learn_camera", "home", "door", crowd())[0] is errors.InputError
        assert check(home, "forget_camera", "home", "gate")[0] is errors.InputError
        assert check(home, "set_profiles", "home", False)[0] is errors.InputError
    assert profiles(home) == before


def test_walks_of_low_quality_are_left_out(home):
    learned = check(home, "learn_camera", "home", "door", [*crowd(), walk(8, track=1), walk(9, frames=3)])
    assert ("walks", PEOPLE) in learned[1]


def test_walks_may_come_from_an_iterator(home):
    for matcher in home:
        assert matcher.learn_camera("home", "door", iter(crowd())).walks == PEOPLE


def test_profiles_are_switched_off_and_on(home):
    check(home, "learn_camera", "home", "door", crowd())
    assert ("profiles", False) in check(home, "set_profiles", "home", False)[1]
    assert ("profile_version", 0) in check(home, "identify", "home", walk(40, camera="door"))[1]
    poor = [walk(1, track=1)]
    for walks in (crowd(), poor, []):
        assert check(home, "learn_camera", "home", "door", walks)[0] is errors.ConfigError
    assert ("door", "", 1, PEOPLE) in profiles(home)
    assert ("profiles", True) in check(home, "set_profiles", "home", True)[1]
    assert ("profile_version", 1) in check(home, "identify", "home", walk(40, camera="door"))[1]
    check(home, "create_gallery", "plain", profiles=False)
    assert ("profiles", False) in check(home, "describe", "plain")[1]


# name: (call, arguments, options, expected error)
ERRORS = {
    "learn in unknown": ("learn_camera", ("none", "door", crowd()), {}, errors.GalleryNotFound),
    "learn in unknown by poor walks": (
        "learn_camera",
        ("none", "door", [walk(1, track=1)]),
        {},
        errors.GalleryNotFound,
    ),
    "learn without a name": ("learn_camera", ("home", "", crowd()), {}, errors.InputError),
    "learn sideways": ("learn_camera", ("home", "door", crowd()), {"direction": "up"}, errors.InputError),
    "learn from nothing": ("learn_camera", ("home", "door", []), {}, errors.InputError),
    "learn from a bare walk": ("learn_camera", ("home", "door", walk(1)), {}, errors.InputError),
    "learn from poor": (
        "learn_camera",
        ("home", "door", [walk(1, track=1), walk(2, track=2)]),
        {},
        errors.EnrolmentRejected,
    ),
    "learn from short and poor": (
        "learn_camera",
        ("home", "door", [walk(1, frames=3, track=2)]),
        {},
        errors.EnrolmentRejected,
    ),
    "learn from foreign": (
        "learn_camera",
        ("home", "door", [vector(0, contract="f00")]),
        {},
        errors.ContractMismatch,
    ),
    "learn from skeletons": ("learn_camera", ("home", "door", [SKELETONS]), {}, errors.EnrolmentRejected),
    "list unknown": ("cameras", ("none",), {}, errors.GalleryNotFound),
    "list nameless": ("cameras", ("",), {}, errors.InputError),
    "forget in unknown": ("forget_camera", ("none", "door"), {}, errors.GalleryNotFound),
    "forget without a name": ("forget_camera", ("home", ""), {}, errors.InputError),
    "switch unknown": ("set_profiles", ("none", True), {}, errors.GalleryNotFound),
}


@pytest.mark.parametrize(("call", "arguments", "options", "kind"), ERRORS.values(), ids=ERRORS)
def test_each_error_is_the_same(home, call, arguments, options, kind):
    before = profiles(home)
    assert check(home, call, *arguments, **options)[0] is kind
    assert profiles(home) == before


UNSENDABLE = {
    "a number as camera": ("learn_camera", ("home", 5, crowd())),
    "no Unicode as camera": ("forget_camera", ("home", "\ud800")),
    "a number as direction": ("learn_camera", ("home", "door", crowd()), {"direction": 5}),
    "a text as walk": ("learn_camera", ("home", "door", ["walk"])),
    "a text as switch": ("set_profiles", ("home", "on")),
    "a text at creation": ("create_gallery", ("new",), {"profiles": "on"}),
}


@pytest.mark.parametrize("name", UNSENDABLE)
def test_unsendable_arguments_are_input_errors(home, name):
    call, arguments, *options = UNSENDABLE[name]
    for matcher in home:
        found = outcome(matcher, call, *arguments, **(options[0] if options else {}))
        assert isinstance(found, tuple), found
        assert issubclass(found[0], errors.InputError), (matcher, found)
