"""An imported network on a data set: what is embedded is what published loaders would pass to it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gaitid[torch]'")

from published import gaitset, gaitset_state  # noqa: E402

from gaitid.cli import main  # noqa: E402
from gaitid.datasets.opening import open_dataset  # noqa: E402
from gaitid.encoders import foreign  # noqa: E402
from gaitid.encoders.base import load_encoder  # noqa: E402
from gaitid.evaluation.embedding import embed  # noqa: E402
from gaitid.synthetic import Population  # noqa: E402
from gaitid.synthetic.layouts import LayoutWalk, write_layout  # noqa: E402


@pytest.fixture(scope="module")
def casia(tmp_path_factory) -> Path:
    """CASIA-B in miniature: three test subjects, five walks from two views, one of them of five frames."""
    population = Population(3)
    walks = [
        LayoutWalk(
            subject, kind, number, view, population.sequence(subject, number, view=view, frames=count).clean
        )
        for subject in range(75, 78)
        for kind, number, count in (("nm", 1, 12), ("nm", 5, 12), ("nm", 6, 5), ("bg", 1, 12), ("cl", 1, 12))
        for view in (0, 90)
    ]
    return write_layout("casia-b-pkl", tmp_path_factory.mktemp("sets") / "casia", walks)


@pytest.fixture(scope="module")
def state():
    return gaitset_state()


@pytest.fixture(scope="module")
def weights(tmp_path_factory, state) -> str:
    path = tmp_path_factory.mktemp("weights") / "theirs.safetensors"
    foreign.save_imported(path, "theirs", "gaitset", foreign.import_state("gaitset", state), "c.pt")
    return str(path)


def _theirs(state, file: Path) -> np.ndarray:
    """Parts that the formulas make of a pickle, cut and divided as published loaders do."""
    with file.open("rb") as content:
        gray = pickle.load(content)[:, :, 10:-10] / 255.0  # noqa: S301 - written by this test's generator
    return gaitset(state, torch.from_numpy(gray).float()).numpy()


def _prepared(casia: Path, out: Path, *flags: str) -> Path:
    line = ["dataset", "prepare", "--dataset", "casia-b", "--root", str(casia), "--out", str(out)]
    assert main([*line, "--workers", "1", *flags]) == 0
    return out


@pytest.mark.parametrize("kind", ["original", "prepared"])
def test_parts_of_a_data_set_are_those_of_the_original(casia, state, weights, tmp_path, kind):
    encoder = load_encoder(weights)
    root = casia if kind == "original" else _prepared(casia, tmp_path / "out", "--gray")
    found = embed(open_dataset("casia-b", root, gray=True), encoder, raw=True)
    assert len(found.entries) == 30
    assert not found.left_out  # walks of five frames, too
    binary = embed(open_dataset("casia-b", casia), encoder, raw=True)
    for entry, ours, hard in zip(found.entries, found.vectors, binary.vectors, strict=True):
        view = entry.view
        theirs = _theirs(state, casia / entry.subject / entry.sequence / view / f"{view}.pkl")
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
        assert np.abs(hard - theirs).max() > 0.01  # what was lost before


def test_the_verb_reads_gray_where_the_network_was_trained_on_it(casia, weights, tmp_path, capsys):
    line = ["evaluate", "--dataset", "casia-b", "--metric", "euc", "--out", str(tmp_path / "result")]
    plain = _prepared(casia, tmp_path / "plain")
    gray = _prepared(casia, tmp_path / "gray", "--gray")
    capsys.readouterr()
    for root, encoder, kind in (
        (casia, weights, "gray"),
        (gray, weights, "gray"),
        (plain, weights, "binary"),
        (gray, "gei", "binary"),
    ):
        metric = ["--metric", "cos"] if encoder == "gei" else []
        assert main([*line, *metric, "--root", str(root), "--encoder", encoder]) == 0
        result = json.loads((tmp_path / "result" / "result.json").read_text())
        assert result["what"]["silhouettes"] == kind
        assert ("prepare it with --gray" in capsys.readouterr().err) == (root == plain)
