"""The ``yolo`` extractor: masks and keypoints by networks of ultralytics, for a moving or a static camera.

ultralytics is under AGPL-3.0, and its makers say the same of its weights. It is therefore an extra of its
own, imported by this file only. gaitid ships none of its weights, and loading it prints its licence.

Before it is imported, its telemetry, its installation of packages and its tests of the connection are turned
off, and its settings go to a folder of this process. Weights come from files that the configuration names. A
``.pt`` file is a pickle: the restricted loader of ultralytics reads it, which makes known layers and tensors
only. An ``.onnx`` file holds no code.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.errors import ConfigError, MissingDependency, WeightsError
from gaitid.perception.pairing import joined
from gaitid.perception.weights import read_weights
from gaitid.records import JOINTS, Frame, Observation

_log = logging.getLogger(__name__)

_TABLE = "[perception.yolo]"
_SUFFIXES = (".pt", ".onnx")
_TRACKERS = ("bytetrack", "botsort")
_LICENCE = (
    "extractor yolo uses ultralytics, which is licensed under AGPL-3.0; "
    "its terms may apply to the whole program that uses it (docs/extractors.md)"
)
_SWITCHES = {
    "YOLO_OFFLINE": "1",  # no tests of the connection, and no telemetry
    "YOLO_AUTOINSTALL": "0",
    "YOLO_VERBOSE": "False",
    "ULTRALYTICS_SAFE_LOAD": "1",  # the restricted loader
}


@dataclass(frozen=True)
class YoloSettings:
    """Settings of the ``yolo`` extractor; in TOML the table ``[perception.yolo]``.

    Attributes:
        mask_weights: File of a segmentation network, ``.pt`` or ``.onnx``; None for no masks.
        mask_sha256: Its SHA-256.
        keypoint_weights: File of a pose network of 17 joints, ``.pt`` or ``.onnx``; None for no keypoints.
        keypoint_sha256: Its SHA-256.
        side_px: Length to which the longer side of a picture is scaled.
        confidence: Least confidence of a person, 0..1.
        max_people: Most people that each network reports of a picture.
        tracker: bytetrack or botsort, whose ids are used; empty for the tracker of gaitid. People to whom
            that tracker has not given an id are left out.
        device: Where the networks run, such as cpu or cuda:0.

    Raises:
        ConfigError: A value is out of range.
    """

    mask_weights: Path | None = None
    mask_sha256: str = ""
    keypoint_weights: Path | None = None
    keypoint_sha256: str = ""
    side_px: int = 640
    confidence: float = 0.4
    max_people: int = 50
    tracker: str = ""
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.tracker and self.tracker not in _TRACKERS:
            raise ConfigError(
                f"Tracker is {self.tracker!r}",
                f"{' or '.join(_TRACKERS)}, or nothing for the tracker of gaitid",
                f"Set it in the table {_TABLE}",
            )
        if not (32 <= self.side_px <= 4096 and 0 < self.confidence < 1 and self.max_people > 0):
            raise ConfigError(
                f"Settings are side_px {self.side_px}, confidence {self.confidence} and "
                f"max_people {self.max_people}",
                "32 to 4096 pixels, a confidence between 0 and 1, and at least one person",
                f"Change the table {_TABLE}",
            )


class YoloExtractor:
    """Finds people with masks, keypoints or both; an `Extractor`.

    Args:
        settings: See `YoloSettings`.

    Raises:
        ConfigError: No weights are named, the device does not exist, or another part of the program imported
            ultralytics before, with its telemetry or its other loader.
        WeightsError: A file is missing, is another one than named, or is no such network.
        MissingDependency: ultralytics or a package that it needs is not installed.
    """

    settings: ClassVar[type[YoloSettings]] = YoloSettings

    def __init__(self, settings: YoloSettings = YoloSettings()) -> None:
        if settings.mask_weights is None and settings.keypoint_weights is None:
            raise ConfigError(
                "Extractor yolo has no weights",
                f"mask_weights or keypoint_weights in the table {_TABLE}, each with its SHA-256",
                "Fetch the weights yourself and name them; docs/extractors.md shows how",
            )
        ultralytics = _ultralytics()
        self._settings = settings
        self._masks = self._network(ultralytics, settings.mask_weights, settings.mask_sha256, "segment")
        self._poses = self._network(ultralytics, settings.keypoint_weights, settings.keypoint_sha256, "pose")

    def __call__(self, frame: Frame) -> list[Observation]:
        """Return the people in a frame; those that both networks see have a mask and keypoints.

        With a tracker, ids are those of the network for masks, or of the only network.
        """
        masked = self._see(self._masks, frame.image, tracked=True) if self._masks else []
        posed = self._see(self._poses, frame.image, tracked=not self._masks) if self._poses else []
        found = joined(masked, posed)
        return [one for one in found if one.track is not None] if self._settings.tracker else found

    def reset(self) -> None:
        """Forget the tracks."""
        for network in filter(None, (self._masks, self._poses)):
            for tracker in getattr(network.predictor, "trackers", ()):
                tracker.reset()

    def _see(self, network: Any, image: NDArray[np.uint8], *, tracked: bool) -> list[Observation]:
        """Return what one network sees in a picture, (H, W, 3) uint8 BGR."""
        pixels, name = np.ascontiguousarray(image), self._settings.tracker
        if name and tracked:
            (seen,) = network.track(pixels, tracker=f"{name}.yaml", persist=True, **self._arguments)
        else:
            (seen,) = network.predict(pixels, **self._arguments)
        return _observations(seen, image.shape[:2])

    @property
    def _arguments(self) -> dict[str, Any]:
        """Arguments of every prediction."""
        return {
            "imgsz": self._settings.side_px,
            "conf": self._settings.confidence,
            "max_det": self._settings.max_people,
            "classes": [0],  # people
            "retina_masks": True,  # masks of the size of the picture, not of its letterbox
            "device": self._settings.device,
            "verbose": False,
        }

    def _network(self, ultralytics: Any, path: Path | None, sha256: str, task: str) -> Any:
        """Return a network with its weights, tried on a black picture; None without a path."""
        if path is None:
            return None
        content = read_weights(path, sha256, _TABLE)
        if path.suffix.lower() not in _SUFFIXES:
            raise WeightsError(
                f"Weight file {path} is of another kind",
                f"a file *{' or *'.join(_SUFFIXES)}",
                "Export the network as .onnx",
            )
        try:
            with _copied(content, path.suffix.lower()) as copy:
                network = ultralytics.YOLO(str(copy), task=task)
                (seen,) = network.predict(np.zeros((64, 64, 3), np.uint8), **self._arguments)
            _check_task(network, seen, task)
            return network
        except Exception as error:  # ultralytics and torch raise many kinds
            detail = " ".join(str(error).split())[:200]
            raise WeightsError(
                f"Weight file {path} cannot be used ({type(error).__name__}: {detail})",
                f"a network of ultralytics for the task {task}, and a size and device that it runs with",
                f"Check the file, side_px and device in the table {_TABLE}",
            ) from error


@contextmanager
def _copied(content: bytes, suffix: str) -> Iterator[Path]:
    """Write the bytes that were checked to a file that nobody else can change."""
    with tempfile.TemporaryDirectory(prefix="gaitid-yolo-") as folder:
        copy = Path(folder) / f"weights{suffix}"
        copy.write_bytes(content)
        yield copy


def _check_task(network: Any, seen: Any, task: str) -> None:
    """Raise `ValueError` unless a network does what it is named for; `seen` are results of one picture."""
    if network.task != task:
        raise ValueError(f"its task is {network.task}")
    if task == "pose" and tuple(seen.keypoints.data.shape[1:]) != (JOINTS, 3):
        raise ValueError(f"its people have keypoints of shape {tuple(seen.keypoints.data.shape[1:])}")


def _observations(seen: Any, shape: tuple[int, ...]) -> list[Observation]:
    """Return the people of ultralytics' results of one picture of (H, W)."""
    if seen.boxes is None or not len(seen.boxes):
        return []
    boxes = np.clip(_array(seen.boxes.xyxy), 0, np.tile(shape[::-1], 2)).astype(np.float32)
    ids = [None] * len(boxes) if seen.boxes.id is None else [int(track) for track in _array(seen.boxes.id)]
    masks = None if seen.masks is None else _array(seen.masks.data)
    joints = None if seen.keypoints is None else _array(seen.keypoints.data).astype(np.float32)
    return [
        Observation(
            box,
            None if masks is None else _cut(masks[i], box),
            None if joints is None else joints[i],
            float(confidence),
            ids[i],
        )
        for i, (box, confidence) in enumerate(zip(boxes, _array(seen.boxes.conf), strict=True))
        if (box[2:] > box[:2]).all()
    ]


def _array(tensor: Any) -> NDArray[Any]:
    return np.asarray(tensor.cpu() if hasattr(tensor, "cpu") else tensor)


def _cut(mask: NDArray[Any], box: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the pixels 0/1 of a mask (H, W) in the box rounded outwards."""
    (x0, y0), (x1, y1) = np.floor(box[:2]).astype(int), np.ceil(box[2:]).astype(int)
    return np.asarray(mask[y0:y1, x0:x1] > 0, np.uint8)


def _ultralytics() -> Any:
    """Import ultralytics with everything switched off that reaches out of this process.

    Raises:
        MissingDependency: It is not installed.
        ConfigError: It was imported before with something switched on.
    """
    os.environ.update(_SWITCHES)
    if "YOLO_CONFIG_DIR" not in _ours:
        _ours["YOLO_CONFIG_DIR"] = os.environ["YOLO_CONFIG_DIR"] = tempfile.mkdtemp(prefix="gaitid-yolo-")
        atexit.register(shutil.rmtree, _ours["YOLO_CONFIG_DIR"], ignore_errors=True)
        _log.warning(_LICENCE)
    try:
        with _same_threads():
            import lap  # noqa: F401 - ultralytics would install it when it tracks
            import ultralytics
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"Package {error.name} is not installed",
            "ultralytics (AGPL-3.0) and what it needs for extractor yolo",
            "Run pip install 'gaitid[yolo]'",
        ) from error
    settings: Any = ultralytics.settings
    settings.update({"sync": False})
    _check_switches(ultralytics.utils)
    return ultralytics


_ours: dict[str, str] = {}
"""Folder of ultralytics' settings in this process."""


@contextmanager
def _same_threads() -> Iterator[None]:
    """Undo the change of OpenCV's threads that importing ultralytics makes."""
    threads = cv2.getNumThreads()
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _check_switches(utils: Any) -> None:
    on = [
        what
        for what, off in {
            "tests of the connection": not utils.ONLINE,
            "installation of packages": not utils.AUTOINSTALL,
            "a loader that runs code in weights": getattr(utils, "SAFE_LOAD", False) and _torch_restricts(),
        }.items()
        if not off
    ]
    if on:
        raise ConfigError(
            f"Package ultralytics has {', '.join(on)}",
            "these switched off, as gaitid does before it imports ultralytics",
            "Update torch and ultralytics, and import ultralytics nowhere else in this process",
        )


def _torch_restricts() -> bool:
    """Return whether torch can restrict what a file makes, which ultralytics needs for it (torch 2.6)."""
    import torch

    return hasattr(torch.serialization, "get_unsafe_globals_in_checkpoint")
