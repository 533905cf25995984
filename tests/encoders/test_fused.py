"""Fused reads either stream or both, weighted by quality, and only with the experts it was made for."""

from __future__ import annotations

import numpy as np
import pytest

from gaitid.encoders import fused, weights
from gaitid.encoders.base import PREPROCESSING, Encoder
from gaitid.encoders.fused import STREAMS, TRAITS, FusedEncoder, fuse, traits
from gaitid.errors import SequenceError, SequenceTooShort, WeightsError
from gaitid.records import SILHOUETTE, SKELETON, Embedding, GaitSequence
from gaitid.synthetic import Population

E, C = 6, 4
D = 2 * E + C


class Expert:
    """Embeds the mean of its stream's values, spread over a few directions."""

    min_frames, dimension, threshold = 5, E, 0.5

    def __init__(self, stream: str) -> None:
        self.name, self.modalities, self.contract = stream[:3], (stream,), (stream * 32)[:32]

    def __call__(self, sequence: GaitSequence) -> Embedding:
        values = sequence.streams[self.modalities[0]].astype(np.float64)
        if not values.any():
            raise SequenceError("nothing there", "a body", "look again")
        vector = np.cos(np.arange(1, E + 1) * values.mean())
        return Embedding(np.asarray(vector / np.linalg.norm(vector), np.float32), self.contract)

    def batch(self, sequences):
        return [self(sequence) for sequence in sequences]


EXPERTS = {"sil": Expert(SILHOUETTE), "ske": Expert(SKELETON)}


@pytest.fixture
def tensors():
    rng = np.random.default_rng(0)
    heads = {f"head.{stream}": rng.standard_normal((C, E)).astype(np.float32) for stream in STREAMS}
    gates = {f"gate.{stream}": np.full(TRAITS, 0.1, np.float32) for stream in STREAMS}
    centres = {f"centre.{stream}": np.zeros(E, np.float32) for stream in STREAMS}
    return heads | gates | centres | {"common": np.array([0.5], np.float32)}


@pytest.fixture
def file(tmp_path, tensors):
    card = weights.Card(
        "fused", "fused", STREAMS, 8, 0.0, D, PREPROCESSING, 0.4, "a guess", "Apache-2.0", "none",
        "2026-01-01", "", "", {"experts": {e.modalities[0]: [n, e.contract] for n, e in EXPERTS.items()}},
    )  # fmt: skip
    rows = np.random.default_rng(1).standard_normal((2, E + TRAITS)).astype(np.float32)
    found = {stream: (row[:E], row[E:]) for stream, row in zip(STREAMS, rows, strict=True)}
    clip = rows.reshape(1, -1)
    golden = weights.Golden(clip, np.zeros(1), fuse(tensors, found))
    weights.save(tmp_path / "fused.safetensors", card, tensors, golden)
    return tmp_path / "fused.safetensors"


@pytest.fixture
def encoder(file) -> FusedEncoder:
    return FusedEncoder(file, EXPERTS.__getitem__)


@pytest.fixture(scope="module")
def walk() -> GaitSequence:
    return Population(2).sequence(0, frames=20).sequence()


def only(walk: GaitSequence, stream: str) -> GaitSequence:
    return GaitSequence({stream: walk.streams[stream]}, walk.times)


def test_it_is_an_encoder_of_either_stream(encoder, walk):
    assert isinstance(encoder, Encoder)
    vectors = [encoder(one).vector for one in (walk, only(walk, SILHOUETTE), only(walk, SKELETON))]
    assert all(np.linalg.norm(v) == pytest.approx(1, abs=1e-5) for v in vectors)
    assert len({v.tobytes() for v in vectors}) == 3
    assert {encoder(one).contract for one in (walk, only(walk, SKELETON))} == {encoder.contract}


def test_a_mixed_batch_equals_each_alone(encoder, walk):
    mixed = [walk, only(walk, SKELETON), walk, only(walk, SILHOUETTE)]
    for one, both in zip(mixed, encoder.batch(mixed), strict=True):
        np.testing.assert_array_equal(encoder(one).vector, both.vector)
    assert encoder.batch([]) == []


def test_a_useless_stream_counts_as_missing(encoder, walk):
    spoilt = GaitSequence({SILHOUETTE: walk.silhouettes, SKELETON: np.zeros_like(walk.skeletons)}, walk.times)
    np.testing.assert_array_equal(encoder(spoilt).vector, encoder(only(walk, SILHOUETTE)).vector)
    with pytest.raises(SequenceError, match="nothing there"):
        encoder(GaitSequence({SKELETON: np.zeros_like(walk.skeletons)}, walk.times))


def test_the_better_stream_weighs_more(tensors):
    rng = np.random.default_rng(3)
    a, b = (rng.standard_normal(E).astype(np.float32) for _ in range(2))
    gated = tensors | {f"gate.{SKELETON}": np.array([0, 0, 8, 0, 0], np.float32)}
    alone = fuse(gated, {SKELETON: (b, np.ones(TRAITS, np.float32))})

    def likeness(confidence: float) -> float:
        quality = np.array([1, 0, confidence, 1, 0], np.float32)
        both = fuse(gated, {SILHOUETTE: (a, np.ones(TRAITS, np.float32)), SKELETON: (b, quality)})
        return float(both @ alone)

    assert likeness(-1.0) < likeness(0.2) < likeness(0.9)


def test_a_score_of_walks_with_both_streams_is_the_weighted_sum_of_the_experts_scores(tensors):
    rng = np.random.default_rng(3)
    unit = rng.standard_normal((2, 2, E)).astype(np.float32)
    unit /= np.linalg.norm(unit, axis=2, keepdims=True)
    quality = np.array([1, 0, 0, 0, 0], np.float32)
    one, two = (fuse(tensors, {s: (v, quality) for s, v in zip(STREAMS, walk, strict=True)}) for walk in unit)
    parts = np.sqrt(1.25) * np.stack([one, two])[:, : 2 * E]
    assert parts[0] @ parts[1] == pytest.approx((unit[0] * unit[1]).sum() / 2, abs=1e-5)


def test_walks_without_a_stream_in_common_are_compared_in_the_shared_block(tensors):
    rng = np.random.default_rng(3)
    vector, quality = rng.standard_normal(E).astype(np.float32), np.ones(TRAITS, np.float32)
    one, two = (fuse(tensors, {stream: (vector, quality)}) for stream in STREAMS)
    assert one[: 2 * E] @ two[: 2 * E] == 0
    assert one[2 * E :] @ two[2 * E :] != 0


def test_traits_distinguish_noise_from_none():
    clean, noisy = (Population(2).sequence(0, frames=30).sequence(level) for level in (0.0, 2.0))
    assert traits(clean, SKELETON)[2] > traits(noisy, SKELETON)[2]
    assert traits(clean, SKELETON)[4] < traits(noisy, SKELETON)[4]
    assert traits(clean, SILHOUETTE)[2] < traits(noisy, SILHOUETTE)[2]
    for stream in STREAMS:
        assert np.isfinite(traits(clean.part(slice(0, 1)), stream)).all()


def test_wrong_input_is_refused(encoder, walk):
    with pytest.raises(SequenceTooShort):
        encoder(walk.part(slice(0, 7)))
    space = GaitSequence({"skeleton3d": np.ones((20, 17, 4), np.float32)}, walk.times)
    with pytest.raises(SequenceError, match="silhouette, skeleton or both"):
        encoder(space)


def test_other_experts_are_refused(file):
    other = Expert(SILHOUETTE)
    other.contract = "0" * 32
    with pytest.raises(WeightsError, match="were made for encoder sil"):
        FusedEncoder(file, {**EXPERTS, "sil": other}.__getitem__)


def test_changed_tensors_are_refused(file, monkeypatch):
    monkeypatch.setattr(fused, "fuse", lambda tensors, found: np.ones(D, np.float32))
    with pytest.raises(WeightsError, match="golden"):
        FusedEncoder(file, EXPERTS.__getitem__)
