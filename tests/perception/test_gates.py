from __future__ import annotations

import numpy as np
import pytest
from perception_scenes import person

from gaitid.perception.align import align, binarise
from gaitid.perception.gates import GateSettings, glance, judge, measure, running_median
from gaitid.records import Reason

FRAME = (240, 320)


def ink(*people, size=FRAME):
    """Mask and box of drawn people: (x, foot, height, phase) each."""
    image = np.full((*size, 3), 255, np.uint8)
    for x, foot, height, phase in people:
        person(image, x, foot, height, phase)
    return crop(image[:, :, 0] < 128)


def crop(whole):
    ys, xs = np.nonzero(whole)
    x0, y0, x1, y1 = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
    return whole[y0:y1, x0:x1].astype(np.uint8), np.array([x0, y0, x1, y1], np.float32)


def judged(pictures, crowded=(), fps=10.0):
    """Reasons against the frames of one walk, given as (mask, box)."""
    shapes = [measure(mask, box, FRAME) for mask, box in pictures]
    aligned = [align(mask) for mask, _ in pictures]
    return judge(
        shapes,
        np.arange(len(pictures)) / fps,
        np.array([box for _, box in pictures], float).reshape(-1, 4),
        np.array([i in crowded for i in range(len(pictures))], bool),
        [None if a is None else binarise(a) for a in aligned],
    )


def alone(i):
    return ink((30 + 5 * i, 200, 100, 0.8 * i))


def test_no_frames_have_no_reasons():
    assert judged([]) == ()


def test_one_frame_is_judged_alone():
    assert judged([alone(3)]) == ((),)


def test_a_single_walker_is_good_in_every_frame():
    assert judged([alone(i) for i in range(50)]) == ((),) * 50


@pytest.mark.parametrize(
    ("name", "other", "reason"),
    [
        ("side by side", lambda x: (x + 24, 198, 98, 1.0), Reason.MERGED),
        ("behind and higher", lambda x: (x + 6, 165, 90, 0.5), Reason.MERGED),
        ("before and lower", lambda x: (x - 4, 232, 104, 0.5), Reason.MERGED),
    ],
)
def test_a_pair_that_merges_for_some_frames_is_flagged_there_only(name, other, reason):
    pictures = [alone(i) for i in range(50)]
    for i in range(18, 34):
        x = 30 + 5 * i
        pictures[i] = ink((x, 200, 100, 0.8 * i), other(x))
    reasons = judged(pictures)
    assert all(reason in reasons[i] for i in range(18, 34))
    assert sum(bool(why) for i, why in enumerate(reasons) if not 16 <= i < 36) == 0


def test_a_pair_that_stays_merged_is_flagged_by_its_heads():
    reasons = judged(
        [ink((40 + 4 * i, 200, 100, 0.8 * i), (64 + 4 * i, 198, 96, 0.6 * i)) for i in range(40)]
    )
    assert sum(Reason.MERGED in why for why in reasons) >= 38


def test_frames_that_held_another_track_are_flagged_until_the_blob_is_one_person_again():
    pictures = [alone(i) for i in range(40)]
    for i in range(15, 25):  # the other is hidden but for a part that makes the blob a fifth larger
        x = 30 + 5 * i
        pictures[i] = ink((x, 200, 100, 0.8 * i), (x + 12, 200, 96, 0.8 * i))
    reasons = judged(pictures, crowded={15, 16})
    assert all(Reason.MERGED in reasons[i] for i in range(15, 25))


def test_legs_or_head_lost_for_some_frames_are_a_cut():
    pictures = [alone(i) for i in range(40)]
    for i in range(15, 22):
        mask, box = pictures[i]
        lost = 20 if i % 2 else 0
        pictures[i] = (mask[: len(mask) - 20] if lost else mask[20:]), box
    reasons = judged(pictures)
    assert all(Reason.CUT_OFF in reasons[i] for i in range(15, 22))


def test_the_image_border_cuts():
    for x, foot in ((8, 200), (312, 200), (160, 239), (160, 92)):
        assert Reason.CUT_OFF in judged([ink((x, foot, 100, 1.0))])[0]


def test_a_body_split_by_a_post_is_fragmented():
    mask, box = alone(9)
    middle = mask.shape[1] // 2
    mask[:, middle - 3 : middle + 3] = 0
    assert Reason.FRAGMENTED in judged([(mask, box)])[0]
    assert Reason.FRAGMENTED in glance(measure(mask, box, FRAME), False)


def test_large_holes_and_empty_masks_are_fragmented():
    mask, box = alone(9)
    mask[30:45, mask.shape[1] // 2 - 7 : mask.shape[1] // 2 + 7] = 0
    assert Reason.FRAGMENTED in judged([(mask, box)])[0]
    assert Reason.FRAGMENTED in judged([(np.zeros_like(mask), box)])[0]


def test_a_one_pixel_mask_is_fragmented_and_no_error():
    mask = np.zeros((90, 30), np.uint8)
    mask[40, 10] = 1
    assert Reason.FRAGMENTED in judged([(mask, np.array([10, 10, 40, 100], np.float32))])[0]


def test_small_bodies_are_refused_below_48_pixels():
    assert judged([ink((160, 200, 60, 1.0))]) == ((),)
    assert Reason.TOO_SMALL in judged([ink((160, 200, 40, 1.0))])[0]


@pytest.mark.parametrize(("width", "height"), [(90, 60), (50, 100), (16, 100)])
def test_a_box_on_the_move_is_no_person(width, height):
    pictures = []
    for i in range(20):
        box = np.array([20 + 6 * i, 60, 20 + 6 * i + width, 60 + height], np.float32)
        pictures.append((np.ones((height, width), np.uint8), box))
    assert all(Reason.NOT_PERSON in why for why in judged(pictures))


def test_one_who_stands_is_refused_and_one_who_comes_nearer_is_not():
    standing = judged([ink((160, 200, 100, 0.2)) for _ in range(40)])
    assert all(why == (Reason.STANDING,) for why in standing)
    coming = judged([ink((160, 170 + 1.5 * i, 90 + 1.5 * i, 0.8 * i)) for i in range(40)])
    assert coming == ((),) * 40


def test_limits_are_settings():
    mask, box = ink((160, 200, 60, 1.0))
    shape = measure(mask, box, FRAME)
    assert glance(shape, False, GateSettings(min_height_px=80)) == (Reason.TOO_SMALL,)
    assert glance(shape, True) == (Reason.MERGED,)


def test_running_median_of_a_worked_example():
    times = np.arange(5.0)
    values = np.array([1.0, 2.0, 90.0, 4.0, 5.0])
    trusted = np.array([1, 1, 0, 1, 1], bool)
    np.testing.assert_array_equal(running_median(values, trusted, times, 2.0), [3, 2, 3, 4, 3])
    np.testing.assert_array_equal(running_median(values, ~np.ones(5, bool), times, 9.0), [4] * 5)
