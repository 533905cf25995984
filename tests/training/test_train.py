"""The loop learns, resumes identically after kill -9, and reports when training fails."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gaitid[torch]'")

from gaitid import settings  # noqa: E402
from gaitid.encoders.architectures import find  # noqa: E402
from gaitid.encoders.networks import build  # noqa: E402
from gaitid.errors import ConfigError, UnknownName  # noqa: E402
from gaitid.training.batches import BatchMaker, stream  # noqa: E402
from gaitid.training.checkpoint import grow, imprint, start_from  # noqa: E402
from gaitid.training.recipe import (  # noqa: E402
    Augmentation,
    Batch,
    Data,
    Network,
    PoseAugmentation,
    Recipe,
    Schedule,
)
from gaitid.training.run import Run, TrainingFailed, rate_at  # noqa: E402
from gaitid.training.train import train  # noqa: E402
from gaitid.training.validation import MEASURES  # noqa: E402
from tests.small import STRIDER as SMALL  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
STEPS = 12


@pytest.fixture
def recipe(shards: Path, validation: Path) -> Recipe:
    return Recipe(
        Data(shards, validation),
        Network("strider", SMALL),
        Batch(3, 2, (6, 8)),
        schedule=Schedule(steps=STEPS, warmup=3, check_every=6, save_every=2),
    )


def _toml(recipe: Recipe) -> str:
    return f"""
seed = {recipe.seed}
[data]
train = "{recipe.data.train}"
validation = "{recipe.data.validation}"
[network]
name = "strider"
arguments = {{ stem = 4, frame = 4, trunk = [8, 8, 8], part_dimension = 4, projection = 16 }}
[batch]
subjects = 3
each = 2
frames = [6, 8]
[schedule]
steps = {STEPS}
warmup = 3
check_every = 6
save_every = 2
"""


def _weights(run: Path) -> dict[str, object]:
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    assert state["step"] == STEPS
    return {f"{part}.{k}": v for part in ("network", "average", "classifier") for k, v in state[part].items()}


def _assert_equal(one: dict, two: dict) -> None:
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert torch.equal(value, two[name]), name


def _rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_recipe_is_read_from_toml(tmp_path: Path, recipe: Recipe):
    file = tmp_path / "recipe.toml"
    file.write_text(_toml(recipe))
    assert settings.load(file, Recipe) == recipe
    file.write_text(_toml(recipe) + "rat = 1\n")
    with pytest.raises(ConfigError, match="'rat'"):
        settings.load(file, Recipe)


def test_every_recipe_in_the_repository_is_valid():
    files = sorted({*(ROOT / "training/recipes").glob("*.toml")} - {ROOT / "training/recipes/shipped.toml"})
    assert files
    for file in files:
        recipe = settings.load(file, Recipe)
        build(recipe.network.name, recipe.network.arguments)


def test_a_killed_and_resumed_run_ends_with_identical_weights(tmp_path: Path, recipe: Recipe):
    torch.set_num_threads(1)
    train(recipe, tmp_path / "whole", workers=0)
    file = tmp_path / "recipe.toml"
    file.write_text(_toml(recipe))
    run = tmp_path / "killed"
    command = [sys.executable, "-m", "gaitid.training.train", str(file), str(run), "--workers", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (run / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)
    reached = torch.load(run / "checkpoint.pt", weights_only=True)["step"]
    assert 0 < reached < STEPS
    train(recipe, run, workers=0)
    _assert_equal(_weights(run), _weights(tmp_path / "whole"))
    rows, whole = _rows(run), _rows(tmp_path / "whole")
    assert [row["step"] for row in rows] == [str(step) for step in range(1, STEPS + 1)]
    for row, other in zip(rows, whole, strict=True):
        row.pop("seconds"), other.pop("seconds")
        assert row == other


def test_a_worker_makes_the_same_batches(recipe: Recipe):
    here = list(stream(recipe, range(3, 6), 0))
    there = list(stream(recipe, range(3, 6), 1))
    for one, other in zip(here, there, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path, recipe: Recipe):
    train(replace(recipe, schedule=replace(recipe.schedule, steps=2)), tmp_path, workers=0)
    with pytest.raises(ConfigError, match="another recipe"):
        train(replace(recipe, seed=2), tmp_path, workers=0)


@pytest.mark.parametrize("content", [b"garbage", b"", "no run"])
def test_a_damaged_checkpoint_is_reported(tmp_path: Path, recipe: Recipe, content):
    checkpoint = tmp_path / "checkpoint.pt"
    if isinstance(content, bytes):
        checkpoint.write_bytes(content)
    else:
        torch.save({"step": 3}, checkpoint)
    with pytest.raises(ConfigError, match=r"checkpoint\.pt is not a checkpoint of a run"):
        train(recipe, tmp_path, workers=0)


@pytest.mark.parametrize("device", ["banana", "cuda:x", "cuda:99", "mps"])
def test_a_missing_device_is_reported(tmp_path: Path, recipe: Recipe, device):
    with pytest.raises(ConfigError, match=f"device .*{device}"):
        train(recipe, tmp_path, workers=0, device=device)


def test_a_run_starts_from_another_and_refuses_a_foreign_one(tmp_path: Path, recipe: Recipe):
    first = replace(recipe, schedule=replace(recipe.schedule, steps=2))
    old = train(first, tmp_path / "old", workers=0)
    next_recipe = replace(first, start=str(tmp_path / "old" / "checkpoint.pt"), seed=9)
    new = Run(next_recipe, 4)
    start_from(new, Path(next_recipe.start))
    _assert_equal(new.network.state_dict(), old.average.state_dict())
    _assert_equal(new.classifier.state_dict(), old.classifier.state_dict())
    for arguments in ({**SMALL, "parts": 8}, {**SMALL, "frame": 2}):
        other = Run(replace(recipe, network=Network("strider", arguments)), 4)
        with pytest.raises(ConfigError, match="another network"):
            start_from(other, Path(next_recipe.start))


def test_a_larger_network_starts_from_a_smaller_one(recipe: Recipe):
    small = Run(recipe, 4).network
    wider = replace(recipe, network=Network("strider", {**SMALL, "trunk": [12, 8, 8], "later": 1}))
    large = Run(wider, 4).network
    own = large.enter[0].weight.detach().clone()
    new = grow(large, small.state_dict())
    assert {"enter.0.weight", "later.0.0.weight"} < set(new)
    assert "stem.1.weight" not in new
    torch.testing.assert_close(large.enter[0].weight[:8], small.enter[0].weight, rtol=0, atol=0)
    torch.testing.assert_close(large.enter[0].weight[8:], own[8:], rtol=0, atol=0)
    longer = Run(replace(recipe, network=Network("strider", {**SMALL, "projection": 20})), 4).network
    assert grow(longer, small.state_dict()) == ["projection.weight"]
    clips = torch.rand(2, 5, 64, 44)
    with torch.inference_mode():
        torch.testing.assert_close(longer.eval().wide(clips), small.eval().wide(clips))


def test_mixing_parts_initially_changes_nothing(recipe: Recipe):
    small = Run(recipe, 4).network.eval()
    mixed = Run(replace(recipe, network=Network("strider", {**SMALL, "mix": 6})), 4).network.eval()
    assert all(name.startswith("mix.") for name in grow(mixed, small.state_dict()))
    clips = torch.rand(2, 5, 64, 44)
    with torch.inference_mode():
        torch.testing.assert_close(mixed(clips), small(clips))


def test_a_classifier_starts_with_the_means_of_its_subjects(recipe: Recipe):
    run, maker = Run(recipe, 4), BatchMaker(recipe)
    imprint(run, maker)
    clips, classes, _ = maker(0, range(3))
    assert classes.tolist() == [0, 0, 1, 1, 2, 2]
    with torch.inference_mode():
        wide = run.network.wide(torch.from_numpy(clips).float())
    means = torch.nn.functional.normalize(wide.reshape(3, 2, -1).mean(1))
    torch.testing.assert_close(run.classifier.weight.detach()[:3], means)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_lengths_may_be_on_the_cpu_when_the_network_is_on_a_gpu(device):
    """The device "meta" computes nothing, but like a GPU it refuses tensors of other devices."""
    network = build("stickman", {"width": 8}).to("meta")
    clips = torch.zeros(2, 9, *find("stickman").clips.frame_shape, device="meta")
    assert network(clips, torch.full((2,), 9, device=device)).shape == (2, network.dimension)


def test_the_validation_results_are_in_the_metrics(tmp_path: Path, recipe: Recipe):
    train(recipe, tmp_path, workers=0)
    looks = [row for row in _rows(tmp_path) if row["cross_cl"]]
    assert [row["step"] for row in looks] == ["6", "12"]
    for row in looks:
        assert all(0 <= float(row[name]) <= 1 for name in MEASURES[:-1])


def test_it_learns_its_four_subjects(recipe: Recipe):
    names = ("drop", "flip", "shift_px", "scale", "shear", "morphology", "coarse", "rough", "erase", "blink")
    plain = Augmentation(speed=1.0, cut=0.0, **dict.fromkeys(names, 0.0))
    wider = Network("strider", {**SMALL, "frame": 8, "trunk": [24, 24, 24], "part_dimension": 8})
    schedule = Schedule(steps=60, warmup=3, rate=3e-3)
    longer = replace(recipe, network=wider, schedule=schedule, augmentation=plain, batch=Batch(4, 3, (8,)))
    run = Run(longer, 4)
    losses = [run.advance(*batch)["loss"] for batch in stream(longer, range(60), 0)]
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


def test_it_learns_from_skeletons_too(recipe: Recipe):
    network = Network("stickman", {"width": 16, "dilations": [1, 2], "hidden": 32, "projection": 16})
    calm = PoseAugmentation(spread_deg=(10.0,), noise=(0.0, 0.5), hide=0.0, drop=0.0, blink=0.0)
    schedule = Schedule(steps=40, warmup=3, rate=3e-3)
    other = replace(recipe, network=network, schedule=schedule, poses=calm, batch=Batch(4, 2, (20,)))
    run = Run(other, 4)
    losses = [run.advance(*batch)["loss"] for batch in stream(other, range(40), 0)]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])


def test_nan_and_collapse_stop_the_run(recipe: Recipe):
    run = Run(recipe, 4)
    clips, classes, _ = next(iter(stream(recipe, range(1), 0)))
    with torch.no_grad():
        run.classifier.weight[0, 0] = float("nan")
    with pytest.raises(TrainingFailed, match="loss is nan"):
        run.advance(clips, classes)
    run = Run(recipe, 4)
    run.step = 51
    with torch.no_grad():
        run.network.norm.weight.zero_()
        run.network.norm.bias.fill_(1.0)
    with pytest.raises(TrainingFailed, match="collapsed"):
        run.advance(clips, classes)


def test_a_neck_removes_what_all_embeddings_share(recipe: Recipe):
    run = Run(replace(recipe, loss=replace(recipe.loss, neck=True)), 4)
    features = torch.randn(8, run.network.wide_dimension)
    classes = torch.arange(4).repeat(2)
    camera = torch.zeros_like(classes)
    alone, together = (run._terms(x, classes, camera)["contrastive"] for x in (features, features + 10))
    torch.testing.assert_close(alone, together, atol=1e-3, rtol=0)
    unit = torch.nn.functional.normalize(features + 10, dim=1)
    bare = Run(recipe, 4)._terms(unit, classes, camera)["contrastive"]
    assert (bare - alone).abs() > 0.01


def test_the_rate_warms_up_and_falls_to_zero():
    schedule = Schedule(steps=100, warmup=10, rate=1e-3)
    rates = [rate_at(step, schedule) for step in range(101)]
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == pytest.approx(1e-3)
    assert rates.index(max(rates)) in (9, 10)
    assert rates[100] == pytest.approx(0)
    assert all(a >= b for a, b in pairwise(rates[10:]))


def test_an_unknown_network_names_the_nearest():
    with pytest.raises(UnknownName, match="strider"):
        build("stridr", {})
