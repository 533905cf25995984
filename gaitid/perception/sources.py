"""Sources of frames: video files, directories of images, USB cameras and network streams.

A source is iterated once. It yields each `Frame` with its true presentation time, and a `Discontinuity`
before a frame that does not continue the frames before it.
"""

from __future__ import annotations

import itertools
import logging
import math
import random
import re
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.errors import SourceEmpty, SourceError, SourceNotFound, SourceStalled, SourceTruncated
from gaitid.perception.decoders import Capture, is_raw, open_capture
from gaitid.perception.numbering import numbered
from gaitid.records import Frame

_log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
"""Suffixes of the images that a directory may hold."""
STANDARD_INPUT = "-"
"""Description of a video on standard input."""

_PEEK = 8
"""Frames read ahead to find out whether a file's timestamps can be trusted."""
_JUMP_S = 2.0
"""Gap in a file's timestamps, seconds, from which it is a cut and not a slow frame rate."""
_MOST_FPS, _MOST_LIVE_FPS = 1000, 240
"""Highest declared frame rate that is believed, of a file and of a live source."""
_MISSING_FRAMES, _MISSING_SHARE = 5, 0.02
"""Frames, and share of the announced ones, that may be missing: containers miscount by a few."""
_CONNECT_MS = 5000
"""Longest wait for a connection or a frame of a network stream, milliseconds."""
_QUEUE = 2
"""Frames held of a live source; a slow consumer gets the newest ones instead of a growing delay."""
_GIVE_UP_S = 60.0
"""Seconds without a frame after which a live source counts as lost."""
_BACKOFF_S = (0.5, 30.0)
"""First and longest wait between attempts to reconnect, seconds."""


@dataclass(frozen=True, slots=True)
class Discontinuity:
    """A break: the following frames show another time, size or background.

    Attributes:
        reason: Cause of the break, for logs.
        time: Time of the first frame after it, seconds.
    """

    reason: str
    time: float


class Source:
    """An open source; a context manager and an iterable of frames and breaks.

    Attributes:
        spec: Description of the source, without credentials.
        camera: Name given to each frame.
        fps: Frames a second, declared or measured; 0 for a live source that declares none.
        size: (width, height) of the first frame, pixels.
        frame_count: Announced number of frames, or None if unknown.
        live: True if frames come in real time and are dropped unless taken.
    """

    def __init__(
        self, spec: str, camera: str, *, fps: float, size: tuple[int, int], frame_count: int | None
    ) -> None:
        self.spec, self.camera = spec, camera
        self.fps, self.size, self.frame_count = fps, size, frame_count
        self.live = False

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame | Discontinuity]:
        """Yield frames in order; a break comes before the frame that follows it."""
        index, size = 0, self.size
        for item in self._pictures():
            if isinstance(item, Discontinuity):
                yield item
                continue
            image, moment = item
            if (image.shape[1], image.shape[0]) != size:
                old, size = size, (image.shape[1], image.shape[0])
                yield Discontinuity(
                    f"the picture changes from {old[0]}x{old[1]} to {size[0]}x{size[1]}", moment
                )
            yield Frame(image, moment, self.camera, index)
            index += 1

    def close(self) -> None:
        """Release the device or file; a second call has no effect."""

    def again(self) -> Source | None:
        """Open the same recording once more, at its beginning; None if it can be read only once."""
        return None

    def _pictures(self) -> Iterator[tuple[NDArray[np.uint8], float] | Discontinuity]:
        raise NotImplementedError


def open_source(spec: str, *, camera: str = "", fps: float | None = None) -> Source:
    """Open a source by its description.

    Args:
        spec: Path of a video file; path of a directory of images, in the order of the numbers in their
            names; number of a USB camera (``0`` or ``usb:0``); an ``rtsp://``, ``http://`` or ``https://``
            address of a stream or a file; or ``-`` for a video on standard input.
        camera: Name given to each frame.
        fps: Frames a second. A directory of images and a bare stream of pictures (``.h264``, ``.mjpeg``)
            need it; for other files it takes the place of what they declare.

    Raises:
        SourceNotFound: Nothing is at that path, number or address.
        SourceEmpty: The file or directory has no frames.
        SourceError: The file is no video that is decoded here, or its frame rate is not known.
    """
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise SourceError(f"Argument fps is {fps}", "a positive number", "Pass the true frame rate")
    device = re.fullmatch(r"(?:usb:)?(\d{1,3})", spec)
    if device:
        return _LiveSource(spec, camera, lambda: _open_device(int(device[1])))
    if re.match(r"(?i)(rtsps?|https?)://", spec):
        return _open_address(spec, camera, fps)
    if spec == STANDARD_INPUT:
        return _StandardInput(camera, fps)
    path = Path(spec)
    if path.is_dir():
        return _ImageSource(path, camera, fps)
    if not path.is_file():
        raise SourceNotFound(
            f"Source {redact(spec)} does not exist",
            "a file, directory, camera number or address",
            "Check its spelling and that the file is readable",
        )
    if path.stat().st_size == 0:
        raise SourceEmpty(f"File {path} has 0 bytes", "a video", "Record or copy it again")
    if fps is None and is_raw(path):
        raise _no_rate(f"file {path}, a bare stream of pictures,")
    return _FileSource(str(path), camera, open_capture(path), fps, path)


def _open_address(spec: str, camera: str, fps: float | None) -> Source:
    """A file behind an address has a number of frames; a stream has none."""
    if not re.match(r"(?i)https?://", spec):
        return _LiveSource(redact(spec), camera, lambda: _open_stream(spec))
    capture = _open_stream(spec)
    count = capture.get(cv2.CAP_PROP_FRAME_COUNT) if capture.isOpened() else 0
    if math.isfinite(count) and count > 0:
        return _FileSource(redact(spec), camera, capture, fps)
    capture.release()
    return _LiveSource(redact(spec), camera, lambda: _open_stream(spec))


def _no_rate(what: str) -> SourceError:
    return SourceError(f"The frame rate of {what} is not known", "the true one", "Pass it, as --fps or fps")


def redact(text: str) -> str:
    """Return the text without user names, passwords and queries of the addresses in it."""
    text = re.sub(r"(?<=://)[^/\s]*@", "***@", text)
    return re.sub(r"(://[^\s?]*)\?\S*", r"\1?***", text)


class _ImageSource(Source):
    """A directory of images; the number in a name is that of its frame."""

    def __init__(self, path: Path, camera: str, fps: float | None) -> None:
        names = [p.name for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES]
        if not names:
            raise SourceEmpty(
                f"Directory {path} has no images",
                f"files with the suffix {', '.join(sorted(IMAGE_SUFFIXES))}",
                "Check the path",
            )
        if fps is None:
            raise _no_rate(f"directory {path}")
        self._files = [(number, path / name) for number, name in numbered(names)]
        height, width = _read_image(self._files[0][1]).shape[:2]
        super().__init__(str(path), camera, fps=fps, size=(width, height), frame_count=len(self._files))

    def again(self) -> Source:
        return _ImageSource(Path(self.spec), self.camera, self.fps)

    def _pictures(self) -> Iterator[tuple[NDArray[np.uint8], float] | Discontinuity]:
        first, _ = self._files[0]
        last = 0.0
        for number, file in self._files:
            moment = (number - first) / self.fps
            if moment - last > _JUMP_S:
                yield Discontinuity(f"images of {moment - last:.1f} s are missing", moment)
            yield _read_image(file), moment
            last = moment


class _FileSource(Source):
    """A video file.

    Args:
        spec: Path of the file.
        camera: Name given to each frame.
        capture: Capture opened on the file.
        fps: Frame rate known to the caller, or None.
        path: The file, if it can be opened once more.
    """

    def __init__(
        self, spec: str, camera: str, capture: Capture, fps: float | None, path: Path | None = None
    ) -> None:
        self._capture, self._path, self._known_fps = capture, path, fps
        if not capture.isOpened():
            raise SourceError(
                f"File {spec} is no readable video",
                "a format that the installed decoder knows",
                "Run pip install 'gaitid[video]' for more formats, or convert it, for example to H.264",
            )
        self._ahead = deque(pair for _ in range(_PEEK) if (pair := self._next()) is not None)
        if not self._ahead:
            raise SourceEmpty(
                f"File {spec} has no frames that are decoded here",
                "at least one",
                "Run pip install 'gaitid[video]' for more formats, or record or copy it again",
            )
        stamps = [stamp for _, stamp in self._ahead]
        steps = [b - a for a, b in itertools.pairwise(stamps)]
        self._offset = -stamps[0]
        self._stamped = bool(steps) and all(math.isfinite(s) and s > 0 for s in steps) and fps is None
        declared = fps or capture.get(cv2.CAP_PROP_FPS)
        if not (math.isfinite(declared) and 0 < declared <= _MOST_FPS):
            if not self._stamped:
                raise SourceError(
                    f"File {spec} has neither a frame rate ({declared}) nor usable timestamps",
                    "one of them",
                    "Pass the frame rate as fps",
                )
            declared = 1.0 / statistics.median(steps)
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        height, width = self._ahead[0][0].shape[:2]
        super().__init__(
            spec,
            camera,
            fps=float(declared),
            size=(width, height),
            frame_count=int(count) if math.isfinite(count) and count > 0 else None,
        )

    def close(self) -> None:
        self._capture.release()

    def again(self) -> Source | None:
        if self._path is None:
            return None
        return _FileSource(self.spec, self.camera, open_capture(self._path), self._known_fps, self._path)

    def _next(self) -> tuple[NDArray[np.uint8], float] | None:
        """Return the next picture and its timestamp in the container, seconds."""
        read, image = self._capture.read()
        return (image, self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000) if read else None

    def _pictures(self) -> Iterator[tuple[NDArray[np.uint8], float] | Discontinuity]:
        delivered, offset, last = 0, self._offset, 0.0
        while (pair := self._ahead.popleft() if self._ahead else self._next()) is not None:
            image, stamp = pair
            moment = stamp + offset if self._stamped else delivered / self.fps
            if delivered and not last < moment <= last + _JUMP_S:
                reason = f"the timestamps jump from {last:.3f} s to {moment:.3f} s"
                if not moment > last:  # also NaN: continue from the last good time
                    moment = last + 1 / self.fps
                    offset = moment - stamp if math.isfinite(stamp) else offset
                yield Discontinuity(reason, moment)
            yield image, moment
            delivered, last = delivered + 1, moment
        self._check_complete(delivered)

    def _check_complete(self, delivered: int) -> None:
        """Compare the number of frames with the announced one.

        Raises:
            SourceTruncated: More than 5 frames and 2 % are missing.
        """
        announced = self.frame_count or 0
        if announced - delivered > max(_MISSING_FRAMES, _MISSING_SHARE * announced):
            raise SourceTruncated(
                f"File {self.spec} ends after {delivered} frames",
                f"the {announced} frames that it announces",
                "Copy or record it again, or use the frames before the end, which are valid",
            )


class _StandardInput(_FileSource):
    """A video on standard input, kept in a temporary file while it is read: containers need seeking."""

    def __init__(self, camera: str, fps: float | None) -> None:
        self._file = tempfile.NamedTemporaryFile(prefix="gaitid-")  # noqa: SIM115 - closed in `close`
        try:
            shutil.copyfileobj(sys.stdin.buffer, self._file)
            self._file.flush()
            path = Path(self._file.name)
            if path.stat().st_size == 0:
                raise SourceEmpty("Standard input has 0 bytes", "a video", "Pipe one into gaitid")
            if fps is None and is_raw(path):
                raise _no_rate("standard input, a bare stream of pictures,")
            super().__init__("standard input", camera, open_capture(path), fps, path)
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        super().close()
        self._file.close()


class _LiveSource(Source):
    """A camera or stream, read by its own thread, which reconnects when the source stalls.

    Args:
        spec: Description without credentials.
        camera: Name given to each frame.
        connect: Opens a new capture.
        give_up_s: Seconds without a frame after which the source counts as lost.
        backoff_s: First and longest wait between attempts, seconds.
    """

    def __init__(
        self,
        spec: str,
        camera: str,
        connect: Callable[[], Capture],
        *,
        give_up_s: float = _GIVE_UP_S,
        backoff_s: tuple[float, float] = _BACKOFF_S,
    ) -> None:
        self._connect, self._give_up_s, self._backoff_s = connect, give_up_s, backoff_s
        capture = connect()
        read, image = capture.read() if capture.isOpened() else (False, None)
        if not read or image is None:
            capture.release()
            raise SourceNotFound(
                f"Source {spec} delivers no picture",
                "a camera or stream that delivers",
                "Check its address, power and login",
            )
        declared = capture.get(cv2.CAP_PROP_FPS)
        known = math.isfinite(declared) and 0 < declared <= _MOST_LIVE_FPS
        super().__init__(
            spec,
            camera,
            fps=float(declared) if known else 0.0,
            size=(image.shape[1], image.shape[0]),
            frame_count=None,
        )
        self.live = True
        self._clock = time.time() - time.monotonic()  # changes of the system clock have no effect
        self._queue: deque[tuple[NDArray[np.uint8], float]] = deque([(image, self._now())], maxlen=_QUEUE)
        self._broken: str | None = None
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(capture,), name="source", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=2 * _CONNECT_MS / 1000)

    def _now(self) -> float:
        return self._clock + time.monotonic()

    def _run(self, capture: Capture) -> None:
        """Read until closed; after a failure, reconnect with a growing wait."""
        while not self._stop.is_set():
            read, image = capture.read()
            if read:
                with self._changed:
                    self._queue.append((image, self._now()))
                    self._changed.notify()
                continue
            capture.release()
            with self._changed:
                self._queue.clear()  # the break must come before the first frame after it
                self._broken = "the source stopped and was opened again"
            _log.warning("%s stopped delivering; reconnecting", self.spec)
            capture = self._reconnect()
        capture.release()

    def _reconnect(self) -> Capture:
        """Open a new capture; waits double between attempts, with jitter to spread the cameras of a site."""
        wait, longest = self._backoff_s
        while True:
            self._stop.wait(wait * random.uniform(0.5, 1.0))  # noqa: S311
            capture = self._connect()
            if capture.isOpened() or self._stop.is_set():
                return capture
            capture.release()
            wait = min(2 * wait, longest)

    def _pictures(self) -> Iterator[tuple[NDArray[np.uint8], float] | Discontinuity]:
        while not self._stop.is_set():
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._stop.is_set(), timeout=self._give_up_s)
                if self._stop.is_set():
                    return
                if not self._queue:
                    raise SourceStalled(
                        f"Source {self.spec} has delivered nothing for {self._give_up_s:g} s",
                        "frames",
                        "Check the camera and its network",
                    )
                image, moment = self._queue.popleft()
                broken, self._broken = self._broken, None
            if broken:
                yield Discontinuity(broken, moment)
            yield image, moment


def _read_image(file: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if image is None:
        raise SourceError(f"File {file} is no readable image", "an image", "Remove or replace it")
    return np.asarray(image, np.uint8)


def _open_device(index: int) -> Capture:
    return cv2.VideoCapture(index)


def _open_stream(url: str) -> Capture:
    # OpenCV applies the timeouts only if the backend is named.
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _CONNECT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _CONNECT_MS]
    return cv2.VideoCapture(url, cv2.CAP_FFMPEG, limits)
