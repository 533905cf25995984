"""Traits of synthetic subjects, and networks that learn to predict them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gaitid[torch]'")

from gaitid.errors import ConfigError, InputError  # noqa: E402
from gaitid.synthetic import Population  # noqa: E402
from gaitid.synthetic.population import subject_of  # noqa: E402
from gaitid.training import run as runs  # noqa: E402
from gaitid.training.batches import stream  # noqa: E402
from gaitid.training.corpus import corpora  # noqa: E402
from gaitid.training.losses import TraitRegressor  # noqa: E402
from gaitid.training.recipe import Batch, Data, Loss, Network, Recipe, Schedule  # noqa: E402
from gaitid.training.run import Run, TrainingFailed  # noqa: E402
from gaitid.training.train import train  # noqa: E402
from gaitid.training.traits import trait_table  # noqa: E402
from tests.small import STRIDER as SMALL  # noqa: E402


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_person_is_found_by_name(split):
    person = Population(3, split).identity(12)
    again = subject_of(person.subject)
    assert again.subject == person.subject
    np.testing.assert_array_equal(again.figure.vertices, person.figure.vertices)
    np.testing.assert_array_equal(again.style.values, person.style.values)


@pytest.mark.parametrize("name", ["", "alice", "xx1-00001", "tr1-1", "tr-00001"])
def test_other_names_are_refused(name):
    with pytest.raises(InputError, match="such as 'tr1-00042'"):
        subject_of(name)


def test_traits_are_standardised_and_differ_between_people():
    traits, weights = trait_table([f"tr1-{n:05d}" for n in range(40)])
    assert traits.shape == (40, len(weights))
    np.testing.assert_allclose(traits.mean(0), 0, atol=0.1)
    np.testing.assert_allclose(traits.std(0), 1, atol=0.1)
    assert weights.mean() == pytest.approx(1)
    assert len(np.unique(traits, axis=0)) == 40


def test_a_constant_prediction_costs_one():
    traits, weights = map(torch.from_numpy, trait_table([f"tr1-{n:05d}" for n in range(60)]))
    regressor = TraitRegressor(8, traits, weights)
    for parameter in regressor.parameters():
        torch.nn.init.zeros_(parameter)
    error = regressor(torch.ones(60, 8), torch.arange(60)).detach()
    assert float(error) == pytest.approx(1, abs=0.1)


@pytest.fixture
def recipe(shards, validation):
    return Recipe(
        Data(shards, validation),
        Network("strider", SMALL),
        Batch(3, 2, (6,)),
        loss=Loss(contrastive=0, cross_entropy=0, projected=0, traits=1.0),
        schedule=Schedule(steps=60, warmup=3, rate=5e-3, check_every=60, save_every=20),
    )


def test_a_network_learns_traits_and_resumes(recipe, tmp_path):
    whole = train(recipe, tmp_path / "whole", workers=0)
    names = corpora(recipe)[0].subjects
    run = Run(recipe, len(names), traits=trait_table(names))
    errors = [run.advance(*batch)["traits"] for batch in stream(recipe, range(60), 0)]
    assert np.mean(errors[-10:]) < 0.7 * np.mean(errors[:10])
    state = torch.load(tmp_path / "whole" / "checkpoint.pt", weights_only=True)
    for name, value in run.regressor.state_dict().items():
        assert torch.equal(value, state["reader"][name])
    resumed = train(recipe, tmp_path / "whole", workers=0)
    assert resumed.step == whole.step


def test_traits_with_parts_are_refused(recipe):
    per_part = replace(recipe, loss=replace(recipe.loss, per_part=True, contrastive=0, projected=0))
    with pytest.raises(ConfigError):
        Run(per_part, 4, traits=trait_table(["tr1-00000", "tr1-00001"]))


def test_a_neck_with_parts_is_refused(recipe):
    per_part = replace(recipe, loss=replace(recipe.loss, per_part=True, neck=True))
    with pytest.raises(ConfigError, match="neck"):
        Run(per_part, 4)


def whole_and_half(recipe, monkeypatch, *, can: bool) -> list[dict[str, float]]:
    """Results of a first step without and with `amp`, on a processor with or without bfloat16."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": can})
    whole = replace(recipe, loss=Loss())
    half = replace(whole, schedule=replace(whole.schedule, amp=True))
    batch = next(stream(whole, range(1), 0))
    return [Run(how, 4).advance(*batch) for how in (whole, half)]


def test_half_precision_on_a_processor_trains(recipe, monkeypatch):
    one, other = whole_and_half(recipe, monkeypatch, can=True)
    assert one["loss"] != other["loss"]
    assert other["loss"] == pytest.approx(one["loss"], rel=0.03)
    assert other["gradient"] == pytest.approx(one["gradient"], rel=0.3)


def test_half_precision_is_ignored_where_it_would_be_slower(recipe, monkeypatch):
    one, other = whole_and_half(recipe, monkeypatch, can=False)
    assert one == other


def test_overflows_of_half_precision_are_skipped_up_to_a_limit(recipe, monkeypatch):
    """As on a GPU, the scaler skips a step whose gradients overflow."""
    monkeypatch.setattr(Run, "_scales", True)
    run = Run(replace(recipe, loss=Loss()), 4)
    batch = next(stream(recipe, range(1), 0))
    slow = {name: value.clone() for name, value in run.average.state_dict().items()}
    run.network.norm.weight.register_hook(lambda slope: slope * float("inf"))
    for _ in range(runs.MAX_OVERFLOWS - 1):
        run.advance(*batch)
    for name, value in run.average.state_dict().items():
        assert torch.equal(value, slow[name])
    with pytest.raises(TrainingFailed, match="gradient"):
        run.advance(*batch)


def test_a_nan_stops_half_precision_at_once(recipe, monkeypatch):
    monkeypatch.setattr(Run, "_scales", True)
    run = Run(replace(recipe, loss=Loss()), 4)
    with torch.no_grad():
        run.classifier.weight[0, 0] = float("nan")
    with pytest.raises(TrainingFailed, match="loss is nan"):
        run.advance(*next(stream(recipe, range(1), 0)))


def test_only_networks_that_need_no_lengths_are_compiled(recipe):
    compiled = replace(
        recipe,
        network=Network("gaitset"),
        loss=Loss(projected=0),
        schedule=replace(recipe.schedule, compiled=True),
    )
    with pytest.raises(ConfigError, match="gaitset"):
        Run(compiled, 4)
