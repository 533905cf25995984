"""Streams from scripted extractors: masks make silhouettes, keypoints make skeletons, both make both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gaitid.encoders.base import load_encoder
from gaitid.perception.pipeline import PerceptionSettings
from gaitid.quality import assess
from gaitid.records import Observation, Reason
from tests.scripted import FRAMES, together, views, walker


def walks(script, **options):
    return [walk for view in views(script, **options) for walk in view.walks]


def edited(script, frames, **changes):
    """The script with other attributes in some frames; a callable is given the observation."""

    def edit(one):
        found = {key: value(one) if callable(value) else value for key, value in changes.items()}
        return Observation(
            **{name: found.get(name, getattr(one, name)) for name in Observation.__dataclass_fields__}
        )

    return {i: [edit(one) for one in row] if i in frames else row for i, row in script.items()}


@pytest.mark.parametrize(
    ("given", "streams"),
    [
        ({"keypoints": False}, ["silhouette"]),
        ({"mask": False}, ["skeleton"]),
        ({}, ["silhouette", "skeleton"]),
    ],
    ids=["masks", "keypoints", "both"],
)
def test_what_an_extractor_brings_makes_the_streams(given, streams):
    (walk,) = walks(walker(**given))
    assert sorted(walk.sequence.streams) == streams
    assert len(walk.sequence) == FRAMES
    assert assess(walk.sequence).usable


def test_one_frame_makes_a_walk_of_one_frame():
    settings = PerceptionSettings(tracks=replace(PerceptionSettings().tracks, confirm=2))
    (walk,) = walks(walker(frames=2), frames=2, settings=settings)
    assert len(walk.sequence) == 2
    assert walks(walker(frames=1), frames=1) == []


def test_keypoints_arrive_unchanged():
    script = walker()
    (walk,) = walks(script)
    given = np.stack([script[i][0].keypoints for i in range(FRAMES)])
    np.testing.assert_array_equal(walk.sequence.skeletons, given)


def test_neither_makes_no_walk_and_says_why(caplog):
    seen = views(walker(mask=False, keypoints=False))
    assert not any(view.walks for view in seen)
    (track,) = seen[-1].tracks
    assert track.reasons == (Reason.BOX_ONLY,)
    assert [record.message for record in caplog.records] == [
        "the extractor gives boxes without masks or keypoints; they make no walks"
    ]


def test_ids_of_the_extractor_make_the_tracks():
    """Two walkers with ids and one without, all in one picture."""
    script = together(walker(0, track=5), walker(1, track=9, shift=(150, 100)), walker(2, shift=(350, 100)))
    found = walks(script)
    assert sorted(walk.track for walk in found) == [1, 2, 3]
    assert all(len(walk.times) == FRAMES for walk in found)


def test_a_frame_must_be_good_in_both_streams():
    script = edited(walker(), range(10, 15), keypoints=lambda one: one.keypoints * np.float32([1, 1, 0]))
    script = edited(script, range(20, 25), mask=np.zeros((96, 40), np.uint8))
    (walk,) = walks(script)
    refused = {i: why for i, why in enumerate(walk.reasons) if why}
    assert sorted(refused) == [*range(10, 15), *range(20, 25)]
    assert all(Reason.MISSING_JOINTS in refused[i] for i in range(10, 15))
    assert all(Reason.FRAGMENTED in refused[i] for i in range(20, 25))
    assert {len(stream) for stream in walk.sequence.streams.values()} == {FRAMES - 10}
    assert walk.sequence.dropped["missing_joints"] == 5
    assert walk.sequence.dropped["fragmented"] == 5


def test_a_frame_without_one_of_the_streams_is_refused():
    script = edited(edited(walker(), range(5), keypoints=None), range(5, 8), mask=None)
    (walk,) = walks(script)
    assert [walk.reasons[i] for i in (0, 7)] == [(Reason.MISSING_JOINTS,), (Reason.FRAGMENTED,)]
    assert len(walk.sequence) == FRAMES - 8


@pytest.mark.parametrize(("lost", "streams", "frames"), [(30, 2, 30), (31, 1, 60), (60, 1, 60)])
def test_a_stream_that_is_good_in_less_than_half_of_the_frames_is_left_out(lost, streams, frames):
    (walk,) = walks(edited(walker(), range(lost), mask=None))
    assert (len(walk.sequence.streams), len(walk.sequence)) == (streams, frames)
    assert "skeleton" in walk.sequence.streams


def test_a_walk_that_is_good_in_no_stream_has_the_reasons_of_both():
    blind = {
        "keypoints": lambda one: one.keypoints * np.float32([1, 1, 0]),
        "mask": np.zeros((96, 40), np.uint8),
    }
    (walk,) = walks(edited(walker(), range(FRAMES), **blind))
    assert walk.sequence is None
    assert {Reason.MISSING_JOINTS, Reason.FRAGMENTED} <= set(walk.reasons[30])


def test_neighbours_are_merged_in_skeletons_too():
    both = together(walker(0, mask=False, track=1), walker(0, mask=False, track=2, shift=(262, 100)))
    for walk in walks(both):
        assert sum(Reason.MERGED in why for why in walk.reasons) >= FRAMES - 3  # until both are confirmed


@pytest.mark.slow
def test_both_streams_go_to_the_fused_encoder_unchanged():
    """Scripted extractor -> watch -> encoder: the same person again is nearest."""
    encoder = load_encoder("fused")
    vectors = []
    for person in (0, 1):
        (walk,) = walks(walker(person))
        vectors.append([encoder(walk.sequence.part(slice(k, k + 40))).vector for k in (0, 20)])
    assert vectors[0][0] @ vectors[0][1] > max(a @ b for a in vectors[0] for b in vectors[1])
    only = {"silhouette": walks(walker(1, keypoints=False)), "skeleton": walks(walker(1, mask=False))}
    for (walk,) in only.values():
        assert encoder(walk.sequence).contract == encoder.contract
