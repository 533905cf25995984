"""A run of limited time plans its schedule for the steps that fit, and goes on with that plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gaitid[torch]'")

from gaitid.errors import ConfigError  # noqa: E402
from gaitid.training.budget import Budget, fitted  # noqa: E402
from gaitid.training.recipe import Batch, Data, Network, Recipe, Schedule  # noqa: E402
from gaitid.training.run import rate_at  # noqa: E402
from gaitid.training.team import Team  # noqa: E402
from gaitid.training.train import train  # noqa: E402
from tests.small import STRIDER as SMALL  # noqa: E402

LONG = Schedule(steps=1000, warmup=50, milestones=(500, 800), ema=0.995, check_every=100)


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _steps(clock: Clock, budget: Budget, pace: float, first: int, last: int) -> Schedule:
    planned = LONG
    for step in range(first, last):
        clock.now += pace
        planned = budget.plan(step + 1, LONG, planned)
    return planned


def test_a_schedule_keeps_its_shape_when_it_is_shortened():
    short = fitted(LONG, 200)
    assert (short.steps, short.warmup, short.milestones) == (200, 10, (100, 160))
    assert short.ema == pytest.approx(0.975)
    assert fitted(LONG, 10).ema == pytest.approx(0.9)
    assert fitted(LONG, 5000) == LONG
    assert fitted(LONG, 0).steps == 0


def test_the_plan_is_as_many_steps_as_fit_at_the_measured_pace():
    clock = Clock()
    budget = Budget(10, now=clock)  # 600 s, of which 3 % are kept for the last validation
    assert _steps(clock, budget, 2.0, 0, 4) == LONG  # the pace is not yet known
    assert _steps(clock, budget, 2.0, 4, 20).steps == pytest.approx(291, abs=1)
    slower = _steps(clock, budget, 4.0, 20, 130)  # a hundred steps later the pace is the new one
    assert slower.steps == pytest.approx(130 + (582 - 480) / 4, abs=1)


def test_validations_are_paid_from_the_time():
    clock = Clock()
    budget = Budget(10, now=clock)
    _steps(clock, budget, 2.0, 0, 100)
    clock.now += 50
    budget.validated(50)
    planned = _steps(clock, budget, 2.0, 100, 101)
    assert planned.steps == pytest.approx(101 + (600 - 252 - 100) / 2.5, abs=1)


def test_a_run_whose_time_is_over_ends_at_once():
    clock = Clock()
    budget = Budget(1, used_s=59, now=clock)
    assert budget.used_s == 59
    assert _steps(clock, budget, 1.0, 40, 45).steps == 45


@pytest.fixture
def recipe(shards: Path, validation: Path) -> Recipe:
    schedule = Schedule(steps=100_000, warmup=100, check_every=10**6, save_every=1)
    return Recipe(Data(shards, validation), Network("strider", SMALL), Batch(3, 2, (6,)), schedule=schedule)


def test_a_run_ends_in_time_with_its_rate_at_zero_and_stays_ended(recipe, tmp_path):
    run = train(recipe, tmp_path, workers=0, minutes=0.04)
    assert 5 <= run.step == run.schedule.steps < 5000
    assert rate_at(run.step, run.schedule) < 0.05 * recipe.schedule.rate
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert (state["step"], state["steps"]) == (run.step, run.step)
    assert (state["minutes"], state["seconds"] > 0) == (0.04, True)
    assert train(recipe, tmp_path, workers=0, minutes=0.04).step == run.step


def test_more_minutes_go_on_from_the_checkpoint(recipe, tmp_path):
    short = replace(recipe, schedule=replace(recipe.schedule, steps=12))
    assert train(short, tmp_path, workers=0, minutes=1e-6).step < 12
    assert train(short, tmp_path, workers=0, minutes=60).step == 12


def test_a_negative_time_is_refused(recipe, tmp_path):
    with pytest.raises(ConfigError, match="0 or more, and one process"):
        train(recipe, tmp_path, workers=0, minutes=-1)


def test_auto_takes_a_gpu_if_there_is_one(monkeypatch):
    with Team.join("auto") as team:
        assert team.device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with Team.join("auto") as team:
        assert team.device.type == "cuda"
