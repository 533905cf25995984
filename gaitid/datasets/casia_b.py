"""CASIA-B: 124 subjects, 11 views, normal walking, bags and coats.

Layouts read: the raw silhouettes GaitDatasetB-silh (``001/nm-01/000/001-nm-01-000-001.png``), the
published conversion of them (``001/nm-01/000/000.pkl``), and the re-segmented CASIA-B*
(``001/nm-01/000/000-aligned-sils.pkl``).

Sources: Yu, Tan and Tan, ICPR 2006 (the set); Wu et al., TPAMI 2017 and Chao et al., AAAI 2019, sec. 4.1
(view matrix, 74 subjects train); Hou et al., TBIOM 2022, "A Comprehensive Study on the Evaluation of
Silhouette-based Gait Recognition" (cross-view gallery).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from gaitid.datasets.base import DatasetEntry
from gaitid.datasets.partition import Partition, numbered
from gaitid.datasets.protocol import Group, Pick, Protocol
from gaitid.datasets.tree import TreeDataset

_WALKS = {"nm": 6, "bg": 2, "cl": 2}
WALKS = tuple(f"{kind}-{number:02d}" for kind, count in _WALKS.items() for number in range(1, count + 1))


class CasiaB(TreeDataset):
    """Reader and protocols of CASIA-B and CASIA-B*; see `TreeDataset` for the arguments."""

    name = "casia-b"
    frame_rate = 25.0
    files = ("{leaf}.pkl", "{leaf}-aligned-sils.pkl")
    views = tuple(f"{angle:03d}" for angle in range(0, 181, 18))
    published_sizes = (74, 50)

    def find(self) -> Iterator[DatasetEntry]:
        """``subject/condition-number/view``."""
        for subject, _ in self.folders(self.root, re.compile(r"\d{3}")):
            part = self.listed_part(subject.name)
            if not part:
                continue
            for walk, fit in self.folders(subject, re.compile(r"(nm|bg|cl)-\d\d")):
                for view, _ in self.folders(walk, re.compile("|".join(self.views))):
                    path = self.source(view)
                    if path is not None:
                        yield DatasetEntry(subject.name, fit[1], walk.name, view.name, part, path)

    def default_partition(self) -> Partition:
        """Train on 001 to 074, test on 075 to 124."""
        return Partition(
            numbered(range(1, 75), 3), numbered(range(75, 125), 3), source="the rule 001-074 / 075-124"
        )

    def published(self) -> Iterable[Protocol]:
        """The view matrix that most papers print, and the newer cross-view gallery."""
        gallery = Pick(sequences=WALKS[:4])
        matrix = {"NM": WALKS[4:6], "BG": WALKS[6:8], "CL": WALKS[8:10]}
        yield Protocol(
            "casia-b/view-matrix",
            "Chao et al. 2019, sec. 4.1",
            tuple(Group(name, Pick(sequences=walks), gallery) for name, walks in matrix.items()),
            layout="cells",
            exclude="view",
            average="cells",
        )
        gallery = Pick(sequences=("nm-02", "bg-02", "cl-02"))
        yield Protocol(
            "casia-b/cross-view",
            "Hou et al. 2022 (A Comprehensive Study on the Evaluation of Silhouette-based Gait Recognition)",
            tuple(Group(kind.upper(), Pick(sequences=(f"{kind}-01",)), gallery) for kind in _WALKS),
            layout="pooled",
            exclude="mate-view",
            average="views",
            precision=True,
        )

    def _check_complete(self) -> None:
        super()._check_complete()
        self.require_sequences(WALKS)
