"""Export to ONNX: ONNX Runtime returns the same vectors, for any batch size and length."""

from __future__ import annotations

import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gaitid[torch]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: 'gaitid[onnx]'")
onnx = pytest.importorskip("onnx", reason="onnx is not installed: 'gaitid[onnx]'")

from gaitid.cli import main  # noqa: E402
from gaitid.encoders import architectures, networks, weights  # noqa: E402
from gaitid.encoders.base import PREPROCESSING  # noqa: E402
from gaitid.encoders.learned import LearnedEncoder  # noqa: E402
from gaitid.synthetic import Population  # noqa: E402
from tests.small import STRIDER_WHOLE as STRIDER  # noqa: E402

STICKMAN = {"width": 8, "dilations": [1, 2], "hidden": 16, "projection": 8}
GAITSET = {"channels": [4, 4, 4], "part_dimension": 2}


def _encoder(folder, architecture: str, arguments: dict) -> tuple[LearnedEncoder, object]:
    kind = architectures.ARCHITECTURES[architecture]
    walk = Population(1).sequence(0, frames=30).sequence(modalities=(kind.modality,))
    network = networks.build(architecture, arguments).eval()
    clip = walk.streams[kind.modality]
    vector = networks.embed(network, [clip], [walk.times])[0]
    card = weights.Card(
        "small", architecture, (kind.modality,), 8, kind.clips.rate_hz, len(vector), PREPROCESSING, 0.5,
        "none", "Apache-2.0", "none", "2026-11-22", "", "none", arguments,
    )  # fmt: skip
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    path = folder / "small.safetensors"
    weights.save(path, card, state, weights.Golden(clip, walk.times, vector))
    return LearnedEncoder(path), path


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize(
    ("name", "arguments"),
    [("strider", STRIDER), ("stickman", STICKMAN), ("stickman3d", STICKMAN | {"features": 11})],
)
def test_onnx_runtime_gives_the_same_embeddings(tmp_path, capsys, name, arguments):
    encoder, path = _encoder(tmp_path, name, arguments)
    target = tmp_path / "new" / "small.onnx"
    assert main(["model", "export", str(path), "--out", str(target)]) == 0
    assert "largest difference to torch" in capsys.readouterr().out
    session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
    walk = Population(2).sequence(0, frames=40).sequence(modalities=encoder.modalities)
    stream = walk.streams[encoder.modalities[0]]
    clips = np.stack([np.asarray(c, np.float32) for c in architectures.find(name).clips(stream, walk.times)])
    (vectors,) = session.run(None, {"clips": clips})
    np.testing.assert_allclose(vectors[0], encoder(walk).vector, atol=1e-4)
    assert not list(tmp_path.rglob("*.part*"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_eight_bits_report_their_loss(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("gaitid.cli.model.export.SUBJECTS", 4)
    monkeypatch.setattr("gaitid.cli.model.export.RANGES", 3)
    _, path = _encoder(tmp_path, "strider", STRIDER)
    whole, small = tmp_path / "whole.onnx", tmp_path / "small.onnx"
    assert main(["model", "export", str(path), "--out", str(whole)]) == 0
    assert main(["model", "export", str(path), "--out", str(small), "--int8"]) == 0
    said = capsys.readouterr().out
    assert "on 4 SYNTHETIC subjects" in said
    assert float(said.split("worst ")[1].split(")")[0]) > 0.8
    weights_of = [item.data_type for item in onnx.load(small).graph.initializer]
    assert weights_of.count(onnx.TensorProto.INT8) >= 5  # the convolutions
    assert sorted(file.name for file in tmp_path.glob("*.onnx")) == ["small.onnx", "whole.onnx"]


def test_a_reference_network_is_refused(tmp_path, capsys):
    _, path = _encoder(tmp_path, "gaitset", GAITSET)
    assert main(["model", "export", str(path), "--out", str(tmp_path / "x.onnx")]) == 2
    assert "one of strider, stickman, stickman3d" in capsys.readouterr().err


def test_without_the_packages_it_names_the_extra(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "gaitid.encoders.onnx", raising=False)
    monkeypatch.delattr("gaitid.encoders.onnx", raising=False)
    _, path = _encoder(tmp_path, "strider", STRIDER)
    assert main(["model", "export", str(path), "--out", str(tmp_path / "x.onnx")]) == 1
    assert "gaitid[onnx]" in capsys.readouterr().err
