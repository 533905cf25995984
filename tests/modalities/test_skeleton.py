from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gaitid.errors import MessageError, SequenceError
from gaitid.modalities import skeleton
from gaitid.records import GaitSequence

# The foreign layouts by name, written down from their own documentation, so that the index
# tables of the module are checked against names and not against themselves.
OPENPOSE18 = [
    "nose",
    "neck",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_eye",
    "left_eye",
    "right_ear",
    "left_ear",
]
BODY25 = [
    "nose",
    "neck",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "mid_hip",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_eye",
    "left_eye",
    "right_ear",
    "left_ear",
    "left_big_toe",
    "left_small_toe",
    "left_heel",
    "right_big_toe",
    "right_small_toe",
    "right_heel",
]
MEDIAPIPE33 = [
    "nose",
    "left_eye_inner",
    "left_eye",
    "left_eye_outer",
    "right_eye_inner",
    "right_eye",
    "right_eye_outer",
    "left_ear",
    "right_ear",
    "mouth_left",
    "mouth_right",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_pinky",
    "right_pinky",
    "left_index",
    "right_index",
    "left_thumb",
    "right_thumb",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
    "left_heel",
    "right_heel",
    "left_foot_index",
    "right_foot_index",
]


def from_mediapipe(landmarks):
    return skeleton.from_mediapipe33(landmarks, width=1, height=1)


LAYOUTS = {
    "openpose18": (OPENPOSE18, 3, skeleton.from_openpose18),
    "body25": (BODY25, 3, skeleton.from_body25),
    "mediapipe33": (MEDIAPIPE33, 4, from_mediapipe),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_joint_comes_from_its_namesake(name):
    names, values, convert = LAYOUTS[name]
    joints = np.ones((2, len(names), values))
    joints[:, :, 0] = np.arange(len(names))
    joints[:, :, 1] = 100 + np.arange(len(names))
    coco = convert(joints)
    assert (coco.dtype, coco.shape) == (np.float32, (2, 17, 3))
    assert [names[int(x)] for x in coco[1, :, 0]] == list(skeleton.JOINT_NAMES)
    np.testing.assert_array_equal(coco[:, :, 1], coco[:, :, 0] + 100)
    GaitSequence({"skeleton": coco}, np.array([0.0, 0.1]))


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_missing_joint_is_zero_and_confidence_is_cut(name):
    names, values, convert = LAYOUTS[name]
    joints = np.full((1, len(names), values), 7.0)
    joints[..., -1] = 1.02
    joints[0, names.index("left_knee"), -1] = 0.0
    coco = convert(joints)
    assert coco[0, 13].tolist() == [0, 0, 0]
    assert coco[0, 14].tolist() == [7, 7, 1]


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("wrong", ["joints", "values", "frames", "nan", "integers", "list"])
def test_a_wrong_layout_is_refused(name, wrong):
    names, values, convert = LAYOUTS[name]
    good = np.ones((2, len(names), values))
    bad = {
        "joints": good[:, 1:],
        "values": good[:, :, 1:],
        "frames": good[0],
        "nan": np.where(np.arange(values) == 0, np.nan, good),
        "integers": good.astype(int),
        "list": good.tolist(),
    }[wrong]
    with pytest.raises(SequenceError):
        convert(bad)


def test_mediapipe_shares_become_pixels():
    landmarks = np.full((1, 33, 4), 0.5)
    coco = skeleton.from_mediapipe33(landmarks, width=640, height=480)
    assert coco[0, 0].tolist() == [320, 240, 0.5]


def test_bones_and_pairs_name_the_same_body():
    mirror = {**dict(skeleton.PAIRS), **{right: left for left, right in skeleton.PAIRS}, 0: 0}
    for left, right in skeleton.PAIRS:
        assert skeleton.JOINT_NAMES[right] == skeleton.JOINT_NAMES[left].replace("left", "right")
    bones = {frozenset(bone) for bone in skeleton.BONES}
    assert bones == {frozenset(mirror[joint] for joint in bone) for bone in bones}
    assert set().union(*bones) == set(range(17))


@given(arrays(np.float32, (2, 17, 3), elements=st.floats(0, 1, width=32)), st.sampled_from([16, 32]))
def test_unpack_gives_back_what_went_in(array, bits):
    precision = f"float{bits}"
    back = skeleton.unpack(skeleton.pack(array, precision), 2, precision)
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, array.astype(precision).astype(np.float32))


def test_sizes_and_byte_order():
    one = np.zeros((1, 17, 3), np.float32)
    one[0, 0, 0] = 1.0
    assert skeleton.pack(one, "float16")[:2] == b"\x00\x3c"
    assert len(skeleton.pack(one, "float16")) == 102
    assert len(skeleton.pack(one, "float32")) == 204


UNPACKABLE = {
    "float64": np.zeros((1, 17, 3)),
    "18 joints": np.zeros((1, 18, 3), np.float32),
    "nan": np.full((1, 17, 3), np.nan, np.float32),
    "too large for float16": np.full((1, 17, 3), 1e5, np.float32),
}


@pytest.mark.parametrize("name", UNPACKABLE)
def test_pack_refuses(name):
    with pytest.raises(SequenceError):
        skeleton.pack(UNPACKABLE[name], "float16")


BAD = {
    "empty": (b"", 1, "float16"),
    "no frames": (b"", 0, "float16"),
    "negative": (b"", -1, "float16"),
    "short": (bytes(101), 1, "float16"),
    "other precision": (bytes(102), 1, "float32"),
    "unknown precision": (bytes(102), 1, "float8"),
    "too many frames": (bytes(102), 10_001, "float16"),
}


@pytest.mark.parametrize("name", BAD)
def test_unpack_refuses(name):
    with pytest.raises(MessageError):
        skeleton.unpack(*BAD[name])


def test_unpack_refuses_nan():
    with pytest.raises(SequenceError):
        skeleton.unpack(np.full(51, np.nan, "<f2").tobytes(), 1)


# Joints of the two Kinects by number, as Microsoft's documents name them.
KINECT = {
    "head": 3,
    "left_shoulder": 4,
    "left_elbow": 5,
    "left_wrist": 6,
    "right_shoulder": 8,
    "right_elbow": 9,
    "right_wrist": 10,
    "left_hip": 12,
    "left_knee": 13,
    "left_ankle": 14,
    "right_hip": 16,
    "right_knee": 17,
    "right_ankle": 18,
}


@pytest.mark.parametrize(
    ("convert", "count"), [(skeleton.from_kinect20, 20), (skeleton.from_kinect25, 25)], ids=["20", "25"]
)
def test_a_kinect_is_read(convert, count):
    joints = np.arange(2 * count * 3, dtype=np.float64).reshape(2, count, 3)
    found = convert(joints)
    assert (found.shape, found.dtype) == ((2, 17, 4), np.float32)
    for name, number in KINECT.items():
        joint = skeleton.JOINT_NAMES.index("nose" if name == "head" else name)
        x, y, z = joints[1, number]
        np.testing.assert_array_equal(found[1, joint], [z, x, y, 1])  # y is up in a Kinect, z here
    assert not found[:, 1:5].any()
    GaitSequence({"skeleton3d": found}, np.array([0.0, 0.1]))


def test_a_kinect_marks_the_joints_it_did_not_see():
    confidence = np.ones((2, 20))
    confidence[0, 14] = 0
    found = skeleton.from_kinect20(np.ones((2, 20, 3)), confidence)
    assert not found[0, 15].any()
    assert found[1, 15].any()


BAD_KINECT = {
    "joints": (np.zeros((2, 25, 3)), None),
    "nan": (np.full((2, 20, 3), np.nan), None),
    "confidence shape": (np.zeros((2, 20, 3)), np.ones((2, 25))),
    "confidence 2": (np.zeros((2, 20, 3)), np.full((2, 20), 2.0)),
}


@pytest.mark.parametrize("name", BAD_KINECT)
def test_a_wrong_kinect_is_refused(name):
    with pytest.raises(SequenceError):
        skeleton.from_kinect20(*BAD_KINECT[name])


def test_numbers_in_space_are_packed():
    one = np.random.default_rng(0).random((3, 17, 4), np.float32)
    back = skeleton.unpack(skeleton.pack(one, "float32"), 3, "float32", 4)
    np.testing.assert_array_equal(back, one)
    with pytest.raises(MessageError):
        skeleton.unpack(skeleton.pack(one, "float32"), 3, "float32", 3)
