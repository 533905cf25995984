"""Every stream of the table keeps the promises of `streams.Stream`."""

from __future__ import annotations

import numpy as np
import pytest

from gaitid.errors import MessageError, SequenceError
from gaitid.modalities.streams import STREAMS
from gaitid.records import SILHOUETTE, SILHOUETTE_GRAY, SKELETON, SKELETON_3D, GaitSequence


@pytest.fixture(params=STREAMS)
def stream(request):
    return STREAMS[request.param]


def frames(stream, count, shape):
    """Random frames of a stream; the values are the same for the same count and shape."""
    rng = np.random.default_rng([count, *shape])
    if stream.name == SILHOUETTE:
        return rng.integers(0, 2, (count, *shape), np.uint8)
    if stream.name == SILHOUETTE_GRAY:
        return rng.integers(0, 256, (count, *shape), np.uint8)
    return rng.random((count, *shape), np.float32)


def cases(stream):
    return [(count, shape) for count in (1, 2, 9) for shape in stream.shapes]


def test_the_table_is_by_name():
    assert list(STREAMS) == [SILHOUETTE, SKELETON, SKELETON_3D, SILHOUETTE_GRAY]
    assert all(stream.name == name for name, stream in STREAMS.items())


def test_its_frames_make_a_sequence(stream):
    for count, shape in cases(stream):
        array = frames(stream, count, shape)
        stream.check(array)
        GaitSequence({stream.name: array}, np.arange(float(count)))


def test_packing_and_arrays_lose_nothing(stream):
    for count, shape in cases(stream):
        array = frames(stream, count, shape)
        data = stream.pack(array)
        assert len(data) == stream.size(count, shape)
        for back in (stream.unpack(data, count, shape), stream.from_arrays(stream.to_arrays(array))):
            assert back.dtype == array.dtype
            np.testing.assert_array_equal(back, array)


def test_arrays_of_other_streams_are_not_its_own(stream):
    others = [other for other in STREAMS.values() if other is not stream]
    held = {k: v for o in others for k, v in o.to_arrays(frames(o, 2, o.shapes[0])).items()}
    assert stream.from_arrays({}) is None
    assert stream.from_arrays(held) is None


def test_bytes_that_do_not_fit_are_refused(stream):
    data = stream.pack(frames(stream, 3, stream.shapes[0]))
    for wrong, count in ((data[:-1], 3), (data + b"\0", 3), (data, 2), (b"", 0)):
        with pytest.raises(MessageError):
            stream.unpack(wrong, count, stream.shapes[0])


def test_wrong_arrays_are_refused(stream):
    array = frames(stream, 2, stream.shapes[0])
    others = [array.astype(np.float64), array[0], array[:, :-1], array.tolist(), None]
    if stream.name != SILHOUETTE_GRAY:  # which has all values of a byte
        others.append(array * 3)
    for wrong in others:
        with pytest.raises(SequenceError):
            stream.check(wrong)
