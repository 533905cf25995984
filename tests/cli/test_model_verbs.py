"""`gaitid model list | verify`."""

from __future__ import annotations

import hashlib

import pytest

from gaitid.cli.model import installed
from gaitid.errors import WeightsError


def test_every_weight_file_is_listed_with_licence_and_digest(gaitid):
    status, out, _ = gaitid("model", "list")
    assert status == 0
    for name in ("strider", "stickman", "stickman3d", "fused", "nanodet", "blazepose"):
        assert f"\n{name}  " in f"\n{out}"
    for one in installed.weights():
        assert hashlib.sha256(one.path.read_bytes()).hexdigest() in out
        assert one.licence == "Apache-2.0"


def test_released_files_verify(gaitid):
    status, out, err = gaitid("model", "verify")
    assert (status, err) == (0, "")
    assert out.count(": as released\n") == 6


def test_a_changed_file_fails(gaitid, tmp_path, monkeypatch):
    (tmp_path / "nanodet.onnx").write_bytes(b"junk")
    monkeypatch.setattr("gaitid.perception.networks.FOLDER", tmp_path)
    status, out, err = gaitid("model", "verify")
    assert status == 1
    assert out.count(": as released\n") == 4
    assert "nanodet: Weight file" in err
    assert "blazepose: Weight file" in err
    with pytest.raises(WeightsError):
        installed.NETWORKS[0].content()
