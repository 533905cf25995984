"""Conversion of a data set into a prepared one; see `prepared` for its files.

Frames are flushed to disk before the lines that name them. After a kill at any moment, the lines that can be
read are correct, and the conversion continues from there.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
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
    DatasetEntry,
    Fault,
    Problem,
    find_synthetic_mark,
)
from gaitid.datasets.prepared import (
    FORMAT,
    FRAMES,
    LINES,
    PLAN,
    Prepared,
    damaged,
    map_frames,
    noted,
    read_json,
)
from gaitid.datasets.protocol import Protocol as Published
from gaitid.errors import DatasetError, InputError
from gaitid.modalities.streams import STREAMS
from gaitid.records import GaitSequence
from gaitid.workers import pool

Progress = Callable[[int, int], None]
"""Called with (sequences done, sequences in all)."""
Row = tuple[dict[str, Any], bytes]
"""A line of the list of sequences, and the bytes that it describes."""
_BATCH = 64
"""Sequences between two flushes: what a power cut can lose."""
_adopted: Dataset | None = None
"""The data set of a worker process."""


def prepare(
    dataset: Dataset, out: Path | str, *, workers: int = 1, progress: Progress | None = None
) -> Prepared:
    """Convert a data set into the directory `out`, or continue where an earlier run stopped.

    A complete directory is only verified. Sequences that cannot be read are listed as problems.

    Args:
        dataset: The original.
        out: A new directory, or one with an unfinished conversion of the same data set.
        workers: Processes that read the original; 1 reads in this process.
        progress: Called after each sequence.

    Raises:
        DatasetError: `out` contains something else, or fails the final verification.
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


def _begin(folder: Path, dataset: Dataset, entries: list[DatasetEntry]) -> None:
    """Create the directory and its plan, or check that an existing plan is the same."""
    facts = hashlib.sha256("\n".join("/".join(entry.key) for entry in entries).encode()).hexdigest()
    plan = {"format": FORMAT, "dataset": dataset.name, "sequences": len(entries), "entries_sha256": facts}
    if dataset.gray:
        plan["gray"] = True
    if (folder / PLAN).exists():
        there = read_json(folder / PLAN)
        if there != plan:
            raise DatasetError(
                f"Directory {folder} has {_planned(there)}",
                _planned(plan),
                "Use another directory, or delete this one",
            )
        return
    if folder.exists() and any(folder.iterdir()):
        raise DatasetError(f"Directory {folder} is not empty", "a new directory", "Use another one")
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / PLAN, plan)


def _planned(plan: Mapping[str, Any]) -> str:
    gray = ", gray" if plan.get("gray") else ""
    return f"{plan.get('dataset')} of {plan.get('sequences')} sequences{gray}"


def _recover(folder: Path) -> int:
    """Cut off what an interrupted run left half written, and return the number of finished entries."""
    lines, frames = folder / LINES, folder / FRAMES
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
    """(offset, size) of a complete line, (0, 0) for an entry without data, None for a torn line."""
    if not line.endswith(b"\n"):
        return None
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return (row["place"]["at"], row["place"]["size"]) if "place" in row else (0, 0)


def _convert(
    folder: Path, dataset: Dataset, entries: list[DatasetEntry], workers: int, progress: Progress | None
) -> None:
    with (folder / FRAMES).open("ab") as frames, (folder / LINES).open("ab") as lines:
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


def _rows(dataset: Dataset, entries: list[DatasetEntry], workers: int) -> Iterator[Row]:
    if workers == 1:
        for entry in entries:
            yield _row(dataset, entry)
        return
    with pool(workers, _adopt, dataset) as processes:
        yield from processes.map(_adopted_row, entries, chunksize=16)


def _adopt(dataset: Dataset) -> None:
    global _adopted
    _adopted = dataset


def _adopted_row(entry: DatasetEntry) -> Row:
    if _adopted is None:
        raise RuntimeError("the worker was not initialised")
    return _row(_adopted, entry)


def _row(dataset: Dataset, entry: DatasetEntry) -> Row:
    """The line and the bytes of one entry; an entry that cannot be read has problems only."""
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


def _unread(entry: DatasetEntry, error: InputError) -> dict[str, Any]:
    return asdict(Problem(Fault.DAMAGED_FILE, "/".join(entry.key), str(error)))


def _verified(folder: Path) -> list[dict[str, Any]]:
    """Read all lines, and compare every checksum with the bytes on disk."""
    rows = [json.loads(line) for line in (folder / LINES).read_bytes().splitlines()]
    frames = map_frames(folder / FRAMES, (folder / FRAMES).stat().st_size)
    for row in rows:
        if "place" in row and zlib.crc32(_piece(frames, row)) != row["place"]["crc"]:
            raise damaged(folder / FRAMES, f"checksum of {_name(row)}")
    return rows


def _finish(folder: Path, dataset: Dataset, known: list[Problem], rows: list[dict[str, Any]]) -> None:
    """Write the manifest, which makes the directory a prepared data set."""
    frames = map_frames(folder / FRAMES, (folder / FRAMES).stat().st_size)
    problems = [asdict(problem) for problem in known]
    problems += [problem for row in rows for problem in row.get("problems", ())]
    problems += [asdict(problem) for problem in _copies(rows, frames)]
    mark = find_synthetic_mark(dataset.root)
    if mark is not None:
        (folder / SYNTHETIC).write_bytes(mark.read_bytes())
    _write_json(
        folder / PREPARED,
        {
            "format": FORMAT,
            "dataset": dataset.name,
            "sequences": sum("place" in row for row in rows),
            "bytes": len(frames),
            "lines_sha256": hashlib.sha256((folder / LINES).read_bytes()).hexdigest(),
            "protocols": [_protocol_facts(dataset.protocol(name)) for name in dataset.protocols()],
            "problems": problems,
        },
    )


def _copies(rows: list[dict[str, Any]], frames: NDArray[np.uint8]) -> Iterator[Problem]:
    """Sequences that equal an earlier one bit for bit: copied by mistake."""
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
    packed = [STREAMS[name].pack(sequence.streams[name]) for name in STREAMS if name in sequence.streams]
    data = b"".join((*packed, sequence.times.astype("<f8").tobytes()))
    return data, {
        "at": 0,
        "size": len(data),
        "crc": zlib.crc32(data),
        "frames": len(sequence),
        **{name: noted(name, array) for name, array in sequence.streams.items()},
        "dropped": dict(sequence.dropped),
    }


def _labels(entry: DatasetEntry) -> list[Any]:
    return [entry.subject, entry.sequence, entry.view, entry.part, entry.condition, entry.covariates]


def _protocol_facts(protocol: Published) -> dict[str, Any]:
    """A protocol as plain JSON values."""
    facts: dict[str, Any] = json.loads(json.dumps(asdict(protocol), default=sorted))
    return facts


def _write_json(path: Path, table: dict[str, Any]) -> None:
    """Replace a file atomically: readers see the old one or the complete new one."""
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
