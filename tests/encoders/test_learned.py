"""Learned encoders: contract, invariances, and refusal of input and files that do not fit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gaitid[torch]'")

from gaitid.encoders import networks, weights  # noqa: E402
from gaitid.encoders.base import PREPROCESSING, Encoder  # noqa: E402
from gaitid.encoders.clips import RATE_HZ  # noqa: E402
from gaitid.encoders.fused import traits  # noqa: E402
from gaitid.encoders.learned import LearnedEncoder, shipped  # noqa: E402
from gaitid.errors import SequenceError, SequenceTooShort, UnknownName, WeightsError  # noqa: E402
from gaitid.records import GaitSequence  # noqa: E402
from gaitid.synthetic import Population  # noqa: E402
from tests.small import STRIDER_WHOLE as SMALL  # noqa: E402

CARD = weights.Card(
    name="small",
    architecture="strider",
    modalities=("silhouette",),
    min_frames=8,
    rate_hz=RATE_HZ,
    dimension=16,
    preprocessing=PREPROCESSING,
    threshold=0.5,
    threshold_rule="none",
    licence="Apache-2.0",
    training_data="none: random weights",
    date="2026-11-22",
    commit="0" * 40,
    command="none",
    arguments=SMALL,
)


@pytest.fixture(scope="module")
def walks() -> list[GaitSequence]:
    """Walks of three subjects: 12, 40 and 150 frames at 25 fps."""
    lengths = (12, 40, 150)
    return [
        Population(3).sequence(person, frames=frames).sequence(level=0.5)
        for person, frames in enumerate(lengths)
    ]


@pytest.fixture(scope="module")
def state() -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    network = networks.build("strider", SMALL)
    network(torch.rand(8, 6, 64, 44), torch.full((8,), 6))  # gives normalisation layers statistics
    return {name: value.numpy() for name, value in network.state_dict().items()}


def _write(path: Path, state, walk: GaitSequence, card: weights.Card = CARD, vector=None) -> Path:
    network = networks.build(card.architecture, card.arguments)
    network.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in state.items()})
    clip, times = np.array(walk.silhouettes), np.array(walk.times)
    if vector is None:
        vector = networks.embed(network.eval(), [clip], [times])[0]
    weights.save(path, card, state, weights.Golden(clip, times, vector))
    return path


@pytest.fixture(scope="module")
def encoder(tmp_path_factory, state, walks) -> LearnedEncoder:
    return LearnedEncoder(_write(tmp_path_factory.mktemp("w") / "small.safetensors", state, walks[1]))


def test_it_is_an_encoder(encoder, walks):
    assert isinstance(encoder, Encoder)
    embedding = encoder(walks[0])
    assert embedding.vector.shape == (encoder.dimension,)
    assert embedding.contract == encoder.contract
    assert encoder.batch([]) == []


def test_a_batch_is_each_alone_whatever_the_lengths(encoder, walks):
    many = [*walks, *walks[:2]] * 4  # more than one inner batch
    together = np.array([e.vector for e in encoder.batch(many)])
    alone = np.array([encoder(walk).vector for walk in many])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_embeddings_repeat_exactly(encoder, walks):
    np.testing.assert_array_equal(encoder(walks[1]).vector, encoder(walks[1]).vector)


def test_the_start_of_the_clock_does_not_matter(encoder, walks):
    later = dataclasses.replace(walks[1], times=walks[1].times + 1.7e9)
    np.testing.assert_allclose(encoder(later).vector, encoder(walks[1]).vector, atol=1e-5)


def test_a_camera_of_twice_the_rate_gives_nearly_the_same(encoder, walks):
    half = walks[2].part(slice(None, None, 2))
    score = float(encoder(half).vector @ encoder(walks[2]).vector)
    strangers = float(encoder(walks[0]).vector @ encoder(walks[2]).vector)
    assert score > 0.99
    assert score > strangers


def test_frames_without_a_body_are_gaps(encoder, walks):
    walk, lost = walks[1], np.arange(3, 30, 4)
    blank = walk.silhouettes.copy()
    blank[lost] = 0
    there = np.setdiff1d(np.arange(len(walk)), lost)
    kept = GaitSequence({"silhouette": walk.silhouettes[there]}, walk.times[there])
    gappy = GaitSequence({"silhouette": blank}, walk.times)
    np.testing.assert_array_equal(encoder(gappy).vector, encoder(kept).vector)
    np.testing.assert_array_equal(traits(gappy, "silhouette"), traits(kept, "silhouette"))
    blank[5:] = 0
    with pytest.raises(SequenceTooShort, match="4 frames with a body"):
        encoder(GaitSequence({"silhouette": blank}, walk.times))


def test_the_order_of_frames_matters(encoder, walks):
    """Embeddings depend on motion: shuffled frames have another one."""
    walk = walks[1]
    order = np.random.default_rng(0).permutation(len(walk))
    mixed = GaitSequence({"silhouette": walk.silhouettes[order]}, walk.times)
    assert float(encoder(mixed).vector @ encoder(walk).vector) < 0.9999


def test_poor_input_is_refused(encoder, walks):
    with pytest.raises(SequenceTooShort, match="at least 8"):
        encoder(walks[0].part(slice(0, 7)))
    with pytest.raises(SequenceError, match="the stream silhouette for encoder small"):
        encoder(GaitSequence({"skeleton": np.zeros((9, 17, 3), np.float32)}, np.arange(9.0)))
    with pytest.raises(SequenceError, match="64x64"):
        encoder(GaitSequence({"silhouette": np.ones((9, 64, 64), np.uint8)}, np.arange(9.0)))
    with pytest.raises(SequenceError, match="empty"):
        encoder(GaitSequence({"silhouette": np.zeros((9, 64, 44), np.uint8)}, np.arange(9.0)))


def test_other_weights_or_arguments_are_another_contract(tmp_path, state, walks, encoder):
    changed = {**state, "norm.bias": state["norm.bias"] + np.float32(0.01)}
    other = LearnedEncoder(_write(tmp_path / "a.safetensors", changed, walks[1]))
    assert other.contract != encoder.contract
    measured = dataclasses.replace(CARD, metrics=(weights.Figure("rank-1", 0.5, "x"),))
    again = LearnedEncoder(_write(tmp_path / "b.safetensors", state, walks[1], measured))
    assert again.contract == encoder.contract  # new figures keep existing galleries valid


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"architecture": "stridr"}, "strider"),
        ({"arguments": {**SMALL, "projection": 8}}, "do not fit"),
        ({"preprocessing": "0"}, "preprocessing 0"),
        ({"rate_hz": 25.0}, "25.0 Hz"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(tmp_path, state, walks, change, words):
    path = _write(tmp_path / "x.safetensors", state, walks[1])
    held = weights.load(path)
    weights.save(path, dataclasses.replace(CARD, **change), held.tensors, held.golden)
    with pytest.raises((WeightsError, UnknownName), match=words):
        LearnedEncoder(path)


def test_a_golden_example_that_fails_is_refused(tmp_path, state, walks):
    wrong = np.eye(16, dtype=np.float32)[0]
    with pytest.raises(WeightsError, match="golden"):
        LearnedEncoder(_write(tmp_path / "x.safetensors", state, walks[1], vector=wrong))


def test_an_unknown_shipped_name_is_refused():
    with pytest.raises(UnknownName, match="Unknown weights"):
        shipped("nobody")
