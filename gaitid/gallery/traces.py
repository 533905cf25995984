"""Looks for the bytes of what was erased in the files of a data directory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from gaitid.errors import StoreError

_WINDOW, _STEP, _MOST, _DISTINCT = 16, 512, 64, 8
"""A trace is 16 bytes with 8 different ones at least (not a run of zeros, which is in every file),
taken every 512 bytes, 64 of them at most."""
_BLOCK = 2**20


def windows(blobs: Iterable[bytes]) -> tuple[bytes, ...]:
    """Short pieces of all blobs that would be found if a part of one was left."""
    found = [window for blob in blobs for window in _windows(blob)]
    return tuple(found[:: -(-len(found) // _MOST)]) if found else ()


def scan(directory: Path, traces: tuple[bytes, ...], is_alive: Callable[[bytes], bool]) -> int:
    """Read every file of the directory; gives the bytes read.

    Args:
        directory: Where to look.
        traces: What to look for.
        is_alive: Says of a trace that was found whether something that is still there explains it.

    Raises:
        StoreError: One of `traces` is in a file, or a file cannot be read.
    """
    total = 0
    for path in sorted(entry for entry in directory.rglob("*") if entry.is_file()):
        size, found = _search(path, traces)
        total += size
        if any(not is_alive(trace) for trace in found):
            raise StoreError(
                f"erased, but {path} still holds a part of it", "no trace", "delete that file, or report this"
            )
    return total


def _windows(blob: bytes) -> Iterator[bytes]:
    for block in range(0, len(blob), _STEP):
        for at in range(block, min(block + _STEP, len(blob) - _WINDOW + 1), _WINDOW):
            if len(set(blob[at : at + _WINDOW])) >= _DISTINCT:
                yield blob[at : at + _WINDOW]
                break


def _search(path: Path, traces: tuple[bytes, ...]) -> tuple[int, list[bytes]]:
    try:
        with path.open("rb") as file:
            found: set[bytes] = set()
            size, rest = 0, b""
            while block := file.read(_BLOCK):
                size += len(block)
                content = rest + block
                found.update(trace for trace in traces if trace in content)
                rest = content[1 - _WINDOW :]
            return size, list(found)
    except FileNotFoundError:  # a temporary file that went meanwhile
        return 0, []
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error})", "readable files", "try again") from error
