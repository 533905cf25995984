"""Walks that verbs read: from ``.npz`` files, and from video with a name for each walk."""

from __future__ import annotations

import argparse
import sys
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gaitid.cli import inputs
from gaitid.errors import InputError, SequenceError
from gaitid.modalities.streams import STREAMS
from gaitid.perception.precomputed import ARRAYS
from gaitid.quality import assess
from gaitid.records import GaitSequence, npz

if TYPE_CHECKING:
    from gaitid.perception.account import Account, Finding
    from gaitid.perception.pipeline import PerceptionSettings

NOTHING_USABLE = 3
"""Exit status of a verb that did its work and has no usable walk, as of a probe without a match."""
ALL = "all"
"""Value of ``--track`` that takes all usable walks of a video."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A walk that a verb was given.

    Attributes:
        source: The input that it comes from.
        name: The input, and for a video the walk.
        sequence: The walk.
    """

    source: str
    name: str
    sequence: GaitSequence


def samples(options: argparse.Namespace) -> list[Sample]:
    """Return the walks of all inputs: one of a file, and of a video those that ``--track`` names.

    Raises:
        InputError: A video shows several usable walks, and ``--track`` chooses none of them.
        SequenceError: A file is damaged, or a video has no such walk.
    """
    return [sample for name in options.inputs for sample in _samples(name, options)]


def probe(options: argparse.Namespace) -> GaitSequence:
    """Return the only walk of the inputs.

    Raises:
        InputError: The video shows several usable walks, and ``--track`` does not choose one.
        SequenceError: The file is damaged, or the video has no such walk.
    """
    found = samples(options)
    if len(found) != 1:
        raise InputError(
            f"Flag --track {options.track} names {len(found)} walks", "one", "Pass the name of a single walk"
        )
    return found[0].sequence


def walks(
    source: str,
    camera: str = "",
    perception: PerceptionSettings | None = None,
    *,
    fps: float | None = None,
    account: Account | None = None,
) -> Iterator[GaitSequence]:
    """Yield the sequences of a video that have at least one good frame, in the order they end.

    Args:
        source: What the extractor reads; see `perception.extractor.open_input`.
        camera: Name of the camera.
        perception: Settings of perception; None for the defaults.
        fps: True frames a second, for an input that declares none.
        account: Notes what the video shows.
    """
    from gaitid.perception.pipeline import PerceptionSettings, watch

    chosen = perception or PerceptionSettings()
    with chosen.open(source, camera=camera, fps=fps) as video:
        views = watch(video, settings=chosen)
        for view in views if account is None else account.over(views):
            for walk in view.walks:
                if walk.sequence is not None:
                    yield walk.sequence


def load(path: Path, fps: float | None = None) -> GaitSequence:
    """Read a walk that `gaitid extract` wrote, or one as the folder data set has it.

    Args:
        path: ``.npz`` file, or a folder of aligned silhouettes as png images.
        fps: Frames a second of streams without times.

    Raises:
        SequenceError: The file is missing, damaged or no sequence, or has no times and `fps` is None.
        DatasetError: Its streams have another shape or content.
    """
    held = _held(path)
    if not path.is_dir() and (not set(held) & set(STREAMS) or "version" in held):
        return npz.load(path)
    from gaitid.datasets.reading import read

    if "times" not in held and fps is None:
        raise SequenceError(
            f"Walk {path} has no times of its frames",
            "an array times in seconds, or the frame rate",
            "Pass the true frames a second with --fps",
        )
    return read(path, fps or 1.0, lambda problem: None, aligned=path.is_dir())


def is_walk(path: Path) -> bool:
    """Return whether a path is that of one walk, not of a video or of what another program found in one.

    A folder of silhouettes is a walk if they are aligned: their place in the picture is not known.
    """
    if path.is_dir() and any(path.glob("*.png")):
        from gaitid.datasets.reading import is_aligned

        return is_aligned(path)
    return path.suffix == ".npz" and not set(_held(path)) & ARRAYS


def _held(path: Path) -> list[str]:
    """Return the names of the arrays of a file; none if it is no ``.npz`` file, which `npz.load` reports."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile):
        return []


def nothing_usable(finding: Finding) -> int:
    """Print why a source gave nothing usable, and return the exit status that says so."""
    print(f"gaitid: {finding}", file=sys.stderr)
    return NOTHING_USABLE


def named(sequences: Iterable[GaitSequence]) -> Iterator[tuple[str, GaitSequence]]:
    """Yield each sequence with its track as a name, ``0003``, and later walks of the track as ``0003-2``."""
    counts: Counter[int] = Counter()
    for sequence in sequences:
        track = sequence.origin.track
        counts[track] += 1
        yield f"{track:04d}" + (f"-{counts[track]}" if counts[track] > 1 else ""), sequence


class Names:
    """Gives every name once: a name in use gets its folder in front, and then a number behind."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def __call__(self, name: str, folder: str = "") -> str:
        """Return an unused name, the given one if possible."""
        stem = f"{folder}-{name}" if name in self._used and folder else name
        chosen, number = stem, 1
        while chosen in self._used:
            number += 1
            chosen = f"{stem}-{number}"
        self._used.add(chosen)
        return chosen


def _samples(name: str, options: argparse.Namespace) -> list[Sample]:
    if is_walk(Path(name)):
        return [Sample(name, name, load(Path(name), options.fps))]
    from gaitid.perception.account import Account

    perception = inputs.perception_of(options)
    account = Account(static_camera=perception.static_camera)
    video = walks(name, getattr(options, "camera", ""), perception, fps=options.fps, account=account)
    found = dict(named(video))
    if not options.track and not any(assess(walk).usable for walk in found.values()):
        raise SequenceError(*account.finding(f"Video {name}"))
    return [
        Sample(name, f"{name} walk {_short(key)}", found[key]) for key in _chosen(name, found, options.track)
    ]


def _chosen(video: str, found: dict[str, GaitSequence], wanted: str | None) -> list[str]:
    """Return the names of the walks of a video that ``--track`` names; of all usable ones without it."""
    usable = [name for name, walk in found.items() if assess(walk).usable]
    if wanted is not None and wanted != ALL:
        return [_named_walk(video, found, part.strip()) for part in wanted.split(",")]
    if wanted is None and len(usable) > 1:
        raise InputError(
            f"Video {video} shows {len(usable)} usable walks",
            "one",
            f"Pass --track with one of {_list(usable)}, or with all to take all of them",
        )
    return usable


def _named_walk(video: str, found: dict[str, GaitSequence], wanted: str) -> str:
    for name in found:
        if _short(name) == _short(wanted):
            return name
    raise SequenceError(
        f"Video {video} has no walk {wanted} with good frames",
        f"one of {_list(found) or 'none'}",
        f"Run 'gaitid analyse {video}' to see its walks",
    )


def _short(name: str) -> str:
    """Return the name of a walk as it is typed: ``3-2`` for ``0003-2``."""
    return name.lstrip("0") or name


def _list(names: Iterable[str]) -> str:
    return ", ".join(_short(name) for name in names)
