"""The fused encoder: heads and gates are trained, measured and written as a weight file."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gaitid[torch]'")

from gaitid.encoders.base import load_encoder  # noqa: E402
from gaitid.encoders.fused import STREAMS, TRAITS  # noqa: E402
from gaitid.errors import InputError  # noqa: E402
from gaitid.records import GaitSequence  # noqa: E402
from gaitid.training import fuse  # noqa: E402
from gaitid.training.corpus import Corpus  # noqa: E402
from gaitid.training.validation import VALIDATION_VIEWS  # noqa: E402


def test_too_few_subjects_are_refused():
    zeros = np.zeros((2, 4), np.float32)
    few = fuse.ExpertOutputs((zeros, zeros), np.ones((2, 2, TRAITS), np.float32), np.array(["a", "b"]))
    with pytest.raises(InputError, match="2 subjects"):
        fuse.train(few, steps=1)


def test_the_gate_closes_for_a_stream_that_says_nothing(monkeypatch):
    monkeypatch.setattr(fuse, "SUBJECTS", 16)
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(40), 8)
    people = rng.standard_normal((40, 16))
    bad = rng.random(len(subjects)) < 0.5
    good = people[subjects] + 0.5 * rng.standard_normal((len(subjects), 16))
    spoilt = np.where(bad[:, None], rng.standard_normal(good.shape), good)
    vectors = tuple((v / np.linalg.norm(v, axis=1, keepdims=True)).astype(np.float32) for v in (good, spoilt))
    quality = np.ones((len(subjects), 2, TRAITS), np.float32)
    quality[:, 1, 4] = np.where(bad, 1.0, -1.0)
    gates = fuse.train(fuse.ExpertOutputs(vectors, quality, subjects.astype(str)), steps=80)
    open_, closed = (
        np.logaddexp(0, gates["gate.skeleton"] @ np.array([1, 1, 1, 1, jump])) for jump in (-1.0, 1.0)
    )
    assert closed < 0.7 * open_


def test_heads_map_what_both_streams_know_to_the_same_place():
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(60), 4)
    people = rng.standard_normal((60, 5))
    mixes = rng.standard_normal((5, 12)), rng.standard_normal((5, 8))
    vectors = tuple(
        (people[subjects] @ mix + 0.3 * rng.standard_normal((len(subjects), mix.shape[1]))).astype(np.float32)
        for mix in mixes
    )
    data = fuse.ExpertOutputs(vectors, np.ones((len(subjects), 2, TRAITS), np.float32), subjects.astype(str))
    made = fuse.heads(data, 4)
    one, two = (
        (vectors[k][::4] - made[f"centre.{stream}"]) @ made[f"head.{stream}"].T
        for k, stream in enumerate(STREAMS)
    )
    one, two = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (one, two))
    assert ((one @ two.T).argmax(1) == np.arange(60)).mean() > 0.8


@pytest.mark.slow
def test_a_fused_encoder_is_written(tmp_path: Path, shards, validation, monkeypatch, capsys):
    monkeypatch.setattr(fuse, "SUBJECTS", 3)
    monkeypatch.setattr(fuse, "EACH", 2)
    monkeypatch.setattr(fuse, "VIEWS", VALIDATION_VIEWS)
    target = tmp_path / "fused.safetensors"
    folders = map(str, (shards, validation, validation, target))
    words = ["fuse", *folders, "--steps", "2", "--common", "8", "--training-data", "synthetic"]
    monkeypatch.setattr(sys, "argv", words)
    fuse.main()
    assert "fused, both streams" in capsys.readouterr().out
    encoder = load_encoder(str(target))
    corpus = Corpus(validation)
    walk = GaitSequence({name: corpus.stream(0, name) for name in STREAMS}, corpus.times(0))
    assert encoder(walk).vector.shape == (encoder.dimension,)
    assert len(encoder.card.metrics) == 3 * 6
