"""Silhouettes as bytes: eight pixels a byte, optionally deflated.

A sequence of 30 frames of 64x44 takes 10,560 bytes packed and 1 to 4 KB deflated.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import MessageError, SequenceError
from gaitid.records import MAX_FRAMES

MAX_SIDE = 1024
"""Largest height or width accepted in a message, pixels."""


def packed_size(frames: int, height: int, width: int) -> int:
    """Bytes that `pack` gives for silhouettes of that shape."""
    return frames * -(-height * width // 8)


def pack(silhouettes: NDArray[np.uint8]) -> bytes:
    """Silhouettes as bits: row by row, most significant bit first, each frame padded to whole bytes.

    Args:
        silhouettes: (T, H, W) uint8, 0 or 1.

    Raises:
        SequenceError: Another shape, dtype or value.
    """
    array: Any = silhouettes
    if not isinstance(array, np.ndarray) or array.ndim != 3 or array.dtype != np.uint8:
        got = f"{array.shape} {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
        raise SequenceError(f"silhouettes are {got}", "expected (T, H, W) uint8", "convert them")
    if array.size and int(array.max()) > 1:
        raise SequenceError(
            f"silhouettes have the value {int(array.max())}", "only 0 and 1", "use (image > 127)"
        )
    pixels = array.shape[1] * array.shape[2]
    return np.packbits(array.reshape(len(array), pixels), axis=1).tobytes()


def unpack(data: bytes, frames: int, height: int, width: int) -> NDArray[np.uint8]:
    """The (frames, height, width) uint8 0/1 silhouettes that `pack` made the bytes from.

    Raises:
        MessageError: The declared shape is impossible or does not fit the number of bytes.
    """
    size = _declared_size(frames, height, width)
    if len(data) != size:
        raise MessageError(
            f"packed silhouettes have {len(data)} bytes",
            f"{frames} frames of {height}x{width} take {size}",
            "send each frame padded to whole bytes, and the right shape",
        )
    rows = np.frombuffer(data, dtype=np.uint8).reshape(frames, -1)
    return np.unpackbits(rows, axis=1, count=height * width).reshape(frames, height, width)


def deflate(silhouettes: NDArray[np.uint8]) -> bytes:
    """As `pack`, then a zlib stream (RFC 1950)."""
    return zlib.compress(pack(silhouettes), 6)


def inflate(data: bytes, frames: int, height: int, width: int) -> NDArray[np.uint8]:
    """The inverse of `deflate`; never inflates more than one byte past the declared size.

    Raises:
        MessageError: No zlib stream, a truncated or longer one, or a wrong shape.
    """
    size = _declared_size(frames, height, width)
    stream = zlib.decompressobj()
    try:
        packed = stream.decompress(data, size + 1)
    except zlib.error as error:
        raise MessageError(
            f"silhouettes cannot be inflated ({error})", "one zlib stream", "deflate them again"
        ) from error
    if len(packed) != size or not stream.eof or stream.unused_data:
        raise MessageError(
            f"{len(data)} bytes do not inflate to the declared {frames} frames of {height}x{width}",
            f"one zlib stream of {size} bytes, and nothing after it",
            "declare the shape that was deflated",
        )
    return unpack(packed, frames, height, width)


def _declared_size(frames: int, height: int, width: int) -> int:
    if not (0 < frames <= MAX_FRAMES and 0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise MessageError(
            f"declared silhouettes are {frames} frames of {height}x{width}",
            f"1 to {MAX_FRAMES} frames, sides of 1 to {MAX_SIDE}",
            "correct the declared shape",
        )
    return packed_size(frames, height, width)
