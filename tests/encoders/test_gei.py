from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from gaitid.encoders.gei import GEI
from gaitid.errors import SequenceError
from gaitid.modalities.silhouette import pack, unpack
from gaitid.records import GaitSequence
from tests.drawn import phases, silhouettes, walk

GOLDEN = Path(__file__).parents[1] / "golden" / "gei.npz"


def test_golden():
    """Run with GAITID_WRITE_GOLDEN=1 to rewrite the file after a change of contract."""
    if os.environ.get("GAITID_WRITE_GOLDEN"):
        drawn = walk(seconds=2, fps=15).silhouettes
        vector = GEI()(GaitSequence({"silhouette": drawn}, np.arange(len(drawn)) / 15)).vector
        packed = np.frombuffer(pack(drawn), np.uint8)
        np.savez_compressed(GOLDEN, packed=packed, shape=drawn.shape, vector=vector, contract=GEI.contract)
    golden = np.load(GOLDEN, allow_pickle=False)
    assert str(golden["contract"]) == GEI.contract
    data = unpack(golden["packed"].tobytes(), *(int(n) for n in golden["shape"]))
    embedding = GEI()(GaitSequence({"silhouette": data}, np.arange(len(data)) / 15))
    np.testing.assert_allclose(embedding.vector, golden["vector"], rtol=1e-3, atol=1e-4)
    assert GOLDEN.stat().st_size < 20_000


def test_frame_order_and_times_do_not_matter():
    sequence = walk(seconds=2)
    shuffled = np.random.default_rng(0).permutation(len(sequence))
    other = GaitSequence({"silhouette": sequence.silhouettes[shuffled]}, sequence.times * 3 + 5)
    np.testing.assert_allclose(GEI()(sequence).vector, GEI()(other).vector, atol=1e-6)


def test_repeating_every_frame_does_not_matter():
    sequence = walk(seconds=2)
    twice = np.repeat(sequence.silhouettes, 2, axis=0)
    other = GaitSequence({"silhouette": twice}, np.arange(len(twice)) / 50)
    np.testing.assert_allclose(GEI()(sequence).vector, GEI()(other).vector, atol=1e-6)


def test_the_score_is_the_mean_correlation_of_parts():
    rng = np.random.default_rng(0)
    noise = (rng.random((2, 20, 64, 44)) < rng.random((2, 1, 64, 44))).astype(np.uint8)
    one, two = (GEI()(GaitSequence({"silhouette": s}, np.arange(20) / 10)).vector for s in noise)
    parts = zip(one.reshape(8, -1).astype(float), two.reshape(8, -1).astype(float), strict=True)
    assert one @ two == pytest.approx(np.mean([np.corrcoef(a, b)[0, 1] for a, b in parts]), abs=1e-5)


def test_another_body_scores_lower_than_another_moment():
    sequence = walk(seconds=4, fps=15)
    wide = sequence.silhouettes | np.roll(sequence.silhouettes, 3, 2) | np.roll(sequence.silhouettes, -3, 2)
    embed = GEI()
    first, second = embed(sequence.part(slice(0, 30))), embed(sequence.part(slice(30, 60)))
    stranger = embed(GaitSequence({"silhouette": wide}, sequence.times))
    assert first.vector @ second.vector > 0.98
    assert first.vector @ stranger.vector < embed.threshold


@pytest.mark.parametrize("value", [0, 1])
def test_blank_silhouettes_are_refused(value):
    blank = np.full((20, 64, 44), value, np.uint8)
    with pytest.raises(SequenceError, match="pixels"):
        GEI()(GaitSequence({"silhouette": blank}, np.arange(20) / 10))


@pytest.mark.parametrize("size", [(64, 64), (128, 88)])
def test_other_sizes_are_refused(size):
    data = silhouettes(phases(np.arange(20) / 10, 110), size=size)
    with pytest.raises(SequenceError, match="64x44"):
        GEI()(GaitSequence({"silhouette": data}, np.arange(20) / 10))


def test_a_body_that_stands_still_is_embedded():
    still = walk(cadence=0)
    assert np.isfinite(GEI()(still).vector).all()


def test_parts_normalised_separately_are_the_embedding():
    sequences = [walk(seconds=2.0), walk(seconds=3.0)]
    parts = GEI().part_vectors(sequences)
    assert parts.shape == (2, 8, 176)
    norms = np.linalg.norm(parts, axis=2, keepdims=True)
    for one, norm, sequence in zip(parts, norms, sequences, strict=True):
        unit = one / np.where(norm > 0, norm, 1)
        np.testing.assert_allclose(unit.ravel() / np.linalg.norm(unit), GEI()(sequence).vector, atol=1e-5)
