"""Reading files of silhouettes or skeletons as `GaitSequence`, by the published convention.

`perception.align` aligns masks. Aligned arrays of 64x64 (128x128) lose 10 (20) columns on each side, as in
the loaders of published encoders. Deviation: silhouettes are thresholded at half into 0/1. The gray of
resized edges, which published loaders keep, is a stream of its own and read on demand.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.datasets import pickles
from gaitid.datasets.base import Fault, Problem
from gaitid.errors import DatasetError, InputError
from gaitid.modalities.skeleton import from_openpose18
from gaitid.modalities.streams import STREAMS
from gaitid.perception.align import MOST_GRAY, align, binarise, gray_share
from gaitid.perception.numbering import numbered
from gaitid.records import (
    JOINTS,
    SILHOUETTE,
    SILHOUETTE_GRAY,
    SILHOUETTE_SIZES,
    SKELETON,
    SKELETON_3D,
    GaitSequence,
    Reason,
    npz,
)

Report = Callable[[Problem], None]
Gray = NDArray[np.uint8]

# Size of an aligned array -> columns that are cut on each side.
_CUTS: Mapping[tuple[int, int], int] = {(64, 64): 10, (128, 128): 20, (64, 44): 0, (128, 88): 0}
_JOINT_SHAPES = ((JOINTS, 3), (18, 3))
_MAX_SIDE = 4096
_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


def read(
    path: Path, frame_rate: float, report: Report, *, aligned: bool = False, gray: bool = False
) -> GaitSequence:
    """Read a sequence from a folder of png images or a ``.pkl``, ``.npy`` or ``.npz`` file.

    Args:
        path: The file or folder.
        frame_rate: Frames per second of the recording; times are frame number / frame rate.
        report: Called with a `Problem` for everything that is left out.
        aligned: Whether the images of a folder are aligned 64x64 silhouettes (GREW), which are only cut.
        gray: Whether to keep the stream ``silhouette_gray`` beside the binary silhouettes.

    Raises:
        DatasetError: It contains nothing usable, or has another format.
    """
    try:
        sequence = _read(path, frame_rate, report, aligned=aligned)
    except DatasetError:
        raise
    except (OSError, InputError, ValueError, TypeError, IndexError) as error:
        raise _fault(report, Fault.DAMAGED_FILE, path, str(error)) from error
    return sequence if gray else _without_gray(sequence)


def _read(path: Path, frame_rate: float, report: Report, *, aligned: bool) -> GaitSequence:
    """A sequence with the gray of its silhouettes, as far as the content has it."""
    if path.is_dir():
        numbers, images = read_images(path, report)
        if aligned:
            return _ready(_stacked(images, path, report), numbers / frame_rate, path, report)
        return _from_masks(images, numbers / frame_rate, path, report)
    if path.stat().st_size == 0:
        raise _fault(report, Fault.EMPTY_FILE, path, "0 bytes")
    return _from_content(_content(path, report), frame_rate, path, report)


def _without_gray(sequence: GaitSequence) -> GaitSequence:
    streams = {name: array for name, array in sequence.streams.items() if name != SILHOUETTE_GRAY}
    if len(streams) == len(sequence.streams):
        return sequence
    return GaitSequence(streams, sequence.times, sequence.boxes, sequence.dropped, sequence.origin)


def _both(gray: Gray) -> dict[str, Gray]:
    """The streams of silhouettes (T, H, W) gray 0..255."""
    return {SILHOUETTE: binarise(gray), SILHOUETTE_GRAY: gray}


def is_aligned(folder: Path) -> bool:
    """Return whether the first png image of a folder has the size of aligned silhouettes."""
    first = min((file for file in folder.iterdir() if file.suffix.lower() == ".png"), default=None)
    if first is None:
        return False
    with first.open("rb") as file:
        head = file.read(24)
    if not head.startswith(_PNG) or len(head) < 24:
        return False
    width, height = struct.unpack(">II", head[16:24])
    return (height, width) in _CUTS


def read_images(folder: Path, report: Report) -> tuple[NDArray[np.float64], list[Gray]]:
    """The frame numbers, from 0, and the png images of a folder.

    Damaged images are reported and left out; missing ones leave a gap.
    """
    found: list[tuple[int, Gray]] = []
    files = numbered(file.name for file in folder.iterdir() if file.suffix.lower() == ".png")
    for place, name in files:
        image, wrong = _decoded((folder / name).read_bytes())
        if image is None:
            fault = Fault.EMPTY_FILE if wrong == "0 bytes" else Fault.DAMAGED_FILE
            report(Problem(fault, str(folder / name), wrong))
        else:
            found.append((place - files[0][0], image))
    if not found:
        raise _fault(report, Fault.NO_FRAMES, folder, "no readable png image")
    return np.array([place for place, _ in found], np.float64), [image for _, image in found]


def _decoded(data: bytes) -> tuple[Gray | None, str]:
    """An image, or None and the reason; the header is checked first, so decompression bombs are refused."""
    if not data:
        return None, "0 bytes"
    if not data.startswith(_PNG) or len(data) < 24:
        return None, "not a png file"
    width, height = struct.unpack(">II", data[16:24])
    if not (0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE):
        return None, f"{width}x{height} pixels"
    if _PNG_END not in data:
        return None, "truncated png"
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    return (None, "damaged png") if image is None else (np.asarray(image, np.uint8), "")


def _from_masks(
    images: Sequence[Gray], times: NDArray[np.float64], path: Path, report: Report
) -> GaitSequence:
    _check_binary(images, path, report)
    silhouettes = [align(image, SILHOUETTE_SIZES[0]) for image in images]
    kept = [index for index, silhouette in enumerate(silhouettes) if silhouette is not None]
    full = [silhouette for silhouette in silhouettes if silhouette is not None]
    dropped = _empties(len(images) - len(full), path, report)
    if not full:
        raise _fault(report, Fault.NO_FRAMES, path, f"all {len(images)} frames are empty")
    return GaitSequence(_both(np.stack(full)), times[kept], dropped=dropped)


def _ready(array: Gray, times: NDArray[np.float64], path: Path, report: Report) -> GaitSequence:
    """A sequence of ready silhouettes (T, H, W) gray 0..255 or 0/1, without its empty frames."""
    gray = _cut(array, path, report)
    full = binarise(gray).reshape(len(gray), -1).any(axis=1)
    dropped = _empties(int((~full).sum()), path, report)
    if not full.any():
        raise _fault(report, Fault.NO_FRAMES, path, f"all {len(array)} frames are empty")
    return GaitSequence(_both(gray[full]), times[full], dropped=dropped)


def _cut(array: Gray, path: Path, report: Report) -> Gray:
    """Aligned silhouettes as gray 0..255, without the outer columns that no encoder reads."""
    height, width = array.shape[1:]
    if (height, width) not in _CUTS:
        raise _fault(report, Fault.WRONG_SIZE, path, f"{height}x{width}; expected 64x64, 64x44 or double")
    _check_binary([array], path, report)
    cut = _CUTS[height, width]
    inner = array[:, :, cut : width - cut]
    return inner * np.uint8(255) if array.size and array.max() <= 1 else inner.copy()


def _skeletons(array: NDArray[Any]) -> NDArray[np.float32]:
    """(T, 17, 3) float32 of COCO-17 or OpenPose-18; heat-map confidences just above 1 are clipped to 1."""
    if array.shape[1] == 18:
        return from_openpose18(np.asarray(array, np.float32))
    joints = np.array(array, np.float32)
    joints[..., 2] = np.clip(joints[..., 2], 0.0, 1.0)
    return joints


def _from_content(content: Any, frame_rate: float, path: Path, report: Report) -> GaitSequence:
    """A sequence from a file's content: a sequence, an array, a list of equal arrays, or named streams."""
    if isinstance(content, GaitSequence):
        return content
    if isinstance(content, dict):
        return _from_streams(content, frame_rate, path, report)
    array = _stacked(content, path, report) if isinstance(content, list | tuple) else content
    if not isinstance(array, np.ndarray) or array.ndim != 3:
        shape = getattr(array, "shape", type(array).__name__)
        raise _fault(report, Fault.WRONG_SIZE, path, f"{shape}; expected (T, H, W) or (T, 17, 3)")
    if not len(array):
        raise _fault(report, Fault.NO_FRAMES, path, "no frame")
    times = np.arange(len(array)) / frame_rate
    if array.shape[1:] in _JOINT_SHAPES and array.dtype.kind in "fiu":
        return GaitSequence({SKELETON: _skeletons(array)}, times)
    return _ready(_bytes(array, path, report), times, path, report)


def _from_streams(content: Mapping[str, Any], frame_rate: float, path: Path, report: Report) -> GaitSequence:
    """A sequence from named streams and optional ``times`` in seconds."""
    unknown = set(content) - {*STREAMS, "times"}
    streams = {name: value for name, value in content.items() if name != "times"}
    if unknown or not streams:
        raise _fault(
            report,
            Fault.WRONG_SIZE,
            path,
            f"{sorted(content)}; expected {', '.join(STREAMS)}, times",
        )
    times = np.asarray(
        content.get("times", np.arange(len(next(iter(streams.values())))) / frame_rate), np.float64
    )
    if set(streams) == {SILHOUETTE}:
        return _ready(_bytes(streams[SILHOUETTE], path, report), times, path, report)
    # Frames of several streams belong together, so none is dropped.
    return GaitSequence({name: _READERS[name](value, path, report) for name, value in streams.items()}, times)


def _read_silhouettes(value: Any, path: Path, report: Report) -> Gray:
    return binarise(_read_gray(value, path, report))


def _read_gray(value: Any, path: Path, report: Report) -> Gray:
    return _cut(_bytes(value, path, report), path, report)


def _read_skeletons(value: Any, path: Path, report: Report) -> NDArray[np.float32]:
    if getattr(value, "shape", ())[1:] not in _JOINT_SHAPES:
        raise _fault(
            report, Fault.WRONG_SIZE, path, "skeleton of another shape; expected (T, 17, 3) or (T, 18, 3)"
        )
    return _skeletons(value)


def _read_space(value: Any, path: Path, report: Report) -> NDArray[np.float32]:
    if getattr(value, "shape", ())[1:] != STREAMS[SKELETON_3D].shapes[0]:
        raise _fault(report, Fault.WRONG_SIZE, path, "skeleton3d of another shape; expected (T, 17, 4)")
    return np.asarray(value, np.float32)


_READERS: Mapping[str, Callable[[Any, Path, Report], NDArray[Any]]] = {
    SILHOUETTE: _read_silhouettes,
    SILHOUETTE_GRAY: _read_gray,
    SKELETON: _read_skeletons,
    SKELETON_3D: _read_space,
}


def _content(path: Path, report: Report) -> Any:
    try:
        if path.suffix == ".pkl":
            return _unpickled(path, report)
        if path.suffix == ".npy":
            return np.load(path, allow_pickle=False)
        with zipfile.ZipFile(path) as archive:
            inflated = sum(member.file_size for member in archive.infolist())
        if inflated > pickles.MAX_BYTES:
            raise _fault(
                report, Fault.DAMAGED_FILE, path, f"{inflated} bytes; expected at most {pickles.MAX_BYTES}"
            )
        with np.load(path, allow_pickle=False) as arrays:
            if "version" in arrays.files:  # written by `gaitid extract`
                return npz.load(path)
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise _fault(report, Fault.DAMAGED_FILE, path, str(error)) from error


def _unpickled(path: Path, report: Report) -> Any:
    try:
        return pickles.load(path)
    except DatasetError as error:
        report(Problem(Fault.DAMAGED_FILE, str(path), error.got))
        raise


def _stacked(images: Sequence[Any], path: Path, report: Report) -> NDArray[Any]:
    shapes = {getattr(image, "shape", None) for image in images}
    if len(shapes) != 1 or None in shapes:
        raise _fault(report, Fault.WRONG_SIZE, path, f"frames of {len(shapes)} sizes; expected one size")
    return np.stack(list(images))


def _bytes(array: Any, path: Path, report: Report) -> Gray:
    if not isinstance(array, np.ndarray) or array.ndim != 3 or array.dtype.kind not in "uib":
        shape = f"{getattr(array, 'shape', '')} {getattr(array, 'dtype', type(array).__name__)}"
        raise _fault(report, Fault.WRONG_SIZE, path, f"{shape}; expected (T, H, W) integers 0..255")
    if array.size and (array.min() < 0 or array.max() > 255):
        raise _fault(report, Fault.NOT_BINARY, path, f"values {array.min()}..{array.max()}; expected 0..255")
    return array.astype(np.uint8, copy=False)


def _check_binary(pieces: Sequence[Gray], path: Path, report: Report) -> None:
    """Refuse gray images; pieces are single frames, or all frames in one array."""
    share = gray_share(pieces)
    if share > MOST_GRAY:
        raise _fault(
            report, Fault.NOT_BINARY, path, f"{share:.0%} of the pixels are gray; expected silhouettes"
        )


def _empties(count: int, path: Path, report: Report) -> dict[str, int]:
    if not count:
        return {}
    report(Problem(Fault.EMPTY_FRAME, str(path), "no silhouette or almost none", count))
    return {Reason.TOO_SMALL.value: count}


def _fault(report: Report, fault: Fault, path: Path, detail: str) -> DatasetError:
    """Report a fault that makes the whole sequence unusable, and return the error to raise."""
    report(Problem(fault, str(path), detail))
    return DatasetError(
        f"Sequence {path} has the fault {fault.value} ({detail})",
        "usable silhouettes or skeletons",
        "Fetch or convert this sequence again",
    )
