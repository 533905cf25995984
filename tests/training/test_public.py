"""Training on public data sets: parts, milestones, original layouts, several processes."""

from __future__ import annotations

import csv
import os
import socket
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gaitid[torch]'")

from gaitid import settings  # noqa: E402
from gaitid.cli import main  # noqa: E402
from gaitid.datasets.conversion import prepare  # noqa: E402
from gaitid.datasets.opening import open_dataset  # noqa: E402
from gaitid.encoders import weights  # noqa: E402
from gaitid.encoders.base import load_encoder  # noqa: E402
from gaitid.encoders.networks import build  # noqa: E402
from gaitid.errors import ConfigError, DatasetError  # noqa: E402
from gaitid.records import GaitSequence  # noqa: E402
from gaitid.synthetic import Population  # noqa: E402
from gaitid.synthetic.layouts import LayoutWalk, write_layout  # noqa: E402
from gaitid.training import losses  # noqa: E402
from gaitid.training.batches import BatchMaker  # noqa: E402
from gaitid.training.checkpoint import read_state  # noqa: E402
from gaitid.training.corpus import split_dataset  # noqa: E402
from gaitid.training.curves import plot  # noqa: E402
from gaitid.training.pack import finish  # noqa: E402
from gaitid.training.recipe import Batch, Data, Loss, Network, Published, Recipe, Schedule  # noqa: E402
from gaitid.training.run import Run  # noqa: E402
from gaitid.training.train import train  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
RECIPES = sorted(
    {*(ROOT / "training" / "recipes").rglob("*.toml")} - {ROOT / "training/recipes/shipped.toml"}
)
"""Without the list of stages, which tests/training/test_stages.py reads."""
TINY = {"channels": [4, 8, 8], "part_dimension": 8}


@pytest.fixture(scope="session")
def casia(tmp_path_factory) -> Path:
    """CASIA-B in miniature: three training subjects, one test subject, two walks from two views."""
    population = Population(3)
    walks = [
        LayoutWalk(
            subject, "nm", number, view, population.sequence(subject, number, view=view, frames=12).clean
        )
        for subject in (1, 2, 3, 75)
        for number in (1, 2)
        for view in (0, 90)
    ]
    return write_layout("casia-b-pkl", tmp_path_factory.mktemp("casia"), walks)


def _published(data: Data) -> Recipe:
    return Recipe(
        data,
        Network("gaitset", TINY),
        Batch(2, 2, (6,), "unordered"),
        Loss(contrastive=0, projected=0, triplet=1.0, per_part=True, scale=16.0),
        Schedule(steps=4, warmup=0, rate=0.01, optimiser="sgd", milestones=(2,), check_every=2, save_every=2),
    )


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_every_recipe_is_valid_and_builds_its_network(file):
    recipe = settings.load(file, Recipe)
    assert recipe.batch.subjects >= 2
    large = recipe.network.name in ("gaitbase", "deepgaitv2")
    with torch.device("meta") if large else nullcontext():
        build(recipe.network.name, recipe.network.arguments)
    if recipe.data.dataset:
        assert file.stem == f"{recipe.network.name}_{recipe.data.dataset}"
        assert recipe.data.gray == recipe.loss.per_part == (recipe.published is not None)


# Facts of the framework's configurations: batch, clips (shortest, longest, order, skipped), optimiser (rate,
# decay), steps, milestones in thousands, and changes (perspective, flip, rotate, erase).
_SGD, _ADAM = ("sgd", 0.1, 5e-4), ("adam", 1e-4, 0.0)
_FIXED, _ORDERED, _TEN = (30, 30, "unordered", 0), (30, 30, "ordered", 4), (10, 10, "unordered", 0)
_NONE, _ALL = (0, 0, 0, 0), (0.2, 0.2, 0.2, 0)
CONFIGURATIONS = {
    "gaitset_casia-b": ((8, 16), _FIXED, _SGD, 40, (10, 20, 30), _NONE),
    "gaitset_ou-mvlp": ((32, 16), _FIXED, _ADAM, 250, (150,), _NONE),
    "gaitset_grew": ((32, 4), _FIXED, _ADAM, 250, (150,), _NONE),
    "gaitset_gait3d": ((32, 4), _FIXED, ("adam", 1e-3, 5e-4), 180, (30, 90), _NONE),
    "gaitbase_casia-b": ((8, 16), _FIXED, _SGD, 60, (20, 40, 50), (0, 0, 0.3, 0.3)),
    "gaitbase_ou-mvlp": ((32, 8), _FIXED, _SGD, 120, (60, 80, 100), _NONE),
    "gaitbase_grew": ((32, 4), (20, 40, "unordered", 0), _SGD, 180, (80, 120, 150), _ALL),
    "gaitbase_gait3d": ((32, 4), (10, 50, "unordered", 0), _SGD, 60, (20, 40, 50), _ALL),
    "gaitbase_ccpg": ((8, 16), _FIXED, _SGD, 60, (20, 40, 50), _NONE),
    "deepgaitv2_casia-b": ((8, 16), _ORDERED, _SGD, 60, (20, 40, 50), _ALL),
    "deepgaitv2_ou-mvlp": ((32, 8), _ORDERED, _SGD, 120, (60, 80, 100), _ALL),
    "deepgaitv2_grew": ((32, 4), _ORDERED, _SGD, 180, (80, 120, 150), _ALL),
    "deepgaitv2_gait3d": ((32, 4), _ORDERED, _SGD, 60, (20, 40, 50), _ALL),
    "deepgaitv2_ccpg": ((8, 16), _ORDERED, _SGD, 60, (20, 40, 50), _ALL),
    "deepgaitv2_sustech1k": ((8, 8), _TEN, _SGD, 50, (20, 30, 40), _ALL),
}
_NETWORKS = ("gaitset_", "gaitbase_", "deepgaitv2_")
PUBLISHED = [file for file in RECIPES if file.stem.startswith(_NETWORKS)]


@pytest.mark.parametrize("file", PUBLISHED, ids=lambda file: file.stem)
def test_public_recipes_equal_the_published_configurations_or_say_ours(file):
    first = file.read_text().splitlines()[0]
    assert ("Settings: ours" in first) == (file.stem not in CONFIGURATIONS)
    recipe = settings.load(file, Recipe)
    assert recipe.loss.margin == 0.2
    assert recipe.schedule.decay_all
    assert (recipe.schedule.ema, recipe.schedule.clip) == (0.0, float("inf"))
    assert bool(recipe.loss.cross_entropy) == (recipe.network.name != "gaitset")
    if file.stem not in CONFIGURATIONS:
        return
    batch, schedule, how = recipe.batch, recipe.schedule, recipe.published
    assert list(batch.frames) == list(range(batch.frames[0], batch.frames[-1] + 1))
    assert (
        (batch.subjects, batch.each),
        (batch.frames[0], batch.frames[-1], batch.order, batch.skip),
        (schedule.optimiser, schedule.rate, schedule.decay),
        schedule.steps / 1000,
        tuple(stone / 1000 for stone in schedule.milestones),
        (how.perspective, how.flip, how.rotate, how.erase),
    ) == CONFIGURATIONS[file.stem]


def test_the_widths_and_depths_are_the_published_ones():
    arguments = {file.stem: settings.load(file, Recipe).network.arguments for file in PUBLISHED}
    wide = {stem for stem, found in arguments.items() if found.get("channels") == [64, 128, 256]}
    assert wide == {"gaitset_ou-mvlp", "gaitset_grew"}
    deep = {stem for stem, found in arguments.items() if stem.startswith("deep") and "blocks" not in found}
    assert deep == {"deepgaitv2_grew", "deepgaitv2_gait3d"}


def test_a_run_on_a_data_set_is_validated_on_other_subjects(casia, tmp_path):
    recipe = _published(Data(train=casia, dataset="casia-b", validation_subjects=1))
    learned, validation = split_dataset(recipe.data)
    assert (len(learned.subjects), len(validation.subjects)) == (2, 1)
    assert not set(learned.subjects) & set(validation.subjects)
    train(recipe, tmp_path, workers=0)
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert 0 <= float(rows[-1]["rank_1"]) <= 1
    assert float(rows[1]["rate"]) == pytest.approx(0.01)
    assert float(rows[2]["rate"]) == pytest.approx(0.001)


RECIPE = """
[data]
train = "{root}"
dataset = "casia-b"
validation_subjects = {validation}
[network]
name = "gaitset"
arguments = {{ channels = [4, 8, 8], part_dimension = 8 }}
[batch]
subjects = {subjects}
each = 2
frames = [6]
order = "unordered"
[loss]
contrastive = 0.0
cross_entropy = 0.0
projected = 0.0
triplet = 1.0
[schedule]
steps = 2
"""


@pytest.mark.parametrize("validation", [0, 1])
def test_a_run_ends_with_a_weight_file(casia, tmp_path, capsys, validation):
    recipe, run = tmp_path / "recipe.toml", tmp_path / "mine"
    recipe.write_text(RECIPE.format(root=casia, validation=validation, subjects=2))
    assert main(["train", str(recipe), str(run), "--workers", "0"]) == 0
    target = run / "mine.safetensors"
    assert capsys.readouterr().out.strip() == str(target)
    encoder, content = load_encoder(str(target)), weights.load(target)
    average = read_state(run / "checkpoint.pt")["average"]
    for name, tensor in average.items():
        np.testing.assert_array_equal(content.tensors[name], tensor)
    walk = GaitSequence({"silhouette": content.golden.clip}, content.golden.times)
    np.testing.assert_allclose(encoder(walk).vector, content.golden.vector, atol=1e-6)
    card = content.card
    assert card.training_data == f"{3 - validation} subjects of casia-b"
    assert card.licence == "the terms of casia-b apply"
    assert [f.measure for f in card.metrics] == ["optimiser steps", "rank-1 (rank_1)"][: 1 + validation]
    assert card.impostors is None  # no other subject to compare with
    assert card.threshold_rule == weights.GUESSED


def test_a_weight_file_holds_no_recorded_walk(casia, tmp_path):
    run = train(_published(Data(train=casia, dataset="casia-b")), tmp_path / "mine", workers=0)
    clip = weights.load(finish(run, tmp_path / "mine")).golden.clip
    walk = Population(1, "test").sequence(0, frames=50).sequence(modalities=("silhouette",))
    np.testing.assert_array_equal(clip, walk.silhouettes)


def test_a_run_on_gray_silhouettes_gives_an_encoder_of_gray_silhouettes(casia, tmp_path):
    recipe = _published(Data(train=casia, dataset="casia-b", validation_subjects=1, gray=True))
    recipe = replace(recipe, published=Published(perspective=0.5, flip=0.5, rotate=0.5, erase=0.5))
    maker = BatchMaker(recipe)
    clips = maker(1).clips
    assert clips.dtype == np.float32
    assert 0 <= clips.min() < clips.max() <= 1
    assert ((clips > 0.1) & (clips < 0.9)).mean() > 0.005  # soft edges
    run = train(recipe, tmp_path / "mine", workers=0)
    encoder = load_encoder(str(finish(run, tmp_path / "mine")))
    assert encoder.card.gray
    assert encoder.min_frames == 1


def test_gray_needs_changes_and_a_data_set_that_keep_it(casia, tmp_path):
    gray = Data(train=casia, dataset="casia-b", gray=True)
    with pytest.raises(ConfigError, match="without a table published"):
        BatchMaker(_published(gray))
    ready = prepare(open_dataset("casia-b", casia), tmp_path / "ready").root
    with pytest.raises(DatasetError, match="Prepare it with --gray"):
        split_dataset(replace(gray, train=ready))
    prepare(open_dataset("casia-b", casia, gray=True), tmp_path / "gray")
    split_dataset(replace(gray, train=tmp_path / "gray"))


def test_frames_are_skipped_in_stretches_only(casia):
    recipe = _published(Data(train=casia, dataset="casia-b"))
    with pytest.raises(ConfigError, match=r"batch\.skip is 4 with batch\.order 'unordered'"):
        BatchMaker(replace(recipe, batch=replace(recipe.batch, skip=4)))(0)
    BatchMaker(replace(recipe, batch=replace(recipe.batch, skip=4, order="ordered")))(0)


def test_curves_are_plotted(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'gaitid[report]'")
    (tmp_path / "m.csv").write_text("step,loss,cross_nm,rank_1\n1,3.0,,\n2,2.5,0.4,\n3,2.0,,\n4,1.5,0.6,\n")
    assert plot(tmp_path / "m.csv", tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_too_few_subjects_are_an_error(casia):
    with pytest.raises(DatasetError, match="3 training subjects"):
        split_dataset(Data(train=casia, dataset="casia-b", validation_subjects=2))


def test_an_unknown_optimiser_is_named(casia, tmp_path):
    recipe = _published(Data(train=casia, dataset="casia-b"))
    with pytest.raises(ConfigError, match="lion"):
        train(replace(recipe, schedule=replace(recipe.schedule, optimiser="lion")), tmp_path, workers=0)


def _after_one_step(recipe: Recipe, chunks: int) -> list[torch.Tensor]:
    run = Run(replace(recipe, schedule=replace(recipe.schedule, chunks=chunks)), classes=2)
    rng = np.random.default_rng(0)
    clips = (rng.random((4, 6, 64, 44)) > 0.5).astype(np.uint8)
    run.advance(clips, np.array([0, 0, 1, 1]))
    return list(run.network.parameters())


def test_a_batch_in_chunks_gives_the_same_step(casia):
    recipe = _published(Data(train=casia, dataset="casia-b"))
    whole, parts = _after_one_step(recipe, 1), _after_one_step(recipe, 2)
    for one, two in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


def test_two_processes_train_like_one(casia, tmp_path):
    text = f"""
[data]
train = "{casia}"
dataset = "casia-b"
[network]
name = "gaitset"
arguments = {{ channels = [4, 8, 8], part_dimension = 8 }}
[batch]
subjects = 2
each = 2
frames = [6]
order = "unordered"
[loss]
per_part = true
triplet = 1.0
contrastive = 0.0
projected = 0.0
[schedule]
steps = 3
warmup = 0
rate = 0.01
optimiser = "sgd"
milestones = [2]
"""
    (tmp_path / "recipe.toml").write_text(text)
    recipe = settings.load(tmp_path / "recipe.toml", Recipe)
    alone = train(recipe, tmp_path / "alone", workers=0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    words = [
        sys.executable,
        "-m",
        "gaitid.training.train",
        str(tmp_path / "recipe.toml"),
        str(tmp_path / "two"),
    ]
    base = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    team = [
        subprocess.Popen([*words, "--workers", "0"], cwd=ROOT, env={**base, "RANK": str(rank)})
        for rank in range(2)
    ]
    assert [one.wait(timeout=120) for one in team] == [0, 0]
    state = torch.load(tmp_path / "two" / "checkpoint.pt", weights_only=True)
    for name, value in alone.network.state_dict().items():
        torch.testing.assert_close(state["network"][name], value, rtol=1e-4, atol=1e-5)


def test_the_open_set_loss_falls_when_impostors_move_away():
    classes = torch.tensor([0, 0, 1, 1])
    near = torch.nn.functional.normalize(torch.tensor([[1.0, 0.1], [1, 0.2], [1, 0.3], [1, 0.4]]), dim=1)
    far = torch.nn.functional.normalize(torch.tensor([[1.0, 0.1], [1, 0.2], [-1, 0.3], [-1, 0.4]]), dim=1)
    assert losses.open_set(far, classes) < 0.1 * losses.open_set(near, classes)


def test_the_part_classifier_learns():
    torch.manual_seed(0)
    head = losses.PartClassifier(3, 5, 4, scale=16.0, smoothing=0.0)
    parts = torch.randn(8, 3, 5)
    classes = torch.arange(8) % 4
    optimiser = torch.optim.SGD(head.parameters(), lr=1.0)
    first = float(head(parts, classes).detach())
    for _ in range(30):
        optimiser.zero_grad()
        loss = head(parts, classes)
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.3 * first
