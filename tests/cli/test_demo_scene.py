"""The generated demo from end to end, short: two subjects, one impostor."""

import json
from dataclasses import replace

import numpy as np
import pytest

from gaitid.demo import generated, scene
from gaitid.demo.generated import calibrate, seen_by
from gaitid.demo.scene import FilmedDay, owner, plan, plan_others
from gaitid.demo.story import interval
from gaitid.demo.story_report import FILES, shown_figures
from gaitid.evaluation.markup import key_figures
from gaitid.perception.pipeline import Walk
from gaitid.records import Candidate, Decision, GaitSequence, OperatingPoint, Origin, Outcome
from tests.drawn import walk


def test_a_short_demo_from_end_to_end(gaitid, tmp_path, monkeypatch):
    monkeypatch.setattr(scene, "SIZE", (480, 270))
    monkeypatch.setattr(generated, "OTHERS", 4)
    out = tmp_path / "demo"
    status, printed, _ = gaitid("demo", "--subjects", 2, "--impostors", 1, "--seed", 7, "--out", out)
    assert status == 0
    assert all((out / name).stat().st_size > 1000 for name in FILES)
    assert "SYNTHETIC" in printed
    facts = json.loads((out / "results.json").read_text())["summary"]
    assert facts["enrolled"] == 2
    assert facts["strangers"] == 1
    assert facts["mated_searches"] >= 1
    assert facts["nonmated_searches"] >= 1
    assert facts["people_recognised"] <= facts["match_right"]
    assert facts["fnir_interval"][0] <= facts["fnir"] <= facts["fnir_interval"][1]
    assert facts["match_right"] + facts["match_wrong"] + facts["missed"] == facts["mated_searches"]
    page = (out / "report.html").read_text()
    assert "SYNTHETIC" in page
    assert "FPIR" in page


@pytest.mark.parametrize("flags", [("--subjects", 0), ("--subjects", 100), ("--impostors", -1)])
def test_numbers_that_make_no_scene_are_refused(gaitid, tmp_path, flags):
    status, _, err = gaitid("demo", *flags, "--out", tmp_path)
    assert status == 2
    assert "at most 60 people" in err


def test_day_two_has_the_same_subjects_in_other_clothes_and_impostors():
    first, second = plan(8, 4, 0)
    names = [{day.subject(k) for k in range(1, len(day.walkers) + 1)} for day in (first, second)]
    assert (len(names[0]), len(names[1] - names[0])) == (8, 4)
    assert names[0] < names[1]
    assert {walker.session for walker in first.walkers} == {0}
    assert {walker.session for walker in second.walkers} == {1}
    assert {walker.condition for walker in second.walkers} == {"nm", "cl"}
    assert not np.allclose(first.camera.position, second.camera.position)


def test_nobody_overtakes():
    for day in plan(8, 4, 3):
        assert [walker.identity for walker in day.walkers] != list(range(len(day.walkers)))
        starts, ends = np.array([(w.start_s, w.start_s + w.seconds) for w in day.walkers]).T
        assert (np.diff(starts) > 2).all()
        assert (np.diff(ends) > 2).all()
        assert day.seconds >= ends.max()


@pytest.mark.parametrize(
    ("count", "total", "expected"),
    [(0, 0, (0.0, 1.0)), (0, 10, (0.0, 0.278)), (5, 10, (0.237, 0.763)), (10, 10, (0.722, 1.0))],
)
def test_intervals_of_few_walks_are_wide(count, total, expected):
    """Worked out on paper: 5 of 10 is 0.5 +- 1.96 * sqrt(0.025 + 0.0096) / 1.384."""
    assert interval(count, total) == pytest.approx(expected, abs=1e-3)


def _walk(boxes):
    count = len(boxes)
    masks = np.ones((count, 64, 44), np.uint8)
    times, boxes = np.arange(count) / 25, np.array(boxes, np.float32).reshape(-1, 4)
    return Walk(1, times, boxes, ((),) * count, GaitSequence({"silhouette": masks}, times, boxes))


ONE, TWO = np.array([0, 0, 20, 60], np.float32), np.array([100, 0, 120, 60], np.float32)


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [([ONE] * 10, "a"), ([TWO] * 10, "b"), ([ONE] * 8 + [TWO] * 2, None), ([ONE + 500] * 10, None)],
)
def test_a_walk_is_owned_by_whom_most_of_its_frames_show(tmp_path, boxes, expected):
    truths = {k / 25: [("a", ONE), ("b", TWO)] for k in range(10)}
    assert owner(_walk(boxes), FilmedDay("day", tmp_path, 10, (), truths, {})) == expected


class Scores:
    """Stub of a matcher that gives each walk the next score."""

    def __init__(self, scores: list[float]) -> None:
        self.left, self.learned = list(scores), []

    def learn_camera(self, gallery, camera, walks):
        self.learned = [camera, len(walks)]

    def identify(self, gallery, walk, max_candidates):
        found = (Candidate("a", self.left.pop(0), "1"),)
        return Decision(Outcome.MATCH, found, None, OperatingPoint(0.5), 1)


def test_a_threshold_lets_one_impostor_in_twenty_pass():
    scores = np.random.default_rng(1).uniform(0.1, 0.6, 80)
    sequence = replace(walk(), origin=Origin("day-2", 1))
    walks = [sequence] * 80
    matcher = Scores(scores.tolist())
    bar = calibrate(matcher, walks)
    assert (scores >= bar).sum() == 4
    assert matcher.learned == ["day-2", 80]


def test_other_people_walk_before_the_camera_of_day_two():
    day, others = plan(8, 4, 0)[1], plan_others(6, 0)
    known = {day.subject(k) for k in range(1, len(day.walkers) + 1)}
    assert known.isdisjoint(others.subject(k) for k in range(1, 7))
    assert np.array_equal(others.camera.position, day.camera.position)
    assert {walker.condition for walker in others.walkers} == {"nm", "cl"}


def test_walks_of_other_people_are_of_the_camera_and_of_different_tracks(tmp_path):
    good = replace(_walk([ONE]), sequence=walk())
    bad = [_walk([ONE]), replace(good, sequence=None)]
    seen = seen_by("gate", FilmedDay("others", tmp_path, 90, (good, *bad, good), {}, {}))
    assert [one.origin for one in seen] == [Origin("gate", 1), Origin("gate", 2)]


FIGURES = {
    "people_recognised": 7, "enrolled": 8, "rank1": 9, "mated_searches": 10, "match_wrong": 0, "missed": 1,
    "nonmated_searches": 10, "strangers_matched": 1, "fnir": 0.1, "fpir": 0.1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "bad"),
    [
        ({}, set()),
        ({"fpir": 0.75, "strangers_matched": 7}, {"0.75", "3 of 10"}),
        ({"fpir": 0.11}, {"0.11", "9 of 10"}),
        ({"people_recognised": 5}, {"5 of 8"}),
        ({"fnir": 0.5, "missed": 5}, {"0.50", "5"}),
        ({"match_wrong": 2}, {"2"}),
        ({"rank1": 3}, {"3 of 10"}),
        ({"fpir": None, "nonmated_searches": 0, "strangers_matched": 0}, set()),
    ],
)
def test_a_bad_figure_is_never_green(changed, bad):
    figures = shown_figures(FIGURES | changed)
    assert {value for value, _, kind in figures if kind == "bad"} == bad
    assert {kind for *_, kind in figures} <= {"good", "bad"}
    page = key_figures(figures)
    for value, _, kind in figures:
        assert f"<b class='{kind}'>{value}</b>" in page
