from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given as cases
from hypothesis import settings
from hypothesis import strategies as st

from gaitid.errors import InputError
from gaitid.perception.tracks import Tracker, TrackSettings, iou
from gaitid.records import Observation


def seen(*xs, width=30, height=90, y=50, confidence=0.9):
    return [
        Observation(np.array([x, y, x + width, y + height], np.float32), confidence=confidence) for x in xs
    ]


def run(tracker, rows, dt=0.1):
    """The id at each observation, row by row; None for one that was taken by no track."""
    ids, ended = [], []
    for step, row in enumerate(rows):
        ended += tracker.update(row, step * dt)
        owner = {track.seen: track.id for track in tracker.active}
        ids.append([owner.get(i) for i in range(len(row))])
    return ids, ended


def test_nothing_seen_makes_no_track():
    tracker = Tracker()
    assert tracker.update([], 0.0) == []
    assert tracker.active == ()
    assert tracker.flush() == []


def test_one_observation_is_not_a_track():
    tracker = Tracker()
    tracker.update(seen(10), 0.0)
    assert not tracker.active[0].confirmed
    assert tracker.update([], 0.1) == []
    assert tracker.active == ()


def test_a_walker_keeps_one_id_and_ends_after_the_gap():
    tracker = Tracker(TrackSettings(gap_s=0.5))
    ids, ended = run(tracker, [seen(10 + 6 * i) for i in range(20)] + [[]] * 8)
    assert {i for row in ids for i in row} == {1}
    assert [(track.id, track.hits) for track in ended] == [(1, 20)]
    assert ended[0].last == pytest.approx(1.9)


def test_crossing_walkers_keep_their_ids():
    """They share a blob for four frames, which belongs to at most one of them."""
    rows = []
    for i in range(40):
        a, b = 10 + 8 * i, 322 - 8 * i
        rows.append(seen(a, b) if abs(a - b) > 15 else seen((a + b) / 2, width=34))
    ids, _ = run(Tracker(), rows)
    assert ids[0] == ids[-1] == [1, 2]


def test_a_short_occlusion_keeps_the_id():
    rows = [seen(10 + 8 * i) if not 10 <= i < 15 else [] for i in range(30)]
    ids, _ = run(Tracker(), rows)
    assert {i for row in ids for i in row} == {1}


def test_unsure_observations_continue_a_track_but_start_none():
    ids, _ = run(Tracker(), [seen(10 + 6 * i, confidence=0.3) for i in range(10)])
    assert {i for row in ids for i in row} == {None}
    rows = [seen(10 + 6 * i, confidence=0.3 if 8 <= i < 12 else 0.9) for i in range(20)]
    ids, _ = run(Tracker(), rows)
    assert {i for row in ids for i in row} == {1}


def test_the_filter_knows_true_time():
    """Half of the frames are missing: the same walk at 5 and at 10 frames a second."""
    tracker = Tracker()
    times = [0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 1.1, 1.2, 1.5]
    for time in times:
        tracker.update(seen(10 + 100 * time), time)
    assert [track.id for track in tracker.active] == [1]
    tracker.update([], 1.6)
    assert tracker.active[0].box[0] == pytest.approx(10 + 160, abs=4)


def test_no_id_is_used_again_after_a_flush():
    tracker = Tracker()
    run(tracker, [seen(10, 200)] * 5)
    assert [track.id for track in tracker.flush()] == [1, 2]
    assert tracker.active == ()
    ids, _ = run(tracker, [seen(10)] * 5)
    assert ids[-1] == [3]


@cases(st.lists(st.lists(st.integers(0, 600), max_size=6), max_size=15))
@settings(max_examples=60, deadline=None)
def test_each_observation_has_at_most_one_track_and_ids_only_grow(rows):
    tracker, highest = Tracker(), 0
    for step, row in enumerate(rows):
        tracker.update(seen(*row), step * 0.1)
        taken = [track.seen for track in tracker.active if track.seen is not None]
        assert len(taken) == len(set(taken))
        assert all(np.isfinite(track.box).all() for track in tracker.active)
        new = [track.id for track in tracker.active if track.hits == 1 and track.seen is not None]
        assert all(i > highest for i in new)
        highest = max([highest, *new])


def test_iou_of_known_boxes():
    a = np.array([[0, 0, 2, 2]], float)
    b = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6]], float)
    np.testing.assert_allclose(iou(a, b), [[1, 1 / 3, 0]])


def given(x, track, **options):
    (one,) = seen(x, **options)
    return Observation(one.box, confidence=one.confidence, track=track)


def test_an_id_links_whatever_the_boxes_say():
    """Two walkers swap places between frames; their ids follow them."""
    rows = [[given(10, 7), given(200, 4)], [given(200, 7), given(10, 4)]] * 3
    ids, _ = run(Tracker(), rows)
    assert ids == [[1, 2]] * 6


def test_an_id_starts_a_track_at_any_confidence_and_is_confirmed_like_others():
    tracker = Tracker(TrackSettings(confirm=3))
    run(tracker, [[given(10 + i, 7, confidence=0.1)] for i in range(2)])
    assert [(track.given_id, track.confirmed) for track in tracker.active] == [(7, False)]
    tracker.update([given(12, 7, confidence=0.1)], 0.2)
    assert tracker.active[0].confirmed


@pytest.mark.parametrize(("missing", "expected"), [(1, [1, 1]), (4, [1, 1]), (6, [1, 2])])
def test_an_id_that_returns_within_the_gap_continues_its_track(missing, expected):
    """Frames are 0.1 s apart and the gap is 0.5 s; a new track has a new number."""
    rows = [[given(10, 7)]] * 5 + [[]] * missing + [[given(300, 7)]] * 5
    ids, ended = run(Tracker(TrackSettings(gap_s=0.5)), rows)
    assert [ids[0][0], ids[-1][0]] == expected
    assert [track.id for track in ended] == [1] * (len(set(expected)) - 1)


def test_an_unconfirmed_id_survives_a_gap_and_is_forgotten_after_it():
    tracker = Tracker(TrackSettings(gap_s=0.5))
    ids, _ = run(tracker, [[given(10, 7)], [], [given(10, 7)], []])
    assert ids == [[1], [], [1], []]
    assert [tracker.update([], time) for time in (0.7, 0.8)] == [[], []]
    assert tracker.active == ()


def test_in_a_mixed_frame_ids_and_boxes_are_linked_apart():
    """An observation without an id overlaps a track with an id, and the other way round."""
    rows = [[given(10, 7), *seen(200)]] * 5 + [[*seen(10), given(200, 7)]] * 5
    ids, _ = run(Tracker(), rows)
    assert ids[4] == [1, 2]
    assert ids[-1] == [3, 1]


def test_ids_are_forgotten_at_a_flush():
    tracker = Tracker()
    run(tracker, [[given(10, 7)]] * 4)
    tracker.flush()
    ids, _ = run(tracker, [[given(10, 7)]] * 4)
    assert ids[-1] == [2]


def test_an_id_given_twice_in_a_frame_is_refused():
    with pytest.raises(InputError, match="Track id 7 is given to 2 observations of one frame"):
        Tracker().update([given(10, 7), given(200, 7), given(300, 8)], 0.0)


@cases(st.lists(st.lists(st.sampled_from([None, 1, 2, 3]), max_size=5), max_size=20))
@settings(max_examples=60, deadline=None)
def test_a_track_never_takes_two_ids(rows):
    tracker, bound = Tracker(TrackSettings(gap_s=0.3)), {}
    for step, row in enumerate(rows):
        once = [one for i, one in enumerate(row) if one is None or one not in row[:i]]
        observations = [given(40 * i, one) for i, one in enumerate(once)]
        tracker.update(observations, step * 0.1)
        for track in tracker.active:
            assert bound.setdefault(track.id, track.given_id) == track.given_id
            if track.seen is not None:
                assert observations[track.seen].track == track.given_id
        ids = [track.given_id for track in tracker.active if track.given_id is not None]
        assert len(ids) == len(set(ids))
