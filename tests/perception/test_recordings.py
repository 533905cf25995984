"""Of a recording the background is learned beforehand, so short ones are used from their first frame."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from perception_scenes import frames, person, wall

from gaitid.errors import SourceTruncated
from gaitid.perception.extractor import load_extractor, look_ahead
from gaitid.perception.motion import MotionExtractor, MotionSettings
from gaitid.perception.pipeline import watch
from gaitid.perception.sources import open_source
from gaitid.quality import assess
from tests.filmed import FRAMES_EACH, walk_video


@pytest.fixture(scope="module")
def crossing(tmp_path_factory):
    """One crossing of 4.8 s, without an empty scene before."""
    return walk_video(tmp_path_factory.mktemp("short") / "crossing.avi", still=0)


def good_frames(source):
    with source:
        walks = [walk for view in watch(source) for walk in view.walks]
    return sum(len(walk.sequence) for walk in walks if walk.sequence is not None), walks


def test_a_short_recording_is_used_from_its_first_frame(crossing):
    good, walks = good_frames(open_source(str(crossing)))
    once = open_source(str(crossing))
    once.again = lambda: None
    with_warm_up, _ = good_frames(once)
    assert good >= 0.7 * FRAMES_EACH
    assert with_warm_up <= 0.6 * FRAMES_EACH
    (walk,) = (walk for walk in walks if walk.sequence is not None and assess(walk.sequence).usable)
    assert walk.times[0] < 0.6


def test_a_folder_of_images_is_too(crossing, tmp_path):
    capture, index = cv2.VideoCapture(str(crossing)), 0
    while (read := capture.read())[0]:
        cv2.imwrite(str(tmp_path / f"{index}.png"), read[1])
        index += 1
    assert good_frames(open_source(str(tmp_path), fps=25.0))[0] >= 0.7 * FRAMES_EACH


@pytest.mark.parametrize("stands", [8, 16, 20])
def test_somebody_who_stands_at_the_start_leaves_no_ghost(stands):
    """Who stands less than half of the time is found as they walk off, and nobody is left behind."""

    def paint(i):
        return person(wall(), 40 + 7 * max(i - stands, 0), phase=0.8 * max(i - stands, 0))

    made = list(frames(paint, 45))
    extractor = MotionExtractor()
    extractor.learn(made)
    seen = [extractor(frame) for frame in made]
    assert all(len(row) == 1 for row in seen[stands + 5 : 42])


def test_a_truncated_recording_gives_the_walks_before_its_end(crossing, tmp_path):
    cut = tmp_path / "cut.avi"
    cut.write_bytes(crossing.read_bytes()[: int(crossing.stat().st_size * 0.8)])
    walks = []
    with open_source(str(cut)) as source:
        views = watch(source)
        with pytest.raises(SourceTruncated):
            walks.extend(walk for view in views for walk in view.walks)
    assert sum(len(walk.sequence) for walk in walks if walk.sequence is not None) >= 0.5 * FRAMES_EACH


def test_a_recording_of_a_few_pictures_has_a_warm_up():
    extractor = MotionExtractor()
    extractor.learn(frames(lambda i: wall(), 7))
    assert not extractor.is_ready
    extractor.learn(frames(lambda i: wall(), 8))
    assert extractor.is_ready


def test_only_its_first_seconds_are_read():
    read = []

    def counted():
        for frame in frames(lambda i: wall(), 500):
            read.append(frame.index)
            yield frame

    MotionExtractor(MotionSettings(short_s=5.0)).learn(counted())
    assert 50 <= len(read) <= 53


def test_an_extractor_without_learn_reads_nothing_ahead(crossing):
    class Plain:
        def __call__(self, frame):
            return []

        def reset(self):
            pass

    with open_source(str(crossing)) as source:
        source.again = lambda: pytest.fail("read ahead")
        look_ahead(Plain(), source)


def test_a_source_that_is_read_once_has_the_warm_up(crossing):
    extractor = load_extractor("motion")
    with open_source(str(crossing)) as source:
        source.again = lambda: None
        look_ahead(extractor, source)
    assert not extractor.is_ready


def test_again_begins_at_the_first_frame(crossing):
    with open_source(str(crossing)) as source:
        first = next(iter(source)).image
        with source.again() as second:
            np.testing.assert_array_equal(next(iter(second)).image, first)
