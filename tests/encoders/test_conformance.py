"""Every registered encoder keeps the promises of the `Encoder` protocol."""

from __future__ import annotations

import contextlib
import re

import numpy as np
import pytest

from gaitid import registry
from gaitid.encoders.base import Encoder
from gaitid.errors import SequenceError, SequenceTooShort
from gaitid.records import SILHOUETTE_SIZES, GaitSequence
from tests.drawn import phases, silhouettes, skeletons


@pytest.fixture(params=sorted(registry.ENCODERS))
def encoder(request) -> Encoder:
    return registry.resolve("encoders", request.param)()


def probe(encoder: Encoder, frames: int, cadence: float = 110.0) -> GaitSequence:
    times = np.arange(frames) / 15
    phase = phases(times, cadence)
    streams = {"silhouette": silhouettes(phase), "skeleton": skeletons(phase)}
    return GaitSequence({name: streams[name] for name in encoder.modalities}, times)


def test_it_is_an_encoder_of_its_name(encoder):
    assert isinstance(encoder, Encoder)
    assert registry.resolve("encoders", encoder.name) is type(encoder)
    assert -1 < encoder.threshold < 1
    assert encoder.min_frames >= 1


def test_the_contract_is_the_same_every_time_and_is_on_the_embedding(encoder):
    assert re.fullmatch("[0-9a-f]{32}", encoder.contract)
    assert type(encoder)().contract == encoder.contract
    embedding = encoder(probe(encoder, encoder.min_frames))
    assert embedding.contract == encoder.contract
    assert embedding.vector.shape == (encoder.dimension,)


def test_one_frame_too_few_is_refused(encoder):
    with pytest.raises(SequenceTooShort, match=str(encoder.min_frames)):
        encoder(probe(encoder, encoder.min_frames - 1))


def test_a_missing_stream_is_refused(encoder):
    other = "skeleton" if "silhouette" in encoder.modalities else "silhouette"
    times = np.arange(30) / 15
    draw = {"skeleton": skeletons, "silhouette": silhouettes}[other]
    with pytest.raises(SequenceError):
        encoder(GaitSequence({other: draw(phases(times, 110))}, times))


def test_batch_equals_single(encoder):
    probes = [probe(encoder, 20), probe(encoder, 33, 90), probe(encoder, 20)]
    assert encoder.batch([]) == []
    for one, many in zip([encoder(p) for p in probes], encoder.batch(probes), strict=True):
        np.testing.assert_allclose(one.vector, many.vector, atol=1e-6)


def test_equal_input_gives_equal_output_and_is_not_changed(encoder):
    sequence = probe(encoder, 25)
    before = {name: stream.copy() for name, stream in sequence.streams.items()}
    np.testing.assert_array_equal(encoder(sequence).vector, encoder(sequence).vector)
    for name, stream in sequence.streams.items():
        np.testing.assert_array_equal(stream, before[name])


@pytest.mark.parametrize("size", SILHOUETTE_SIZES)
def test_another_silhouette_size_is_embedded_or_refused(encoder, size):
    if "silhouette" not in encoder.modalities:
        pytest.skip("this encoder sees no silhouettes")
    times = np.arange(30) / 15
    phase = phases(times, 110)
    streams = {"silhouette": silhouettes(phase, size=size)}
    if "skeleton" in encoder.modalities:
        streams["skeleton"] = skeletons(phase)
    sequence = GaitSequence(streams, times)
    if size == SILHOUETTE_SIZES[0]:
        assert encoder(sequence).vector.shape == (encoder.dimension,)
        return
    with contextlib.suppress(SequenceError):
        assert encoder(sequence).vector.shape == (encoder.dimension,)
