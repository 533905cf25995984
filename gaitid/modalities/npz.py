"""Gait sequences on disk: one ``.npz`` a sequence, no pickle. The layout is in docs/formats.md."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import MessageError, SequenceError
from gaitid.modalities import silhouette
from gaitid.records import MAX_FRAMES, SILHOUETTE, SKELETON, SKELETON_3D, GaitSequence, Origin

VERSION = 1
_MAX_BYTES = 256 * 1024 * 1024


def save(path: Path, sequence: GaitSequence) -> None:
    """Write a sequence; an existing file is replaced at once, never half-written."""
    arrays: dict[str, NDArray[np.generic]] = {
        "version": np.array(VERSION),
        "times": sequence.times,
        "dropped": np.array(json.dumps(dict(sequence.dropped))),
        "camera": np.array(sequence.origin.camera),
        "track": np.array(sequence.origin.track),
    }
    if sequence.silhouettes is not None:
        packed = silhouette.pack(sequence.silhouettes)
        arrays["silhouette_bits"] = np.frombuffer(packed, np.uint8)
        arrays["silhouette_shape"] = np.array(sequence.silhouettes.shape)
    if sequence.skeletons is not None:
        arrays[SKELETON] = sequence.skeletons
    if sequence.skeletons_3d is not None:
        arrays[SKELETON_3D] = sequence.skeletons_3d
    if sequence.boxes is not None:
        arrays["boxes"] = sequence.boxes
    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    partial.replace(path)


def load(path: Path) -> GaitSequence:
    """Read a sequence written by `save`.

    Raises:
        SequenceError: The file is missing, damaged, too large, or holds no valid sequence.
    """
    try:
        arrays = _read(path)
        version = int(arrays["version"])
        if version != VERSION:
            raise SequenceError(f"{path} has layout version {version}", f"{VERSION}", "extract it again")
        return _sequence(arrays)
    except SequenceError:
        raise
    except (MessageError, OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise SequenceError(
            f"{path} is no gait sequence ({type(error).__name__}: {error})",
            "a .npz written by 'gaitid extract'",
            "check the path, or extract it again",
        ) from error


def _read(path: Path) -> dict[str, NDArray[np.generic]]:
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > _MAX_BYTES:
        raise SequenceError(f"{path} unpacks to {size} bytes", f"at most {_MAX_BYTES}", "cut the sequence")
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _sequence(arrays: dict[str, NDArray[np.generic]]) -> GaitSequence:
    streams: dict[str, NDArray[np.generic]] = {}
    if "silhouette_bits" in arrays:
        frames, height, width = (int(n) for n in arrays["silhouette_shape"].tolist())
        if not 0 < frames <= MAX_FRAMES:
            raise SequenceError(f"sequence has {frames} frames", f"1 to {MAX_FRAMES}", "extract it again")
        bits = np.ascontiguousarray(arrays["silhouette_bits"], np.uint8).tobytes()
        streams[SILHOUETTE] = silhouette.unpack(bits, frames, height, width)
    for name in (SKELETON, SKELETON_3D):
        if name in arrays:
            streams[name] = arrays[name]
    return GaitSequence(
        streams,
        np.asarray(arrays["times"], np.float64),
        np.asarray(arrays["boxes"], np.float32) if "boxes" in arrays else None,
        json.loads(str(arrays["dropped"])),
        Origin(str(arrays["camera"]), int(arrays["track"])),
    )
