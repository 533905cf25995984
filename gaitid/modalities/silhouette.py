"""The silhouette stream: (T, H, W) uint8 0/1, and its packed form of eight pixels a byte.

A sequence of 30 frames of 64x44 takes 10,560 bytes packed and 1 to 4 KB deflated.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import MessageError, SequenceError
from gaitid.modalities.arrays import MAX_FRAMES, check_array

SILHOUETTE = "silhouette"
SILHOUETTE_GRAY = "silhouette_gray"
SILHOUETTE_SIZES = ((64, 44), (64, 64), (128, 88))
"""Accepted sizes (height, width); the first is the default."""
MAX_SIDE = 1024
"""Largest height or width accepted in a message, pixels."""


@dataclass(frozen=True, slots=True)
class SilhouetteStream:
    """Aligned silhouettes; a `streams.Stream`."""

    name: str = SILHOUETTE
    shapes: tuple[tuple[int, ...], ...] = SILHOUETTE_SIZES

    def check(self, array: Any) -> None:
        """Raise `SequenceError` unless `array` is (T, H, W) uint8 0/1 of an accepted size."""
        check_array(array, np.uint8, (None, None, None), self.name, SequenceError)
        check_size(*array.shape[1:])
        _check_binary(array)

    def size(self, frames: int, shape: tuple[int, ...]) -> int:
        """Return the number of bytes that `pack` makes of that many frames."""
        height, width = shape
        return packed_size(frames, height, width)

    def pack(self, array: NDArray[np.uint8]) -> bytes:
        """Return the frames as bits; see `pack`."""
        return pack(array)

    def unpack(self, data: bytes, frames: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return the frames of packed bits; see `unpack`."""
        height, width = shape
        return unpack(data, frames, height, width)

    def to_arrays(self, array: NDArray[np.uint8]) -> Mapping[str, NDArray[Any]]:
        """Return ``silhouette_bits`` and ``silhouette_shape``."""
        return {
            "silhouette_bits": np.frombuffer(pack(array), np.uint8),
            "silhouette_shape": np.array(array.shape),
        }

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8] | None:
        """Return the silhouettes of ``silhouette_bits`` and ``silhouette_shape``."""
        if "silhouette_bits" not in arrays:
            return None
        frames, height, width = (int(n) for n in arrays["silhouette_shape"].tolist())
        if not 0 < frames <= MAX_FRAMES:
            raise SequenceError(
                f"Sequence has {frames} frames", f"1 to {MAX_FRAMES} frames", "Extract it again"
            )
        bits = np.ascontiguousarray(arrays["silhouette_bits"], np.uint8).tobytes()
        return unpack(bits, frames, height, width)


@dataclass(frozen=True, slots=True)
class GrayStream:
    """Silhouettes with the gray of resized edges, as published networks are trained; a `streams.Stream`.

    Only data sets have it, beside binary silhouettes. Cameras do not produce it, and it is not sent.
    """

    name: str = SILHOUETTE_GRAY
    shapes: tuple[tuple[int, ...], ...] = SILHOUETTE_SIZES

    def check(self, array: Any) -> None:
        """Raise `SequenceError` unless `array` is (T, H, W) uint8 0..255 of an accepted size."""
        check_array(array, np.uint8, (None, None, None), self.name, SequenceError)
        check_size(*array.shape[1:])

    def size(self, frames: int, shape: tuple[int, ...]) -> int:
        """Return the number of bytes that `pack` makes of that many frames."""
        height, width = shape
        return frames * height * width

    def pack(self, array: NDArray[np.uint8]) -> bytes:
        """Return the frames as one byte per pixel, row by row."""
        self.check(array)
        return array.tobytes()

    def unpack(self, data: bytes, frames: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return the frames of such bytes.

        Raises:
            MessageError: They do not fit the number and shape of the frames.
        """
        if not frames or len(data) != self.size(frames, shape):
            raise MessageError(
                f"Gray silhouettes have {len(data)} bytes",
                f"{self.size(frames, shape)} bytes for {frames} frames of {'x'.join(map(str, shape))}",
                "Declare the shape that was packed",
            )
        return np.frombuffer(data, np.uint8).reshape(frames, *shape)

    def to_arrays(self, array: NDArray[np.uint8]) -> Mapping[str, NDArray[Any]]:
        """Return ``silhouette_gray``."""
        return {self.name: array}

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8] | None:
        """Return the silhouettes of ``silhouette_gray``."""
        return arrays.get(self.name)


def check_size(height: int, width: int) -> None:
    """Raise `SequenceError` unless silhouettes may have that size."""
    if (height, width) not in SILHOUETTE_SIZES:
        raise SequenceError(
            f"Silhouettes are {height}x{width}",
            " or ".join(f"{h}x{w}" for h, w in SILHOUETTE_SIZES),
            "Align masks with gaitid.perception.align",
        )


def packed_size(frames: int, height: int, width: int) -> int:
    """Return the number of bytes that `pack` makes of silhouettes of that shape."""
    return frames * -(-height * width // 8)


def pack(silhouettes: NDArray[np.uint8]) -> bytes:
    """Pack silhouettes as bits: row by row, most significant bit first, each frame padded to whole bytes.

    Args:
        silhouettes: (T, H, W) uint8, 0 or 1.

    Raises:
        SequenceError: The array has another shape, dtype or value.
    """
    check_array(silhouettes, np.uint8, (None, None, None), SILHOUETTE, SequenceError)
    _check_binary(silhouettes)
    pixels = silhouettes.shape[1] * silhouettes.shape[2]
    return np.packbits(silhouettes.reshape(len(silhouettes), pixels), axis=1).tobytes()


def unpack(data: bytes, frames: int, height: int, width: int) -> NDArray[np.uint8]:
    """Return the (frames, height, width) uint8 0/1 silhouettes that `pack` made the bytes from.

    Raises:
        MessageError: The declared shape is impossible or does not fit the number of bytes.
    """
    size = _declared_size(frames, height, width)
    if len(data) != size:
        raise MessageError(
            f"Packed silhouettes have {len(data)} bytes",
            f"{size} bytes for {frames} frames of {height}x{width}",
            "Pad each frame to whole bytes and declare the shape that was packed",
        )
    rows = np.frombuffer(data, dtype=np.uint8).reshape(frames, -1)
    return np.unpackbits(rows, axis=1, count=height * width).reshape(frames, height, width)


def deflate(silhouettes: NDArray[np.uint8]) -> bytes:
    """Pack silhouettes and compress them as one zlib stream (RFC 1950)."""
    return zlib.compress(pack(silhouettes), 6)


def inflate(data: bytes, frames: int, height: int, width: int) -> NDArray[np.uint8]:
    """Invert `deflate`; at most one byte more than the declared size is inflated.

    Raises:
        MessageError: The bytes are no zlib stream, a truncated or longer one, or of another shape.
    """
    size = _declared_size(frames, height, width)
    stream = zlib.decompressobj()
    try:
        packed = stream.decompress(data, size + 1)
    except zlib.error as error:
        raise MessageError(
            f"Silhouettes cannot be inflated ({error})", "one zlib stream", "Deflate them again"
        ) from error
    if len(packed) != size or not stream.eof or stream.unused_data:
        raise MessageError(
            f"Silhouettes of {len(data)} bytes do not inflate to {frames} frames of {height}x{width}",
            f"one zlib stream of {size} bytes with nothing after it",
            "Declare the shape that was deflated",
        )
    return unpack(packed, frames, height, width)


def _check_binary(array: NDArray[np.uint8]) -> None:
    if array.size and int(array.max()) > 1:
        raise SequenceError(
            f"Silhouettes have the value {int(array.max())}",
            "only 0 and 1",
            "Use (image > 127).astype(np.uint8)",
        )


def _declared_size(frames: int, height: int, width: int) -> int:
    if not (0 < frames <= MAX_FRAMES and 0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise MessageError(
            f"Silhouettes are declared as {frames} frames of {height}x{width}",
            f"1 to {MAX_FRAMES} frames with sides of 1 to {MAX_SIDE} pixels",
            "Declare the shape that was packed",
        )
    return packed_size(frames, height, width)
