from __future__ import annotations

import cv2
import numpy as np
import pytest
from perception_scenes import frames, person, wall

from gaitid.errors import CameraMoving
from gaitid.perception.motion import MotionExtractor, MotionSettings
from gaitid.records import Frame


def observe(paint, count, extractor=None, fps=10.0):
    extractor = extractor or MotionExtractor()
    return [extractor(frame) for frame in frames(paint, count, fps)]


def walker(i, speed=6):
    return person(wall(), 20 + speed * i, phase=0.8 * i)


def test_an_empty_scene_shows_nothing():
    assert observe(lambda i: wall(), 40) == [[]] * 40


def test_nothing_is_observed_while_warming_up_then_one_walker_with_its_mask():
    seen = observe(walker, 45)
    assert all(not row for row in seen[:20])
    assert all(len(row) == 1 for row in seen[22:44])
    for i in (25, 35, 43):
        ((observation,),) = [seen[i]]
        truth = walker(i)[:, :, 0] < 60
        mask = np.zeros(truth.shape, np.uint8)
        x0, y0, x1, y1 = observation.box.astype(int)
        mask[y0:y1, x0:x1] = observation.mask
        overlap = (mask & truth).sum() / (mask | truth).sum()
        assert overlap > 0.85


def test_people_who_walk_through_the_warm_up_leave_no_ghost():
    seen = observe(lambda i: person(wall(), 40 + 8 * i, phase=0.8 * i), 40)
    assert all(len(row) == 1 for row in seen[22:32])


def test_a_shadow_is_not_part_of_the_mask():
    def paint(i):
        image, x = wall(), 20 + 6 * i
        shade = np.zeros(image.shape[:2], np.uint8)
        cv2.ellipse(shade, (x + 45, 196), (45, 9), 0, 0, 360, 1, -1)
        image[shade > 0] = (image[shade > 0] * 0.7).astype(np.uint8)
        return person(image, x, phase=0.8 * i)

    plain, shaded = observe(walker, 34)[30:], observe(paint, 34)[30:]
    for (alone,), (with_shadow,) in zip(plain, shaded, strict=True):
        width = [o.box[2] - o.box[0] for o in (alone, with_shadow)]
        assert width[1] < width[0] + 12  # the shadow is 90 wide


def test_after_a_global_change_of_light_the_background_is_learned_again():
    def paint(i):
        gain = 1.0 if i < 30 else 1.35
        return np.clip(person(wall(), 10 + 4 * i, phase=0.8 * i) * gain, 0, 255).astype(np.uint8)

    seen = observe(paint, 75)
    assert len(seen[29]) == 1
    assert seen[30:54] == [[]] * 24
    assert all(len(row) == 1 for row in seen[58:])


def test_a_camera_pan_is_refused_with_its_reason():
    panorama = wall(size=(1200, 240))
    with pytest.raises(CameraMoving, match="static camera"):
        observe(lambda i: panorama[:, max(i - 25, 0) * 6 :][:, :320].copy(), 80)


def test_a_large_person_near_the_camera_is_no_camera_motion():
    def paint(i):
        return person(wall(), 8 * (i - 25), foot=235, height=220, phase=0.8 * i)

    assert all(len(row) >= 1 for row in observe(paint, 60)[27:])


def test_a_flash_costs_only_its_own_frame():
    def paint(i):
        return np.clip(walker(i) * (1.6 if i == 30 else 1.0), 0, 255).astype(np.uint8)

    seen = observe(paint, 40)
    assert [len(row) for row in seen[28:36]] == [1, 1, 0, 1, 1, 1, 1, 1]


def test_one_who_stands_still_becomes_background():
    settings = MotionSettings(history_s=8.0)
    extractor = MotionExtractor(settings)

    def paint(i):
        return wall() if i < 22 else person(wall(), min(20 + 6 * (i - 22), 160), phase=0.8 * min(i, 45))

    seen = observe(paint, 240, extractor)
    assert len(seen[46]) == 1
    assert seen[-1] == []


def test_reset_starts_a_new_warm_up():
    extractor = MotionExtractor()
    observe(walker, 30, extractor)
    extractor.reset()
    assert observe(walker, 20, extractor) == [[]] * 20


def test_small_and_tall_people_in_a_large_frame():
    """48 and 520 pixels tall in a frame that is analysed at a smaller scale."""
    scene = wall(size=(1600, 900))

    def paint(i):
        image = person(scene.copy(), 60 + 8 * i, foot=300, height=48, phase=0.8 * i)
        return person(image, 1500 - 30 * i, foot=860, height=520, phase=0.8 * i)

    extractor = MotionExtractor(MotionSettings(warm_up_s=1.0))
    last = [extractor(Frame(paint(2 * i), i / 5)) for i in range(12)][-1]
    heights = sorted(o.box[3] - o.box[1] for o in last)
    assert len(heights) == 2
    assert heights[0] == pytest.approx(48, abs=6)
    assert heights[1] == pytest.approx(520, abs=12)
    for observation in last:
        x0, y0, x1, y1 = observation.box
        assert observation.mask.shape == (y1 - y0, x1 - x0)


def test_a_flat_thing_is_observed_without_confidence():
    def paint(i):
        return cv2.rectangle(wall(), (10 + 6 * i, 150), (100 + 6 * i, 195), (20, 20, 20), -1)

    seen = observe(paint, 35)[-1]
    assert [o.confidence < 0.5 for o in seen] == [True]
