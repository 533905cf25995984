"""The networks that ship, and the extractors `person`, `motion+pose` and `auto`."""

from __future__ import annotations

import hashlib
import itertools
import sys

import cv2
import numpy as np
import pytest

from gaitid.encoders.base import load_encoder
from gaitid.errors import ConfigError, MissingDependency, WeightsError
from gaitid.perception import auto
from gaitid.perception.auto import AutoExtractor, AutoSettings
from gaitid.perception.blazepose import PoseNetwork
from gaitid.perception.extractor import load_extractor
from gaitid.perception.motion_pose import MotionPoseSettings
from gaitid.perception.nanodet import PersonDetector
from gaitid.perception.networks import NANODET, NETWORKS
from gaitid.perception.person import PersonExtractor, PersonSettings
from gaitid.perception.pipeline import watch
from gaitid.perception.sources import open_source
from gaitid.perception.tracks import iou
from gaitid.quality import assess
from gaitid.records import Frame, Observation
from tests.conformance.test_extractor import filmed

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def street(real_data):
    """Frames 150 to 199 of vtest.avi: six to eight people, two of them side by side."""
    with open_source(str(real_data / "vtest.avi")) as source:
        return list(itertools.islice(source, 150, 200))


def test_networks_are_the_ones_that_were_released(tmp_path):
    for network in NETWORKS:
        assert hashlib.sha256(network.content()).hexdigest() == network.sha256
    assert sum(network.path.stat().st_size for network in NETWORKS) < 20e6


@pytest.mark.parametrize("harm", ["changed", "missing"])
def test_a_changed_network_is_refused(monkeypatch, tmp_path, harm):
    monkeypatch.setattr("gaitid.perception.networks.FOLDER", tmp_path)
    if harm == "changed":
        (tmp_path / "nanodet.onnx").write_bytes(b"junk")
    with pytest.raises(WeightsError, match=r"nanodet\.onnx"):
        NANODET.content()


def test_the_detector_finds_the_people_of_a_street(street):
    detect = PersonDetector(0.45)
    boxes, scores = detect(street[40].image)
    assert 6 <= len(boxes) <= 9
    assert (np.diff(scores) <= 0).all()
    assert iou(boxes.astype(float), boxes.astype(float))[~np.eye(len(boxes), dtype=bool)].max() < 0.5
    smaller = cv2.resize(street[40].image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    halves, _ = detect(smaller)
    assert iou(boxes.astype(float), 2 * halves.astype(float)).max(1).mean() > 0.8


def test_a_pose_is_whole_and_moves_with_the_picture(street):
    (box, *_), _ = PersonDetector(0.45)(street[40].image)
    pose = PoseNetwork()
    body = pose(street[40].image, box)
    assert body.presence > 0.9
    assert iou(body.box[None].astype(float), box[None].astype(float))[0, 0] > 0.6
    joints = body.keypoints
    seen = joints[:, 2] > 0.5
    assert seen[[5, 6, 11, 12, 15, 16]].all()
    inside = (joints[seen, :2] > body.box[:2] - 5) & (joints[seen, :2] < body.box[2:] + 5)
    assert inside.all()
    assert joints[[15, 16], 1].min() > joints[[11, 12], 1].max() > joints[[5, 6], 1].max()
    shifted = np.roll(street[40].image, (7, 11), (0, 1))
    moved = pose(shifted, box + np.float32([11, 7, 11, 7]))
    np.testing.assert_allclose(moved.keypoints[seen, :2] - joints[seen, :2], [[11, 7]] * seen.sum(), atol=0.5)


def test_a_pose_of_nothing_has_no_presence():
    body = PoseNetwork()(np.full((120, 160, 3), 90, np.uint8), np.float32([40, 20, 80, 100]))
    assert body is None or body.presence < 0.1


def test_people_are_followed_with_both_streams_and_pairs_are_two(street):
    person = PersonExtractor()
    counts, detections = [], 0
    for frame in street:
        before = person._detected_at
        found = person(frame)
        detections += person._detected_at != before
        counts.append(len(found))
        for one in found:
            low, high = np.floor(one.box[:2]), np.ceil(one.box[2:])
            assert one.mask.shape == (high[1] - low[1], high[0] - low[0])
            assert one.keypoints.shape == (17, 3)
        boxes = np.array([one.box for one in found], float)
        assert iou(boxes, boxes)[~np.eye(len(boxes), dtype=bool)].max(initial=0) < 0.7
    assert detections < len(street) * 0.7  # most frames need none
    truth = [len(PersonDetector(0.45)(frame.image)[0]) for frame in street[::16]]
    assert np.mean(counts[::16]) >= 0.85 * np.mean(truth)


def test_a_panning_camera_is_no_hindrance(street):
    """The picture moves by 3 pixels a frame; `motion` refuses it."""
    pictures = [frame.image[20:400, 2 * k : 2 * k + 600] for k, frame in enumerate(street)]
    frames = [Frame(np.ascontiguousarray(p), 0.1 * k, index=k) for k, p in enumerate(pictures)]
    walks = [walk for view in watch(_Frames(frames), extractor=PersonExtractor()) for walk in view.walks]
    usable = [w.sequence for w in walks if w.sequence is not None and assess(w.sequence).usable]
    assert len(usable) >= 3
    assert all(set(one.streams) == {"silhouette", "skeleton"} for one in usable)
    assert load_encoder("fused")(usable[0]).vector.shape == (load_encoder("fused").dimension,)


class _Frames:
    """Frames as a source."""

    def __init__(self, frames):
        self._frames = frames

    def __iter__(self):
        return iter(self._frames)


def test_a_person_who_is_not_confirmed_is_dropped(street, monkeypatch):
    person = PersonExtractor(PersonSettings(confirm_s=0.5))
    assert person(street[0])
    nothing = (np.empty((0, 4), np.float32), np.empty(0, np.float32))
    monkeypatch.setattr(person, "_detect", lambda image: nothing)
    left = [len(person(frame)) for frame in street[1:9]]
    assert left[2] > 0
    assert left[-1] == 0


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (PersonSettings, {"score": 0.0}),
        (PersonSettings, {"presence": 1.0}),
        (PersonSettings, {"detect_s": -1.0}),
        (PersonSettings, {"most_people": 0}),
        (MotionPoseSettings, {"mask": "both"}),
        (MotionPoseSettings, {"presence": 0.0}),
    ],
)
def test_wrong_settings_are_refused(kind, values):
    with pytest.raises(ConfigError):
        kind(**values)


@pytest.mark.parametrize("mask", ["motion", "pose"])
def test_motion_and_pose_agree_on_who_is_there(mask):
    frames = [Frame(image, k / 25, index=k) for k, image in enumerate(filmed())]
    both = load_extractor("motion+pose", MotionPoseSettings(mask=mask))
    motion = load_extractor("motion")
    posed = 0
    for frame in frames:
        found, alone = both(frame), motion(frame)
        assert len(found) == len(alone)
        for one, other in zip(found, alone, strict=True):
            posed += one.keypoints is not None
            assert mask == "pose" or np.array_equal(one.mask, other.mask)
    assert posed > 40


def test_without_onnxruntime_the_extra_is_named(monkeypatch):
    for name in [
        name for name in sys.modules if name.startswith("gaitid.perception.") or name == "onnxruntime"
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    from gaitid.perception.extractor import load_extractor as fresh

    with pytest.raises(MissingDependency, match=r"gaitid\[person\]"):
        fresh("person")
    chosen = fresh("auto")
    assert chosen.choice.startswith("motion; pip install 'gaitid[person]'")


class Script:
    """Stub of an extractor that sees a box moved by some pixels, or raises."""

    is_ready = True

    def __init__(self, shift=0.0, people=1, error=None):
        self._shift, self._people, self._error = shift, people, error

    def __call__(self, frame):
        if self._error:
            raise self._error
        box = np.float32([20, 10, 40, 60]) + np.float32(self._shift)
        return [Observation(box + 50 * k, np.ones((51, 21), np.uint8)) for k in range(self._people)]


@pytest.mark.parametrize(
    ("motion", "choice"),
    [
        (Script(), "motion, since the camera stands still"),
        (Script(shift=15), "person, since motion sees 0%"),
        (Script(people=2), "person, since motion sees 100% of the people, and 50%"),
        (Script(people=0), "person, since motion sees 0%"),
        (Script(error=auto.CameraMoving("a", "b", "c")), "person, since the camera moves"),
    ],
    ids=["agrees", "elsewhere", "sees more", "sees nothing", "moving"],
)
def test_auto_keeps_motion_only_where_it_sees_the_same(monkeypatch, motion, choice):
    monkeypatch.setattr(auto, "MotionExtractor", lambda settings: motion)
    monkeypatch.setattr(auto, "_person", lambda: Script())
    extractor = AutoExtractor(AutoSettings(people=5))
    frame = Frame(np.zeros((80, 80, 3), np.uint8), 0.0)
    seen = [extractor(frame)[0].box[0] for _ in range(8)]
    assert extractor.choice.startswith(choice)
    assert seen == [20.0] * 8
    extractor.reset()
    assert extractor.choice == ""
