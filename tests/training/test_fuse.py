"""The fused encoder: heads and gates are trained, measured and written as a weight file."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gaitid[torch]'")

from gaitid.encoders.base import load_encoder  # noqa: E402
from gaitid.encoders.fused import STREAMS  # noqa: E402
from gaitid.errors import InputError  # noqa: E402
from gaitid.records import GaitSequence  # noqa: E402
from gaitid.training import fuse  # noqa: E402
from gaitid.training.corpus import Corpus  # noqa: E402
from gaitid.training.validation import VALIDATION_VIEWS  # noqa: E402


def test_too_few_subjects_are_refused():
    few = fuse.ExpertOutputs(
        np.zeros((2, 2, 4), np.float32), np.ones((2, 2, 4), np.float32), np.array(["a", "b"])
    )
    with pytest.raises(InputError, match="2 subjects"):
        fuse.train(few, 4, steps=1)


@pytest.mark.slow
def test_a_fused_encoder_is_written(tmp_path: Path, shards, validation, monkeypatch, capsys):
    monkeypatch.setattr(fuse, "SUBJECTS", 3)
    monkeypatch.setattr(fuse, "EACH", 2)
    monkeypatch.setattr(fuse, "VIEWS", VALIDATION_VIEWS)
    target = tmp_path / "fused.safetensors"
    folders = map(str, (shards, validation, validation, target))
    words = ["fuse", *folders, "--steps", "2", "--dimension", "16", "--training-data", "synthetic"]
    monkeypatch.setattr(sys, "argv", words)
    fuse.main()
    assert "fused, both streams" in capsys.readouterr().out
    encoder = load_encoder(str(target))
    corpus = Corpus(validation)
    walk = GaitSequence({name: corpus.stream(0, name) for name in STREAMS}, corpus.times(0))
    assert encoder(walk).vector.shape == (16,)
    assert len(encoder.card.metrics) == 3 * 6
