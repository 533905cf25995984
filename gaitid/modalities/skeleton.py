"""The skeleton streams: COCO-17 joints in the picture or in space. Other layouts are converted here.

A skeleton stream is (T, 17, 3) float32: x, y (pixels or metres) and confidence 0..1, the layout of
YOLO-pose. A stream in space is (T, 17, 4) float32: x, y, z (metres, z up, right-handed) and confidence.
A joint that was not seen has confidence 0 and coordinates 0. Encoders also treat a joint as unseen when all
of its coordinates are 0, because some estimators write uncertain joints so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import MessageError, SequenceError
from gaitid.modalities.arrays import MAX_FRAMES, check_array, check_finite, description

SKELETON = "skeleton"
SKELETON_3D = "skeleton3d"
JOINTS = 17
"""Joints of a skeleton, in COCO order."""
JOINT_NAMES = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
"""COCO order."""
PAIRS = ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16))
"""(left, right) joints; swapping them mirrors a skeleton."""
BONES = (
    *((0, 1), (0, 2), (1, 3), (2, 4)),  # head
    *((5, 6), (5, 7), (7, 9), (6, 8), (8, 10)),  # arms
    *((5, 11), (6, 12), (11, 12)),  # trunk
    *((11, 13), (13, 15), (12, 14), (14, 16)),  # legs
)
"""Pairs of joints connected by a bone."""

_LEGS = ((11, 13, 15), (12, 14, 16))
_BENT_M = 0.01
"""Least mean bend of the knees, metres, that shows a direction; knees are 0.08 m ahead on average."""
_FEW = 5
"""Least number of frames that show a direction."""
_BACKWARDS_M = 0.3
"""Metres walked backwards from which a walk with straight knees counts as mirrored."""
_MISSING_REMEDY = "Mark a missing joint by confidence 0 and coordinates 0"

Precision = Literal["float16", "float32"]
_LITTLE_ENDIAN: dict[str, np.dtype[Any]] = {"float16": np.dtype("<f2"), "float32": np.dtype("<f4")}

COCO_FIRST = (17, 26, 133, 136)
"""Joints of the layouts whose first 17 are COCO's: COCO, Halpe-26, COCO-WholeBody, Halpe-136."""

# Index in the foreign layout of each COCO-17 joint.
_OPENPOSE18 = (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)
_BODY25 = (0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11)
_MEDIAPIPE33 = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
_KINECT = (3, 4, 8, 5, 9, 6, 10, 12, 16, 13, 17, 14, 18)
"""Head, shoulders, elbows, wrists, hips, knees, ankles; both generations share these indices."""
_KINECT_TO = (0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)


@dataclass(frozen=True, slots=True)
class SkeletonStream:
    """COCO-17 joints of so many values, the last of which is the confidence; a `streams.Stream`."""

    name: str
    values: int

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The one shape of a frame."""
        return ((JOINTS, self.values),)

    def check(self, array: Any) -> None:
        """Raise `SequenceError` unless `array` is (T, 17, values) float32, finite, with confidence 0..1."""
        check_array(array, np.float32, (None, JOINTS, self.values), self.name, SequenceError)
        check_finite(array, self.name, _MISSING_REMEDY, SequenceError)
        confidence = array[..., -1]
        if array.size and not (confidence.min() >= 0.0 and confidence.max() <= 1.0):
            raise SequenceError(
                f"Array {self.name} has confidence {confidence.min():.3g}..{confidence.max():.3g}",
                "confidence of 0..1 in its last column",
                "Scale it to 0..1",
            )

    def size(self, frames: int, shape: tuple[int, ...]) -> int:
        """Return the number of bytes that `pack` makes of that many frames."""
        return frames * shape[0] * shape[1] * _LITTLE_ENDIAN["float32"].itemsize

    def pack(self, array: NDArray[np.float32]) -> bytes:
        """Return the frames as little-endian float32."""
        return pack(array, "float32")

    def unpack(self, data: bytes, frames: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return the frames of little-endian float32."""
        return unpack(data, frames, "float32", shape[1])

    def to_arrays(self, array: NDArray[np.float32]) -> Mapping[str, NDArray[Any]]:
        """Return the array under the stream's name."""
        return {self.name: array}

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32] | None:
        """Return the array under the stream's name."""
        return arrays.get(self.name)


def pack(skeletons: NDArray[np.float32], precision: Precision = "float16") -> bytes:
    """Pack skeletons as little-endian floats, frame by frame, joint by joint: coordinates, confidence.

    float16 has 11 significant bits: pixel positions are rounded to 1 px above 1024 and 2 px above
    2048, and cannot exceed 65504; use float32 for large pictures.

    Args:
        skeletons: (T, 17, 3) float32, or (T, 17, 4) in space, where each joint has x, y, z, confidence.
        precision: Number format.

    Raises:
        SequenceError: The array has another shape or dtype, NaN, or a value too large for float16.
    """
    values = 4 if np.ndim(skeletons) == 3 and np.shape(skeletons)[2] == 4 else 3
    array = _checked(skeletons, JOINTS, values, "COCO-17", np.float32)
    with np.errstate(over="ignore"):
        packed = array.astype(_LITTLE_ENDIAN[precision])
    if not np.isfinite(packed).all():
        raise SequenceError(
            f"Skeleton has the coordinate {np.abs(array).max():.6g}",
            "at most 65504 in float16",
            "Pack it as float32",
        )
    return bytes(packed.tobytes())


def unpack(
    data: bytes, frames: int, precision: Precision = "float16", values: int = 3
) -> NDArray[np.float32]:
    """Return the (frames, 17, values) float32 skeletons that `pack` made the bytes from.

    Args:
        data: Packed skeletons.
        frames: Number of frames.
        precision: Number format.
        values: 3 in the picture, 4 in space.

    Raises:
        MessageError: The precision is unknown, or the number of frames does not fit the bytes.
        SequenceError: A value is NaN or infinite.
    """
    if precision not in _LITTLE_ENDIAN:
        raise MessageError(
            f"Precision is {precision!r}", "float16 or float32", "Declare the format that was packed"
        )
    kind = _LITTLE_ENDIAN[precision]
    size = frames * JOINTS * values * kind.itemsize
    if not 0 < frames <= MAX_FRAMES or len(data) != size:
        raise MessageError(
            f"Packed skeletons have {len(data)} bytes for {frames} frames",
            f"{size} bytes of {precision} and 1 to {MAX_FRAMES} frames",
            f"Send {values} values of 17 joints a frame and the number of frames",
        )
    array = np.frombuffer(data, dtype=kind).reshape(frames, JOINTS, values)
    return _checked(array, JOINTS, values, "COCO-17").astype(np.float32)


def from_openpose18(keypoints: NDArray[Any]) -> NDArray[np.float32]:
    """Convert OpenPose's 18-joint COCO layout, (T, 18, 3) x, y, confidence; the neck is left out.

    OpenPose's confidence is the peak of a heat map and can exceed 1 slightly; it is clipped to 0..1.
    """
    return _coco(_checked(keypoints, 18, 3, "OpenPose-18")[:, _OPENPOSE18])


def from_body25(keypoints: NDArray[Any]) -> NDArray[np.float32]:
    """Convert OpenPose's BODY_25, (T, 25, 3) x, y, confidence; neck, mid-hip and feet are left out."""
    return _coco(_checked(keypoints, 25, 3, "BODY_25")[:, _BODY25])


def from_coco(keypoints: NDArray[Any]) -> NDArray[np.float32]:
    """Convert COCO-17 or a layout that starts with it, (T, J, 3) x, y, confidence: see `COCO_FIRST`.

    A confidence above 1 is clipped to 1; a joint of confidence 0 becomes zeros.
    """
    joints = keypoints.shape[1] if np.ndim(keypoints) == 3 else JOINTS
    layout = "COCO-17, Halpe-26, WholeBody-133 or Halpe-136"
    return _coco(_checked(keypoints, joints if joints in COCO_FIRST else JOINTS, 3, layout)[:, :JOINTS])


def from_mediapipe33(landmarks: NDArray[Any], width: int, height: int) -> NDArray[np.float32]:
    """Convert MediaPipe's pose landmarks.

    Args:
        landmarks: (T, 33, 4) x, y, z, visibility, where x and y are shares of the picture's width
            and height, as MediaPipe returns them.
        width: Width of the picture, pixels; gives x and y the same unit.
        height: Height of the picture, pixels.
    """
    joints = _checked(landmarks, 33, 4, "MediaPipe-33")[:, _MEDIAPIPE33][:, :, [0, 1, 3]]
    return _coco(joints * np.array([width, height, 1.0]))


def from_kinect20(joints: NDArray[Any], confidence: NDArray[Any] | None = None) -> NDArray[np.float32]:
    """Convert the 20 joints of Kinect's first generation to COCO-17 in space.

    The head becomes the nose; eyes and ears are marked as not seen; spine, hands and feet are left out.

    Args:
        joints: (T, 20, 3) metres as the sensor returns them: x to its left, y up, z away from it.
        confidence: (T, 20) 0..1, such as 1 tracked, 0.5 inferred, 0 not tracked; None if all are seen.

    Returns:
        (T, 17, 4) float32, z up.
    """
    return _from_kinect(joints, confidence, 20)


def from_kinect25(joints: NDArray[Any], confidence: NDArray[Any] | None = None) -> NDArray[np.float32]:
    """Convert the 25 joints of Kinect's second generation to COCO-17 in space; see `from_kinect20`."""
    return _from_kinect(joints, confidence, 25)


def _from_kinect(joints: NDArray[Any], confidence: NDArray[Any] | None, count: int) -> NDArray[np.float32]:
    array = _checked(joints, count, 3, f"Kinect-{count}")
    seen = np.ones(array.shape[:2]) if confidence is None else np.asarray(confidence)
    if seen.shape != array.shape[:2] or not (seen.min(initial=0) >= 0 and seen.max(initial=0) <= 1):
        raise SequenceError(
            f"Confidence is {seen.shape} with values {seen.min(initial=0):.3g}..{seen.max(initial=0):.3g}",
            f"shape {array.shape[:2]} with values 0..1",
            "Pass one value for each joint, or leave it out",
        )
    coco = np.zeros((len(array), JOINTS, 4), np.float32)
    coco[:, _KINECT_TO, :3] = array[:, _KINECT][..., [2, 0, 1]]  # a cyclic permutation keeps the handedness
    coco[:, _KINECT_TO, 3] = seen[:, _KINECT]
    coco[coco[..., 3] == 0] = 0
    return coco


def facing(places: NDArray[np.floating], seen: NDArray[np.bool_], reach: int) -> NDArray[np.float64]:
    """Turn each frame about the vertical so that the walker faces along x.

    The direction comes from the line through hips and shoulders, averaged over `reach` frames to both
    sides; where only legs or a thigh are seen, from the axis in which they swing. Knees bend forwards:
    where they would bend backwards, the sensor was left-handed, and the walk is mirrored. The path does not
    matter, because sensors may follow the walker.

    Args:
        places: (T, 17, 3) metres, z up.
        seen: (T, 17) True where a joint was seen.
        reach: Half the window, frames.

    Returns:
        (T, 17, 3) metres ahead, left and up.

    Raises:
        SequenceError: Neither both hips nor both shoulders nor the hip and knee of a leg are seen.
    """
    forward = _forward(places, seen, reach)
    lateral = np.stack([-forward[:, 1], forward[:, 0]], 1)
    turned = np.array(places, np.float64)
    turned[..., 0] = np.einsum("tjc,tc->tj", places[..., :2], forward)
    turned[..., 1] = np.einsum("tjc,tc->tj", places[..., :2], lateral)
    bend = _bend(places, seen, forward)
    if bend < -_BENT_M or (abs(bend) <= _BENT_M and _progress(places, seen, forward) < -_BACKWARDS_M):
        turned[..., 0] *= -1
    return turned


def _forward(places: NDArray[np.floating], seen: NDArray[np.bool_], reach: int) -> NDArray[np.float64]:
    """Return (T, 2) unit vectors in which the walker faces, if the sensor is right-handed."""
    across = np.zeros((len(places), 2))
    for left, right in ((5, 6), (11, 12)):
        both = (seen[:, left] & seen[:, right])[:, None]
        across += np.where(both, places[:, left, :2] - places[:, right, :2], 0)
    sums = np.concatenate([np.zeros((1, 2)), across.cumsum(0)])
    frames = np.arange(len(places))
    first, last = np.maximum(frames - reach, 0), np.minimum(frames + reach + 1, len(places))
    smooth = sums[last] - sums[first]
    length = np.linalg.norm(smooth, axis=1, keepdims=True)
    if not (length > 1e-6).any():
        return np.tile(_swing(places, seen), (len(places), 1))
    lateral = np.where(length > 1e-6, smooth / np.maximum(length, 1e-6), [0.0, 1.0])
    return np.stack([lateral[:, 1], -lateral[:, 0]], 1)


def _swing(places: NDArray[np.floating], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the (2,) unit vector along which the legs swing, towards the front of the body.

    The front is where the knees bend to; of a thigh alone, where it points on average.
    """
    reaches, ahead = [np.zeros((0, 2))], np.zeros(2)
    for hip, knee, ankle in _LEGS:
        whole = seen[:, [hip, knee, ankle]].all(1)
        end, frames = (ankle, whole) if whole.sum() >= _FEW else (knee, seen[:, [hip, knee]].all(1))
        reach = places[frames, end, :2] - places[frames, hip, :2]
        if len(reach):
            reaches.append(reach - reach.mean(0))
            ahead += reach.sum(0) if end == knee else 0
    together = np.concatenate(reaches)
    if len(together) < _FEW:
        raise SequenceError(
            "Skeletons show neither both hips nor both shoulders nor the hip and knee of a leg",
            "a trunk or a leg",
            "Check the order of the joints",
        )
    axis = np.asarray(np.linalg.svd(together, full_matrices=False)[2][0], np.float64)
    front = _bend(places, seen, np.tile(axis, (len(places), 1))) or float(ahead @ axis)
    return axis if front >= 0 else -axis


def _bend(places: NDArray[np.floating], seen: NDArray[np.bool_], forward: NDArray[np.float64]) -> float:
    """Return the mean metres by which knees are ahead of the middle between hip and ankle; 0 without legs."""
    found = []
    for hip, knee, ankle in _LEGS:
        out = places[:, knee, :2] - (places[:, hip, :2] + places[:, ankle, :2]) / 2
        found.append((out * forward).sum(1)[seen[:, [hip, knee, ankle]].all(1)])
    ahead = np.concatenate(found)
    return float(ahead.mean()) if len(ahead) >= _FEW else 0.0


def _progress(places: NDArray[np.floating], seen: NDArray[np.bool_], forward: NDArray[np.float64]) -> float:
    """Return the metres by which the hips move along `forward`."""
    hips = np.flatnonzero(seen[:, 11] & seen[:, 12])
    middle = places[hips, 11:13, :2].mean(1)
    ahead = (forward[hips[1:]] + forward[hips[:-1]]) / 2
    return float((np.diff(middle, axis=0) * ahead).sum())


def side_view(skeletons: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """Project a skeleton stream in space to the side view: (T, 17, 3) x ahead, y down, confidence.

    Raises:
        SequenceError: See `facing`.
    """
    seen = skeletons[..., 3] > 0
    turned = facing(skeletons[..., :3], seen, reach)
    side = np.stack([turned[..., 0], -turned[..., 2], skeletons[..., 3]], 2).astype(np.float32)
    side[~seen] = 0
    return side


def _coco(joints: NDArray[Any]) -> NDArray[np.float32]:
    coco = joints.astype(np.float32)  # (T, 17, 3)
    coco[..., 2] = np.clip(coco[..., 2], 0.0, 1.0)
    coco[coco[..., 2] == 0.0] = 0.0
    return coco


def _checked(
    array: Any, joints: int, values: int, layout: str, dtype: type[np.generic] | None = None
) -> NDArray[Any]:
    """Return `array` if it is (T, joints, values), of floats and finite; raise `SequenceError` otherwise."""
    if not isinstance(array, np.ndarray) or array.ndim != 3 or array.shape[1:] != (joints, values):
        raise SequenceError(
            f"Keypoints are {description(array)}",
            f"(T, {joints}, {values}) for {layout}",
            "Check the layout and the order of the axes",
        )
    if not np.issubdtype(array.dtype, np.floating) or (dtype is not None and array.dtype != dtype):
        wanted = "floats" if dtype is None else np.dtype(dtype).name
        raise SequenceError(f"Keypoints are {array.dtype}", wanted, "Convert them with .astype(np.float32)")
    check_finite(array, "keypoints", _MISSING_REMEDY, SequenceError)
    return array
