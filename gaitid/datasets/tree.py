"""Base of data sets that are trees of folders (subject, walk, view) with images or pickles."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import ClassVar

from gaitid.datasets import reading
from gaitid.datasets.base import TEST, TRAIN, DatasetEntry, Fault, Problem, choose_protocol
from gaitid.datasets.partition import Partition, read_partition
from gaitid.datasets.protocol import Protocol as Published
from gaitid.errors import DatasetError
from gaitid.records import GaitSequence


class TreeDataset:
    """Base of the readers: scans the tree once, records problems, and reads sequences on demand.

    A subclass defines how folders are named (`find`), which subjects are in which part (`default_partition`),
    and what its publication measures (`published`).

    Args:
        root: The data set's directory.
        partition: A published partition file; None for the set's rule, or for the file called `sidecar` in
            the root or beside it.
        gray: Whether sequences also have gray silhouettes, as published loaders read them.

    Raises:
        DatasetError: The directory or the partition does not exist, or nothing in it can be read.
    """

    name: ClassVar[str]
    frame_rate: ClassVar[float]
    """Frames per second of the recordings."""
    files: ClassVar[tuple[str, ...]] = ("{leaf}.pkl",)
    """Patterns for a leaf folder's file of silhouettes, the best first; ``{leaf}`` is the folder's name."""
    aligned: ClassVar[bool] = False
    """Whether png images in the tree are aligned 64x64 silhouettes."""
    views: ClassVar[tuple[str, ...]] = ()
    """Views that each walk should have; empty if the set does not define them."""
    beside: ClassVar[re.Pattern[str]] = re.compile(r"\..*|.*\.json")
    """Names that are ignored beside the folders; other unknown names are reported."""
    sidecar: ClassVar[str] = ""
    """Name of the partition file, for sets whose parts are published as a list."""
    published_sizes: ClassVar[tuple[int, int]] = (0, 0)
    """Subjects of the published training and test part."""

    def __init__(self, root: Path | str, *, partition: Path | str | None = None, gray: bool = False) -> None:
        self.root, self.gray = Path(root), gray
        if not self.root.is_dir():
            raise DatasetError(
                f"Path {self.root} is not a directory",
                f"the root of {self.name}",
                "Check the path passed as root",
            )
        self._problems: list[Problem] = []
        self._known: set[Problem] = set()
        self.partition = self._choose_partition(partition)
        self._entries = self._unique(self.find())
        if not self._entries:
            raise DatasetError(
                f"Directory {self.root} has no sequence of {self.name}"
                + "".join(f"; {p.fault.value}: {p.where} {p.detail}" for p in self._problems[:3]),
                f"the layout of docs/datasets/{self.name.replace('-', '_')}.md",
                "Check the root, the name of the data set, and the partition",
            )
        self._check_complete()

    # Defined by subclasses.

    def find(self) -> Iterator[DatasetEntry]:
        """The sequences of the tree; anything else is passed to `report`."""
        raise NotImplementedError

    def default_partition(self) -> Partition:
        """The set's rule for its parts."""
        raise NotImplementedError

    def published(self) -> Iterable[Published]:
        """The published protocols, the most used first; the partition fills in their subjects."""
        raise NotImplementedError

    # The protocol `gaitid.datasets.base.Dataset`.

    def entries(self, part: str) -> list[DatasetEntry]:
        """See `Dataset.entries`."""
        if part not in (TRAIN, TEST):
            raise DatasetError(f"Argument part is {part!r}", "train or test", "Pass one of the two")
        return [entry for entry in self._entries if entry.part == part]

    def load(self, entry: DatasetEntry) -> GaitSequence:
        """See `Dataset.load`."""
        return reading.read(entry.path, self.frame_rate, self.report, aligned=self.aligned, gray=self.gray)

    def protocols(self) -> tuple[str, ...]:
        """See `Dataset.protocols`."""
        return tuple(self._published())

    def protocol(self, name: str = "") -> Published:
        """See `Dataset.protocol`."""
        return choose_protocol(self.name, self._published(), name)

    def problems(self, since: int = 0) -> list[Problem]:
        """See `Dataset.problems`."""
        return self._problems[since:]

    def _published(self) -> dict[str, Published]:
        train, test = (tuple(sorted(part)) for part in (self.partition.train, self.partition.test))
        return {p.name: replace(p, train=train, test=test) for p in self.published()}

    # Used by subclasses.

    def report(self, problem: Problem) -> None:
        """Record a problem once, with paths relative to the root."""
        where, detail = (text.replace(f"{self.root}{os.sep}", "") for text in (problem.where, problem.detail))
        known = Problem(problem.fault, where, detail, problem.count)
        if known not in self._known:
            self._known.add(known)
            self._problems.append(known)

    def folders(self, parent: Path, pattern: re.Pattern[str]) -> Iterator[tuple[Path, re.Match[str]]]:
        """Sub-folders whose names match, in order; other names that `beside` does not match are reported."""
        for child in self.children(parent):
            fit = pattern.fullmatch(child.name)
            if fit and child.is_dir():
                yield child, fit
            elif not self.beside.fullmatch(child.name):
                self.report(Problem(Fault.UNKNOWN_NAME, str(child), f"does not match {pattern.pattern}"))

    def children(self, folder: Path) -> list[Path]:
        """Content of a folder, in order; empty, with a problem reported, if it cannot be listed."""
        try:
            return sorted(folder.iterdir())
        except OSError as error:
            self.report(Problem(Fault.DAMAGED_FILE, str(folder), str(error)))
            return []

    def source(self, leaf: Path) -> Path | None:
        """The file or folder of a leaf folder's sequence; None, with a problem reported, if it has none."""
        names = [child.name for child in self.children(leaf)]
        patterns = [pattern.format(leaf=leaf.name) for pattern in self.files]
        files = [name for pattern in patterns for name in names if fnmatchcase(name, pattern)]
        images = any(name.lower().endswith(".png") for name in names)
        if not files and not images:
            self.report(Problem(Fault.NO_FRAMES, str(leaf), f"neither {patterns[0]} nor png images"))
            return None
        if len(files) + images > 1:
            extra = files[1:] + ["png images"] * images
            self.report(Problem(Fault.DUPLICATE, str(leaf), f"{files[0]} read, not {', '.join(extra)}"))
        if files and (leaf / files[0]).stat().st_size == 0:
            self.report(Problem(Fault.EMPTY_FILE, str(leaf / files[0]), "0 bytes"))
            return None
        return leaf / files[0] if files else leaf

    def listed_part(self, subject: str) -> str:
        """The subject's part; a subject in neither is reported."""
        part = self.partition.part(subject)
        if not part:
            self.report(Problem(Fault.UNLISTED_SUBJECT, subject, f"not in {self.partition.source}"))
        return part

    def _choose_partition(self, given: Path | str | None) -> Partition:
        if given is not None:
            return read_partition(given)
        for folder in (self.root, self.root.parent) if self.sidecar else ():
            if (folder / self.sidecar).is_file():
                return read_partition(folder / self.sidecar)
        return self.default_partition()

    def _unique(self, found: Iterable[DatasetEntry]) -> list[DatasetEntry]:
        first: dict[tuple[str, ...], DatasetEntry] = {}
        for entry in found:
            if entry.key in first:
                self.report(Problem(Fault.DUPLICATE, str(entry.path), f"read from {first[entry.key].path}"))
            else:
                first[entry.key] = entry
        return sorted(first.values(), key=lambda entry: entry.key)

    def _check_complete(self) -> None:
        present = {entry.subject for entry in self._entries}
        for part, names, size in (
            (TRAIN, self.partition.train, self.published_sizes[0]),
            (TEST, self.partition.test, self.published_sizes[1]),
        ):
            missing = sorted(names - present)
            if missing:
                detail = f"{len(missing)} of {len(names)} {part} subjects, first {missing[0]}"
                self.report(Problem(Fault.MISSING_SUBJECT, part, detail, len(missing)))
            if len(names) != size:
                detail = f"{len(names)} {part} subjects in {self.partition.source}, {size} published"
                self.report(Problem(Fault.PARTITION_SIZE, part, detail))
        self._check_views(self.views)

    def _check_views(self, expected: Iterable[str]) -> None:
        seen: dict[tuple[str, str], set[str]] = defaultdict(set)
        for entry in self._entries:
            seen[entry.subject, entry.sequence].add(entry.view)
        for (subject, sequence), views in seen.items():
            missing = [view for view in expected if view not in views]
            if missing:
                where = f"{subject}/{sequence}"
                self.report(Problem(Fault.MISSING_VIEW, where, " ".join(missing), len(missing)))

    def require_sequences(self, wanted: Collection[str]) -> None:
        """Report the walks in `wanted` that a subject does not have."""
        have: dict[str, set[str]] = defaultdict(set)
        for entry in self._entries:
            have[entry.subject].add(entry.sequence)
        for subject, sequences in have.items():
            missing = [name for name in wanted if name not in sequences]
            if missing:
                self.report(Problem(Fault.MISSING_SEQUENCE, subject, " ".join(missing), len(missing)))
