"""OU-MVLP: 10,307 subjects, 14 views, two walks each.

Layouts read: the raw silhouettes (``Silhouette_000-00/00001/0001.png``), the same rearranged
(``00001/00/000/0001.png``), and the published conversion (``00001/00/000/000.pkl``), also of 17-joint
poses.

Source: Takemura et al., IPSJ Transactions on Computer Vision and Applications 2018; the odd/even split
and the protocol as in Chao et al., AAAI 2019, sec. 4.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from gaitid.datasets.base import DatasetEntry
from gaitid.datasets.partition import Partition, numbered
from gaitid.datasets.protocol import Group, Pick, Protocol
from gaitid.datasets.tree import TreeDataset

_SUBJECTS = 10307
_RAW = re.compile(r"Silhouette_(\d{3})-(\d\d)")
_SUBJECT = re.compile(r"\d{5}")


class OuMvlp(TreeDataset):
    """Reader and protocol of OU-MVLP; see `TreeDataset` for the arguments."""

    name = "ou-mvlp"
    frame_rate = 25.0
    views = tuple(f"{angle:03d}" for angle in (*range(0, 91, 15), *range(180, 271, 15)))
    published_sizes = (5153, 5154)

    def find(self) -> Iterator[DatasetEntry]:
        """``Silhouette_view-walk/subject`` or ``subject/walk/view``."""
        for folder, fit in self.folders(self.root, re.compile(f"{_RAW.pattern}|{_SUBJECT.pattern}")):
            if fit[1]:
                yield from self._raw(folder, fit[1], fit[2])
            elif part := self.listed_part(folder.name):
                for walk, _ in self.folders(folder, re.compile(r"0[01]")):
                    for view, _ in self.folders(walk, re.compile("|".join(self.views))):
                        path = self.source(view)
                        if path is not None:
                            yield DatasetEntry(folder.name, "nm", walk.name, view.name, part, path)

    def _raw(self, folder: Path, view: str, walk: str) -> Iterator[DatasetEntry]:
        for subject, _ in self.folders(folder, _SUBJECT):
            part = self.listed_part(subject.name)
            path = self.source(subject) if part else None
            if path is not None:
                yield DatasetEntry(subject.name, "nm", walk, view, part, path)

    def default_partition(self) -> Partition:
        """Train on odd subjects up to 10305, test on even ones and 10307."""
        return Partition(
            numbered(range(1, _SUBJECTS, 2), 5),
            numbered([*range(2, _SUBJECTS, 2), _SUBJECTS], 5),
            source="the rule odd / even and 10307",
        )

    def published(self) -> Iterable[Protocol]:
        """Walk 00 against walk 01, one cell per pair of views."""
        yield Protocol(
            "ou-mvlp/view-matrix",
            "Takemura et al. 2018; Chao et al. 2019, sec. 4.1",
            (Group("NM", Pick(sequences=("00",)), Pick(sequences=("01",))),),
            layout="cells",
            exclude="view",
            average="cells",
        )

    def _check_complete(self) -> None:
        super()._check_complete()
        self.require_sequences(("00", "01"))
