"""CCPG: 200 subjects, seven outfits, ten cameras indoors and outdoors.

Layouts read: the published conversion (``000/U0_D0/01_0/01_0-aligned-sils.pkl``) and a tree of
silhouette images (``000/U0_D0/01_0/*.png``). An outfit is named by upper (U) and lower (D) garment; a
view is named camera_take, and only the camera counts as the view.

Source: Li et al., CVPR 2023, sec. 3 and 5; both protocols as in OpenGait's evaluator. Their figures differ a
lot: always name the protocol.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from gaitid.datasets.base import DatasetEntry
from gaitid.datasets.partition import Partition, numbered
from gaitid.datasets.protocol import Group, Pick, Protocol
from gaitid.datasets.tree import TreeDataset

# Group: (outfits of the probes, outfits of the gallery).
_GROUPS = {
    "CL": (("U0_D0_BG", "U0_D0"), ("U1_D1", "U2_D2", "U3_D3")),
    "UP": (("U3_D3",), ("U0_D3",)),
    "DN": (("U1_D0",), ("U1_D1",)),
    "BG": (("U0_D0_BG",), ("U0_D0",)),
}


class Ccpg(TreeDataset):
    """Reader and protocols of CCPG; see `TreeDataset` for the arguments."""

    name = "ccpg"
    frame_rate = 25.0
    files = ("{leaf}-aligned-sils.pkl",)
    published_sizes = (100, 100)

    def find(self) -> Iterator[DatasetEntry]:
        """``subject/outfit/camera_take``; the walk's name is outfit-camera_take."""
        for subject, _ in self.folders(self.root, re.compile(r"\d{3}")):
            part = self.listed_part(subject.name)
            if not part:
                continue
            for outfit, _ in self.folders(subject, re.compile(r"U\d_D\d(?:_BG)?")):
                for take, fit in self.folders(outfit, re.compile(r"(\d+)(?:_\w+)?")):
                    path = self.source(take)
                    if path is not None:
                        walk = f"{outfit.name}-{take.name}"
                        yield DatasetEntry(subject.name, outfit.name, walk, fit[1], part, path)

    def default_partition(self) -> Partition:
        """Train on 000 to 099, test on 100 to 199."""
        return Partition(
            numbered(range(100), 3), numbered(range(100, 200), 3), source="the rule 000-099 / 100-199"
        )

    def published(self) -> Iterable[Protocol]:
        """Two protocols over the same four groups."""
        groups = tuple(
            Group(name, Pick(conditions=probes), Pick(conditions=gallery))
            for name, (probes, gallery) in _GROUPS.items()
        )
        yield Protocol(
            "ccpg/gait",
            "Li et al. 2023, sec. 5, gait protocol: one cell per pair of cameras, identical camera excluded",
            groups,
            layout="cells",
            exclude="view",
            average="cells",
        )
        yield Protocol(
            "ccpg/reid",
            "Li et al. 2023, sec. 5, ReID protocol: the whole gallery but the probe's subject in its camera",
            groups,
            layout="pooled",
            exclude="mate-view",
            average="probes",
            precision=True,
        )
