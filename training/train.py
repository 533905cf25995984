"""The training loop, from a recipe to a weight file. An interrupted run continues with the same command.

    python -m gaitid.training.train training/recipes/strider.toml RUN

RUN holds ``checkpoint.pt`` (everything the next step needs), ``metrics.csv``, ``curves.png`` and
``train.log``, and at the end ``RUN.safetensors``, an encoder that can be evaluated and served. Batches,
augmentation and weights depend only on the recipe's seed and the step. A run that was killed and resumed
therefore ends with identical weights on the same machine and number of threads.
"""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path

import torch

from gaitid import settings
from gaitid.errors import ConfigError

from .batches import BatchMaker, LabelledClips, stream
from .budget import Budget, fitted
from .checkpoint import CHECKPOINT, imprint, read_state, save, start_from
from .corpus import AnyCorpus, corpora
from .curves import plot
from .pack import finish
from .progress import Clock, Metrics
from .recipe import Recipe
from .run import Run
from .team import Team
from .traits import trait_table
from .validation import MEASURES, embedder, validate

log = logging.getLogger("training")

_LOG_EVERY = 10
"""Steps between lines of the log."""


def train(
    recipe: Recipe, folder: Path, *, workers: int = 1, device: str = "cpu", minutes: float = 0.0
) -> Run:
    """Train to the last step of the recipe, from the folder's checkpoint if there is one.

    Under ``torchrun`` the processes share every batch; the first one writes the folder.

    Args:
        recipe: Settings of the run.
        folder: Folder of the run.
        workers: Processes that make batches; 0 makes them in this process.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        minutes: Wall time of the run, all parts together; 0 for as long as its steps take.

    Raises:
        ConfigError: The recipe, the checkpoint, the device or the time is wrong.
        DatasetError: The data do not have what the recipe requests.
        TrainingFailed: The loss is not finite, or the embeddings have collapsed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_flush_denormal(True)  # values near zero would slow down every layer
    try:
        with Team.join(device) as team:
            return _train(recipe, folder, workers, team, _minutes(minutes, team))
    finally:
        torch.set_flush_denormal(False)


def _minutes(minutes: float, team: Team) -> float:
    """Check the time of a run."""
    if minutes < 0 or (minutes and team.size > 1):
        raise ConfigError(
            f"Argument minutes is {minutes:g} with {team.size} processes",
            "0 or more, and one process",
            "Pass a positive number, or train with one process",
        )
    return minutes


def _train(recipe: Recipe, folder: Path, workers: int, team: Team, minutes: float) -> Run:
    learned, validation = corpora(recipe)
    run, used_s = _begin(recipe, folder, learned, team, minutes)
    if not team.first:
        logging.disable(logging.INFO)
    budget = Budget(minutes, used_s) if minutes else None
    clock = Clock(run.step)
    recorder = _Recorder(run, folder, validation, clock, budget) if team.first else None
    for batch in clock.waiting(stream(recipe, range(run.step, run.recipe.schedule.steps), workers)):
        if run.step >= run.schedule.steps:
            break
        values = _step(run, batch)
        if budget is not None:
            run.schedule = budget.plan(run.step, recipe.schedule, run.schedule)
        if recorder is not None:
            recorder.record(values)
    return run


def _begin(recipe: Recipe, folder: Path, learned: AnyCorpus, team: Team, minutes: float) -> tuple[Run, float]:
    """Resume from the folder's checkpoint, or start a new run; with the seconds that it took so far."""
    used_s = 0.0
    traits = trait_table(learned.subjects) if recipe.loss.traits else None
    run = Run(recipe, len(learned.subjects), team, traits)
    if (folder / CHECKPOINT).exists():
        state = read_state(folder / CHECKPOINT)
        run.restore(state)
        used_s = state.get("seconds", 0.0)
        if minutes and state.get("minutes") == minutes:  # the plan holds until the pace is known again
            run.schedule = fitted(recipe.schedule, state["steps"])
        log.info("resumed at step %d", run.step)
    elif recipe.start and not start_from(run, Path(recipe.start)) and run.classifies:
        imprint(run, BatchMaker(recipe))
    return run, used_s


def _step(run: Run, batch: LabelledClips) -> dict[str, float]:
    run.network.train()
    return run.advance(*batch)


class _Recorder:
    """Log, metrics, validation and checkpoints of a run.

    Args:
        run: The run.
        folder: Folder of the run.
        validation: Sequences of the validation subjects; may be empty.
        clock: Time of this part of the run.
        budget: Time of the whole run, if that is limited.
    """

    def __init__(
        self, run: Run, folder: Path, validation: AnyCorpus, clock: Clock, budget: Budget | None
    ) -> None:
        self._run, self._folder, self._validation, self._clock = run, folder, validation, clock
        self._budget = budget
        self._metrics = Metrics(folder / "metrics.csv", run.step)

    def record(self, values: dict[str, float]) -> None:
        """Record the step that the run has just taken."""
        step, schedule = self._run.step, self._run.schedule
        last = step >= schedule.steps
        validates = last or step % schedule.check_every == 0
        if validates:
            values = {**values, **self._validate()}
        self._metrics.add(step, {**values, "seconds": self._clock.seconds})
        if step % _LOG_EVERY == 0:
            left = self._clock.eta(step, schedule.steps)
            log.info("step %d/%d loss %.3f %s", step, schedule.steps, values["loss"], left)
        if last or step % schedule.save_every == 0:
            self._metrics.flush()
            save(self._folder / CHECKPOINT, {**self._run.state(), **self._spent})
        if validates:
            self._metrics.flush()
            plot(self._folder / "metrics.csv", self._folder / "curves.png")

    @property
    def _spent(self) -> dict[str, float]:
        """What a run of limited time needs to go on: its limit, its time so far, and the steps planned."""
        spent = self._budget
        if spent is None:
            return {}
        return {"minutes": spent.minutes, "seconds": spent.used_s, "steps": self._run.schedule.steps}

    def _validate(self) -> dict[str, float]:
        if not len(self._validation):
            return {}
        began = time.monotonic()
        found = validate(self._validation, embedder(self._run.average, self._validation))
        words = ", ".join(f"{name} {found[name]:.3f}" for name in MEASURES if name in found)
        log.info("step %d validation: %s", self._run.step, words)
        if self._budget is not None:
            self._budget.validated(time.monotonic() - began)
        return found


def run_recipe(
    recipe: Path,
    folder: Path,
    *,
    workers: int = 1,
    threads: int = 1,
    device: str = "auto",
    minutes: float = 0.0,
) -> Path | None:
    """Train by a recipe file, with a log on the terminal and in the folder.

    Args:
        recipe: TOML file; see `recipe`.
        folder: Folder of the run.
        workers: Processes that make batches; 0 makes them in this process.
        threads: Threads of the network.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        minutes: See `train`.

    Returns:
        The weight file; None in all processes but the first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        handlers=[logging.StreamHandler(), logging.FileHandler(folder / "train.log")],
        force=True,
    )
    torch.set_num_threads(threads)
    settled = settings.load(recipe, Recipe)
    run = train(settled, folder, workers=workers, device=device, minutes=minutes)
    return finish(run, folder) if run.team.first else None


def main() -> None:
    """Train by a recipe."""
    parser = argparse.ArgumentParser(prog="python -m gaitid.training.train")
    parser.add_argument("recipe", type=Path, help="TOML file, such as training/recipes/strider.toml")
    parser.add_argument("folder", type=Path, help="folder of the run; an interrupted run is resumed")
    parser.add_argument("--workers", type=int, default=1, help="processes that make batches (default: 1)")
    parser.add_argument("--threads", type=int, default=1, help="threads of the network (default: 1)")
    parser.add_argument(
        "--device",
        default="auto",
        help="auto, cpu, cuda or cuda:N; torchrun chooses N itself (default: auto)",
    )
    parser.add_argument(
        "--minutes", type=float, default=0.0, help="wall time; the schedule is planned for what fits"
    )
    options = vars(parser.parse_args())
    if target := run_recipe(options.pop("recipe"), options.pop("folder"), **options):
        log.info("weights: %s", target)


if __name__ == "__main__":
    main()
