"""What a data set is: its sequences, its published protocols, and what is wrong with the copy on disk."""

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
"""Its presence makes a directory a prepared data set."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One sequence of a data set, not yet read.

    Attributes:
        subject: Subject id; empty when the publisher hides it (GREW's probes).
        condition: Codes such as ``nm``, several joined by ``+``; empty when the set has none.
        sequence: Name of the walk within its subject, as the set's protocol names it.
        view: Camera or angle; empty when the set has none.
        part: ``train`` or ``test``.
        path: File or folder that holds it.
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
        """What no two entries of a data set share."""
        return (self.part, self.subject, self.sequence, self.view, *(value for _, value in self.covariates))


class Fault(str, Enum):
    """Stable codes of what can be wrong with a data set on disk."""

    MISSING_SUBJECT = "missing_subject"
    """A subject of the published partition is not there."""
    MISSING_SEQUENCE = "missing_sequence"
    """A walk that the set should hold is not there."""
    MISSING_VIEW = "missing_view"
    """A view that the set's layout promises is not there."""
    UNKNOWN_NAME = "unknown_name"
    """A file or folder that the layout does not know; it was not read."""
    UNLISTED_SUBJECT = "unlisted_subject"
    """A subject on disk that is in neither part; it was not read."""
    PARTITION_SIZE = "partition_size"
    """The partition has other numbers of subjects than the published one."""
    DUPLICATE = "duplicate"
    """A sequence that is there twice; the second was not read."""
    NO_FRAMES = "no_frames"
    """A sequence without any usable frame."""
    EMPTY_FILE = "empty_file"
    """A file of zero bytes."""
    DAMAGED_FILE = "damaged_file"
    """A file that cannot be decoded, or that names more than arrays."""
    EMPTY_FRAME = "empty_frame"
    """Frames with no or almost no silhouette, which the published convention drops."""
    NOT_BINARY = "not_binary"
    """Masks too gray to be silhouettes."""
    WRONG_SIZE = "wrong_size"
    """Frames of a size that no published convention has."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a data set on disk.

    Attributes:
        fault: What kind of thing.
        where: Path below the root, or name of a sequence or subject.
        detail: What exactly.
        count: How many frames, subjects or views it concerns.
    """

    fault: Fault
    where: str
    detail: str = ""
    count: int = 1


def summary(problems: Iterable[Problem]) -> dict[str, int]:
    """Counts by fault, the most frequent first."""
    counts: Counter[str] = Counter()
    for problem in problems:
        counts[problem.fault.value] += problem.count
    return dict(counts.most_common())


SYNTHETIC = "synthetic.json"
"""A file of this name in the root says that nobody in the set exists; results then say so, too."""


@runtime_checkable
class Dataset(Protocol):
    """A public data set on disk, or the same one prepared.

    Attributes:
        name: Name in the registry.
        root: Its directory.
    """

    name: str
    root: Path

    def entries(self, part: str) -> list[Entry]:
        """The readable sequences of ``train`` or ``test``, ordered by subject, sequence and view."""
        ...

    def load(self, entry: Entry) -> GaitSequence:
        """Read one sequence; what had to be left out is added to `problems`.

        Raises:
            DatasetError: Nothing of it can be used.
        """
        ...

    def protocols(self) -> tuple[str, ...]:
        """Names of the published protocols, the most used first."""
        ...

    def protocol(self, name: str = "") -> Published:
        """A published protocol with this copy's subjects; the first one when no name is given.

        Raises:
            UnknownName: The data set has no such protocol.
        """
        ...

    def problems(self, since: int = 0) -> list[Problem]:
        """What was missing, damaged or left out so far, from number `since` on.

        Complete after every entry was loaded; nothing is left out without being listed here.
        """
        ...


def open_dataset(name: str, root: Path | str, *, partition: Path | str | None = None) -> Dataset:
    """The data set `name` at `root`, original or prepared.

    Raises:
        UnknownName: There is no such data set.
        DatasetError: The directory or the partition file is not what the set's layout promises.
    """
    kind = registry.resolve("datasets", name)
    if (Path(root) / PREPARED).exists():
        from gaitid.datasets.prepared import Prepared

        prepared: Dataset = Prepared(root, name=name)
        return prepared
    dataset: Dataset = kind(root, partition=partition)
    return dataset


def labels_of(entries: Sequence[Entry]) -> Labels:
    """The entries' labels, row by row, as `gaitid.evaluation` wants them."""
    names = sorted({name for entry in entries for name, _ in entry.covariates})
    return Labels.of(
        [entry.subject for entry in entries],
        [entry.view for entry in entries],
        [entry.condition for entry in entries],
        [entry.sequence for entry in entries],
        {name: [dict(entry.covariates).get(name, "") for entry in entries] for name in names},
    )


def choose_protocol(dataset: str, known: Mapping[str, Published], name: str) -> Published:
    """The protocol `name` of `known`, with or without the data set's name before it."""
    if not name:
        return next(iter(known.values()))
    full = name if "/" in name else f"{dataset}/{name}"
    if full not in known:
        raise UnknownName(
            f"unknown protocol {name!r}",
            f"data set {dataset} has {', '.join(known)}",
            registry.nearest(full, tuple(known)),
        )
    return known[full]
