"""Everything that ships, from nothing: data, networks, weight files. An interrupted run continues.

    python -m gaitid.training.shipped [STAGES] [--minutes N]

STAGES is a TOML file of what to make in which order, by default ``training/recipes/shipped.toml``. Data go
to ``data/``, runs and weight files to ``runs/``, which is where the recipes look for them. What is there
already is kept: finished shards, finished steps, weight files newer than their run.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from gaitid import settings
from gaitid.synthetic import Population, plan_varied
from gaitid.workers import pool

from .recipe import Recipe
from .shards import fill, laboratory

log = logging.getLogger("training")

RECIPES = Path(__file__).with_name("recipes")
DATA, RUNS = Path("data"), Path("runs")
_NAMES = ("recipe", "folder", "packed")
"""Attributes that name a stage."""
_PER_SHARD = 25
_WALKS, _DAYS, _FRAMES = 12, 4, 50
"""Walks of a subject, days that they are spread over, and frames of a walk."""


@dataclass(frozen=True)
class Shards:
    """A folder of synthetic subjects; see `shards`.

    Attributes:
        folder: Name in ``data/``.
        split: ``train``, ``validation`` or ``test``.
        identities: Number of subjects.
        first: Number of the first one.
        seed: Seed of the subjects.
        restless: How much subjects turn, look aside and gesture.
        grid: Whether walks follow the laboratory plan.
        hours: Time on two CPU cores.
    """

    folder: str
    split: str
    identities: int
    first: int = 0
    seed: int = 1
    restless: float = 0.0
    grid: bool = False
    hours: float = 0.1


@dataclass(frozen=True)
class Training:
    """A run, in ``runs/RECIPE``.

    Attributes:
        recipe: Name of a recipe beside the stages.
        packed: Name of the weight file to make of it; empty for none.
        share: Share of the run in these weights; see `pack.load_average`.
        training_data: For the card of the weight file, in one sentence.
        hours: Time on two CPU cores.
    """

    recipe: str
    packed: str = ""
    share: float = 1.0
    training_data: str = ""
    hours: float = 1.0


@dataclass(frozen=True)
class Measuring:
    """Measures of body and stride beside a network of skeletons in space; see `measures`.

    Attributes:
        network: Name of the network's weight file.
        packed: Name of the weight file to make.
        hours: Time on two CPU cores.
    """

    network: str
    packed: str
    hours: float = 0.1


@dataclass(frozen=True)
class Fusing:
    """The fused encoder of two of the weight files; see `fuse`.

    Attributes:
        silhouette: Name of a weight file.
        skeleton: Name of a weight file.
        data: Name of the shards of subjects whom neither saw.
        training_data: For the card, in one sentence.
        hours: Time on two CPU cores.
    """

    silhouette: str
    skeleton: str
    data: str
    training_data: str
    hours: float = 0.5


@dataclass(frozen=True)
class Stages:
    """Contents of the file.

    Attributes:
        shards: Data, made first.
        training: Runs, in order.
        measuring: Made after the runs; None for nothing.
        fusing: Made last; None for nothing.
    """

    shards: tuple[Shards, ...]
    training: tuple[Training, ...]
    measuring: Measuring | None = None
    fusing: Fusing | None = None

    @property
    def hours(self) -> float:
        """Time of all stages on two CPU cores."""
        return sum(stage.hours for stage in self)

    def __iter__(self) -> Iterator[Shards | Training | Measuring | Fusing]:
        yield from self.shards
        yield from self.training
        yield from (stage for stage in (self.measuring, self.fusing) if stage is not None)


@dataclass(frozen=True)
class Machine:
    """What the stages may use.

    Attributes:
        cores: Processor cores.
        device: See `train.train`.
        pace: Minutes that a stage may take for each of its hours; 0 for no limit.
    """

    cores: int
    device: str = "auto"
    pace: float = 0.0


def make(stages: Stages, folder: Path, machine: Machine) -> list[Path]:
    """Make what is missing, in order.

    Args:
        stages: What to make.
        folder: Folder of the recipes.
        machine: What may be used.

    Returns:
        The weight files.
    """
    made: list[Path] = []
    for number, stage in enumerate(stages, 1):
        name = next((str(getattr(stage, key)) for key in _NAMES if hasattr(stage, key)), "fused")
        log.info("stage %d of %d: %s", number, len(list(stages)), name)
        if isinstance(stage, Shards):
            generate(stage, machine)
        elif isinstance(stage, Training):
            made += run(stage, folder, machine)
        else:
            made.append(measure(stage) if isinstance(stage, Measuring) else fuse(stage))
    return made


def generate(stage: Shards, machine: Machine) -> None:
    """Write the missing shards with one process per core, as many as the time allows, at least one."""
    firsts = range(stage.first, stage.first + stage.identities, _PER_SHARD)
    limit = time.time() + 60 * stage.hours * machine.pace if machine.pace else None
    with pool(min(machine.cores, len(firsts))) as processes:
        list(processes.map(partial(_fill, stage, limit), firsts))


def _fill(stage: Shards, limit: float | None, first: int) -> None:
    if limit is not None and first > stage.first and time.time() > limit:
        return
    walks = partial(plan_varied, per_identity=_WALKS, sessions=_DAYS, frames=_FRAMES, seed=stage.seed)
    fill(
        DATA / stage.folder,
        Population(stage.seed, stage.split, restless=stage.restless),
        range(first, min(first + _PER_SHARD, stage.first + stage.identities)),
        partial(laboratory, frames=_FRAMES) if stage.grid else walks,
        levels=(1.0, 1.0) if stage.grid else (0.3, 1.7),
        draws=1,
        per_shard=_PER_SHARD,
    )


def run(stage: Training, folder: Path, machine: Machine) -> list[Path]:
    """Train a recipe and pack it, if it is to be packed."""
    import torch

    from .checkpoint import CHECKPOINT
    from .corpus import Corpus
    from .pack import WeightOrigin, pack
    from .train import train

    recipe = settings.load(folder / f"{stage.recipe}.toml", Recipe)
    if machine.pace:
        there = len(Corpus(recipe.data.train).subjects)
        recipe = replace(recipe, data=replace(recipe.data, identities=min(recipe.data.identities, there)))
    torch.set_num_threads(max(1, machine.cores // 2))
    target = RUNS / stage.recipe
    workers = max(1, machine.cores // 2)
    train(recipe, target, workers=workers, device=machine.device, minutes=stage.hours * machine.pace)
    file = RUNS / f"{stage.packed}.safetensors"
    if not stage.packed or _newer(file, target / CHECKPOINT):
        return [file] if stage.packed else []
    origin = WeightOrigin(stage.packed, stage.training_data, "make train")
    pack(recipe, target, Corpus(DATA / "test"), file, origin, stage.share)
    return [file]


def measure(stage: Measuring) -> Path:
    """Fit measures to a network in a process of its own."""
    file, network = (RUNS / f"{name}.safetensors" for name in (stage.packed, stage.network))
    if not _newer(file, network):
        data = [str(DATA / name) for name in ("validation", "test")]
        command = [sys.executable, "-m", "gaitid.training.measures", str(network), *data, str(file)]
        subprocess.run(command, check=True)
    return file


def fuse(stage: Fusing) -> Path:
    """Train the fused encoder in a process of its own."""
    file = RUNS / "fused.safetensors"
    experts = [RUNS / f"{name}.safetensors" for name in (stage.silhouette, stage.skeleton)]
    if all(_newer(file, expert) for expert in experts):
        return file
    data = [str(DATA / name) for name in (stage.data, "validation", "test")]
    flags = ["--silhouette", str(experts[0]), "--skeleton", str(experts[1])]
    command = [sys.executable, "-m", "gaitid.training.fuse", *data, str(file), *flags]
    subprocess.run([*command, "--training-data", stage.training_data], check=True)
    return file


def _newer(file: Path, source: Path) -> bool:
    return file.exists() and file.stat().st_mtime >= source.stat().st_mtime


def main() -> None:
    """Make everything that ships."""
    parser = argparse.ArgumentParser(prog="python -m gaitid.training.shipped")
    parser.add_argument("stages", type=Path, nargs="?", default=RECIPES / "shipped.toml")
    parser.add_argument(
        "--minutes", type=float, default=0.0, help="time for everything but the fused encoder"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    parser.add_argument(
        "--cores", type=int, default=os.cpu_count() or 1, help="processor cores (default: all)"
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    stages = settings.load(options.stages, Stages)
    log.info("%.1f hours on two CPU cores", stages.hours)
    machine = Machine(options.cores, options.device, options.minutes / stages.hours)
    for file in make(stages, options.stages.parent, machine):
        log.info("weights: %s", file)


if __name__ == "__main__":
    main()
