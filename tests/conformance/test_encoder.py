"""Every registered encoder conforms to `encoders.base.Encoder`."""

from __future__ import annotations

import numpy as np
import pytest

from gaitid import registry
from gaitid.encoders.base import Encoder, load_encoder
from gaitid.errors import MissingDependency, SequenceError, SequenceTooShort
from gaitid.records import SILHOUETTE, SKELETON, SKELETON_3D, GaitSequence
from gaitid.synthetic import Population

STREAMS = (SILHOUETTE, SKELETON, SKELETON_3D)


@pytest.fixture(scope="module", params=registry.names("encoders"))
def encoder(request) -> Encoder:
    try:
        return load_encoder(request.param)
    except MissingDependency as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def walks() -> list[GaitSequence]:
    """All streams of three subjects, 12 to 120 frames, 10 to 30 fps."""
    population = Population(9)
    kinds = [(0, 12, 25.0), (1, 40, 10.0), (2, 120, 30.0)]
    return [
        population.sequence(i, frames=frames, fps=fps).sequence(modalities=STREAMS)
        for i, frames, fps in kinds
    ]


def test_it_describes_itself(encoder):
    assert isinstance(encoder, Encoder)
    assert encoder.name in registry.names("encoders")
    assert encoder.modalities
    assert encoder.min_frames >= 1
    assert -1 < encoder.threshold < 1
    assert len(encoder.contract) == 32


def test_embeddings_are_unit_vectors_of_its_contract_and_repeat(encoder, walks):
    for walk in walks:
        one, two = encoder(walk), encoder(walk)
        assert one.vector.shape == (encoder.dimension,)
        assert one.contract == encoder.contract
        assert np.linalg.norm(one.vector) == pytest.approx(1, abs=1e-5)
        np.testing.assert_array_equal(one.vector, two.vector)


def test_a_batch_equals_each_alone(encoder, walks):
    assert encoder.batch([]) == []
    batch = [embedding.vector for embedding in encoder.batch([*walks, walks[0]])]
    alone = [encoder(walk).vector for walk in [*walks, walks[0]]]
    np.testing.assert_allclose(batch, alone, atol=1e-5)


def test_a_second_instance_has_the_same_contract_and_vectors(encoder, walks):
    other = load_encoder(encoder.name)
    assert other.contract == encoder.contract
    np.testing.assert_array_equal(other(walks[0]).vector, encoder(walks[0]).vector)


def test_halves_of_a_walk_are_more_similar_than_impostors(encoder, walks):
    long = walks[2]
    halves = encoder(long.part(slice(0, 60))).vector @ encoder(long.part(slice(60, 120))).vector
    impostors = max(float(encoder(walk).vector @ encoder(long).vector) for walk in walks[:2])
    assert halves > impostors


def test_wrong_input_is_refused(encoder, walks):
    with pytest.raises(SequenceTooShort, match=f"at least {encoder.min_frames}"):
        encoder(walks[0].part(slice(0, encoder.min_frames - 1)))
    others = {name: stream for name, stream in walks[0].streams.items() if name not in encoder.modalities}
    with pytest.raises(SequenceError, match="for encoder"):
        encoder(GaitSequence(others, walks[0].times))
