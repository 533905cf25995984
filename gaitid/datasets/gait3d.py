"""Gait3D: 4,000 subjects, 39 cameras in a supermarket.

Layouts read: the raw silhouettes (``0000/camid0_videoid2/seq0/*.png`` under ``2D_Silhouettes``), the
published conversion (``seq0.pkl``) and its merge with body models (``sils-seq0.pkl``), also 17-joint poses.
The parts and the probes are lists, not rules: the published ``Gait3D.json`` is required.

Source: Zheng et al., CVPR 2022, sec. 3 and 5.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from gaitid.datasets.base import TEST, DatasetEntry, Fault, Problem
from gaitid.datasets.partition import Partition
from gaitid.datasets.protocol import Group, Pick, Protocol
from gaitid.datasets.tree import TreeDataset
from gaitid.errors import DatasetError

_PROBES = 1000


class Gait3D(TreeDataset):
    """Reader and protocol of Gait3D; see `TreeDataset` for the arguments."""

    name = "gait3d"
    frame_rate = 25.0
    files = ("{leaf}.pkl", "sils-{leaf}.pkl")
    sidecar = "Gait3D.json"
    published_sizes = (3000, 1000)

    def find(self) -> Iterator[DatasetEntry]:
        """``subject/camid_videoid/seq``; a walk has its name in the list of probes."""
        for subject, _ in self.folders(self.root, re.compile(r"\d{4}")):
            part = self.listed_part(subject.name)
            if not part:
                continue
            for video, fit in self.folders(subject, re.compile(r"(camid\d+)_videoid\d+")):
                for walk, _ in self.folders(video, re.compile(r"seq\d+")):
                    path = self.source(walk)
                    if path is not None:
                        yield DatasetEntry(subject.name, "", f"{video.name}-{walk.name}", fit[1], part, path)

    def default_partition(self) -> Partition:
        """Raise an error: the parts are published as a list."""
        raise DatasetError(
            f"Directory {self.root} has no {self.sidecar} in it or beside it",
            "the published partition with its probes",
            "Copy it from the set's project (datasets/Gait3D/Gait3D.json), or pass it as partition",
        )

    def published(self) -> Iterable[Protocol]:
        """1,000 listed probes against all other test sequences."""
        probes = self.partition.probes
        yield Protocol(
            "gait3d/official",
            "Zheng et al. 2022, sec. 5; probes as listed in Gait3D.json",
            (Group("all", Pick(listed=probes), Pick(unlisted=probes)),),
            layout="pooled",
            exclude="nothing",
            average="probes",
            ranks=(1, 5, 10),
            precision=True,
        )

    def _check_complete(self) -> None:
        super()._check_complete()
        probes = self.partition.probes
        if not probes:
            raise DatasetError(
                f"Partition {self.partition.source} lists no probes",
                "PROBE_SET with names such as 0000-camid0_videoid2-seq0",
                "Use the published Gait3D.json",
            )
        if len(probes) != _PROBES:
            detail = f"{len(probes)} probes in {self.partition.source}, published {_PROBES}"
            self.report(Problem(Fault.PARTITION_SIZE, "probes", detail))
        for key in sorted(probes - {f"{e.subject}-{e.sequence}" for e in self._entries if e.part == TEST}):
            self.report(Problem(Fault.MISSING_SEQUENCE, key, "a listed probe"))
