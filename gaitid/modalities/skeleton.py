"""Skeletons: COCO-17 joints; other layouts are converted here, at the border.

A skeleton stream is (T, 17, 3) float32: x, y (pixels or metres) and confidence 0..1. A joint
that was not seen has confidence 0 and coordinates 0. YOLO-pose gives this layout already.
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

Precision = Literal["float16", "float32"]
_LITTLE_ENDIAN: dict[str, np.dtype[Any]] = {"float16": np.dtype("<f2"), "float32": np.dtype("<f4")}

# Which joint of the foreign layout is each COCO-17 joint.
_OPENPOSE18 = (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)
_BODY25 = (0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11)
_MEDIAPIPE33 = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)


def pack(skeletons: NDArray[np.float32], precision: Precision = "float16") -> bytes:
    """Skeletons as little-endian numbers, frame by frame, joint by joint, x, y, confidence.

    float16 has 11 significant bits: pixel positions are rounded to 1 px above 1024 and 2 px above
    2048, and cannot exceed 65504; use float32 for large pictures.

    Args:
        skeletons: (T, 17, 3) float32.
        precision: Number format.

    Raises:
        SequenceError: Another shape or dtype, NaN, or a number too large for float16.
    """
    array = _checked(skeletons, JOINTS, 3, "COCO-17", np.float32)
    with np.errstate(over="ignore"):
        numbers = array.astype(_LITTLE_ENDIAN[precision])
    if not np.isfinite(numbers).all():
        raise SequenceError(
            f"skeleton has the coordinate {np.abs(array).max():.6g}",
            "at most 65504 in float16",
            "use float32",
        )
    return bytes(numbers.tobytes())


def unpack(data: bytes, frames: int, precision: Precision = "float16") -> NDArray[np.float32]:
    """The (frames, 17, 3) float32 skeletons that `pack` made the bytes from.

    Raises:
        MessageError: An unknown precision, or the number of frames does not fit the bytes.
        SequenceError: NaN or infinity among the numbers.
    """
    if precision not in _LITTLE_ENDIAN:
        raise MessageError(f"precision is {precision!r}", "float16 or float32", "choose one of these")
    kind = _LITTLE_ENDIAN[precision]
    size = frames * JOINTS * 3 * kind.itemsize
    if not 0 < frames <= MAX_FRAMES or len(data) != size:
        raise MessageError(
            f"{len(data)} bytes declared as {frames} skeletons",
            f"{size} bytes of {precision}, 1 to {MAX_FRAMES} frames",
            "send x, y, confidence of 17 joints a frame, and the right count",
        )
    numbers = np.frombuffer(data, dtype=kind).reshape(frames, JOINTS, 3)
    return _checked(numbers, JOINTS, 3, "COCO-17").astype(np.float32)


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
