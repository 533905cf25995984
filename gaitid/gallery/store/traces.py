"""Search the files of a data directory for the bytes of erased data."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from gaitid.errors import StoreError

_WINDOW, _STEP, _MOST, _DISTINCT = 16, 512, 64, 8
"""A trace is a run of 16 bytes with at least 8 distinct values (not zeros, which are in every file). One is
taken every 512 bytes, and at most 64 in all."""
_BLOCK = 2**20
_SIZES = (1, 2, 3, 4, 6, 8)
"""Bytes of an integer of record type 1, 2, ... 6."""
SHORTEST_NAME = 6
"""Shorter names (in characters) occur in any large file by chance; only their rows are searched for."""


def windows(blobs: Iterable[bytes]) -> tuple[bytes, ...]:
    """Take short pieces of all blobs, so that some would be found if a part of a blob was left."""
    found = [window for blob in blobs for window in _windows(blob)]
    return tuple(found[:: -(-len(found) // _MOST)]) if found else ()


def name_traces(gallery: int, subject: int, name: str, enrolled_at: float) -> tuple[bytes, ...]:
    """Return the bytes that SQLite writes for a subject's name: in its row, and in the index of names.

    They include other columns, so that a similar name does not match.

    Source: "Database File Format", sqlite.org, sec. 2.1 (records).
    """
    text = name.encode()
    (gallery_type, gallery_bytes), (subject_type, subject_bytes) = _integer(gallery), _integer(subject)
    types = bytes([gallery_type, *_varint(2 * len(text) + 13), subject_type])
    entry = bytes([len(types) + 1]) + types + gallery_bytes + text + subject_bytes
    return text + struct.pack(">d", enrolled_at), entry


def scan(directory: Path, traces: tuple[bytes, ...], is_alive: Callable[[bytes], bool]) -> int:
    """Read every file of a directory; return the number of bytes read.

    Args:
        directory: Where to search.
        traces: What to search for.
        is_alive: Returns whether data that were not erased explain a trace that was found.

    Raises:
        StoreError: A file holds one of `traces`, or cannot be read.
    """
    total = 0
    for path in sorted(entry for entry in directory.rglob("*") if entry.is_file()):
        size, found = _search(path, traces)
        total += size
        if any(not is_alive(trace) for trace in found):
            raise StoreError(
                f"The data are erased, but file {path} still holds a part of them",
                "no trace in any file",
                "Delete that file, or report this",
            )
    return total


def _integer(value: int) -> tuple[int, bytes]:
    """Return type and bytes of an integer >= 0 in a record."""
    if value < 2:
        return 8 + value, b""
    kind, size = next((n + 1, size) for n, size in enumerate(_SIZES) if value < 2 ** (8 * size - 1))
    return kind, value.to_bytes(size, "big")


def _varint(value: int) -> bytes:
    """Return a number below 2**14 in the encoding of records."""
    return bytes([value]) if value < 128 else bytes([0x80 | value >> 7, value & 0x7F])


def _windows(blob: bytes) -> Iterator[bytes]:
    for block in range(0, len(blob), _STEP):
        for at in range(block, min(block + _STEP, len(blob) - _WINDOW + 1), _WINDOW):
            if len(set(blob[at : at + _WINDOW])) >= _DISTINCT:
                yield blob[at : at + _WINDOW]
                break


def _search(path: Path, traces: tuple[bytes, ...]) -> tuple[int, list[bytes]]:
    overlap = max(map(len, traces), default=1) - 1
    try:
        with path.open("rb") as file:
            found: set[bytes] = set()
            size, rest = 0, b""
            while block := file.read(_BLOCK):
                size += len(block)
                content = rest + block
                found.update(trace for trace in traces if trace in content)
                rest = content[len(content) - overlap :]
            return size, list(found)
    except FileNotFoundError:  # a temporary file that was deleted meanwhile
        return 0, []
    except OSError as error:
        raise StoreError(
            f"File {path} cannot be read ({error})",
            "a readable file",
            "Correct its permissions and try again",
        ) from error
