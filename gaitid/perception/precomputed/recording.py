"""Opening masks and keypoints as a source.

Each frame has the number that the files give it. Its time is that number over the frame rate, and frames
between two others that no file mentions show nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.errors import SourceEmpty, SourceError, SourceNotFound
from gaitid.perception.numbering import numbered
from gaitid.perception.precomputed import arrays, coco, mediapipe, openpose, yolo_text
from gaitid.perception.precomputed.jsonfile import LAYOUTS, parse, wrong
from gaitid.perception.precomputed.person import Person, Recording, Size, least_size, observations
from gaitid.perception.sources import IMAGE_SUFFIXES, Discontinuity, Source, open_source
from gaitid.records import Frame, Observation

Bytes = NDArray[np.uint8]
Picture = Callable[[int], Bytes | None]
"""From a frame number to its picture of masks, (H, W) or (H, W, 3) uint8, or None without one."""

_MAX_SIDE = 16_384
"""Longest side of a picture, pixels."""
_NO_VIDEO = frozenset({".json", ".jsonl", ".npz", ".npy", ".pkl", ".csv", ".tsv", ".txt", ".xml", ".yaml"})
"""Suffixes of files that are no video of masks; two of these kinds are read."""
_PARTS = ("masks", "keypoints")
"""Names of the two parts of a recording that has both, in one folder."""


@dataclass(frozen=True, slots=True, eq=False)
class RecordedFrame(Frame):
    """A frame of a recording of masks or keypoints.

    Attributes:
        image: (H, W, 3) uint8, the picture of masks; black without one.
        found: What the files say of it beside that picture.
    """

    found: tuple[Observation, ...] = ()


class RecordedSource(Source):
    """A recording as a source.

    Args:
        spec: Description of the recording.
        camera: Name given to each frame.
        times: Seconds of each frame number, in order.
        size: Width and height of the pictures.
        found: What files say of a frame beside its picture.
        picture: Gives the picture of masks of a frame.
    """

    def __init__(
        self,
        spec: str,
        camera: str,
        times: Mapping[int, float],
        size: Size,
        found: Mapping[int, tuple[Observation, ...]],
        picture: Picture,
    ) -> None:
        steps = np.diff(list(times.values()))
        fps = float(1 / np.median(steps)) if len(steps) else 0.0
        super().__init__(spec, camera, fps=fps, size=size, frame_count=len(times))
        self._times, self._found, self._picture = times, found, picture
        self._black = np.zeros((size[1], size[0], 3), np.uint8)

    def __iter__(self) -> Iterator[Frame | Discontinuity]:
        """Yield the frames in order of their numbers."""
        for index, (number, time) in enumerate(self._times.items()):
            image = self._image(number)
            yield RecordedFrame(image, time, self.camera, index, self._found.get(number, ()))

    def _image(self, number: int) -> Bytes:
        picture = self._picture(number)
        if picture is None:
            return self._black
        if picture.shape[:2] != self._black.shape[:2]:
            raise SourceError(
                f"Mask {number} of {self.spec} has {picture.shape[1]}x{picture.shape[0]} pixels",
                f"{self.size[0]}x{self.size[1]}, the size of the recording",
                "Pass masks as large as the camera's pictures, not cut out",
            )
        return picture if picture.ndim == 3 else np.repeat(picture[:, :, None], 3, axis=2)


class _MaskVideo(Source):
    """A video of masks, with what other files say of its frames."""

    def __init__(self, video: Source, found: Mapping[int, tuple[Observation, ...]]) -> None:
        super().__init__(
            video.spec, video.camera, fps=video.fps, size=video.size, frame_count=video.frame_count
        )
        self._video, self._found = video, found

    def __iter__(self) -> Iterator[Frame | Discontinuity]:
        """Yield the frames of the video."""
        for item in self._video:
            if isinstance(item, Frame):
                found = self._found.get(item.index, ())
                yield RecordedFrame(item.image, item.time, item.camera, item.index, found)
            else:
                yield item

    def close(self) -> None:
        """Release the video."""
        self._video.close()


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """What one file or folder has: people, pictures of masks, or both.

    Attributes:
        recording: People by frame number.
        picture: Gives the picture of masks of a frame; None without any.
    """

    recording: Recording
    picture: Picture | None = None


def open_recording(spec: str, size: Size | None, *, camera: str = "", fps: float | None = None) -> Source:
    """Open masks, keypoints or both.

    Args:
        spec: A folder of mask images, a video of masks, a folder or file of keypoints, an ``.npz`` file, or a
            folder with ``masks`` and ``keypoints`` of one of these kinds.
        size: Width and height of the pictures, for files that do not have them.
        camera: Name given to each frame.
        fps: Frames a second, in which frames are numbered; a video has its own.

    Raises:
        SourceNotFound: Nothing is at that path.
        SourceEmpty: It has no frames.
        SourceError: It has another layout, or no frame rate or size where one is needed.
    """
    path = Path(spec)
    if not path.exists():
        raise SourceNotFound(
            f"Path {spec} does not exist",
            "masks or keypoints",
            "Check its spelling, or leave out --extractor precomputed for a camera",
        )
    parts = _parts(path)
    if _is_video(parts[0]):
        return _open_video(path, parts, size, camera, fps)
    layers: list[_Layer] = []
    for part in parts:
        layers.append(_layer(part, size))
        size = _agreed(size, layers[-1].recording.size, part)
    people = _merged([layer.recording for layer in layers])
    size = size or least_size(person for row in people.values() for person in row)
    _check_size(size, path)
    times = _times([layer.recording for layer in layers], people, fps, path)
    found = observations(Recording(people), size, path)
    pictures = [layer.picture for layer in layers if layer.picture is not None]
    return RecordedSource(spec, camera, times, size, found, pictures[0] if pictures else lambda number: None)


def _open_video(
    path: Path, parts: Sequence[Path], size: Size | None, camera: str, fps: float | None
) -> Source:
    """Open a video of masks, with the keypoints of the other part if there is one."""
    video = open_source(str(parts[0]), camera=camera, fps=fps)
    size = _agreed(size, video.size, parts[0])
    people: Mapping[int, Sequence[Person]] = {}
    for part in parts[1:]:
        recording = _layer(part, size).recording
        _agreed(size, recording.size, part)
        people = recording.people
    return _MaskVideo(video, observations(Recording(people), video.size, path))


def _parts(path: Path) -> list[Path]:
    """Return what holds the masks and the keypoints of a recording, or the only part that it has."""
    if not path.is_dir():
        return [path]
    children = sorted(path.iterdir())
    parts = [child for name in _PARTS for child in children if child.stem == name]
    if len(parts) > len({part.stem for part in parts}):
        names = ", ".join(part.name for part in parts)
        raise SourceError(f"Folder {path} has {names}", "one of each kind", "Remove the superfluous ones")
    return parts or [path]


def _is_video(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() not in _NO_VIDEO


def _layer(path: Path, size: Size | None) -> _Layer:
    """Read a file or folder."""
    if path.suffix == ".npz":
        recording, masks = arrays.read(path, size)
        return _Layer(recording, None if masks is None else masks.__getitem__)
    if path.is_file():
        if path.suffix.lower() != ".json":
            raise SourceError(
                f"File {path} is of a kind that is not read",
                f"{LAYOUTS}, an .npz file, or a folder with a file for each frame",
                "Convert the keypoints to a kind that docs/extractors.md lists",
            )
        return _Layer(_from_file(parse(path), path, size))
    suffixes = Counter(child.suffix.lower() for child in path.iterdir() if not child.name.startswith("."))
    kinds = [kind for kind in _FOLDERS if any(suffixes[suffix] for suffix in kind)]
    if len(kinds) != 1:
        raise SourceEmpty(
            f"Folder {path} has {'neither' if not kinds else 'both'} masks {'nor' if not kinds else 'and'} "
            "keypoints",
            "images of masks, or a .json or .txt file for each frame",
            "Put masks in a folder masks and keypoints in a folder keypoints, and pass the folder of both",
        )
    names = [child.name for child in path.iterdir() if child.suffix.lower() in kinds[0]]
    return _FOLDERS[kinds[0]]({number: path / name for number, name in numbered(names)}, path, size)


def _images(files: Mapping[int, Path], folder: Path, size: Size | None) -> _Layer:
    """Pictures of masks, read one by one."""

    def picture(number: int) -> Bytes | None:
        return _read_image(files[number]) if number in files else None

    height, width = _read_image(next(iter(files.values()))).shape[:2]
    return _Layer(Recording(dict.fromkeys(files, ()), (width, height)), picture)


def _json_files(files: Mapping[int, Path], folder: Path, size: Size | None) -> _Layer:
    """One file of OpenPose or MediaPipe for each frame; a single file may be a whole recording."""
    if len(files) == 1:
        (file,) = files.values()
        return _Layer(_from_file(parse(file), file, size))
    people = {number: _from_frame(parse(file), file, size) for number, file in files.items()}
    return _Layer(Recording(people, size))


def _text_files(files: Mapping[int, Path], folder: Path, size: Size | None) -> _Layer:
    return _Layer(yolo_text.read(files, folder, size))


_FOLDERS: Mapping[frozenset[str], Callable[[Mapping[int, Path], Path, Size | None], _Layer]] = {
    IMAGE_SUFFIXES: _images,
    frozenset({".json"}): _json_files,
    frozenset({".txt"}): _text_files,
}


def _from_file(content: Any, path: Path, size: Size | None) -> Recording:
    """Read a JSON file of a whole recording, or of a single frame."""
    if coco.is_coco(content):
        return coco.read(content, path)
    if isinstance(content, list) and content and not mediapipe.is_landmark(content[0]):
        frames = {number: _from_frame(frame, path, size) for number, frame in enumerate(content)}
        return Recording(frames, size)
    return Recording({0: _from_frame(content, path, size)}, size)


def _from_frame(content: Any, path: Path, size: Size | None) -> Sequence[Person]:
    """Read a frame of OpenPose or MediaPipe."""
    if openpose.is_openpose(content):
        return openpose.read_people(content, path, size)
    if mediapipe.is_mediapipe(content):
        return mediapipe.read_people(content, path, size)
    what = f"a list of {len(content)} entries" if isinstance(content, list) else f"a {type(content).__name__}"
    if isinstance(content, Mapping):
        what = f"the keys {', '.join(sorted(map(str, content))[:5]) or 'none'}"
    raise wrong(path, what, LAYOUTS)


def _merged(recordings: Iterable[Recording]) -> dict[int, list[Person]]:
    """Return the people of all recordings, in order of frames; frames that are skipped show nobody."""
    people: dict[int, list[Person]] = {}
    for recording in recordings:
        for number, found in recording.people.items():
            people.setdefault(number, []).extend(found)
    numbers = sorted(people)
    steps = Counter(b - a for a, b in pairwise(numbers))
    usual = steps.most_common(1)[0][0] if steps else 1
    skipped = (n for a, b in pairwise(numbers) for n in range(a + usual, b, usual))
    return {number: people.get(number, []) for number in sorted({*numbers, *skipped})}


def _times(
    recordings: Iterable[Recording], numbers: Iterable[int], fps: float | None, path: Path
) -> dict[int, float]:
    """Return the time of each frame, by the frame rate or else by the times of a file."""
    own = next((recording.times for recording in recordings if recording.times is not None), None)
    if fps is None and own is not None:
        return {number: own[number] for number in numbers if number in own}
    if fps is None:
        raise SourceError(
            f"Recording {path} has no times of its frames",
            "the frame rate",
            "Pass the true frames a second with --fps",
        )
    if not (np.isfinite(fps) and fps > 0):
        raise SourceError(f"Argument fps is {fps}", "a positive number", "Pass the true frame rate")
    return {number: number / fps for number in numbers}


def _agreed(size: Size | None, other: Size | None, path: Path) -> Size | None:
    """Return the size that two sources agree on."""
    if size is not None and other is not None and size != other:
        raise SourceError(
            f"Recording {path} is of {other[0]}x{other[1]} pixels",
            f"{size[0]}x{size[1]} as its masks or --size say",
            "Scale the masks, or leave out --size",
        )
    return size or other


def _check_size(size: Size, path: Path) -> None:
    if not all(0 < side <= _MAX_SIDE for side in size):
        raise SourceError(
            f"Pictures of {path} are {size[0]}x{size[1]} pixels",
            f"sides of 1 to {_MAX_SIDE}",
            "Check --size and the unit of the keypoints",
        )


def _read_image(file: Path) -> Bytes:
    image = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if image is None:
        raise SourceError(f"File {file} is no readable image", "an image", "Remove or replace it")
    return np.asarray(image, np.uint8)
