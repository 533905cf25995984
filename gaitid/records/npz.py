"""Gait sequences on disk: one ``.npz`` file for each, no pickle. docs/formats.md describes the layout."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import MessageError, SequenceError
from gaitid.modalities.streams import STREAMS
from gaitid.records.sequence import GaitSequence, Origin

VERSION = 1
"""Version of the layout."""
_MAX_BYTES = 256 * 1024 * 1024
"""Most bytes that a file may unpack to: 10,000 silhouettes of 128x88 take 14 MB."""


def save(path: Path, sequence: GaitSequence) -> None:
    """Write a sequence; an existing file is replaced atomically."""
    arrays: dict[str, NDArray[Any]] = {
        "version": np.array(VERSION),
        "times": sequence.times,
        "dropped": np.array(json.dumps(dict(sequence.dropped))),
        "camera": np.array(sequence.origin.camera),
        "track": np.array(sequence.origin.track),
    }
    for name, stream in STREAMS.items():
        if name in sequence.streams:
            arrays.update(stream.to_arrays(sequence.streams[name]))
    if sequence.boxes is not None:
        arrays["boxes"] = sequence.boxes
    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    partial.replace(path)


def load(path: Path) -> GaitSequence:
    """Read a sequence written by `save`.

    Raises:
        SequenceError: The file is missing, damaged, too large, or has no valid sequence.
    """
    try:
        arrays = _read(path)
        version = int(arrays["version"])
        if version != VERSION:
            raise SequenceError(
                f"File {path} has layout version {version}", f"version {VERSION}", "Extract it again"
            )
        return _sequence(arrays)
    except SequenceError:
        raise
    except (MessageError, OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise SequenceError(
            f"File {path} is no gait sequence ({type(error).__name__}: {error})",
            "an .npz file written by 'gaitid extract'",
            "Check the path, or extract the sequence again",
        ) from error


def _read(path: Path) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > _MAX_BYTES:
        raise SequenceError(
            f"File {path} unpacks to {size} bytes", f"at most {_MAX_BYTES} bytes", "Split the sequence"
        )
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _sequence(arrays: dict[str, NDArray[Any]]) -> GaitSequence:
    found = {name: stream.from_arrays(arrays) for name, stream in STREAMS.items()}
    return GaitSequence(
        {name: array for name, array in found.items() if array is not None},
        np.asarray(arrays["times"], np.float64),
        np.asarray(arrays["boxes"], np.float32) if "boxes" in arrays else None,
        json.loads(str(arrays["dropped"])),
        Origin(str(arrays["camera"]), int(arrays["track"])),
    )
