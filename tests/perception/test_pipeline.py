from __future__ import annotations

import numpy as np
import pytest
from perception_scenes import FPS, PaintedScene, frames, good, noisy, person, walks_of, wall

from gaitid.errors import CameraMoving, ConfigError, SourceError, SourceTruncated
from gaitid.perception.gates import GateSettings
from gaitid.perception.motion import MotionExtractor
from gaitid.perception.pipeline import PerceptionSettings, watch
from gaitid.perception.sources import Discontinuity
from gaitid.records import Observation, Reason
from gaitid.settings import build


def crossing(i):
    """Two walkers who meet in the middle, one behind the other."""
    image = person(wall(size=(480, 240)), 20 + 6 * i, 200, 100, 0.8 * i)
    return person(image, 460 - 6 * i, 190, 96, 0.7 * i)


def walker(i):
    return person(wall(), 6 * (i - 20), phase=0.8 * i)


def until_error(source):
    """The walks of a source, and the error that ends it."""
    walks = []
    try:
        for view in watch(source):
            walks += view.walks
    except SourceError as error:
        return walks, error
    return walks, None


def test_an_empty_scene_gives_views_and_no_walks():
    views = list(watch(PaintedScene(lambda i: noisy(wall(), i), 30)))
    assert [view.frame.index for view in views] == list(range(30))
    assert not any(view.walks or view.tracks for view in views)


@pytest.mark.parametrize("seconds", [-1.0, 0.0, float("nan")])
def test_walks_need_a_longest_duration_above_zero(seconds):
    with pytest.raises(ConfigError, match=r"Setting max_walk_s is .*; expected seconds above 0"):
        build(PerceptionSettings, {"max_walk_s": seconds}, "a.toml")


def test_a_source_of_one_frame():
    assert len(list(watch(PaintedScene(lambda i: wall(), 1)))) == 1


def test_one_walker_is_one_walk_of_good_silhouettes():
    (walk,) = walks_of(walker, 75)
    assert good(walk) >= 35
    sequence = walk.sequence
    assert sequence.silhouettes.shape == (good(walk), 64, 44)
    assert set(np.unique(sequence.silhouettes)) == {0, 1}
    assert (sequence.origin.camera, sequence.origin.track) == ("cam", walk.track)
    assert sum(sequence.dropped.values()) == sum(len(why) for why in walk.reasons)
    assert Reason.CUT_OFF in walk.reasons[-1] or Reason.CUT_OFF in walk.reasons[0]
    kept = [t for t, why in zip(walk.times, walk.reasons, strict=True) if not why]
    np.testing.assert_array_equal(sequence.times, kept)


def test_crossing_walkers_are_flagged_while_they_are_one_blob():
    walks = walks_of(crossing, 75)
    merged = {
        round(time * FPS)
        for walk in walks
        for time, why in zip(walk.times, walk.reasons, strict=True)
        if Reason.MERGED in why
    }
    assert merged >= set(range(36, 39))
    assert not merged & {*range(22, 30), *range(45, 62)}
    assert sum(good(walk) >= 10 for walk in walks) >= 2


def test_a_person_who_leaves_a_merger_starts_a_new_walk():
    """Two walk as one blob for 1.2 s and part: which is which is unknown."""

    def paint(i):
        gap = max(abs(i - 42) - 6, 0) * 5
        image = person(wall(size=(480, 240)), 4 * i + gap, 200, 100, 0.8 * i)
        return person(image, 4 * i - 2 - gap, 197, 98, 0.8 * i)

    walks = [walk for walk in walks_of(paint, 80) if good(walk)]
    for walk in walks:
        numbers = np.round(walk.sequence.times * FPS)
        assert (numbers < 42).all() or (numbers > 42).all()
    assert len(walks) >= 3


def test_a_break_ends_all_walks_and_ids_go_on():
    class Broken(PaintedScene):
        def _pictures(self):
            for index, item in enumerate(super()._pictures()):
                if index == 60:
                    yield Discontinuity("cut", item[1])
                yield item

    def paint(i):
        return noisy(person(wall(), 5 * (i % 60), phase=0.8 * i), i)

    views = list(watch(Broken(paint, 120)))
    walks = [(view.frame.index, walk) for view in views for walk in view.walks]
    assert [index for index, _ in walks] == [60, 119]
    assert walks[0][1].track < walks[1][1].track
    assert walks[1][1].times[0] >= 8.0  # a new warm-up after the break


def test_what_was_seen_is_delivered_before_the_error_of_a_truncated_source():
    class Truncated(PaintedScene):
        def _pictures(self):
            yield from super()._pictures()
            raise SourceTruncated("ended after 60 frames", "100 were announced")

    seen, error = until_error(Truncated(lambda i: noisy(walker(i), i), 60))
    assert isinstance(error, SourceTruncated)
    assert [good(walk) >= 20 for walk in seen] == [True]


def test_a_camera_that_starts_to_pan_ends_the_walks_and_is_refused():
    panorama = wall(size=(1600, 240))

    def paint(i):
        return noisy(person(panorama[:, max(i - 50, 0) * 6 :][:, :320].copy(), 5 * i, phase=0.8 * i), i)

    seen, error = until_error(PaintedScene(paint, 140))
    assert isinstance(error, CameraMoving)
    assert any(good(walk) >= 15 for walk in seen)


class Pacing:
    """An extractor that sees one person who walks to and fro for ever."""

    def __call__(self, frame):
        mask = np.zeros((100, 40), np.uint8)
        mask[:12, 14:26] = mask[12:55, 6:34] = mask[55:, 8:18] = mask[55:, 22:32] = 1
        x = 100 + 80 * np.sin(frame.time)
        return [Observation(np.array([x, 50, x + 40, 150], np.float32), mask)]

    def reset(self):
        pass


def test_one_who_stays_is_handed_out_in_parts():
    scene = PaintedScene(lambda i: wall(), 300)
    settings = PerceptionSettings(max_walk_s=5.0)
    walks = [w for view in watch(scene, extractor=Pacing(), settings=settings) for w in view.walks]
    assert {walk.track for walk in walks} == {1}
    assert len(walks) == 6
    assert max(walk.times[-1] - walk.times[0] for walk in walks) <= 5.0
    assert sum(len(walk.times) for walk in walks) == 300


def test_observations_without_a_mask_make_tracks_but_no_walks():
    class Boxes(Pacing):
        def __call__(self, frame):
            return [Observation(o.box) for o in super().__call__(frame)]

    assert not any(view.walks for view in watch(PaintedScene(lambda i: wall(), 40), extractor=Boxes()))


def test_settings_reach_the_gates_and_come_from_a_table():
    settings = build(PerceptionSettings, {"max_walk_s": 8, "gates": {"min_height_px": 150}})
    assert settings.gates == GateSettings(min_height_px=150)
    (walk,) = walks_of(walker, 60, settings)
    assert walk.sequence is None
    assert all(Reason.TOO_SMALL in why for why in walk.reasons)


def test_tracks_in_a_view_are_where_the_person_is():
    views = list(watch(PaintedScene(lambda i: noisy(walker(i), i), 60)))
    for view in views[40:60]:
        ((track),) = view.tracks
        assert (track.box[0] + track.box[2]) / 2 == pytest.approx(6 * (view.frame.index - 20), abs=16)


def test_the_default_extractor_is_an_extractor():
    extractor = MotionExtractor()
    assert [extractor(frame) for frame in frames(lambda i: wall(), 2)] == [[], []]
