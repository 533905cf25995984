"""The verb `gaitid model import`, from a checkpoint to a weight file."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gaitid[torch]'")

from gaitid.cli import main  # noqa: E402
from gaitid.encoders import networks  # noqa: E402
from gaitid.encoders.base import load_encoder  # noqa: E402


def _theirs() -> dict[str, torch.Tensor]:
    """A small GaitSet with the names of the framework."""
    ours = networks.build("gaitset", {"channels": [4, 6, 8], "part_dimension": 5}).state_dict()
    names = {
        f"frame{b}.{c}.weight": f"set_block{b}.forward_block.{c}.conv.weight" for b in "123" for c in "02"
    }
    names |= {f"global{b}.{c}.weight": f"gl_block{b}.{c}.conv.weight" for b in "23" for c in "02"}
    names["head.weight"] = "Head.fc_bin"
    return {names[name]: value for name, value in ours.items()}


def test_it_writes_an_encoder_and_warns(tmp_path, capsys):
    torch.save({"model": _theirs()}, tmp_path / "theirs.pt")
    target = tmp_path / "small.safetensors"
    line = ["model", "import", str(tmp_path / "theirs.pt"), "--out", str(target), "--architecture", "gaitset"]
    assert main(line) == 0
    shown = capsys.readouterr()
    assert "encoder small, gaitset, 310 dimensions" in shown.out
    assert "academic use only" in shown.err
    assert load_encoder(str(target)).dimension == 62 * 5


def test_unknown_checkpoints_are_refused(tmp_path, capsys):
    torch.save(_theirs(), tmp_path / "theirs.pt")
    line = ["model", "import", str(tmp_path / "theirs.pt"), "--out", str(tmp_path / "x.safetensors")]
    assert main([*line, "--architecture", "gaitbase"]) == 2
    assert "gaitbase" in capsys.readouterr().err
    assert not (tmp_path / "x.safetensors").exists()


def test_the_target_must_have_the_suffix_of_weight_files(tmp_path, capsys):
    source = tmp_path / "theirs.pt"
    torch.save(_theirs(), source)
    before = source.read_bytes()
    assert main(["model", "import", str(source), "--out", str(source), "--architecture", "gaitset"]) == 2
    assert ".safetensors" in capsys.readouterr().err
    assert source.read_bytes() == before
    deep = tmp_path / "new" / "small.safetensors"
    assert main(["model", "import", str(source), "--out", str(deep), "--architecture", "gaitset"]) == 0
    assert load_encoder(str(deep)).dimension == 62 * 5
