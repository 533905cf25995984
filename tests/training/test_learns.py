"""Minutes of training from scratch, on new synthetic walkers, beat the gait energy image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gaitid[torch]'")

from gaitid import settings  # noqa: E402
from gaitid.synthetic import VIEWS, Population, plan_varied  # noqa: E402
from gaitid.training.corpus import Corpus  # noqa: E402
from gaitid.training.pack import gei_embedder  # noqa: E402
from gaitid.training.recipe import Data, Recipe  # noqa: E402
from gaitid.training.shards import laboratory, synthetic_entries, write_shard  # noqa: E402
from gaitid.training.train import train  # noqa: E402
from gaitid.training.validation import embedder, measure  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PEOPLE, VALIDATION, STEPS = 300, 30, 300
MARGIN = 1.3
"""Factor over the rank-1 of the gait energy image across views, mean of the three conditions."""

pytestmark = pytest.mark.long


def test_five_minutes_of_training_beat_the_gait_energy_image(tmp_path: Path):
    learned = plan_varied(range(PEOPLE), per_identity=12, sessions=4, frames=40, seed=1)
    validation = laboratory(range(VALIDATION), frames=40)
    write_shard(tmp_path / "train" / "a", synthetic_entries(Population(5), learned, 1, (0.3, 1.7), 1))
    write_shard(
        tmp_path / "validation" / "a",
        synthetic_entries(Population(5, "validation"), validation, 1, (1.0, 1.0), 1),
    )
    recipe = settings.load(ROOT / "training" / "recipes" / "strider.toml", Recipe)
    recipe = replace(
        recipe,
        data=Data(tmp_path / "train", tmp_path / "validation", PEOPLE),
        schedule=replace(recipe.schedule, steps=STEPS, check_every=STEPS, compiled=False),
    )
    run = train(recipe, tmp_path / "run", workers=1)
    corpus = Corpus(tmp_path / "validation")
    ours = measure(corpus, embedder(run.average, corpus), VIEWS)
    gei = measure(corpus, gei_embedder(corpus), VIEWS)
    names = ("cross_nm", "cross_bg", "cross_cl")
    print({name: (round(ours[name], 3), round(gei[name], 3)) for name in names})
    assert sum(ours[name] for name in names) > MARGIN * sum(gei[name] for name in names)
