"""Data sets: their sequences, their published protocols, and the problems of the copy on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol, runtime_checkable

from gaitid import registry
from gaitid.datasets.protocol import Labels
from gaitid.datasets.protocol import Protocol as Published
from gaitid.errors import UnknownName
from gaitid.records import GaitSequence

TRAIN, TEST = "train", "test"
PREPARED = "prepared.json"
"""A directory with this file is a prepared data set."""


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """A sequence of a data set that has not been read yet.

    Attributes:
        subject: Name of the subject; empty if the publisher hides it (probes of GREW).
        condition: Codes such as ``nm``, several joined by ``+``; empty if the set has none.
        sequence: Name of the walk within its subject, as in the set's protocol.
        view: Camera or angle; empty if the set has none.
        part: ``train`` or ``test``.
        path: File or folder of the sequence.
        covariates: Further facts by name.
    """

    subject: str
    condition: str
    sequence: str
    view: str
    part: str
    path: Path
    covariates: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> tuple[str, ...]:
        """A key that is unique within the data set."""
        return (self.part, self.subject, self.sequence, self.view, *(value for _, value in self.covariates))


class Fault(str, Enum):
    """Stable codes of the problems that a data set on disk can have."""

    MISSING_SUBJECT = "missing_subject"
    """A subject of the published partition is missing."""
    MISSING_SEQUENCE = "missing_sequence"
    """A walk that the set should have is missing."""
    MISSING_VIEW = "missing_view"
    """A view of the set's layout is missing."""
    UNKNOWN_NAME = "unknown_name"
    """A file or folder that is not part of the layout; it was not read."""
    UNLISTED_SUBJECT = "unlisted_subject"
    """A subject on disk that is in neither part; it was not read."""
    PARTITION_SIZE = "partition_size"
    """The partition has a different number of subjects from the published one."""
    DUPLICATE = "duplicate"
    """A sequence that exists twice; the second was not read."""
    NO_FRAMES = "no_frames"
    """A sequence without any usable frame."""
    EMPTY_FILE = "empty_file"
    """A file of zero bytes."""
    DAMAGED_FILE = "damaged_file"
    """A file that cannot be decoded, or that contains more than arrays."""
    EMPTY_FRAME = "empty_frame"
    """Frames with no silhouette or almost none, which the published convention drops."""
    NOT_BINARY = "not_binary"
    """Masks with too many gray pixels for silhouettes."""
    WRONG_SIZE = "wrong_size"
    """Frames of a size that no published convention uses."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of a data set on disk.

    Attributes:
        fault: Kind of problem.
        where: Path below the root, or name of a sequence or subject.
        detail: Explanation.
        count: Number of frames, subjects or views affected.
    """

    fault: Fault
    where: str
    detail: str = ""
    count: int = 1


def summary(problems: Iterable[Problem]) -> dict[str, int]:
    """Count problems by fault, the most frequent first."""
    counts: Counter[str] = Counter()
    for problem in problems:
        counts[problem.fault.value] += problem.count
    return dict(counts.most_common())


SYNTHETIC = "synthetic.json"
"""Name, or end of the name, of the file that marks a set of synthetic subjects; results then say so, too."""


def synthetic_mark(root: Path | str) -> Path:
    """The file beside `root` that marks it as synthetic: ``ROOT.synthetic.json``.

    It is not inside, because tools of the data sets take every entry of the root for a subject.
    """
    place = Path(root).resolve()
    return place.with_name(f"{place.name}.{SYNTHETIC}")


def find_synthetic_mark(root: Path | str) -> Path | None:
    """The mark of a set of synthetic subjects, beside its root or in it; None if it is not marked.

    Prepared sets have it inside, and so have sets that were generated before it moved.
    """
    places = (synthetic_mark(root), Path(root) / SYNTHETIC)
    return next((place for place in places if place.is_file()), None)


@runtime_checkable
class Dataset(Protocol):
    """A public data set on disk, as published or prepared.

    Attributes:
        name: Name in the registry.
        root: Its directory.
        gray: Whether its sequences have the stream ``silhouette_gray`` beside binary silhouettes.
    """

    name: str
    root: Path
    gray: bool

    def entries(self, part: str) -> list[DatasetEntry]:
        """The readable sequences of ``train`` or ``test``, ordered by subject, sequence and view."""
        ...

    def load(self, entry: DatasetEntry) -> GaitSequence:
        """Read one sequence; whatever is left out is added to `problems`.

        Raises:
            DatasetError: None of it can be used.
        """
        ...

    def protocols(self) -> tuple[str, ...]:
        """Names of the published protocols, the most used first."""
        ...

    def protocol(self, name: str = "") -> Published:
        """A published protocol with this copy's subjects; the first one if no name is given.

        Raises:
            UnknownName: The data set has no such protocol.
        """
        ...

    def problems(self, since: int = 0) -> list[Problem]:
        """What was missing, damaged or left out so far, from index `since` on.

        The list is complete once every entry has been loaded; nothing is left out silently.
        """
        ...


def labels_of(entries: Sequence[DatasetEntry]) -> Labels:
    """Labels of the entries, row by row, for `gaitid.evaluation`."""
    names = sorted({name for entry in entries for name, _ in entry.covariates})
    return Labels.of(
        [entry.subject for entry in entries],
        [entry.view for entry in entries],
        [entry.condition for entry in entries],
        [entry.sequence for entry in entries],
        {name: [dict(entry.covariates).get(name, "") for entry in entries] for name in names},
    )


def choose_protocol(dataset: str, known: Mapping[str, Published], name: str) -> Published:
    """Find the protocol `name`, with or without the data set's name as a prefix; the first if it is empty.

    Raises:
        UnknownName: The data set has no such protocol.
    """
    if not name:
        return next(iter(known.values()))
    full = name if "/" in name else f"{dataset}/{name}"
    if full not in known:
        raise UnknownName(
            f"Unknown protocol {name!r} of data set {dataset}",
            f"one of {', '.join(known)}",
            registry.nearest(full, tuple(known)),
        )
    return known[full]
