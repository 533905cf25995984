from __future__ import annotations

import numpy as np
import pytest

from gaitid.perception.gates import GateSettings
from gaitid.perception.skeleton_gates import glance_pose, judge_poses, measure_pose
from gaitid.records import Reason
from tests.drawn import phases, skeletons

FRAME = (240, 400)
FPS = 25.0


def drawn(count=60, view="lateral", step=2.0, start=20.0, size=1.0, still=False):
    """Keypoints and boxes of a walker 100 px tall who goes `step` pixels a frame."""
    times = np.arange(count) / FPS
    joints = skeletons(phases(times * (0 if still else 1), 110.0), view)
    places = (
        size * joints[..., :2] + np.stack([start + step * np.arange(count), np.full(count, 60.0)], 1)[:, None]
    )
    joints = np.concatenate([places, joints[..., 2:]], axis=2).astype(np.float32)
    middle = places[..., 0].mean(1)
    top, foot = places[..., 1].min(1) - 4, places[..., 1].max(1) + 4
    return joints, np.stack([middle - 30, top, middle + 30, foot], 1).astype(np.float32)


def judged(joints, boxes, crowded=(), settings=None):
    settings = settings or GateSettings()
    poses = [measure_pose(one, box, FRAME, settings) for one, box in zip(joints, boxes, strict=True)]
    flags = np.array([i in crowded for i in range(len(poses))], bool)
    return judge_poses(poses, np.arange(len(poses)) / FPS, boxes.astype(float), flags, settings)


def test_no_frames_have_no_reasons():
    assert judge_poses([], np.zeros(0), np.zeros((0, 4)), np.zeros(0, bool)) == ()


def test_one_frame_is_judged_alone():
    joints, boxes = drawn(1)
    assert judged(joints, boxes) == ((),)


@pytest.mark.parametrize("view", ["lateral", "frontal"])
def test_a_walker_is_good_in_every_frame(view):
    joints, boxes = drawn(view=view)
    assert judged(joints, boxes) == ((),) * 60


@pytest.mark.parametrize(
    ("name", "unseen", "reason"),
    [
        ("a leg and a hip", [11, 13, 15], Reason.MISSING_JOINTS),
        ("all joints", range(17), Reason.MISSING_JOINTS),
        ("both feet", [15, 16], Reason.CUT_OFF),
    ],
)
@pytest.mark.parametrize("confidence", [0.0, 0.2])
def test_unseen_joints_are_a_reason_in_their_frames_only(name, unseen, reason, confidence):
    joints, boxes = drawn()
    joints[20:25, list(unseen), 2] = confidence
    reasons = judged(joints, boxes)
    assert [i for i, why in enumerate(reasons) if reason in why] == list(range(20, 25))
    assert [i for i, why in enumerate(reasons) if why] == list(range(20, 25))


def test_a_far_ankle_hidden_by_the_near_one_is_no_reason():
    joints, boxes = drawn()
    joints[10:20, 16, 2] = 0.1
    assert judged(joints, boxes) == ((),) * 60


def test_the_least_confidence_and_share_are_settings():
    joints, boxes = drawn(1)
    joints[:, 11:13, 2] = 0.2
    pose = measure_pose(joints[0], boxes[0], FRAME)
    assert pose.legs == pytest.approx(4 / 6)
    assert glance_pose(pose, False) == ()
    assert glance_pose(pose, False, GateSettings(min_joints=0.8)) == (Reason.MISSING_JOINTS,)
    assert measure_pose(joints[0], boxes[0], FRAME, GateSettings(joint_confidence=0.1)).legs == 1.0
    joints[:, 11:13, 2] = 0.0
    assert measure_pose(joints[0], boxes[0], FRAME, GateSettings(joint_confidence=0.0)).legs < 1.0


@pytest.mark.parametrize(
    ("x", "y"), [(-60, 0), (300, 0), (0, -70), (0, 90)], ids=["left", "right", "top", "bottom"]
)
def test_the_image_border_cuts(x, y):
    joints, boxes = drawn(1)
    joints[..., :2] += (x, y)
    boxes += (x, y, x, y)
    assert Reason.CUT_OFF in judged(joints, boxes)[0]


def test_a_joint_outside_the_picture_is_a_cut_even_if_the_box_is_inside():
    joints, boxes = drawn(1)
    joints[0, 15, :2] = (50, 241)
    assert Reason.CUT_OFF in judged(joints, boxes)[0]


def test_a_box_much_lower_than_around_that_time_is_cut_off():
    joints, boxes = drawn()
    boxes[20:25, 3] -= 20
    reasons = judged(joints, boxes)
    assert all(Reason.CUT_OFF in reasons[i] for i in range(20, 25))
    assert not any(reasons[:20] + reasons[25:])


def test_a_neighbour_is_a_merger_and_so_is_a_joint_far_outside_the_own_box():
    joints, boxes = drawn()
    joints[30, 10, 0] += 60
    reasons = judged(joints, boxes, crowded={5, 6})
    assert [i for i, why in enumerate(reasons) if Reason.MERGED in why] == [5, 6, 30]
    assert glance_pose(measure_pose(joints[0], boxes[0], FRAME), True) == (Reason.MERGED,)


@pytest.mark.parametrize("name", ["upside down", "lying"])
def test_a_body_that_is_not_upright_is_no_person(name):
    joints, _ = drawn(1)
    x, y = joints[..., 0].copy(), joints[..., 1].copy()
    if name == "lying":
        joints[..., 0], joints[..., 1] = y, 130.0
    else:
        joints[..., 1] = 220 - y
    pose = measure_pose(joints[0], np.array([0, 50, 300, 170], np.float32), FRAME)
    assert Reason.NOT_PERSON in glance_pose(pose, False)
    assert not np.isnan(x).any()


def test_one_who_stands_is_refused_and_one_who_walks_slowly_or_on_the_spot_is_not():
    assert all(why == (Reason.STANDING,) for why in judged(*drawn(step=0.0, still=True)))
    assert judged(*drawn(step=0.0)) == ((),) * 60
    slow = 0.15 * 108 / FPS  # between the least speed and twice that: the legs decide
    assert judged(*drawn(step=slow)) == ((),) * 60
    assert all(why == (Reason.STANDING,) for why in judged(*drawn(step=slow, still=True)))


def test_legs_that_are_hardly_ever_seen_are_not_called_still():
    joints, boxes = drawn(step=0.15 * 108 / FPS, still=True)
    joints[2:, 16, 2] = 0.0
    assert not any(Reason.STANDING in why for why in judged(joints, boxes))


def test_small_bodies_are_refused_below_48_pixels():
    joints, boxes = drawn(1, size=0.35)
    assert Reason.TOO_SMALL in judged(joints, boxes)[0]


def projected(joints, degrees):
    """Keypoints of a camera 6 m away and 1.5 m high; 90 degrees is lateral. Boxes reach a tenth farther."""
    ground = joints[:, 11:13, :2].mean(1)
    course = ground[-1] - ground[0]
    angle = np.arctan2(course[1], course[0]) + np.deg2rad(degrees)
    forward, right = -np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    offset = joints[:, :, :2] - ground.mean(0)
    depth = offset @ forward + 6.0
    pixels = np.stack([offset @ right / depth, (1.5 - joints[:, :, 2]) / depth], axis=2) * 600 + 1000
    low, high = pixels.min(1), pixels.max(1)
    margin = 0.1 * (high - low)[:, 1:]
    seen = np.concatenate([pixels, np.ones((*depth.shape, 1))], axis=2).astype(np.float32)
    return seen, np.concatenate([low - margin, high + margin], 1).astype(np.float32)


@pytest.mark.real
@pytest.mark.parametrize("degrees", [90, 45, 0])
def test_real_walks_pass(real_data, degrees):
    """Motion capture of 33 walks; the one that turns and stands is left out."""
    with np.load(real_data / "cmu_walk_coco17_30fps.npz", allow_pickle=False) as held:
        spans = zip(held["start"], held["length"], strict=True)
        walks = [held["xyz"][start : start + length].astype(float) for start, length in spans]
    del walks[29]
    refused = total = 0
    for joints, boxes in (projected(walk, degrees) for walk in walks):
        poses = [measure_pose(*pair, (2000, 2000)) for pair in zip(joints, boxes, strict=True)]
        alone = np.zeros(len(poses), bool)
        reasons = judge_poses(poses, np.arange(len(poses)) / 30, boxes.astype(float), alone)
        refused, total = refused + sum(map(bool, reasons)), total + len(reasons)
    assert refused <= 0.01 * total
