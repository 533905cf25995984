"""Decoders of video files: OpenCV's, and PyAV's for what OpenCV does not show.

OpenCV 5.0 makes interlaced video black or gray without an error, and has no AV1 decoder. If PyAV is installed
(extra ``video``), it decodes such files, deinterlaced by yadif with one picture for two fields.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

_PEEK, _FLAT = 5, 2.0
"""Pictures that are looked at, and deviation of the pixels below which a picture is of one colour."""
_RAW = (b"\0\0\0\1", b"\xff\xd8\xff")
"""How files of bare H.264, H.265 or JPEG pictures begin; they have no frame rate."""


class Capture(Protocol):
    """The part of `cv2.VideoCapture` that sources use."""

    def isOpened(self) -> bool:  # noqa: N802
        """Return whether frames can be read."""
        ...

    def read(self) -> tuple[bool, Any]:
        """Return (True, frame), or (False, None) at the end or on failure."""
        ...

    def get(self, propId: int) -> float:  # noqa: N803
        """Return the value of a `cv2.CAP_PROP_*`."""
        ...

    def release(self) -> None:
        """Close the capture."""
        ...


def open_capture(path: Path) -> Capture:
    """Open a video file with the decoder that shows it; with OpenCV's if none does."""
    if not _is_installed():
        return _opencv(path)
    other = AvCapture(path)
    if other.is_interlaced or (other.isOpened() and not _shows(_opencv(path))):
        return other
    other.release()
    return _opencv(path)


def _opencv(path: Path) -> cv2.VideoCapture:
    return cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)


def is_raw(path: Path) -> bool:
    """Whether a file is a bare stream of pictures, for which decoders assume a frame rate."""
    with path.open("rb") as file:
        return file.read(4).startswith(_RAW)


def _shows(capture: cv2.VideoCapture) -> bool:
    """Whether one of the first pictures is not of one colour."""
    pictures = (capture.read()[1] for _ in range(_PEEK))
    is_shown = any(picture is not None and float(picture.std()) > _FLAT for picture in pictures)
    capture.release()
    return is_shown


def _is_installed() -> bool:
    try:
        import av  # noqa: F401
    except ModuleNotFoundError:
        return False
    return True


class AvCapture:
    """A video file as PyAV decodes it, deinterlaced if it is interlaced; a `Capture`.

    Args:
        path: The file.

    Attributes:
        is_interlaced: Whether its first picture is two fields.
    """

    def __init__(self, path: Path) -> None:
        self._container: Any = None
        self.is_interlaced = False
        self._pictures: Iterator[Any] = iter(())
        self._moment = float("nan")
        try:
            self._open(path)
        except Exception:  # PyAV raises many kinds for what it cannot decode
            self.release()

    def _open(self, path: Path) -> None:
        import av

        self._container = av.open(str(path))
        self._stream = self._container.streams.video[0]
        frames = self._container.decode(self._stream)
        first = next(frames)
        self.is_interlaced = bool(first.interlaced_frame)
        whole = itertools.chain([first], frames)
        self._pictures = _deinterlaced(self._stream, whole) if self.is_interlaced else whole

    def isOpened(self) -> bool:  # noqa: N802
        """Return whether it has a picture."""
        return self._container is not None

    def read(self) -> tuple[bool, Any]:
        """Return (True, (H, W, 3) uint8 BGR), or (False, None) at the end or where it is damaged."""
        try:
            frame = next(self._pictures)
            image = np.ascontiguousarray(frame.to_ndarray(format="bgr24"))
        except Exception:  # the end, or one of many kinds for damaged data
            return False, None
        self._moment = float("nan") if frame.time is None else float(frame.time)
        return True, image

    def get(self, propId: int) -> float:  # noqa: N803
        """Return the position, the frame rate or the number of frames; 0 for anything else."""
        if propId == cv2.CAP_PROP_POS_MSEC:
            return 1000 * self._moment
        if propId == cv2.CAP_PROP_FPS:
            return float(self._stream.average_rate or 0)
        return float(self._stream.frames) if propId == cv2.CAP_PROP_FRAME_COUNT else 0.0

    def release(self) -> None:
        """Close the file."""
        if self._container is not None:
            self._container.close()
        self._container = None


def _deinterlaced(stream: Any, frames: Iterator[Any]) -> Iterator[Any]:
    """Each frame as one picture."""
    from av.error import BlockingIOError, EOFError
    from av.filter import Graph

    graph = Graph()
    nodes = (
        graph.add_buffer(template=stream),
        graph.add("yadif", "mode=send_frame"),
        graph.add("buffersink"),
    )
    for one, two in itertools.pairwise(nodes):
        one.link_to(two)
    graph.configure()
    for frame in itertools.chain(frames, [None]):
        graph.push(frame)
        while True:
            try:
                yield graph.pull()
            except (BlockingIOError, EOFError):
                break
