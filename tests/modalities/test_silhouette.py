from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from gaitid.errors import MessageError, SequenceError
from gaitid.modalities.silhouette import deflate, inflate, pack, packed_size, unpack

ONE = np.zeros((1, 1, 3), np.uint8)
ONE[0, 0, 0] = 1


def test_one_frame_is_packed_from_the_most_significant_bit_and_padded():
    assert pack(ONE) == b"\x80"
    assert pack(np.concatenate([ONE, ONE])) == b"\x80\x80"


def test_the_documented_size():
    assert packed_size(30, 64, 44) == 10_560 == len(pack(np.zeros((30, 64, 44), np.uint8)))


@given(arrays(np.uint8, array_shapes(min_dims=3, max_dims=3, max_side=9), elements=st.integers(0, 1)))
def test_unpack_and_inflate_give_back_what_went_in(silhouettes):
    np.testing.assert_array_equal(unpack(pack(silhouettes), *silhouettes.shape), silhouettes)
    np.testing.assert_array_equal(inflate(deflate(silhouettes), *silhouettes.shape), silhouettes)


UNPACKABLE = {
    "a list": [[[0]]],
    "two dimensions": np.zeros((64, 44), np.uint8),
    "float": np.zeros((1, 64, 44)),
    "bool": np.zeros((1, 64, 44), bool),
    "gray": np.full((1, 64, 44), 255, np.uint8),
}


@pytest.mark.parametrize("name", UNPACKABLE)
def test_pack_refuses(name):
    with pytest.raises(SequenceError):
        pack(UNPACKABLE[name])


WRONG_SHAPE = {
    "no frames": (0, 64, 44),
    "negative": (-1, 64, 44),
    "one frame more": (3, 64, 44),
    "other width": (2, 64, 45),
    "too many frames": (10_001, 64, 44),
    "huge": (2, 100_000, 100_000),
}


@pytest.mark.parametrize("name", WRONG_SHAPE)
def test_a_wrong_declared_shape_is_a_message_error(name):
    silhouettes = np.ones((2, 64, 44), np.uint8)
    with pytest.raises(MessageError):
        unpack(pack(silhouettes), *WRONG_SHAPE[name])
    with pytest.raises(MessageError):
        inflate(deflate(silhouettes), *WRONG_SHAPE[name])


GOOD = deflate(np.ones((2, 64, 44), np.uint8))
BAD_STREAMS = {
    "empty": b"",
    "garbage": b"not zlib",
    "truncated": GOOD[:-3],
    "trailing bytes": GOOD + b"x",
    "shorter": zlib.compress(b"\xff" * 703),
    "longer": zlib.compress(b"\xff" * 705),
    "bad checksum": GOOD[:-1] + bytes([GOOD[-1] ^ 1]),
}


@pytest.mark.parametrize("name", BAD_STREAMS)
def test_inflate_refuses(name):
    with pytest.raises(MessageError):
        inflate(BAD_STREAMS[name], 2, 64, 44)


def test_a_zip_bomb_is_not_inflated(monkeypatch):
    asked = []
    real = zlib.decompressobj

    class Spy:
        def __init__(self):
            self.stream = real()

        def decompress(self, data, most=0):
            out = self.stream.decompress(data, most)
            asked.append(len(out))
            return out

        def __getattr__(self, name):
            return getattr(self.stream, name)

    bomb = zlib.compress(bytes(50_000_000))
    monkeypatch.setattr(zlib, "decompressobj", Spy)
    with pytest.raises(MessageError):
        inflate(bomb, 2, 64, 44)
    assert sum(asked) <= 705
