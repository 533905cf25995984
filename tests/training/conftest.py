"""A small corpus of synthetic walks, made once per session."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from gaitid.synthetic import Population, WalkPlan
from gaitid.training.shards import synthetic_entries, write_shard

FRAMES = 24


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Sums depend on the number of threads; with one, results are the same on every machine."""
    if find_spec("torch"):
        import_module("torch").set_num_threads(1)


@pytest.fixture(scope="session")
def shards(tmp_path_factory) -> Path:
    """Four subjects, two days, one walk a day, two noisy versions of each."""
    folder = tmp_path_factory.mktemp("shards")
    population = Population(5)
    items = [WalkPlan(i, day, 0, "nm", 60.0 + 60 * day, FRAMES) for i in range(4) for day in range(2)]
    write_shard(folder / "train-a", synthetic_entries(population, items[:4], 2, (0.5, 1.0)))
    write_shard(folder / "train-b", synthetic_entries(population, items[4:], 2, (0.5, 1.0)))
    return folder


@pytest.fixture(scope="session")
def validation(tmp_path_factory) -> Path:
    """Three other subjects by the laboratory plan, at the views of the validation."""
    folder = tmp_path_factory.mktemp("validation")
    population = Population(5, "validation")
    views = (0.0, 36.0, 90.0, 126.0)
    plan = [(0, "nm"), (1, "nm"), (1, "bg"), (1, "cl")]
    items = [WalkPlan(i, day, 0, c, view, FRAMES) for i in range(3) for day, c in plan for view in views]
    write_shard(folder / "validation", synthetic_entries(population, items, 1, (1.0, 1.0)))
    return folder
