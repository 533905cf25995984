"""SUSTech1K: 1,050 subjects recorded by a camera and a LiDAR, 12 views, eight conditions.

Layout read: the released pickles (``0000/00-nm/000/06-000-Camera-Sils_aligned.pkl``). Of their 16 files, the
silhouettes of all camera frames are read, found by name and not by position. The parts are lists: the
published ``SUSTech1K.json`` is required. LiDAR, RGB and poses are not read.

A walk is called number-condition (``00-nm``, ``01-bg``); several conditions are joined by ``-``. The
published evaluator looks for a condition's two letters, or a number, anywhere in that name. We compare whole
words and keep its rule as `Group.peer_probes`.

Source: Shen et al., CVPR 2023, sec. 3 and 5.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from gaitid.datasets.base import DatasetEntry
from gaitid.datasets.partition import Partition
from gaitid.datasets.protocol import Group, Pick, Protocol
from gaitid.datasets.tree import TreeDataset
from gaitid.errors import DatasetError

_GROUPS = {
    "Bag": "bg",
    "Clothing": "cl",
    "Carrying": "cr",
    "Umbrella": "ub",
    "Uniform": "uf",
    "Occlusion": "oc",
    "Night": "nt",
}
_GALLERY, _NORMAL = "00-nm", "01-nm"


class Sustech1K(TreeDataset):
    """Reader and protocol of SUSTech1K; see `TreeDataset` for the arguments."""

    name = "sustech1k"
    frame_rate = 30.0
    files = ("??-{leaf}-Camera-Sils_aligned.pkl",)
    views = (
        *(f"{angle:03d}" for angle in range(0, 316, 45)),
        "000-far",
        "090-near",
        "180-far",
        "270-far",
    )
    sidecar = "SUSTech1K.json"
    published_sizes = (250, 800)

    def find(self) -> Iterator[DatasetEntry]:
        """``subject/number-conditions/view``."""
        for subject, _ in self.folders(self.root, re.compile(r"\d{4}")):
            part = self.listed_part(subject.name)
            if not part:
                continue
            for walk, fit in self.folders(subject, re.compile(r"\d\d-([a-z]{2}(?:-[a-z]{2})*)")):
                condition = fit[1].replace("-", "+")
                for view, _ in self.folders(walk, re.compile("|".join(self.views))):
                    path = self.source(view)
                    if path is not None:
                        yield DatasetEntry(subject.name, condition, walk.name, view.name, part, path)

    def default_partition(self) -> Partition:
        """Raise an error: the parts are published as a list."""
        raise DatasetError(
            f"Directory {self.root} has no {self.sidecar} in it or beside it",
            "the published partition",
            "Copy it from OpenGait (datasets/SUSTech1K/SUSTech1K.json), or pass it as partition",
        )

    def published(self) -> Iterable[Protocol]:
        """The first normal walk as gallery; each condition, and all other walks, as probes."""
        gallery = Pick(sequences=(_GALLERY,))
        others = sorted({entry.sequence for entry in self._entries} - {_GALLERY}) or [_NORMAL]
        groups = [
            Group("Normal", Pick(sequences=(_NORMAL,)), gallery, peer_probes=Pick(containing=(_NORMAL,)))
        ]
        present = {code for entry in self._entries for code in entry.condition.split("+")}
        for name, code in _GROUPS.items():
            if code in present:
                groups.append(
                    Group(name, Pick(conditions=(code,)), gallery, peer_probes=Pick(containing=(code,)))
                )
        numbers = Pick(containing=("01", "02", "03", "04"))
        groups.append(Group("Overall", Pick(sequences=tuple(others)), gallery, peer_probes=numbers))
        yield Protocol(
            "sustech1k/view-matrix",
            "Shen et al. 2023, sec. 5",
            tuple(groups),
            layout="cells",
            exclude="view",
            average="cells",
            ranks=(1, 5),
        )

    def _check_complete(self) -> None:
        super()._check_complete()
        self.require_sequences((_GALLERY,))
