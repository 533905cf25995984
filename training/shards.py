"""Training sequences on disk: the frames of many walks in a row, read through a memory map.

A shard is a folder with ``silhouettes.npy`` (F, 352) uint8 bits, ``skeletons.npy`` (F, 17, 3) float32,
``times.npy`` (F,) float64, for synthetic walks also ``joints.npy`` (F, 17, 3) float16 metres, and
``index.json`` with the position and label of each walk. Drawing segmentation noise takes five times as long
as a training step may wait, so a few noisy versions of every walk are drawn once and stored.

    python -m gaitid.training.shards FOLDER --split train --identities 1200
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.encoders.architectures import SILHOUETTE_SIZE
from gaitid.errors import DatasetError, InputError
from gaitid.modalities.silhouette import pack
from gaitid.records import SILHOUETTE, SKELETON, GaitSequence
from gaitid.synthetic import Population, WalkPlan, plan_grid, plan_varied

log = logging.getLogger("training")

HEIGHT, WIDTH = SILHOUETTE_SIZE
_BYTES = HEIGHT * WIDTH // 8
"""Bytes of a silhouette with one bit per pixel."""


@dataclass(frozen=True, slots=True)
class WalkLabel:
    """Subject and recording conditions of a walk.

    Attributes:
        subject: Name of the subject.
        session: Day, or any other unit with the same clothes and place.
        walk: Number of the recording; noisy versions of one recording share it.
        condition: ``nm``, ``bg`` or ``cl``.
        view: Degrees.
    """

    subject: str
    session: str
    walk: int
    condition: str = "nm"
    view: float = 90.0


@dataclass(frozen=True, slots=True, eq=False)
class ShardEntry:
    """A labelled sequence to be stored in a shard.

    Attributes:
        label: Subject and recording conditions.
        sequence: Silhouettes, skeletons, or both.
        joints: (T, 17, 3) true joints of a synthetic walk in metres, z up; None for a real one.
    """

    label: WalkLabel
    sequence: GaitSequence
    joints: NDArray[np.floating] | None = None


def synthetic_entries(
    population: Population, items: Sequence[WalkPlan], draws: int, levels: tuple[float, float], seed: int = 0
) -> Iterator[ShardEntry]:
    """Generate the walks of a plan.

    Args:
        population: Synthetic subjects.
        items: Plan of the walks.
        draws: Noisy versions of each walk.
        levels: Lowest and highest noise level; one is drawn for each version.
        seed: Seed of the noise levels.
    """
    for item in items:
        walk = item.make(population)
        label = WalkLabel(
            walk.subject, str(item.session), item.session * 1000 + item.number, item.condition, item.view
        )
        words = (seed, item.identity, item.session, item.number, int(item.view * 64) % 23040)
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(words)))
        for draw in range(draws):
            level = float(rng.uniform(*levels))
            try:
                sequence = walk.sequence(level, draw)
            except InputError:  # the subject is occluded in every frame
                continue
            good = np.isin(walk.times, sequence.times)
            centred = walk.joints - np.append(walk.root.mean(0), 0.0)
            yield ShardEntry(label, sequence, centred[good])


def write_shard(folder: Path, entries: Iterable[ShardEntry]) -> int:
    """Write one shard; it appears under its final name only when complete.

    A stream is written if all entries have it.

    Returns:
        Number of sequences.

    Raises:
        DatasetError: There are no entries.
    """
    index: list[dict[str, object]] = []
    silhouettes, skeletons, times, joints = [], [], [], []
    start = 0
    for entry in entries:
        streams = entry.sequence.streams
        length = len(entry.sequence)
        if SILHOUETTE in streams:
            bits = np.frombuffer(pack(streams[SILHOUETTE]), np.uint8).reshape(length, _BYTES)
            silhouettes.append(bits)
        if SKELETON in streams:
            skeletons.append(streams[SKELETON])
        times.append(entry.sequence.times)
        joints.append(entry.joints)
        index.append({**asdict(entry.label), "start": start, "frames": length})
        start += length
    if not index:
        raise DatasetError(f"Shard {folder.name} has no sequences", "at least one", "Check the plan")
    partial = folder.with_name(folder.name + ".part")
    partial.mkdir(parents=True, exist_ok=True)
    if len(silhouettes) == len(index):
        np.save(partial / "silhouettes.npy", np.concatenate(silhouettes))
    if len(skeletons) == len(index):
        np.save(partial / "skeletons.npy", np.concatenate(skeletons).astype(np.float32))
    np.save(partial / "times.npy", np.concatenate(times))
    if all(array is not None for array in joints):
        np.save(partial / "joints.npy", np.concatenate([np.asarray(j, np.float16) for j in joints]))
    (partial / "index.json").write_text(json.dumps(index))
    partial.rename(folder)
    return len(index)


def laboratory(people: Sequence[int], frames: int = 50) -> list[WalkPlan]:
    """Plan of the laboratory protocol: eleven views, one walk each.

    Gallery: day 0 in normal clothes. Probes: day 1 in every condition.
    """
    gallery = plan_grid(people, sessions=(0,), numbers=(0,), conditions=("nm",), frames=frames)
    return gallery + plan_grid(people, sessions=(1,), numbers=(0,), frames=frames)


def fill(
    folder: Path,
    population: Population,
    people: range,
    plan: Callable[[range], list[WalkPlan]],
    *,
    levels: tuple[float, float] = (1.0, 1.0),
    draws: int = 1,
    per_shard: int = 25,
) -> None:
    """Write the missing shards of some synthetic subjects.

    Args:
        folder: Folder of the shards; several processes may fill it with different subjects.
        population: Synthetic subjects.
        people: Numbers of the subjects.
        plan: Gives the walks of some subjects.
        levels: Lowest and highest noise level of a walk.
        draws: Noisy versions of each walk.
        per_shard: Subjects in one shard.
    """
    cv2.setNumThreads(1)
    for first in people[::per_shard]:
        shard = folder / f"{population.split}-{population.seed}-{first:06d}"
        if shard.exists():
            continue
        began = time.process_time()
        items = plan(range(first, min(first + per_shard, people.stop)))
        count = write_shard(shard, synthetic_entries(population, items, draws, levels, population.seed))
        log.info("%s: %d sequences, %.1f CPU-s", shard.name, count, time.process_time() - began)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m gaitid.training.shards", description="Make synthetic shards."
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", choices=("train", "validation", "test"), default="train")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first subject (default: 0)")
    parser.add_argument("--identities", type=int, default=1200, help="number of subjects (default: 1200)")
    parser.add_argument("--per-identity", type=int, default=12, help="walks of a subject (default: 12)")
    parser.add_argument("--sessions", type=int, default=4, help="days of a subject (default: 4)")
    parser.add_argument("--frames", type=int, default=50, help="frames of a walk (default: 50)")
    parser.add_argument("--draws", type=int, default=2, help="noisy versions of a walk (default: 2)")
    parser.add_argument(
        "--levels",
        type=float,
        nargs=2,
        default=(0.3, 1.7),
        metavar=("LOWEST", "HIGHEST"),
        help="noise level of a walk (default: 0.3 1.7)",
    )
    parser.add_argument(
        "--restless",
        type=float,
        default=0.0,
        help="how much subjects turn, look aside and gesture; 1 is usual (default: 0)",
    )
    parser.add_argument(
        "--lifelike",
        action="store_true",
        help="clothes, postures and masks with the spreads of real people; see `Population`",
    )
    parser.add_argument("--per-shard", type=int, default=25, help="subjects in one shard (default: 25)")
    parser.add_argument(
        "--grid",
        action="store_true",
        help="laboratory plan: session 0 nm, session 1 nm bg cl, 11 views, noise level 1",
    )
    return parser.parse_args()


def main() -> None:
    """Write the missing shards."""
    options = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    varied = partial(
        plan_varied,
        per_identity=options.per_identity,
        sessions=options.sessions,
        frames=options.frames,
        seed=options.seed,
    )
    fill(
        options.folder,
        Population(options.seed, options.split, restless=options.restless, lifelike=options.lifelike),
        range(options.first, options.first + options.identities),
        partial(laboratory, frames=options.frames) if options.grid else varied,
        levels=(1.0, 1.0) if options.grid else tuple(options.levels),
        draws=options.draws,
        per_shard=options.per_shard,
    )


if __name__ == "__main__":
    main()
