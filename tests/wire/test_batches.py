"""Probes are packed into batches of bounded size, one at a time."""

from __future__ import annotations

import numpy as np
import pytest

from gaitid import wire
from gaitid.errors import InputError
from gaitid.records import MAX_FRAMES, Embedding, GaitSequence
from gaitid.wire import batches


def walk(frames=30):
    return GaitSequence({"silhouette": np.ones((frames, 64, 44), np.uint8)}, np.arange(float(frames)))


def vector(dimension=1408):
    return Embedding(np.eye(1, dimension, dtype=np.float32)[0], "c0ffee")


def test_no_probe_makes_no_batch():
    assert list(wire.batched([])) == []


@pytest.mark.parametrize(
    "probe", [walk(), walk(1), walk(MAX_FRAMES), vector()], ids=["walk", "1", "long", "vector"]
)
def test_one_probe_makes_one_batch(probe):
    assert [len(batch) for batch in wire.batched([probe])] == [1]


@pytest.mark.parametrize("probes", [[walk()] * 300, [vector()] * 300, [walk(1500), vector()] * 20])
def test_batches_keep_order_and_stay_small(probes):
    made = list(wire.batched(probes))
    assert [one for batch in made for one in batch] == [wire.pack_probe(probe) for probe in probes]
    assert len(made) > 1
    for batch in made:
        assert sum(one.ByteSize() for one in batch) <= batches.BATCH_BYTES
        assert sum(one.sequence.silhouettes.frames for one in batch) <= batches.BATCH_FRAMES


def test_probes_are_read_as_batches_are_sent():
    read = []

    def probes():
        for number in range(1000):
            read.append(number)
            yield vector()

    made = wire.batched(probes())
    first = next(made)
    assert len(first) <= len(read) - 1 < 50


def test_a_fault_comes_after_the_full_batches():
    made = wire.batched([*[vector()] * 100, "walk"])
    assert len(next(made)) > 1
    with pytest.raises(InputError, match="type str"):
        list(made)
