"""Training sequences on disk: frames of many walks end to end, read through a memory map.

A shard is a folder with ``silhouettes.npy`` (F, 352) uint8 bits, ``skeletons.npy`` (F, 17, 3) float32,
``times.npy`` (F,) float64, for synthetic walks also ``joints.npy`` (F, 17, 3) float16 metres, and
``index.json``: where each walk begins and whose it is. Segmentation noise costs five times what a
training step may wait for, so a few noisy versions of every walk are drawn once and kept.

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

from gaitid.errors import DatasetError, InputError
from gaitid.modalities.silhouette import pack
from gaitid.records import SILHOUETTE, SKELETON, GaitSequence
from gaitid.synthetic import Item, Population, plan_grid, plan_varied

log = logging.getLogger("training")

HEIGHT, WIDTH = 64, 44
_BYTES = HEIGHT * WIDTH // 8


@dataclass(frozen=True, slots=True)
class Label:
    """Whose walk it is, and how it was recorded.

    Attributes:
        subject: Name of the person.
        session: Day, or whatever keeps clothes and place together.
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
class Entry:
    """A labelled sequence, with its true joints when it is synthetic.

    Attributes:
        label: Whose it is.
        sequence: Both streams.
        joints: (T, 17, 3) metres, z up, or None.
    """

    label: Label
    sequence: GaitSequence
    joints: NDArray[np.floating] | None = None


def synthetic_entries(
    population: Population, items: Sequence[Item], draws: int, levels: tuple[float, float], seed: int = 0
) -> Iterator[Entry]:
    """Each walk of a plan, `draws` times, with noise levels drawn between `levels`."""
    for item in items:
        walk = item.make(population)
        label = Label(
            walk.subject, str(item.session), item.session * 1000 + item.number, item.condition, item.view
        )
        words = (seed, item.identity, item.session, item.number, int(item.view * 64) % 23040)
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(words)))
        for draw in range(draws):
            level = float(rng.uniform(*levels))
            try:
                sequence = walk.sequence(level, draw)
            except InputError:  # occluded in every frame
                continue
            good = np.isin(walk.times, sequence.times)
            centred = walk.joints - np.append(walk.root.mean(0), 0.0)
            yield Entry(label, sequence, centred[good])


def write_shard(folder: Path, entries: Iterable[Entry]) -> int:
    """Write one shard under its final name at once; gives the number of sequences.

    A stream is written when all entries have it.
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
        raise DatasetError(f"shard {folder.name} has no sequences", "one or more", "check the plan")
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


def laboratory(people: Iterable[int], frames: int = 50) -> list[Item]:
    """Gallery: day 0 in normal clothes. Probes: day 1 in every condition. Eleven views, a walk of each."""
    gallery = plan_grid(people, sessions=(0,), numbers=(0,), conditions=("nm",), frames=frames)
    return gallery + plan_grid(people, sessions=(1,), numbers=(0,), frames=frames)


def fill(
    folder: Path,
    population: Population,
    people: range,
    plan: Callable[[range], list[Item]],
    *,
    levels: tuple[float, float] = (1.0, 1.0),
    draws: int = 1,
    per_shard: int = 25,
) -> None:
    """Write the shards of those people that are not there yet.

    Args:
        folder: Where shards lie; several processes may fill it with different people.
        population: Whom they belong to.
        people: Numbers of identities.
        plan: The walks of some of them.
        levels: Strength of the noise of each walk, drawn between them.
        draws: Versions of each walk.
        per_shard: Identities in one shard.
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
    parser.add_argument("--first", type=int, default=0, help="number of the first identity")
    parser.add_argument("--identities", type=int, default=1200)
    parser.add_argument("--per-identity", type=int, default=12)
    parser.add_argument("--sessions", type=int, default=4)
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--levels", type=float, nargs=2, default=(0.3, 1.7))
    parser.add_argument(
        "--restless", type=float, default=0.0, help="see Population; 1 is as people usually are"
    )
    parser.add_argument("--per-shard", type=int, default=25, help="identities in one shard")
    parser.add_argument(
        "--grid",
        action="store_true",
        help="laboratory plan: session 0 nm, session 1 nm bg cl, 11 views, noise level 1",
    )
    return parser.parse_args()


def main() -> None:
    """Write the shards that are not there yet."""
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
        Population(options.seed, options.split, restless=options.restless),
        range(options.first, options.first + options.identities),
        partial(laboratory, frames=options.frames) if options.grid else varied,
        levels=(1.0, 1.0) if options.grid else tuple(options.levels),
        draws=options.draws,
        per_shard=options.per_shard,
    )


if __name__ == "__main__":
    main()
