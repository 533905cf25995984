"""Fine-tuning trains on all but the last walks of each subject and validates on those."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gaitid[torch]'")

from gaitid.datasets.opening import open_dataset  # noqa: E402
from gaitid.encoders.base import load_encoder  # noqa: E402
from gaitid.errors import InputError, UnknownName, WeightsError  # noqa: E402
from gaitid.records import npz  # noqa: E402
from gaitid.synthetic import Population  # noqa: E402
from gaitid.training.finetune import FinetunePlan, finetune, save, split_walks  # noqa: E402

QUICK = FinetunePlan(steps=3, company=3, impostors=3)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Three subjects with two walks on each of two days, recorded by one camera."""
    root = tmp_path_factory.mktemp("own")
    population = Population(31, "test")
    for person in range(3):
        for day in range(2):
            for number in range(2):
                folder = root / f"p{person}" / f"nm-{10 * day + number}"
                folder.mkdir(parents=True)
                walk = population.sequence(person, day, number, view=70, frames=25, fps=12.5)
                npz.save(folder / "door.npz", walk.sequence(modalities=("silhouette",)))
    return root


def test_own_subjects_become_a_weight_file(own, tmp_path):
    encoder = load_encoder("strider")
    phases = []
    result = finetune(
        encoder, open_dataset("folder", own), tmp_path / "shards", QUICK, lambda *at: phases.append(at)
    )
    assert (result.people, result.walks) == (3, 9)
    assert phases[-1] == ("training", 3, 3)
    assert 0 <= result.after.rank_one <= 1
    save(encoder, result, tmp_path / "mine.safetensors", "own")
    mine = load_encoder(str(tmp_path / "mine.safetensors"))
    assert (mine.name, mine.dimension) == ("mine", encoder.dimension)
    assert mine.contract != encoder.contract
    assert "3 people (own)" in mine.card.training_data
    walk = npz.load(own / "p0" / "nm-0" / "door.npz")
    assert not np.allclose(mine(walk).vector, load_encoder("strider")(walk).vector)


def test_the_last_quarter_of_each_subjects_walks_is_for_validation(own):
    kept, rest = split_walks(open_dataset("folder", own).entries("test"))
    assert {entry.sequence for entry in kept} == {"nm-11"}
    assert len(rest) == 9


def test_too_few_walks_are_refused(tmp_path):
    with pytest.raises(InputError, match="two walks or more"):
        split_walks([])


def test_skeleton_encoders_are_refused(own, tmp_path):
    with pytest.raises(InputError, match="a silhouette encoder"):
        finetune(load_encoder("stickman"), open_dataset("folder", own), tmp_path, QUICK, lambda *at: None)


@pytest.mark.parametrize(
    ("name", "error"), [("strideer", UnknownName), ("nowhere/mine.safetensors", WeightsError)]
)
def test_an_unknown_encoder_is_named_in_the_error(name, error):
    with pytest.raises(error, match=name.partition("/")[0][:5]):
        load_encoder(name)
