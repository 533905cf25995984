"""Two synthetic walkers as the files that other programs write: masks and keypoints of every format."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from gaitid.modalities.skeleton import JOINT_NAMES
from tests.modalities.test_skeleton import BODY25, MEDIAPIPE33, OPENPOSE18
from tests.scripted import FRAMES, walker

SIZE = (800, 200)  # width, height
SHIFTS = ((250, 100), (650, 100))
"""Where each of the two walks."""

People = Sequence[np.ndarray]
Scene = Mapping[int, People]
"""Frame number -> (17, 3) joints of each person in it."""


def scene(people: int = 2, first: int = 0) -> dict[int, list[np.ndarray]]:
    """The joints of both walkers, from frame number `first` on."""
    scripts = [walker(i, shift=SHIFTS[i]) for i in range(people)]
    return {first + i: [script[i][0].keypoints for script in scripts] for i in range(FRAMES)}


def pictures(people: int = 2) -> list[np.ndarray]:
    """Their masks, white on black."""
    scripts = [walker(i, shift=SHIFTS[i]) for i in range(people)]
    return [_picture([script[i][0] for script in scripts]) for i in range(FRAMES)]


def _picture(seen):
    picture = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    for one in seen:
        x, y = np.floor(one.box[:2]).astype(int)
        height, width = one.mask.shape
        picture[y : y + height, x : x + width] |= one.mask * np.uint8(255)
    return picture


def laid_out(joints: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """(17, 3) joints in another layout, whose additional joints are not seen."""
    other = np.zeros((len(names), 3))
    for i, name in enumerate(names):
        if name in JOINT_NAMES:
            other[i] = joints[JOINT_NAMES.index(name)]
    return other


def openpose(folder: Path, people: Scene, names: Sequence[str] = BODY25, ids: bool = False) -> Path:
    folder.mkdir(parents=True)
    for number, row in people.items():
        written = [
            {
                "person_id": [track if ids else -1],
                "pose_keypoints_2d": laid_out(joints, names).round(3).ravel().tolist(),
            }
            for track, joints in enumerate(row)
        ]
        text = json.dumps({"version": 1.3, "people": written})
        (folder / f"clip_{number:012d}_keypoints.json").write_text(text)
    return folder


def openpose18(folder: Path, people: Scene) -> Path:
    return openpose(folder, people, OPENPOSE18)


def landmarks(joints: np.ndarray) -> list[dict[str, float]]:
    """MediaPipe's landmarks of a person."""
    shares = laid_out(joints, MEDIAPIPE33) / np.array([*SIZE, 1])
    return [{"x": x, "y": y, "z": 0.1, "visibility": v} for x, y, v in shares.tolist()]


def mediapipe(path: Path, people: Scene) -> Path:
    """One file: a list of frames, each with the landmarks of each person."""
    frames = [[landmarks(joints) for joints in people.get(i, ())] or None for i in range(max(people) + 1)]
    path.write_text(json.dumps(frames))
    return path


def mediapipe_folder(folder: Path, people: Scene) -> Path:
    """One file a frame, as the web interface returns results."""
    folder.mkdir(parents=True)
    for number, row in people.items():
        content = {"landmarks": [landmarks(joints) for joints in row], "worldLandmarks": []}
        (folder / f"{number}.json").write_text(json.dumps(content))
    return folder


def yolo(folder: Path, people: Scene, score: bool = True, ids: bool = False) -> Path:
    """Text files; a frame without people has none."""
    folder.mkdir(parents=True)
    for number, row in people.items():
        lines = []
        for track, joints in enumerate(row, start=1):
            low, high = joints[:, :2].min(axis=0) - 5, joints[:, :2].max(axis=0) + 5
            box = np.concatenate([(low + high) / 2, high - low]) / np.tile(SIZE, 2)
            columns = [0, *box, *(joints / np.array([*SIZE, 1])).ravel()]
            lines.append(" ".join(f"{v:.8g}" for v in [*columns, *[0.9] * score, *[track] * ids]))
        if lines:
            (folder / f"clip_{number}.txt").write_text("\n".join(lines) + "\n")
    return folder


def alphapose(path: Path, people: Scene, tracked: bool = True) -> Path:
    entries = [
        {
            "image_id": f"{number}.jpg",
            "category_id": 1,
            "keypoints": joints.ravel().tolist(),
            "score": 2.9,
            "idx": [float(track)] if tracked else 0.0,
        }
        for number, row in people.items()
        for track, joints in enumerate(row, start=1)
    ]
    path.write_text(json.dumps(entries))
    return path


def coco(path: Path, people: Scene, more: Mapping[tuple[int, int], Any] | None = None) -> Path:
    """A data set with visibility flags; `more` adds keys to the annotation of (frame, person)."""
    images = [
        {"id": 1000 + n, "file_name": f"clip/{n:06d}.jpg", "width": SIZE[0], "height": SIZE[1]}
        for n in people
    ]
    entries = [
        {
            "image_id": 1000 + number,
            "category_id": 7,
            "iscrowd": 0,
            "keypoints": (joints * [1, 1, 2]).ravel().tolist(),
            **((more or {}).get((number, i), {})),
        }
        for number, row in people.items()
        for i, joints in enumerate(row)
    ]
    categories = [{"id": 7, "name": "person"}, {"id": 8, "name": "dog"}]
    path.write_text(json.dumps({"images": images, "annotations": entries, "categories": categories}))
    return path


def coco_results(path: Path, people: Scene) -> Path:
    entries = [
        {"image_id": number, "category_id": 1, "keypoints": joints.ravel().tolist(), "score": 0.9}
        for number, row in people.items()
        for joints in row
    ]
    path.write_text(json.dumps(entries))
    return path


def arrays(path: Path, people: Scene, **more: Any) -> Path:
    """An .npz file; absent people are NaN."""
    most = max(len(row) for row in people.values())
    joints = np.full((max(people) + 1, most, 17, 3), np.nan)
    for number, row in people.items():
        for person, one in enumerate(row):
            joints[number, person] = one
    np.savez(path, keypoints=joints, **more)
    return path


def mask_images(folder: Path, suffix: str = ".png", people: int = 2) -> Path:
    folder.mkdir(parents=True)
    for i, picture in enumerate(pictures(people)):
        cv2.imwrite(str(folder / f"mask{i}{suffix}"), picture)  # mask10 sorts before mask2 as text
    return folder


def mask_video(path: Path, fps: float = 25.0) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, SIZE)
    for picture in pictures():
        writer.write(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR))
    writer.release()
    return path


def mask_arrays(path: Path) -> Path:
    np.savez_compressed(path, masks=np.stack(pictures()))
    return path
