"""The training stream: plans, cache, epochs and workers."""

import copy

import numpy as np
import pytest

from gaitid.errors import InputError
from gaitid.synthetic import Population, PopulationDataset, WalkPlan, dataset, plan_grid, plan_varied

POPULATION = Population(2, "train")


def same(a, b) -> bool:
    return (
        a.item == b.item
        and np.array_equal(a.silhouettes, b.silhouettes)
        and np.array_equal(a.skeletons, b.skeletons)
        and np.array_equal(a.times, b.times)
    )


def test_a_grid_has_every_combination():
    plan = plan_grid(range(2), sessions=[0], numbers=[0], views=[0.0, 90.0])
    assert len(plan) == len(set(plan)) == 2 * 3 * 2


def test_a_varied_plan_varies_and_repeats():
    plan = plan_varied(range(40), per_identity=10)
    assert plan == plan_varied(range(40), per_identity=10)
    assert len(plan) == len({(i.identity, i.session, i.number) for i in plan}) == 400
    for name in ("condition", "fps", "occlusion"):
        assert len({getattr(item, name) for item in plan}) >= 3
    assert {item.turn == 0 for item in plan} == {True, False}


def test_samples_have_the_promised_arrays():
    item = WalkPlan(
        0, condition="cl", view=33.0, frames=16, fps=12.5, pace=0.8, turn=15.0, occlusion="object"
    )
    sample = PopulationDataset(POPULATION, [item])[0]
    assert sample.silhouettes.shape == (16, 64, 44)
    assert sample.silhouettes.max() == 1
    assert sample.skeletons.shape == (16, 17, 3)
    assert sample.times[1] == pytest.approx(0.08)


def test_a_bend_passes_the_origin_along_x():
    for turn in (-30.0, 30.0):
        walk = WalkPlan(1, frames=40, turn=turn).make(POPULATION)
        middle = np.linalg.norm(walk.root, axis=1).argmin()
        assert np.linalg.norm(walk.root[middle]) < 0.3
        assert abs(walk.heading[middle]) < 0.3
        assert np.sign(walk.heading[-1] - walk.heading[0]) == np.sign(turn)


def test_the_cache_changes_nothing(tmp_path):
    items = plan_varied([0, 1], per_identity=2, frames=10)
    plain, cached = (
        PopulationDataset(POPULATION, items),
        PopulationDataset(POPULATION, items, cache=tmp_path / "new"),
    )
    first = [cached[i] for i in range(len(items))]
    assert all(same(plain[i], first[i]) for i in range(len(items)))
    assert len(list((tmp_path / "new").iterdir())) == len(items)
    assert all(same(cached[i], first[i]) for i in range(len(items)))
    damaged = next((tmp_path / "new").iterdir())
    damaged.write_bytes(b"not an archive")
    assert all(same(cached[i], first[i]) for i in range(len(items)))


def test_a_cache_of_another_generator_is_not_read(tmp_path, monkeypatch):
    PopulationDataset(POPULATION, [WalkPlan(0, frames=4)], cache=tmp_path).walk(0)
    monkeypatch.setattr(dataset, "GENERATION", dataset.GENERATION + 1)
    PopulationDataset(POPULATION, [WalkPlan(0, frames=4)], cache=tmp_path).walk(0)
    assert len(list(tmp_path.iterdir())) == 2


def test_an_epoch_adds_new_noise_to_the_same_walk():
    dataset = PopulationDataset(POPULATION, [WalkPlan(0, frames=10)])
    first = dataset[0]
    dataset.epoch = 1
    assert not np.array_equal(first.silhouettes, dataset[0].silhouettes)
    dataset.epoch = 0
    assert same(first, dataset[0])
    quiet = PopulationDataset(POPULATION, [WalkPlan(0, frames=10)], level=0.0)
    assert (quiet[0].skeletons[..., 2] == 1).all()


def test_workers_give_the_same_samples_in_the_same_order(tmp_path):
    dataset = PopulationDataset(POPULATION, plan_varied([3], per_identity=3, frames=8), cache=tmp_path)
    here = list(dataset.stream(order=[2, 0, 1]))
    there = list(dataset.stream(workers=2, order=[2, 0, 1]))
    assert [sample.item for sample in here] == [dataset.items[i] for i in (2, 0, 1)]
    assert all(same(a, b) for a, b in zip(here, there, strict=True))


def test_a_copy_gives_the_same_samples():
    dataset = PopulationDataset(Population(5, "test", motion=0.5, restless=1.0), [WalkPlan(0, frames=6)])
    assert same(copy.deepcopy(dataset)[0], dataset[0])


@pytest.mark.parametrize(
    "make",
    [
        lambda: PopulationDataset(POPULATION, []),
        lambda: PopulationDataset(POPULATION, [WalkPlan(0)], level=-1),
    ],
)
def test_bad_data_sets_are_refused(make):
    with pytest.raises(InputError):
        make()
