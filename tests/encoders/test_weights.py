"""Weight files return what was written, and refuse everything else."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from gaitid.encoders import weights
from gaitid.errors import WeightsError

CARD = weights.Card(
    name="tiny",
    architecture="strider",
    modalities=("silhouette",),
    min_frames=8,
    rate_hz=12.5,
    dimension=4,
    preprocessing="1",
    threshold=0.5,
    threshold_rule="FMR 0.001",
    licence="Apache-2.0",
    training_data="none",
    date="2026-11-22",
    commit="0" * 40,
    command="none",
    arguments={"trunk": [8, 8, 8]},
    metrics=(weights.Figure("rank-1", 0.5, "manual"),),
    impostors=weights.Impostors(0.1, 0.2, 10, "manual", (0.5, 0.1), (0.25, 0.75)),
)
TENSORS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b.scalar": np.array(3, np.int64),
    "c.empty": np.zeros((0, 2), np.float16),
}
GOLDEN = weights.Golden(
    np.zeros((2, 64, 44), np.uint8), np.array([0.0, 0.1]), np.array([1, 0, 0, 0], np.float32)
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    weights.save(tmp_path / "tiny.safetensors", CARD, TENSORS, GOLDEN)
    return tmp_path / "tiny.safetensors"


def test_what_is_written_is_read(file: Path):
    held = weights.load(file)
    assert held.card == CARD
    assert held.sha256 == weights.digest(TENSORS)
    assert held.tensors.keys() == TENSORS.keys()
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(held.tensors[name], array)
        assert held.tensors[name].dtype == array.dtype
    np.testing.assert_array_equal(held.golden.vector, GOLDEN.vector)
    assert not list(file.parent.glob("*.part"))


def test_other_tools_read_it(file: Path):
    safetensors = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    read = safetensors.load_file(file)
    np.testing.assert_array_equal(read["a"], TENSORS["a"])


def test_the_digest_covers_names_kinds_shapes_and_values():
    base = weights.digest({"a": np.zeros(4, np.float32)})
    others = [
        {"b": np.zeros(4, np.float32)},
        {"a": np.zeros(4, np.int32)},
        {"a": np.zeros((2, 2), np.float32)},
        {"a": np.ones(4, np.float32)},
        {"a": np.asfortranarray(np.ones((2, 2), np.float32))},
    ]
    found = {weights.digest(other) for other in others}
    assert len(found) == len(others)
    assert base not in found


def _flip(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def _header(change) -> object:
    def apply(data: bytes) -> bytes:
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        change(header)
        head = json.dumps(header).encode()
        return len(head).to_bytes(8, "little") + head + data[8 + length :]

    return apply


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: b"", "without a header"),
        (lambda data: data[:7], "without a header"),
        (lambda data: data[:100], "without a header"),
        (lambda data: b"\xff" * 8 + data[8:], "without a header"),
        (lambda data: data[:8] + b"!" + data[9:], "not JSON"),
        (lambda data: data[:-8], "within the file"),
        (lambda data: _flip(data, len(data) - 1), "sha256"),
        (_header(lambda h: h.pop("__metadata__")), "no card"),
        (_header(lambda h: h["__metadata__"].update(card="{}")), "changed"),
        (_header(lambda h: h.pop("a")), "sha256"),
        (_header(lambda h: h["a"].update(dtype="BF16")), "unknown form"),
        (_header(lambda h: h["a"].update(shape=[-2, -3])), "within the file"),
        (_header(lambda h: h["a"].update(data_offsets=[0, 2**40])), "within the file"),
        (_header(lambda h: h["a"].update(data_offsets=None)), "unknown form"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused(file: Path, damage, words: str):
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(WeightsError, match=words):
        weights.load(file)


def test_every_single_bit_counts(file: Path):
    data = file.read_bytes()
    length = 8 + int.from_bytes(data[:8], "little")
    rng = np.random.default_rng(0)
    for place in rng.integers(length, len(data), 20).tolist():
        file.write_bytes(_flip(data, place))
        with pytest.raises(WeightsError):
            weights.load(file)


def test_a_missing_file_and_a_foreign_card_are_refused(tmp_path: Path, file: Path):
    with pytest.raises(WeightsError, match="cannot be read"):
        weights.load(tmp_path / "none.safetensors")

    def rename(header):
        card = {**json.loads(header["__metadata__"]["card"]), "colour": "red"}
        text = json.dumps(card)
        import hashlib

        header["__metadata__"].update(card=text, card_sha256=hashlib.sha256(text.encode()).hexdigest())

    file.write_bytes(_header(rename)(file.read_bytes()))
    with pytest.raises(WeightsError, match="colour"):
        weights.load(file)


def test_a_tensor_of_an_unknown_kind_is_refused(tmp_path: Path):
    with pytest.raises(WeightsError, match="complex"):
        weights.save(tmp_path / "x.safetensors", CARD, {"a": np.zeros(1, np.complex64)}, GOLDEN)
    assert not list(tmp_path.iterdir())


def test_a_card_is_checked_against_its_types(tmp_path: Path):
    odd = dataclasses.replace(CARD, min_frames="eight")  # type: ignore[arg-type]
    weights.save(tmp_path / "x.safetensors", odd, TENSORS, GOLDEN)
    with pytest.raises(WeightsError, match="min_frames"):
        weights.load(tmp_path / "x.safetensors")
