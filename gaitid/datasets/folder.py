"""Your own data: a folder per subject and per walk, and a folder or file per view.

A view is one of:

- ``alice/nm-01/front/*.png``: masks of any size;
- ``alice/nm-01/front.npz`` with ``silhouette`` (T, 64, 44), ``skeleton`` (T, 17, 3) in COCO order or both,
  and optionally ``times`` (T,) in seconds;
- a ``.npz`` written by ``gaitid extract``;
- ``front.npy`` with one array.

The letters before a walk's number are its condition. ``partition.json`` (TRAIN_SET, TEST_SET) assigns
subjects to the parts; without it all are in the test part. ``subjects.csv`` (a column ``subject``, any
others) adds covariates.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from gaitid.datasets.base import TEST, DatasetEntry, Fault, Problem
from gaitid.datasets.partition import Partition
from gaitid.datasets.protocol import Group, Pick, Protocol
from gaitid.datasets.tree import TreeDataset
from gaitid.errors import DatasetError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}")
_WALK = re.compile(r"([a-z]+)-?\d+")
_FACTS = "subjects.csv"


class Folder(TreeDataset):
    """Reader of your own data; see `TreeDataset` for the arguments."""

    name = "folder"
    frame_rate = 25.0
    beside = re.compile(rf"{TreeDataset.beside.pattern}|{re.escape(_FACTS)}")
    sidecar = "partition.json"

    def find(self) -> Iterator[DatasetEntry]:
        """``subject/walk/view``."""
        facts = self._facts()
        for subject, _ in self.folders(self.root, _NAME):
            part = self.listed_part(subject.name)
            if not part:
                continue
            for walk, _ in self.folders(subject, _NAME):
                fit = _WALK.fullmatch(walk.name)
                condition = fit[1] if fit else ""
                for view, path in self._views(walk):
                    covariates = facts.get(subject.name, ())
                    yield DatasetEntry(subject.name, condition, walk.name, view, part, path, covariates)

    def _views(self, walk: Path) -> Iterator[tuple[str, Path]]:
        for child in self.children(walk):
            if child.is_dir() and _NAME.fullmatch(child.name):
                path = self.source(child)
                if path is not None:
                    yield child.name, path
            elif child.suffix in (".npz", ".npy"):
                if child.stat().st_size:
                    yield child.stem, child
                else:
                    self.report(Problem(Fault.EMPTY_FILE, str(child), "0 bytes"))
            elif not child.name.startswith("."):
                self.report(
                    Problem(Fault.UNKNOWN_NAME, str(child), "neither a folder nor a .npz or .npy file")
                )

    def _facts(self) -> dict[str, tuple[tuple[str, str], ...]]:
        path = self.root / _FACTS
        if not path.exists():
            return {}
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        if any("subject" not in row or None in row or None in row.values() for row in rows):
            raise DatasetError(
                f"File {path} has no column subject, or rows of unequal length",
                "a header with subject, and one value per column in each row",
                "Add the column, or complete the short rows",
            )
        return {
            row["subject"]: tuple((name, value) for name, value in row.items() if name != "subject")
            for row in rows
        }

    def default_partition(self) -> Partition:
        """All subjects are in the test part."""
        names = frozenset(child.name for child in self.root.iterdir() if child.is_dir())
        return Partition(frozenset(), names, source="every folder")

    def published(self) -> Iterable[Protocol]:
        """Two protocols of our own: each subject's first walk as gallery, or each sequence against all."""
        first: dict[str, str] = {}
        for entry in self.entries(TEST):
            first.setdefault(entry.subject, entry.sequence)
        gallery = frozenset(f"{subject}-{walk}" for subject, walk in first.items())
        for name, source, group in (
            (
                "folder/first-walk",
                "own data: the first walk of each subject, by name, is the gallery",
                Group("all", Pick(unlisted=gallery), Pick(listed=gallery)),
            ),
            ("folder/all", "own data: each sequence against all others", Group("all", Pick(), Pick())),
        ):
            yield Protocol(
                name,
                source,
                (group,),
                layout="pooled",
                exclude="nothing",
                average="probes",
                ranks=(1, 5),
                precision=True,
            )

    def _check_complete(self) -> None:
        missing = sorted((self.partition.train | self.partition.test) - {e.subject for e in self._entries})
        for subject in missing:
            self.report(Problem(Fault.MISSING_SUBJECT, subject, "no readable sequence"))
        self._check_views(sorted({entry.view for entry in self._entries}))
