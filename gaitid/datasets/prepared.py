"""Prepared data sets: bit-packed, memory-mapped, checked, and fast to load.

A prepared directory contains:

- ``frames.bin``: for each sequence its silhouettes (1 bit per pixel), skeletons and skeletons in space
  (float32), gray silhouettes (1 byte per pixel, if they were asked for), and its times (float64), little
  endian;
- ``sequences.jsonl``: a line for each entry with labels, place in ``frames.bin``, CRC-32 and problems;
- ``plan.json``: what is being converted;
- ``prepared.json``: protocols, counts and the SHA-256 of ``sequences.jsonl``, written once everything is
  verified.

`conversion.prepare` writes them.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid.datasets.base import PREPARED, TEST, TRAIN, DatasetEntry, Fault, Problem, choose_protocol
from gaitid.datasets.protocol import Group, Pick
from gaitid.datasets.protocol import Protocol as Published
from gaitid.errors import DatasetError
from gaitid.modalities.streams import STREAMS
from gaitid.records import SILHOUETTE_GRAY, GaitSequence

FORMAT = 1
"""Version of the format."""
FRAMES, LINES, PLAN = "frames.bin", "sequences.jsonl", "plan.json"
"""Files of a prepared directory, beside `PREPARED`."""


@dataclass(frozen=True, slots=True)
class StoredSequence:
    """A sequence in ``frames.bin``: its place, its checksum and its shape.

    Attributes:
        at: Offset, bytes.
        size: Length, bytes.
        crc: CRC-32 of the bytes.
        frames: Number of frames.
        streams: Shape of a frame by stream.
        dropped: Refused frames by reason.
    """

    at: int
    size: int
    crc: int
    frames: int
    streams: Mapping[str, tuple[int, ...]]
    dropped: Mapping[str, int]


class Prepared:
    """A prepared data set: the same entries, protocols and problems as the original.

    Args:
        root: The prepared directory.
        name: The data set that is expected; empty for any.

    Raises:
        DatasetError: It is not complete, is damaged, or contains another data set.
    """

    def __init__(self, root: Path | str, *, name: str = "") -> None:
        self.root = Path(root)
        manifest = _manifest(self.root)
        self.name: str = manifest["dataset"]
        if name and name != self.name:
            raise DatasetError(
                f"Directory {self.root} contains {self.name}",
                name,
                f"Pass the name {self.name}, or another root",
            )
        lines = (self.root / LINES).read_bytes()
        if hashlib.sha256(lines).hexdigest() != manifest["lines_sha256"]:
            raise damaged(self.root / LINES, "its SHA-256 differs from the one in prepared.json")
        self._protocols = {p["name"]: _protocol(p) for p in manifest["protocols"]}
        self._problems = [_problem(p) for p in manifest["problems"]]
        self._stored: dict[DatasetEntry, StoredSequence] = {}
        for line in lines.decode().splitlines():
            row = json.loads(line)
            if "place" in row:
                self._stored[_entry(row["entry"], self.root)] = _stored(row["place"])
        self._frames = map_frames(self.root / FRAMES, manifest["bytes"])
        self.gray = any(SILHOUETTE_GRAY in stored.streams for stored in self._stored.values())

    def entries(self, part: str) -> list[DatasetEntry]:
        """See `Dataset.entries`."""
        if part not in (TRAIN, TEST):
            raise DatasetError(f"Argument part is {part!r}", "train or test", "Pass one of the two")
        return [entry for entry in self._stored if entry.part == part]

    def load(self, entry: DatasetEntry) -> GaitSequence:
        """See `Dataset.load`; the checksum is compared on every call."""
        if entry not in self._stored:
            raise DatasetError(
                f"Entry {entry.key} is not in {self.root}",
                "one of its entries",
                "Take entries from entries()",
            )
        stored = self._stored[entry]
        data = self._frames[stored.at : stored.at + stored.size].tobytes()
        if zlib.crc32(data) != stored.crc:
            raise damaged(self.root / FRAMES, f"checksum of {'/'.join(entry.key)}")
        return _unpacked(data, stored)

    def protocols(self) -> tuple[str, ...]:
        """See `Dataset.protocols`."""
        return tuple(self._protocols)

    def protocol(self, name: str = "") -> Published:
        """See `Dataset.protocol`."""
        return choose_protocol(self.name, self._protocols, name)

    def problems(self, since: int = 0) -> list[Problem]:
        """See `Dataset.problems`."""
        return self._problems[since:]

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process opens the directory again instead of receiving a copy of the frames.
        return (Prepared, (self.root,))


def _unpacked(data: bytes, stored: StoredSequence) -> GaitSequence:
    streams: dict[str, NDArray[Any]] = {}
    start, times = 0, len(data) - 8 * stored.frames
    for name, shape in stored.streams.items():
        end = start + STREAMS[name].size(stored.frames, shape)
        streams[name] = STREAMS[name].unpack(data[start:end], stored.frames, shape)
        start = end
    return GaitSequence(
        streams, np.frombuffer(data, "<f8", offset=times).astype(np.float64), dropped=stored.dropped
    )


def _entry(row: list[Any], root: Path) -> DatasetEntry:
    subject, sequence, view, part, condition = (sys.intern(name) for name in row[:5])
    covariates = tuple((name, value) for name, value in row[5])
    return DatasetEntry(subject, condition, sequence, view, part, root, covariates)


def _stored(row: dict[str, Any]) -> StoredSequence:
    shapes = {name: shape_of(name, row.get(name)) for name in STREAMS}
    facts = {key: value for key, value in row.items() if key not in STREAMS}
    return StoredSequence(**facts, streams={name: shape for name, shape in shapes.items() if shape})


def noted(name: str, array: NDArray[Any]) -> list[int] | bool:
    """Note a stream in a row of ``sequences.jsonl``: the shape of a frame if it varies, else its presence."""
    return list(array.shape[1:]) if len(STREAMS[name].shapes) > 1 else True


def shape_of(name: str, note: list[int] | bool | None) -> tuple[int, ...]:
    """Return the shape of a frame from what `noted` wrote; empty if the sequence lacks the stream."""
    if isinstance(note, list):
        return tuple(note)
    return STREAMS[name].shapes[0] if note else ()


def _problem(row: dict[str, Any]) -> Problem:
    return Problem(Fault(row["fault"]), row["where"], row["detail"], row["count"])


def _protocol(facts: dict[str, Any]) -> Published:
    groups = tuple(
        Group(
            group["name"],
            _pick(group["probes"]),
            _pick(group["gallery"]),
            group["labelled"],
            None if group["peer_probes"] is None else _pick(group["peer_probes"]),
        )
        for group in facts["groups"]
    )
    tuples = {name: tuple(facts[name]) for name in ("ranks", "train", "test")}
    return Published(**{**facts, **tuples, "groups": groups})


def _pick(facts: dict[str, list[str]]) -> Pick:
    return Pick(
        conditions=tuple(facts["conditions"]),
        sequences=tuple(facts["sequences"]),
        listed=frozenset(facts["listed"]),
        unlisted=frozenset(facts["unlisted"]),
        containing=tuple(facts["containing"]),
    )


def _manifest(root: Path) -> dict[str, Any]:
    if not (root / PREPARED).exists():
        begun = (root / PLAN).exists()
        raise DatasetError(
            f"Directory {root} {'was not prepared to the end' if begun else 'is not a prepared data set'}",
            f"a directory with {PREPARED}",
            "Run 'gaitid dataset prepare' again with the same arguments"
            if begun
            else "Run 'gaitid dataset prepare'",
        )
    manifest = read_json(root / PREPARED)
    if manifest.get("format") != FORMAT:
        raise DatasetError(
            f"Directory {root} has format {manifest.get('format')}", f"format {FORMAT}", "Prepare it again"
        )
    return manifest


def map_frames(path: Path, size: int) -> NDArray[np.uint8]:
    """The bytes of ``frames.bin``, memory-mapped.

    Raises:
        DatasetError: It does not have `size` bytes.
    """
    there = path.stat().st_size if path.exists() else 0
    if there != size:
        raise damaged(path, f"{there} bytes instead of {size}")
    return np.asarray(np.memmap(path, np.uint8, "r")) if size else np.zeros(0, np.uint8)


def damaged(path: Path, what: str) -> DatasetError:
    """The error for a damaged file; `what` says how that shows."""
    return DatasetError(
        f"File {path} is damaged ({what})",
        "a file that is unchanged since it was prepared",
        "Delete the directory and prepare it again",
    )


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if it is something else.

    Raises:
        DatasetError: It is not JSON.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise damaged(path, str(error)) from error
    return table if isinstance(table, dict) else {}
