"""Skeletons: COCO-17 joints; other layouts are converted here, at the border.

A skeleton stream is (T, 17, 3) float32: x, y (pixels or metres) and confidence 0..1. YOLO-pose gives
this layout already. A stream in space is (T, 17, 4) float32: x, y, z (metres, z up, right-handed) and
confidence. A joint that was not seen has confidence 0 and coordinates 0; encoders also take one for unseen
whose coordinates are all 0, as some estimators write what they are not sure of.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import MessageError, SequenceError
from gaitid.records import JOINTS, MAX_FRAMES

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
"""Joints that a bone connects."""

_LEGS = ((11, 13, 15), (12, 14, 16))
_BENT_M = 0.01
"""Knees are 8 cm ahead on average; what is nearer to zero tells nothing."""
_FEW = 5
"""Frames that tell something."""

Precision = Literal["float16", "float32"]
_LITTLE_ENDIAN: dict[str, np.dtype[Any]] = {"float16": np.dtype("<f2"), "float32": np.dtype("<f4")}

# Which joint of the foreign layout is each COCO-17 joint.
_OPENPOSE18 = (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)
_BODY25 = (0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11)
_MEDIAPIPE33 = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
_KINECT = (3, 4, 8, 5, 9, 6, 10, 12, 16, 13, 17, 14, 18)
"""Head, shoulders, elbows, wrists, hips, knees, ankles; the same numbers in both generations."""
_KINECT_TO = (0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)


def pack(skeletons: NDArray[np.float32], precision: Precision = "float16") -> bytes:
    """Skeletons as little-endian numbers, frame by frame, joint by joint, x, y, confidence.

    float16 has 11 significant bits: pixel positions are rounded to 1 px above 1024 and 2 px above
    2048, and cannot exceed 65504; use float32 for large pictures.

    Args:
        skeletons: (T, 17, 3) float32, or (T, 17, 4) in space, where each joint has x, y, z, confidence.
        precision: Number format.

    Raises:
        SequenceError: Another shape or dtype, NaN, or a number too large for float16.
    """
    numbers = 4 if np.ndim(skeletons) == 3 and np.shape(skeletons)[2] == 4 else 3
    array = _checked(skeletons, JOINTS, numbers, "COCO-17", np.float32)
    with np.errstate(over="ignore"):
        packed = array.astype(_LITTLE_ENDIAN[precision])
    if not np.isfinite(packed).all():
        raise SequenceError(
            f"skeleton has the coordinate {np.abs(array).max():.6g}",
            "at most 65504 in float16",
            "use float32",
        )
    return bytes(packed.tobytes())


def unpack(
    data: bytes, frames: int, precision: Precision = "float16", numbers: int = 3
) -> NDArray[np.float32]:
    """The (frames, 17, numbers) float32 skeletons that `pack` made the bytes from; 4 numbers in space.

    Raises:
        MessageError: An unknown precision, or the number of frames does not fit the bytes.
        SequenceError: NaN or infinity among the numbers.
    """
    if precision not in _LITTLE_ENDIAN:
        raise MessageError(f"precision is {precision!r}", "float16 or float32", "choose one of these")
    kind = _LITTLE_ENDIAN[precision]
    size = frames * JOINTS * numbers * kind.itemsize
    if not 0 < frames <= MAX_FRAMES or len(data) != size:
        raise MessageError(
            f"{len(data)} bytes declared as {frames} skeletons",
            f"{size} bytes of {precision}, 1 to {MAX_FRAMES} frames",
            "send place and confidence of 17 joints a frame, and the right count",
        )
    array = np.frombuffer(data, dtype=kind).reshape(frames, JOINTS, numbers)
    return _checked(array, JOINTS, numbers, "COCO-17").astype(np.float32)


def from_openpose18(keypoints: NDArray[Any]) -> NDArray[np.float32]:
    """COCO-17 of OpenPose's 18-joint COCO layout: (T, 18, 3) x, y, confidence; the neck is left out.

    OpenPose's confidence is a heat-map peak and may pass 1 by a little: it is cut to 0..1.
    """
    return _coco(_checked(keypoints, 18, 3, "OpenPose-18")[:, _OPENPOSE18])


def from_body25(keypoints: NDArray[Any]) -> NDArray[np.float32]:
    """COCO-17 of OpenPose's BODY_25: (T, 25, 3) x, y, confidence; neck, mid-hip and feet are left out."""
    return _coco(_checked(keypoints, 25, 3, "BODY_25")[:, _BODY25])


def from_mediapipe33(landmarks: NDArray[Any], width: int, height: int) -> NDArray[np.float32]:
    """COCO-17 of MediaPipe's pose landmarks.

    Args:
        landmarks: (T, 33, 4) x, y, z, visibility, where x and y are shares of the picture's width
            and height as MediaPipe gives them.
        width: Width of the picture, pixels; makes x and y equal units.
        height: Height of the picture, pixels.
    """
    joints = _checked(landmarks, 33, 4, "MediaPipe-33")[:, _MEDIAPIPE33][:, :, [0, 1, 3]]
    return _coco(joints * np.array([width, height, 1.0]))


def from_kinect20(joints: NDArray[Any], confidence: NDArray[Any] | None = None) -> NDArray[np.float32]:
    """COCO-17 in space of the 20 joints of Kinect's first generation.

    The head stands for the nose; eyes and ears are marked as not seen; spine, hands and feet are left out.

    Args:
        joints: (T, 20, 3) metres as the sensor gives them: x to its left, y up, z away from it.
        confidence: (T, 20) 0..1, such as 1 tracked, 0.5 inferred, 0 not tracked; None for all seen.

    Returns:
        (T, 17, 4) float32, z up.
    """
    return _from_kinect(joints, confidence, 20)


def from_kinect25(joints: NDArray[Any], confidence: NDArray[Any] | None = None) -> NDArray[np.float32]:
    """COCO-17 in space of the 25 joints of Kinect's second generation; see `from_kinect20`."""
    return _from_kinect(joints, confidence, 25)


def _from_kinect(joints: NDArray[Any], confidence: NDArray[Any] | None, count: int) -> NDArray[np.float32]:
    array = _checked(joints, count, 3, f"Kinect-{count}")
    seen = np.ones(array.shape[:2]) if confidence is None else np.asarray(confidence)
    if seen.shape != array.shape[:2] or not (seen.min(initial=0) >= 0 and seen.max(initial=0) <= 1):
        raise SequenceError(
            f"confidence is {seen.shape}, {seen.min(initial=0):.3g}..{seen.max(initial=0):.3g}",
            f"{array.shape[:2]}, 0..1",
            "give one number a joint, or leave it out",
        )
    coco = np.zeros((len(array), JOINTS, 4), np.float32)
    coco[:, _KINECT_TO, :3] = array[:, _KINECT][..., [2, 0, 1]]  # a cyclic exchange keeps the handedness
    coco[:, _KINECT_TO, 3] = seen[:, _KINECT]
    coco[coco[..., 3] == 0] = 0
    return coco


def facing(places: NDArray[np.floating], seen: NDArray[np.bool_], reach: int) -> NDArray[np.float64]:
    """(T, 17, 3) ahead, left, up: each frame turned about the vertical so that the walker looks along x.

    The line through hips and shoulders, averaged over `reach` frames to both sides, tells the direction; of
    legs alone, the axis in which they swing. Knees bend ahead: where they would bend back, a left-handed
    sensor told the walk, and it is mirrored. Where that goes does not matter: sensors may follow the walker.

    Args:
        places: (T, 17, 3) metres, z up.
        seen: (T, 17) which of them were seen.
        reach: Half the window, frames.

    Raises:
        SequenceError: Neither both hips nor both shoulders nor a whole leg are seen.
    """
    forward = _forward(places, seen, reach)
    lateral = np.stack([-forward[:, 1], forward[:, 0]], 1)
    turned = np.array(places, np.float64)
    turned[..., 0] = np.einsum("tjc,tc->tj", places[..., :2], forward)
    turned[..., 1] = np.einsum("tjc,tc->tj", places[..., :2], lateral)
    bend = _bend(places, seen, forward)
    if bend < -_BENT_M or (abs(bend) <= _BENT_M and _progress(places, seen, forward) < -0.3):
        turned[..., 0] *= -1
    return turned


def _forward(places: NDArray[np.floating], seen: NDArray[np.bool_], reach: int) -> NDArray[np.float64]:
    """(T, 2) unit vectors: where the walker looks in each frame, if the sensor is right-handed."""
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
    """(2,) unit vector along which the legs swing, to the side to which knees bend."""
    reaches = [np.zeros((0, 2))]
    for hip, knee, ankle in _LEGS:
        whole = seen[:, [hip, knee, ankle]].all(1)
        reach = places[whole, ankle, :2] - places[whole, hip, :2]
        reaches.append(reach - reach.mean(0) if len(reach) else reach)
    together = np.concatenate(reaches)
    if len(together) < _FEW:
        raise SequenceError(
            "neither both hips nor both shoulders nor a whole leg were seen",
            "a trunk or a leg",
            "check the joints' order",
        )
    axis = np.asarray(np.linalg.svd(together, full_matrices=False)[2][0], np.float64)
    return axis if _bend(places, seen, np.tile(axis, (len(places), 1))) >= 0 else -axis


def _bend(places: NDArray[np.floating], seen: NDArray[np.bool_], forward: NDArray[np.float64]) -> float:
    """Mean metres by which knees are ahead of the middle between hip and ankle; 0 where no leg was seen."""
    found = []
    for hip, knee, ankle in _LEGS:
        out = places[:, knee, :2] - (places[:, hip, :2] + places[:, ankle, :2]) / 2
        found.append((out * forward).sum(1)[seen[:, [hip, knee, ankle]].all(1)])
    ahead = np.concatenate(found)
    return float(ahead.mean()) if len(ahead) >= _FEW else 0.0


def _progress(places: NDArray[np.floating], seen: NDArray[np.bool_], forward: NDArray[np.float64]) -> float:
    """Metres that the hips go along `forward`."""
    hips = np.flatnonzero(seen[:, 11] & seen[:, 12])
    middle = places[hips, 11:13, :2].mean(1)
    ahead = (forward[hips[1:]] + forward[hips[:-1]]) / 2
    return float((np.diff(middle, axis=0) * ahead).sum())


def side_view(skeletons: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """(T, 17, 3) x ahead, y down, confidence: a skeleton stream in space as seen from beside.

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
    if not isinstance(array, np.ndarray) or array.ndim != 3 or array.shape[1:] != (joints, values):
        got = array.shape if isinstance(array, np.ndarray) else type(array).__name__
        raise SequenceError(f"keypoints are {got}", f"{layout} is (T, {joints}, {values})", "convert them")
    if not np.issubdtype(array.dtype, np.floating) or (dtype is not None and array.dtype != dtype):
        wanted = "floats" if dtype is None else np.dtype(dtype).name
        raise SequenceError(f"keypoints are {array.dtype}", f"expected {wanted}", "use .astype(np.float32)")
    if not np.isfinite(array).all():
        raise SequenceError(
            f"keypoints have NaN or infinity, first in frame {int(np.argwhere(~np.isfinite(array))[0][0])}",
            "finite numbers",
            "mark a missing joint by confidence 0 and coordinates 0",
        )
    return array
