"""`make train` makes what ships from nothing, keeps what is there, and stays within its minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gaitid[torch]'")

from gaitid import settings  # noqa: E402
from gaitid.encoders.base import load_encoder  # noqa: E402
from gaitid.training.recipe import Recipe  # noqa: E402
from gaitid.training.shipped import RECIPES, Fusing, Machine, Measuring, Shards, Stages, Training, make  # noqa: E402

RECIPE = """
[data]
train = "data/train"
validation = "data/validation"
identities = 3
[network]
arguments = { stem = 4, frame = 4, trunk = [8, 8, 8], part_dimension = 4, projection = 16 }
[batch]
subjects = 2
each = 2
frames = [6]
[schedule]
steps = 6
warmup = 1
check_every = 100
"""
STAGES = Stages(
    shards=(
        Shards("train", "train", 3),
        Shards("validation", "validation", 2, grid=True),
        Shards("test", "test", 2, grid=True),
    ),
    training=(
        Training("tiny"),
        Training("tiny_more", packed="tiny", share=0.5, training_data="three synthetic walkers"),
    ),
)


@pytest.fixture
def recipes(tmp_path, monkeypatch) -> Path:
    """A folder with the recipes of `STAGES`, and an empty folder to work in."""
    (tmp_path / "tiny.toml").write_text(RECIPE)
    (tmp_path / "tiny_more.toml").write_text('start = "runs/tiny/checkpoint.pt"\n' + RECIPE)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def test_everything_is_made_once(recipes):
    machine = Machine(2, "cpu")
    (file,) = make(STAGES, recipes, machine)
    encoder = load_encoder(str(file))
    assert (encoder.name, file) == ("tiny", Path("runs/tiny.safetensors"))
    assert encoder.card.training_data == "three synthetic walkers"
    made = {path: path.stat().st_mtime_ns for path in Path().rglob("*.npy")} | {
        path: path.stat().st_mtime_ns
        for path in Path("runs").rglob("*")
        if path.suffix in (".pt", ".safetensors")
    }
    assert len(made) == 3 * 4 + 3
    assert make(STAGES, recipes, machine) == [file]
    assert {path: path.stat().st_mtime_ns for path in made} == made


def test_with_little_time_each_stage_does_a_little(recipes):
    make(STAGES, recipes, Machine(1, "cpu", pace=1e-6))
    state = torch.load("runs/tiny/checkpoint.pt", weights_only=True)
    assert state["step"] == state["steps"] == 5  # as few as tell the pace
    assert load_encoder("runs/tiny.safetensors").name == "tiny"


def test_each_shipped_stage_finds_what_it_starts_from():
    stages = settings.load(RECIPES / "shipped.toml", Stages)
    there = {f"data/{stage.folder}" for stage in stages.shards}
    for stage in stages.training:
        recipe = settings.load(RECIPES / f"{stage.recipe}.toml", Recipe)
        assert {str(recipe.data.train), str(recipe.data.validation)} <= there
        assert not recipe.start or recipe.start in there, stage.recipe
        made = next(one for one in stages.shards if f"data/{one.folder}" == str(recipe.data.train))
        assert recipe.data.identities <= made.identities
        assert bool(stage.packed) == bool(stage.training_data)
        there |= {f"runs/{stage.recipe}/checkpoint.pt"}
        there |= {f"runs/{stage.packed}.safetensors"} if stage.packed else set()
    assert isinstance(stages.fusing, Fusing)
    assert {f"runs/{n}.safetensors" for n in (stages.fusing.silhouette, stages.fusing.skeleton)} <= there


def test_every_shipped_network_is_made():
    stages = settings.load(RECIPES / "shipped.toml", Stages)
    shipped = {path.stem for path in (RECIPES.parents[1] / "gaitid/encoders/weights").glob("*.safetensors")}
    assert isinstance(stages.measuring, Measuring)
    packed = {stage.packed for stage in stages.training}
    assert stages.measuring.network in packed
    assert shipped - {"fused"} <= packed | {stages.measuring.packed}
