"""GREW: 26,000 subjects in the wild; the labels of the test probes are hidden.

Layouts read: the release (``train/00001/4XPn5Z28/00001.png``, ``test/gallery/00001/79XJefi8/00001.png``,
``test/probe/01DdvEHX/00001.png``) and the published conversion (``00001train/00/4XPn5Z28/4XPn5Z28.pkl``,
``00001/01/79XJefi8/79XJefi8.pkl``, ``probe/03/01DdvEHX/01DdvEHX.pkl`` or without ``03``).

Training and test subjects have the same numbers although they are different people, so training subjects are
called ``00001train``, as in the published partition. The two walks of a gallery subject are 01 and 02 in the
order of their video names. The published conversion takes them in the order in which the file system lists
them, so its 01 and 02 may be swapped compared with ours.

Source: Zhu et al., ICCV 2021, sec. 5; submission format: the GREW-Benchmark project and its CodaLab page.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from gaitid.datasets.base import TEST, TRAIN, DatasetEntry, Fault, Problem
from gaitid.datasets.partition import Partition, numbered
from gaitid.datasets.protocol import Group, Pick, Protocol
from gaitid.datasets.tree import TreeDataset
from gaitid.errors import DatasetError

CANDIDATES = 20
"""Candidates per probe in a submission."""
_VIDEO = re.compile(r"[A-Za-z0-9]{6,12}")
_NUMBER = re.compile(r"\d{5}")


class Grew(TreeDataset):
    """Reader and protocols of GREW; see `TreeDataset` for the arguments.

    The hidden probes are test entries with an empty subject, walk ``03`` and the covariate ``video``.
    """

    name = "grew"
    frame_rate = 25.0
    aligned = True
    beside = re.compile(rf"{TreeDataset.beside.pattern}|.*_gei\.png")
    published_sizes = (20000, 6000)

    def find(self) -> Iterator[DatasetEntry]:
        """The release, or its conversion."""
        if (self.root / "train").is_dir() or (self.root / "test").is_dir():
            yield from self._release()
        else:
            yield from self._conversion()

    def _release(self) -> Iterator[DatasetEntry]:
        for subject, _ in self._numbered(self.root / "train"):
            for video, _ in self.folders(subject, _VIDEO):
                yield from self._entry(f"{subject.name}train", "00", video)
        for subject, _ in self._numbered(self.root / "test" / "gallery"):
            for number, (video, _) in enumerate(self.folders(subject, _VIDEO), 1):
                yield from self._entry(subject.name, f"{number:02d}", video)
        probes = self.root / "test" / "probe"
        for video, _ in self.folders(probes, _VIDEO) if probes.is_dir() else ():
            yield from self._entry("", "03", video)

    def _numbered(self, folder: Path) -> Iterator[tuple[Path, re.Match[str]]]:
        if not folder.is_dir():
            self.report(Problem(Fault.MISSING_SUBJECT, str(folder), "the folder is missing"))
            return
        yield from self.folders(folder, _NUMBER)

    def _conversion(self) -> Iterator[DatasetEntry]:
        for subject, _ in self.folders(self.root, re.compile(r"\d{5}(train)?|probe")):
            name = "" if subject.name == "probe" else subject.name
            for walk, fit in self.folders(subject, re.compile(rf"(0[0-3])|{_VIDEO.pattern}")):
                if not fit[1]:  # probe/<video> without a walk between
                    yield from self._entry(name, "03", walk)
                    continue
                for video, _ in self.folders(walk, _VIDEO):
                    yield from self._entry(name, walk.name, video)

    def _entry(self, subject: str, walk: str, video: Path) -> Iterator[DatasetEntry]:
        part = self.listed_part(subject) if subject else TEST
        path = self.source(video) if part else None
        if path is not None:
            # Walks of training subjects have no names other than their videos.
            sequence = video.name if part == TRAIN else walk
            yield DatasetEntry(subject, "", sequence, "", part, path, (("video", video.name),))

    def default_partition(self) -> Partition:
        """Train on 00001train to 20000train, test on 00001 to 06000."""
        return Partition(
            numbered(range(1, 20001), 5, "train"),
            numbered(range(1, 6001), 5),
            source="the rule 20,000 train / 6,000 test",
        )

    def published(self) -> Iterable[Protocol]:
        """The official one, which needs a submission, and the local check of 02 against 01."""
        yield Protocol(
            "grew/official",
            "Zhu et al. 2021, sec. 5; answers are judged by the publisher",
            (Group("probe", Pick(sequences=("03",)), Pick(sequences=("01", "02")), labelled=False),),
            layout="pooled",
            exclude="nothing",
            average="probes",
            ranks=(1, 5, 10, 20),
        )
        yield Protocol(
            "grew/local",
            "OpenGait, datasets/GREW/README.md; not comparable with official figures",
            (Group("02 in 01", Pick(sequences=("02",)), Pick(sequences=("01",))),),
            layout="pooled",
            exclude="nothing",
            average="probes",
            ranks=(1, 5, 10, 20),
        )

    def _check_complete(self) -> None:
        super()._check_complete()
        walks: dict[str, set[str]] = {}
        for entry in self._entries:
            if entry.part == TEST and entry.subject:
                walks.setdefault(entry.subject, set()).add(entry.sequence)
        for subject, have in walks.items():
            if have != {"01", "02"}:
                self.report(
                    Problem(
                        Fault.MISSING_SEQUENCE, subject, f"has {' '.join(sorted(have))}; expected 01 and 02"
                    )
                )


def write_submission(path: Path | str, candidates: Mapping[str, Sequence[str]]) -> None:
    """Write the official submission file: for each probe video a line of 20 subjects, best first.

    Args:
        path: The file to write; the publisher expects it zipped.
        candidates: Subjects such as ``00001``, best first, by probe video. Only the first 20 are used.

    Raises:
        DatasetError: A probe has fewer than 20 candidates, or one that is not in GREW's gallery.
    """
    for video, names in candidates.items():
        wrong = next((name for name in names[:CANDIDATES] if not _NUMBER.fullmatch(name)), None)
        if wrong is not None or len(names) < CANDIDATES:
            got = f"{len(names)} candidates" if wrong is None else f"the candidate {wrong!r}"
            raise DatasetError(
                f"Probe {video} has {got}",
                f"{CANDIDATES} subjects such as 00001",
                "Search the whole gallery of grew/official",
            )
    header = ["videoId", *(f"rank{number}" for number in range(1, CANDIDATES + 1))]
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(header)
        for video, names in sorted(candidates.items()):
            lines.writerow([video, *(int(name) for name in names[:CANDIDATES])])
