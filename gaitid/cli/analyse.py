"""``gaitid analyse``: print a table of walks and draw a picture of each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gaitid.cli import footage, inputs
from gaitid.cli.files import make_folder
from gaitid.cli.measures import shown, why_unknown
from gaitid.errors import ConfigError, InputError, WeightsError
from gaitid.quality import analyse, assess
from gaitid.records import GaitSequence, Quality

if TYPE_CHECKING:
    from gaitid.perception.pipeline import PerceptionSettings


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid analyse``."""
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="videos, .npz files, or directories of them"
    )
    parser.add_argument("--out", type=Path, help="directory of one PNG for each walk (default: no pictures)")
    inputs.add_perception_flags(parser)


def run(options: argparse.Namespace) -> int:
    """Print the table; write the pictures.

    Returns:
        2 if an input could not be read, 3 if no walk is usable, else 0.
    """
    perception = inputs.perception_of(options)
    if options.out:
        make_folder(options.out)
    header = f"{'walk':18} {'frames':>6} {'height':>6} {'fps':>5} {'cadence':>7} {'cycles':>6} "
    print(header + f"{'regular':>7} {'symmetry':>8} {'quality':>7}  reasons")
    reader = _Reader(options.inputs, perception, options.fps)
    usable = False
    for name, sequence in reader:
        quality = assess(sequence)
        usable |= quality.usable
        print(line(name, quality), flush=True)
        if options.out:
            picture(options.out / f"{name}.png", name, sequence, quality)
    if reader.failed:
        return 2
    return 0 if usable else footage.NOTHING_USABLE


def line(name: str, quality: Quality) -> str:
    """Format one row of the table."""
    columns = {
        "frames": (6, "d"),
        "height_px": (6, ".0f"),
        "frame_rate": (5, ".1f"),
        "cadence": (7, ".0f"),
        "cycles": (6, ".1f"),
        "regularity": (7, ".2f"),
        "symmetry": (8, ".2f"),
        "score": (7, ".0f"),
    }
    cells = [f"{shown(quality, measure, form):>{width}}" for measure, (width, form) in columns.items()]
    reasons = ", ".join(quality.reasons) or "-"
    return "; ".join([f"{name:18} {' '.join(cells)}  {reasons}", *why_unknown(quality)])


class _Reader:
    """Reads the walks of all inputs; one that cannot be read is reported, and the others follow.

    Attributes:
        failed: True once an input could not be read.
    """

    def __init__(self, names: list[str], perception: PerceptionSettings, fps: float | None) -> None:
        self._names, self._perception, self._fps = names, perception, fps
        self._unique = footage.Names()
        self.failed = False

    def __iter__(self) -> Iterator[tuple[str, GaitSequence]]:
        """Yield each walk with a name that no other has."""
        for name in self._names:
            path = Path(name)
            if footage.is_walk(path):
                yield from self._stored(path)
            elif path.is_dir() and (files := sorted(filter(footage.is_walk, path.glob("*.npz")))):
                for file in files:
                    yield from self._stored(file)
            else:
                yield from self._filmed(name)

    def _stored(self, path: Path) -> Iterator[tuple[str, GaitSequence]]:
        try:
            sequence = footage.load(path, self._fps)
        except InputError as error:
            self._report(error)
            return
        yield self._unique(path.stem, path.absolute().parent.name), sequence

    def _filmed(self, name: str) -> Iterator[tuple[str, GaitSequence]]:
        from gaitid.perception.account import Account

        account = Account(static_camera=self._perception.static_camera)
        usable, path = False, Path(name)
        walks = footage.walks(name, perception=self._perception, fps=self._fps, account=account)
        try:
            for track, sequence in footage.named(walks):
                usable |= assess(sequence).usable
                yield self._unique(f"{path.stem}-{track}", path.absolute().parent.name), sequence
        except (ConfigError, WeightsError):  # the extractor cannot be made, whatever the input
            raise
        except InputError as error:
            self._report(error)
            return
        if not usable:
            footage.nothing_usable(account.finding(f"Video {name}"))

    def _report(self, error: InputError) -> None:
        print(f"gaitid: {error}", file=sys.stderr)
        self.failed = True


def picture(path: Path, name: str, sequence: GaitSequence, quality: Quality) -> None:
    """Draw silhouettes over the gait signal with its cycles, and save it as PNG."""
    from gaitid.evaluation.walk_charts import gait_figure

    rhythm = f"{shown(quality, 'cadence', '.0f')} steps/min, {shown(quality, 'cycles', '.1f')} gait cycles"
    verdict = ", ".join(quality.reasons) or f"quality {quality.score:.0f}"
    title = f"{name}: {quality.frames} frames, {rhythm}, {verdict}"
    gait_figure(sequence, analyse(sequence), title).savefig(path)
