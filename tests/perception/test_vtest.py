"""What perception makes of a real street, against the truth judged by eye."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.perception import agreement
from gaitid.records import Reason

pytestmark = pytest.mark.real

TRUTH = Path(__file__).parents[1] / "fixtures/vtest_truth.json"


@pytest.fixture(scope="module")
def agrees(vtest):
    return agreement(vtest, json.loads(TRUTH.read_text()), 10.0)


def test_at_least_35_tracks_have_20_good_frames_in_one_walk(vtest):
    tracks = {walk.track for walk in vtest if walk.sequence is not None and len(walk.sequence) >= 20}
    assert len(tracks) >= 35


def test_merged_pairs_are_flagged(agrees):
    """Measured: 97 % of 147 frames side by side, 99 % of 79 frames one above the other."""
    side, above = agrees["side_by_side"], agrees["vertical"]
    assert side["frames"] >= 140
    assert above["frames"] >= 75
    assert side["merged"] >= 0.93
    assert above["merged"] >= 0.93
    assert side["cases_flagged"] >= side["cases"] - 1
    assert above["cases_flagged"] == above["cases"]


def test_bodies_behind_a_post_or_sign_are_mostly_refused(agrees):
    """Measured: 78 % of 18 frames."""
    assert agrees["occluded"]["refused"] >= 0.6


def test_people_alone_are_seldom_refused(agrees):
    """Measured: 0.6 % of 671 frames flagged as merged, 1.6 % refused for any reason."""
    clean = agrees["clean"]
    assert clean["frames"] >= 650
    assert clean["merged"] <= 0.02
    assert clean["refused"] <= 0.04


def test_walks_are_whole_and_their_sequences_hold_the_good_frames(vtest):
    for walk in vtest:
        assert len(walk.times) == len(walk.boxes) == len(walk.reasons)
        assert (np.diff(walk.times) > 0).all()
        kept = sum(not why for why in walk.reasons)
        assert (walk.sequence is None) == (kept == 0)
        assert walk.sequence is None or len(walk.sequence) == kept


def test_a_recording_has_no_warm_up_and_the_parked_van_is_no_walker(vtest):
    assert min(walk.times[0] for walk in vtest) < 0.2
    loading = [
        walk for walk in vtest if walk.boxes[-1][0] > 720 and walk.boxes[-1][3] < 110 and len(walk.times) > 50
    ]
    assert loading
    assert all(len(walk.sequence) < 5 for walk in loading if walk.sequence is not None)


def test_every_reason_of_a_frame_occurs(vtest):
    seen = {reason for walk in vtest for why in walk.reasons for reason in why}
    assert seen == {
        Reason.TOO_SMALL,
        Reason.CUT_OFF,
        Reason.MERGED,
        Reason.FRAGMENTED,
        Reason.NOT_PERSON,
        Reason.STANDING,
    }
