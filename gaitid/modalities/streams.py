"""The table of streams. Code that depends on the modality of a stream calls its object in `STREAMS`.

A new modality of cameras is a class with the members of `Stream`, an entry in `STREAMS`, and its message in
`wire.sequence`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from gaitid.errors import SequenceError
from gaitid.modalities.silhouette import SILHOUETTE_GRAY, GrayStream, SilhouetteStream
from gaitid.modalities.skeleton import SKELETON, SKELETON_3D, SkeletonStream

Arrays = Mapping[str, NDArray[Any]]


class Stream(Protocol):
    """One modality of a gait sequence.

    Attributes:
        name: Its key in `GaitSequence.streams`, in files and on the cards of encoders.
        shapes: Shapes that a frame may have; the first is the usual one.
    """

    @property
    def name(self) -> str:
        """See the class."""
        ...

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """See the class."""
        ...

    def check(self, array: Any) -> None:
        """Raise `SequenceError` unless `array` is (T, *shape) of the right dtype and range."""
        ...

    def size(self, frames: int, shape: tuple[int, ...]) -> int:
        """Return the number of bytes that `pack` makes of that many frames."""
        ...

    def pack(self, array: NDArray[Any]) -> bytes:
        """Return the frames as bytes without loss.

        Raises:
            SequenceError: The array is no such stream.
        """
        ...

    def unpack(self, data: bytes, frames: int, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return the frames that `pack` made the bytes from.

        Raises:
            MessageError: The bytes do not fit the number and shape of the frames.
        """
        ...

    def to_arrays(self, array: NDArray[Any]) -> Arrays:
        """Return the named arrays that an ``.npz`` file holds of this stream; see docs/formats.md."""
        ...

    def from_arrays(self, arrays: Arrays) -> NDArray[Any] | None:
        """Return the stream in an ``.npz`` file's arrays, or None when they hold none.

        Raises:
            SequenceError: It has no frames or too many.
            MessageError: Its bytes do not fit its shape.
        """
        ...


STREAMS: Mapping[str, Stream] = {
    stream.name: stream
    for stream in (
        SilhouetteStream(),
        SkeletonStream(SKELETON, 3),
        SkeletonStream(SKELETON_3D, 4),
        GrayStream(),
    )
}
RECORDED_ONLY = frozenset({SILHOUETTE_GRAY})
"""Streams of data sets that cameras do not produce: matchers refuse them, and no message has them."""


def check_live(streams: Collection[str]) -> None:
    """Check that a matcher may take a sequence with these streams, here or on a server.

    Raises:
        SequenceError: One of them is in `RECORDED_ONLY`.
    """
    for name in sorted(RECORDED_ONLY.intersection(streams)):
        raise SequenceError(
            f"The sequence has the stream {name}",
            "streams that cameras produce",
            "Read the data set without gray, or leave that stream out",
        )
