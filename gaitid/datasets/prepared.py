"""A data set converted once: bit-packed, memory-mapped, checked, and fast to load.

A prepared directory holds ``frames.bin`` (for each sequence its silhouettes, 1 bit a pixel, then its
skeletons and those in space float32, then its times float64, little endian), ``sequences.jsonl`` (a line
for each entry: labels, place, CRC-32, problems), ``plan.json`` (what is being converted) and, once all of
it is verified, ``prepared.json`` (protocols, counts, SHA-256 of ``sequences.jsonl``).

Frames are flushed to disk before the lines that name them, so after a kill at any moment the lines
that can be read are true, and the conversion goes on from there.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gaitid.datasets.base import (
    PREPARED,
    SYNTHETIC,
    TEST,
    TRAIN,
    Dataset,
    Entry,
    Fault,
    Problem,
    choose_protocol,
)
from gaitid.datasets.protocol import Group, Pick
from gaitid.datasets.protocol import Protocol as Published
from gaitid.errors import DatasetError, InputError
from gaitid.modalities import silhouette, skeleton
from gaitid.records import JOINTS, SILHOUETTE, SKELETON, SKELETON_3D, GaitSequence
from gaitid.workers import pool

_FORMAT = 1
_FRAMES, _LINES, _PLAN = "frames.bin", "sequences.jsonl", "plan.json"
_BATCH = 64
"""Sequences between two flushes: what a power cut can cost."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a sequence lies in ``frames.bin``, and its shape."""

    at: int
    size: int
    crc: int
    frames: int
    silhouette: tuple[int, ...]
    skeleton: bool
    dropped: Mapping[str, int]
    skeleton3d: bool = False


class Prepared:
    """A prepared data set: the same entries, protocols and problems as the original.

    Args:
        root: The prepared directory.
        name: The data set it should hold; empty takes any.

    Raises:
        DatasetError: It is not complete, is damaged, or holds another data set.
    """

    def __init__(self, root: Path | str, *, name: str = "") -> None:
        self.root = Path(root)
        manifest = _manifest(self.root)
        self.name: str = manifest["dataset"]
        if name and name != self.name:
            raise DatasetError(
                f"{self.root} holds {self.name}", f"expected {name}", "give its name, or another root"
            )
        lines = (self.root / _LINES).read_bytes()
        if hashlib.sha256(lines).hexdigest() != manifest["lines_sha256"]:
            raise _damaged(self.root / _LINES, "its SHA-256 is not that of prepared.json")
        self._protocols = {p["name"]: _protocol(p) for p in manifest["protocols"]}
        self._problems = [_problem(p) for p in manifest["problems"]]
        self._places: dict[Entry, _Place] = {}
        for line in lines.decode().splitlines():
            row = json.loads(line)
            if "place" in row:
                self._places[_entry(row["entry"], self.root)] = _place(row["place"])
        self._frames = _mapped(self.root / _FRAMES, manifest["bytes"])

    def entries(self, part: str) -> list[Entry]:
        """See `Dataset.entries`."""
        if part not in (TRAIN, TEST):
            raise DatasetError(f"part {part!r}", "train or test", "choose one of them")
        return [entry for entry in self._places if entry.part == part]

    def load(self, entry: Entry) -> GaitSequence:
        """See `Dataset.load`; the checksum is compared each time."""
        if entry not in self._places:
            raise DatasetError(f"{entry.key} is not in {self.root}", "one of its entries", "use `entries`")
        place = self._places[entry]
        data = self._frames[place.at : place.at + place.size].tobytes()
        if zlib.crc32(data) != place.crc:
            raise _damaged(self.root / _FRAMES, f"checksum of {'/'.join(entry.key)}")
        return _unpacked(data, place)

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
        # Sent to another process it is opened again there, and not copied with its frames.
        return (Prepared, (self.root,))


def prepare(
    dataset: Dataset, out: Path | str, *, workers: int = 1, progress: Progress | None = None
) -> Prepared:
    """Convert a data set into the directory `out`, or go on where an earlier run was stopped.

    A complete directory is only verified. Sequences that cannot be read are listed as problems.

    Args:
        dataset: The original.
        out: A new directory, or one that was begun with the same data set.
        workers: Processes that read the original; 1 reads in this one.
        progress: Called with (sequences done, sequences in all).

    Raises:
        DatasetError: `out` holds something else, or fails the closing verification.
    """
    folder = Path(out)
    entries = [entry for part in (TRAIN, TEST) for entry in dataset.entries(part)]
    _begin(folder, dataset, entries)
    if (folder / PREPARED).exists():
        prepared = Prepared(folder)
        _verified(folder)
        return prepared
    known = dataset.problems()
    done = _recover(folder)
    _convert(folder, dataset, entries[done:], workers, _from(progress, done, len(entries)))
    _finish(folder, dataset, known, _verified(folder))
    return Prepared(folder)


def _begin(folder: Path, dataset: Dataset, entries: list[Entry]) -> None:
    """Make the directory and its plan, or check that the plan there is the same."""
    facts = hashlib.sha256("\n".join("/".join(entry.key) for entry in entries).encode()).hexdigest()
    plan = {"format": _FORMAT, "dataset": dataset.name, "sequences": len(entries), "entries_sha256": facts}
    if (folder / _PLAN).exists():
        there = _json(folder / _PLAN)
        if there != plan:
            raise DatasetError(
                f"{folder} was begun with {there.get('dataset')} of {there.get('sequences')} sequences",
                f"the same as now: {dataset.name} of {len(entries)}",
                "use another directory, or delete this one",
            )
        return
    if folder.exists() and any(folder.iterdir()):
        raise DatasetError(f"{folder} is not empty", "a new directory", "use another one")
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / _PLAN, plan)


def _recover(folder: Path) -> int:
    """Cut what an interrupted run left half written; gives the number of entries done."""
    lines, frames = folder / _LINES, folder / _FRAMES
    lines.touch()
    frames.touch()
    kept, end, size = 0, 0, frames.stat().st_size
    count = 0
    for line in lines.read_bytes().splitlines(keepends=True):
        place = _line_place(line)
        if place is None or place[0] + place[1] > size:
            break
        kept, end, count = kept + len(line), max(end, sum(place)), count + 1
    os.truncate(lines, kept)
    os.truncate(frames, end)
    return count


def _line_place(line: bytes) -> tuple[int, int] | None:
    """(offset, size) of a whole line, (0, 0) for an entry without data, None for a torn line."""
    if not line.endswith(b"\n"):
        return None
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return (row["place"]["at"], row["place"]["size"]) if "place" in row else (0, 0)


def _convert(
    folder: Path, dataset: Dataset, entries: list[Entry], workers: int, progress: Progress | None
) -> None:
    with (folder / _FRAMES).open("ab") as frames, (folder / _LINES).open("ab") as lines:
        pending: list[bytes] = []
        for count, (row, data) in enumerate(_rows(dataset, entries, workers), 1):
            if "place" in row:
                row["place"]["at"] = frames.tell()
                frames.write(data)
            pending.append(json.dumps(row, separators=(",", ":")).encode() + b"\n")
            if len(pending) == _BATCH or count == len(entries):
                _flush(frames)
                lines.writelines(pending)
                _flush(lines)
                pending.clear()
            if progress is not None:
                progress(count, len(entries))


Row = tuple[dict[str, Any], bytes]
_adopted: Dataset | None = None
"""The data set of a worker process."""


def _rows(dataset: Dataset, entries: list[Entry], workers: int) -> Iterator[Row]:
    if workers == 1:
        for entry in entries:
            yield _row(dataset, entry)
        return
    with pool(workers, _adopt, dataset) as processes:
        yield from processes.map(_adopted_row, entries, chunksize=16)


def _adopt(dataset: Dataset) -> None:
    global _adopted
    _adopted = dataset


def _adopted_row(entry: Entry) -> Row:
    if _adopted is None:
        raise RuntimeError("worker was not initialised")
    return _row(_adopted, entry)


def _row(dataset: Dataset, entry: Entry) -> Row:
    """The line and the bytes of one entry; one that cannot be read has only problems."""
    before = len(dataset.problems())
    row: dict[str, Any] = {"entry": _labels(entry)}
    data = b""
    try:
        sequence = dataset.load(entry)
    except InputError as error:
        found = dataset.problems(before)
        row["problems"] = [asdict(p) for p in found] or [_unread(entry, error)]
        return row, data
    data, row["place"] = _packed(sequence)
    found = dataset.problems(before)
    if found:
        row["problems"] = [asdict(p) for p in found]
    return row, data


def _unread(entry: Entry, error: InputError) -> dict[str, Any]:
    return asdict(Problem(Fault.DAMAGED_FILE, "/".join(entry.key), str(error)))


def _verified(folder: Path) -> list[dict[str, Any]]:
    """All lines, once every checksum was compared with what is on disk."""
    rows = [json.loads(line) for line in (folder / _LINES).read_bytes().splitlines()]
    frames = _mapped(folder / _FRAMES, (folder / _FRAMES).stat().st_size)
    for row in rows:
        if "place" in row and zlib.crc32(_piece(frames, row)) != row["place"]["crc"]:
            raise _damaged(folder / _FRAMES, f"checksum of {_name(row)}")
    return rows


def _finish(folder: Path, dataset: Dataset, known: list[Problem], rows: list[dict[str, Any]]) -> None:
    """Write the manifest: only now the directory is a prepared data set."""
    frames = _mapped(folder / _FRAMES, (folder / _FRAMES).stat().st_size)
    problems = [asdict(problem) for problem in known]
    problems += [problem for row in rows for problem in row.get("problems", ())]
    problems += [asdict(problem) for problem in _copies(rows, frames)]
    if (dataset.root / SYNTHETIC).exists():
        (folder / SYNTHETIC).write_bytes((dataset.root / SYNTHETIC).read_bytes())
    _write_json(
        folder / PREPARED,
        {
            "format": _FORMAT,
            "dataset": dataset.name,
            "sequences": sum("place" in row for row in rows),
            "bytes": len(frames),
            "lines_sha256": hashlib.sha256((folder / _LINES).read_bytes()).hexdigest(),
            "protocols": [_protocol_facts(dataset.protocol(name)) for name in dataset.protocols()],
            "problems": problems,
        },
    )


def _copies(rows: list[dict[str, Any]], frames: NDArray[np.uint8]) -> Iterator[Problem]:
    """Sequences whose every bit equals that of an earlier one: copied by mistake."""
    first: dict[tuple[int, int], dict[str, Any]] = {}
    for row in rows:
        if "place" in row:
            earlier = first.setdefault((row["place"]["crc"], row["place"]["size"]), row)
            if earlier is not row and _piece(frames, earlier) == _piece(frames, row):
                yield Problem(Fault.DUPLICATE, _name(row), f"the same frames as {_name(earlier)}; kept")


def _piece(frames: NDArray[np.uint8], row: dict[str, Any]) -> bytes:
    at = row["place"]["at"]
    return frames[at : at + row["place"]["size"]].tobytes()


def _name(row: dict[str, Any]) -> str:
    return "/".join(row["entry"][:3])  # subject, sequence, view


def _packed(sequence: GaitSequence) -> tuple[bytes, dict[str, Any]]:
    masks, joints, spatial = sequence.silhouettes, sequence.skeletons, sequence.skeletons_3d
    data = b"".join(
        (
            b"" if masks is None else silhouette.pack(masks),
            b"" if joints is None else skeleton.pack(joints, "float32"),
            b"" if spatial is None else skeleton.pack(spatial, "float32"),
            sequence.times.astype("<f8").tobytes(),
        )
    )
    return data, {
        "at": 0,
        "size": len(data),
        "crc": zlib.crc32(data),
        "frames": len(sequence),
        "silhouette": [] if masks is None else list(masks.shape[1:]),
        "skeleton": joints is not None,
        "skeleton3d": spatial is not None,
        "dropped": dict(sequence.dropped),
    }


def _unpacked(data: bytes, place: _Place) -> GaitSequence:
    streams: dict[str, NDArray[Any]] = {}
    count, times = place.frames, len(data) - 8 * place.frames
    middle = 0
    if place.silhouette:
        height, width = place.silhouette
        middle = silhouette.packed_size(count, height, width)
        streams[SILHOUETTE] = silhouette.unpack(data[:middle], count, height, width)
    if place.skeleton:
        end = middle + count * JOINTS * 3 * 4
        streams[SKELETON] = skeleton.unpack(data[middle:end], count, "float32")
        middle = end
    if place.skeleton3d:
        streams[SKELETON_3D] = skeleton.unpack(data[middle:times], count, "float32", 4)
    return GaitSequence(
        streams, np.frombuffer(data, "<f8", offset=times).astype(np.float64), dropped=place.dropped
    )


def _labels(entry: Entry) -> list[Any]:
    return [entry.subject, entry.sequence, entry.view, entry.part, entry.condition, entry.covariates]


def _entry(row: list[Any], root: Path) -> Entry:
    subject, sequence, view, part, condition = (sys.intern(name) for name in row[:5])
    covariates = tuple((name, value) for name, value in row[5])
    return Entry(subject, condition, sequence, view, part, root, covariates)


def _place(row: dict[str, Any]) -> _Place:
    return _Place(**{**row, "silhouette": tuple(row["silhouette"])})


def _problem(row: dict[str, Any]) -> Problem:
    return Problem(Fault(row["fault"]), row["where"], row["detail"], row["count"])


def _protocol_facts(protocol: Published) -> dict[str, Any]:
    """A protocol as JSON can hold it."""
    facts: dict[str, Any] = json.loads(json.dumps(asdict(protocol), default=sorted))
    return facts


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
        begun = (root / _PLAN).exists()
        raise DatasetError(
            f"{root} {'was not prepared to the end' if begun else 'is no prepared data set'}",
            f"a directory with {PREPARED}",
            "run gaitid dataset prepare with the same arguments again"
            if begun
            else "run gaitid dataset prepare",
        )
    manifest = _json(root / PREPARED)
    if manifest.get("format") != _FORMAT:
        raise DatasetError(
            f"{root} has format {manifest.get('format')}", f"format {_FORMAT}", "prepare it again"
        )
    return manifest


def _mapped(path: Path, size: int) -> NDArray[np.uint8]:
    there = path.stat().st_size if path.exists() else 0
    if there != size:
        raise _damaged(path, f"{there} bytes, {size} in prepared.json")
    return np.asarray(np.memmap(path, np.uint8, "r")) if size else np.zeros(0, np.uint8)


def _damaged(path: Path, what: str) -> DatasetError:
    return DatasetError(
        f"{path} is damaged ({what})", "as it was written", "delete the directory and prepare again"
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _damaged(path, str(error)) from error
    return table if isinstance(table, dict) else {}


def _write_json(path: Path, table: dict[str, Any]) -> None:
    """Replace a file at once: it is either the old one or the whole new one."""
    new = path.with_name(f"{path.name}.new")
    with new.open("wb") as file:
        file.write(json.dumps(table, indent=1).encode())
        _flush(file)
    new.replace(path)


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _from(progress: Progress | None, done: int, total: int) -> Progress | None:
    if progress is None:
        return None
    progress(done, total)
    return lambda count, _: progress(done + count, total)
