import zipfile

import numpy as np
import pytest

from gaitid.errors import SequenceError
from gaitid.records import GaitSequence, Origin, npz


def sequence(frames=5, size=(64, 44), **streams):
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 2, (frames, *size)).astype(np.uint8)
    boxes = rng.random((frames, 4)).astype(np.float32)
    stamps = np.arange(frames) / 10
    return GaitSequence({"silhouette": masks, **streams}, stamps, boxes, {"merged": 3}, Origin("gate", 7))


CASES = {
    "one frame": sequence(1),
    "square": sequence(3, (64, 64)),
    "large": sequence(3, (128, 88)),
    "both streams": sequence(4, skeleton=np.full((4, 17, 3), 0.25, np.float32)),
    "in space": GaitSequence({"skeleton3d": np.ones((2, 17, 4), np.float32)}, np.array([0.0, 1.0])),
    "skeleton only": GaitSequence({"skeleton": np.zeros((2, 17, 3), np.float32)}, np.array([0.0, 1.0])),
}


@pytest.mark.parametrize("original", CASES.values(), ids=CASES)
def test_what_is_saved_is_loaded(tmp_path, original):
    npz.save(tmp_path / "a.npz", original)
    again = npz.load(tmp_path / "a.npz")
    assert set(again.streams) == set(original.streams)
    for name, stream in original.streams.items():
        assert np.array_equal(again.streams[name], stream)
    assert np.array_equal(again.times, original.times)
    assert (again.boxes is None) == (original.boxes is None)
    assert again.boxes is None or np.array_equal(again.boxes, original.boxes)
    assert again.dropped == original.dropped
    assert again.origin == original.origin
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def arrays(**changes):
    good = {
        "version": np.array(1),
        "times": np.arange(2.0),
        "dropped": np.array("{}"),
        "camera": np.array(""),
        "track": np.array(0),
        "silhouette_bits": np.zeros(2 * 352, np.uint8),
        "silhouette_shape": np.array([2, 64, 44]),
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


BAD = {
    "other version": arrays(version=np.array(9)),
    "no times": arrays(times=None),
    "text times": arrays(times=np.array(["a", "b"])),
    "short bits": arrays(silhouette_bits=np.zeros(10, np.uint8)),
    "huge claim": arrays(silhouette_shape=np.array([10**12, 64, 44])),
    "negative claim": arrays(silhouette_shape=np.array([-2, 64, 44])),
    "no stream": arrays(silhouette_bits=None),
    "dropped is no JSON": arrays(dropped=np.array("{")),
    "dropped is a list": arrays(dropped=np.array("[1]")),
    "nan skeleton": arrays(skeleton=np.full((2, 17, 3), np.nan, np.float32)),
    "pickled": arrays(camera=np.array([{"a": 1}], dtype=object)),
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_a_wrong_file_is_a_typed_error(tmp_path, content):
    np.savez(tmp_path / "bad.npz", **content)
    with pytest.raises(SequenceError):
        npz.load(tmp_path / "bad.npz")


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04rest"])
def test_a_file_that_is_no_archive(tmp_path, content):
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(SequenceError, match=r"bad\.npz is no gait sequence"):
        npz.load(tmp_path / "bad.npz")


def test_a_missing_file(tmp_path):
    with pytest.raises(SequenceError, match="is no gait sequence"):
        npz.load(tmp_path / "none.npz")


@pytest.mark.slow
def test_a_bomb_is_not_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("times.npy", bytes(300 * 1024 * 1024))
    with pytest.raises(SequenceError, match="unpacks to"):
        npz.load(tmp_path / "bomb.npz")
