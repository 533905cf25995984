"""Miniature copies of the directory layouts of public data sets.

For tests and demonstrations that need a data set which may not be redistributed. The trees have the published
names, nesting and file formats of silhouettes, and no other modality. Pickles are written as the tools of the
data sets write them; this module reads none.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError, UnknownName
from gaitid.perception.align import align
from gaitid.records import GaitSequence
from gaitid.registry import nearest

Masks = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class LayoutWalk:
    """One walk of one subject as one camera recorded it.

    Attributes:
        subject: Number of the subject in the data set.
        condition: Name of the condition in the data set (``nm``, ``bg``, ``U0_D0``); ignored if it has none.
        number: Number of the walk under this condition.
        view: Angle in degrees, or number of the camera in data sets that number cameras.
        sequence: Silhouettes, or raw masks (T, H, W) uint8 0/1 of any size.
        suffix: Suffix of the view in file names (``far`` in SUSTech1K).
    """

    subject: int
    condition: str
    number: int
    view: int
    sequence: GaitSequence | Masks
    suffix: str = ""


def write_layout(
    layout: str, root: Path | str, walks: Iterable[LayoutWalk], *, train: Collection[int] = ()
) -> Path:
    """Write walks in the layout of a data set, with its partition file if it has one.

    Args:
        layout: One of `LAYOUTS`.
        root: Directory to write into; created if it is missing.
        walks: The walks; they are written one by one.
        train: Subjects of the training part, for data sets without a rule for it.

    Returns:
        The root.

    Raises:
        UnknownName: The layout is unknown.
        InputError: A walk has no silhouettes.
    """
    if layout not in LAYOUTS:
        raise UnknownName(
            f"Layout {layout!r} is unknown", f"one of {', '.join(LAYOUTS)}", nearest(layout, LAYOUTS)
        )
    folder = Path(root)
    folder.mkdir(parents=True, exist_ok=True)
    LAYOUTS[layout](folder, walks, frozenset(train))
    return folder


# One writer per layout: (root, walks, training subjects).


def _casia_b(root: Path, walks: Iterable[LayoutWalk], _: Collection[int]) -> None:
    for walk in walks:
        subject, name, view = _casia_names(walk)
        _pngs(root / subject / name / view, walk, f"{subject}-{name}-{view}-{{:03d}}.png")


def _casia_b_pkl(root: Path, walks: Iterable[LayoutWalk], _: Collection[int]) -> None:
    for walk in walks:
        subject, name, view = _casia_names(walk)
        _pickle(root / subject / name / view / f"{view}.pkl", _square(walk))


def _casia_b_star(root: Path, walks: Iterable[LayoutWalk], _: Collection[int]) -> None:
    for walk in walks:
        subject, name, view = _casia_names(walk)
        folder, aligned = root / subject / name / view, _square(walk)
        _pickle(folder / f"{view}-aligned-sils.pkl", aligned[:, :, 10:54])
        _pickle(folder / f"{view}-ratios.pkl", np.full(len(aligned), 0.4))
        _pickle(folder / f"{view}-sils.pkl", _resized(walk, 128))


def _casia_names(walk: LayoutWalk) -> tuple[str, str, str]:
    return f"{walk.subject:03d}", f"{walk.condition}-{walk.number:02d}", f"{walk.view:03d}"


def _ou_mvlp(root: Path, walks: Iterable[LayoutWalk], _: Collection[int]) -> None:
    for walk in walks:
        folder = root / f"Silhouette_{walk.view:03d}-{walk.number:02d}" / f"{walk.subject:05d}"
        _pngs(folder, walk, "{:04d}.png")


def _ou_mvlp_pkl(root: Path, walks: Iterable[LayoutWalk], _: Collection[int]) -> None:
    for walk in walks:
        folder = root / f"{walk.subject:05d}" / f"{walk.number:02d}" / f"{walk.view:03d}"
        _pickle(folder / f"{walk.view:03d}.pkl", _square(walk))


def _grew(root: Path, walks: Iterable[LayoutWalk], train: Collection[int]) -> None:
    for walk in walks:
        video, subject = _video(walk), f"{walk.subject:05d}"
        folder = root / "train" / subject if walk.subject in train else root / "test" / "gallery" / subject
        if walk.subject not in train and walk.number == 3:
            folder = root / "test" / "probe"
        _images(folder / video, _square(walk), "{:05d}.png")
        _images(folder, _square(walk).mean(axis=0, keepdims=True), f"{video}_gei.png")


def _grew_pkl(root: Path, walks: Iterable[LayoutWalk], train: Collection[int]) -> None:
    for walk in walks:
        video = _video(walk)
        if walk.subject in train:
            folder = root / f"{walk.subject:05d}train" / "00"
        else:
            subject = "probe" if walk.number == 3 else f"{walk.subject:05d}"
            folder = root / subject / f"{walk.number:02d}"
        _pickle(folder / video / f"{video}.pkl", _square(walk))


def _video(walk: LayoutWalk) -> str:
    """A video name of 8 hexadecimal digits, as in GREW; equal walks get equal names."""
    key = f"{walk.subject}/{walk.condition}/{walk.number}/{walk.view}"
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def _gait3d(root: Path, walks: Iterable[LayoutWalk], train: Collection[int]) -> None:
    _gait3d_tree(root, walks, train, lambda folder, walk: _pngs(folder, walk, "human_crop_f{}.png", 9990))


def _gait3d_pkl(root: Path, walks: Iterable[LayoutWalk], train: Collection[int]) -> None:
    _gait3d_tree(
        root, walks, train, lambda folder, walk: _pickle(folder / f"{folder.name}.pkl", _square(walk))
    )


def _gait3d_tree(
    root: Path, walks: Iterable[LayoutWalk], train: Collection[int], write: Callable[[Path, LayoutWalk], None]
) -> None:
    """Write ``0000/camid0_videoid2/seq0``; the first walk of each test subject is its listed probe."""
    probes: dict[int, str] = {}
    seen: set[int] = set()
    for walk in walks:
        video, take = f"camid{walk.view}_videoid2", f"seq{walk.number}"
        write(root / f"{walk.subject:04d}" / video / take, walk)
        seen.add(walk.subject)
        if walk.subject not in train:
            probes.setdefault(walk.subject, f"{walk.subject:04d}-{video}-{take}")
    _partition(root / "Gait3D.json", seen, train, 4, PROBE_SET=sorted(probes.values()))


def _sustech1k(root: Path, walks: Iterable[LayoutWalk], train: Collection[int]) -> None:
    seen: set[int] = set()
    for walk in walks:
        view = f"{walk.view:03d}" + (f"-{walk.suffix}" if walk.suffix else "")
        folder = root / f"{walk.subject:04d}" / f"{walk.number:02d}-{walk.condition}" / view
        aligned, every_third = _square(walk), slice(None, None, 3)
        _pickle(folder / f"04-{view}-Camera-Ratios-HW.pkl", np.full((len(aligned), 2), 64))
        _pickle(folder / f"06-{view}-Camera-Sils_aligned.pkl", aligned)
        _pickle(folder / f"07-{view}-Camera-Sils_raw.pkl", _resized(walk, 64))
        _pickle(folder / f"14-sync-{view}-Camera-Sils_aligned.pkl", aligned[every_third])
        seen.add(walk.subject)
    _partition(root / "SUSTech1K.json", seen, train, 4)


def _ccpg(root: Path, walks: Iterable[LayoutWalk], _: Collection[int]) -> None:
    for walk in walks:
        folder = _ccpg_folder(root, walk)
        aligned = _square(walk)
        _pickle(folder / f"{folder.name}-aligned-sils.pkl", aligned)
        _pickle(folder / f"{folder.name}-ratios.pkl", np.full(len(aligned), 0.4))
        _pickle(folder / f"{folder.name}-sils.pkl", _resized(walk, 128))


def _ccpg_png(root: Path, walks: Iterable[LayoutWalk], _: Collection[int]) -> None:
    for walk in walks:
        _pngs(_ccpg_folder(root, walk), walk, "{:05d}.png")


def _ccpg_folder(root: Path, walk: LayoutWalk) -> Path:
    return root / f"{walk.subject:03d}" / walk.condition / f"{walk.view:02d}_{walk.number}"


def _folder(root: Path, walks: Iterable[LayoutWalk], _: Collection[int]) -> None:
    for walk in walks:
        folder = root / f"subject{walk.subject:03d}" / f"{walk.condition}-{walk.number:02d}"
        _pngs(folder / f"{walk.view:03d}", walk, "{:04d}.png")


LAYOUTS: Mapping[str, Callable[[Path, Iterable[LayoutWalk], Collection[int]], None]] = {
    "casia-b": _casia_b,
    "casia-b-pkl": _casia_b_pkl,
    "casia-b-star": _casia_b_star,
    "ou-mvlp": _ou_mvlp,
    "ou-mvlp-pkl": _ou_mvlp_pkl,
    "grew": _grew,
    "grew-pkl": _grew_pkl,
    "gait3d": _gait3d,
    "gait3d-pkl": _gait3d_pkl,
    "sustech1k": _sustech1k,
    "ccpg": _ccpg,
    "ccpg-png": _ccpg_png,
    "folder": _folder,
}
"""Layout to its writer; ``-pkl`` is the published conversion of a data set of images."""


def _masks(walk: LayoutWalk) -> Masks:
    masks = walk.sequence.silhouettes if isinstance(walk.sequence, GaitSequence) else walk.sequence
    if masks is None or masks.ndim != 3 or masks.dtype != np.uint8:
        got = "no silhouettes" if masks is None else f"masks of shape {masks.shape} and type {masks.dtype}"
        raise InputError(f"Walk has {got}", "silhouettes or masks (T, H, W) uint8 0/1", "Render masks first")
    return masks


def _square(walk: LayoutWalk) -> Masks:
    """(T, 64, 64) uint8 0..255, aligned; 64x44 silhouettes are padded, empty frames are skipped."""
    masks = _masks(walk)
    if masks.shape[1:] == (64, 44):
        return np.pad(masks * np.uint8(255), ((0, 0), (0, 0), (10, 10)))
    frames = [align(mask, (64, 64)) for mask in masks]
    return np.stack([frame for frame in frames if frame is not None])


def _resized(walk: LayoutWalk, side: int) -> Masks:
    frames = [
        cv2.resize(mask * np.uint8(255), (side, side), interpolation=cv2.INTER_CUBIC) for mask in _masks(walk)
    ]
    return np.stack(frames).astype(np.uint8)


def _pngs(folder: Path, walk: LayoutWalk, pattern: str, first: int = 1) -> None:
    """Write raw frames: masks unchanged, silhouettes doubled in size so that they count as full size."""
    masks = _masks(walk) * np.uint8(255)
    if isinstance(walk.sequence, GaitSequence):
        masks = masks.repeat(2, axis=1).repeat(2, axis=2)
    _images(folder, masks, pattern, first)


def _images(folder: Path, frames: NDArray[Any], pattern: str, first: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames, first):
        _, data = cv2.imencode(".png", frame.astype(np.uint8))
        (folder / pattern.format(number)).write_bytes(data.tobytes())


def _pickle(path: Path, array: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        pickle.dump(array, file)


def _partition(
    path: Path, seen: Collection[int], train: Collection[int], width: int, **lists: list[str]
) -> None:
    parts = {"TRAIN_SET": sorted(set(seen) & set(train)), "TEST_SET": sorted(set(seen) - set(train))}
    names = {key: [f"{number:0{width}d}" for number in numbers] for key, numbers in parts.items()}
    path.write_text(json.dumps({**names, **lists}, indent=4), encoding="utf-8")
