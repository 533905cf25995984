"""``gaitid analyse``: print a table of walks and draw a picture of each."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gaitid.cli import inputs
from gaitid.cli.files import make_folder
from gaitid.cli.measures import shown, why_unknown
from gaitid.quality import analyse, assess
from gaitid.records import GaitSequence, Quality, npz

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
    """Print the table; write the pictures."""
    perception = inputs.perception_of(options)
    if options.out:
        make_folder(options.out)
    header = f"{'walk':18} {'frames':>6} {'height':>6} {'fps':>5} {'cadence':>7} {'cycles':>6} "
    print(header + f"{'regular':>7} {'symmetry':>8} {'quality':>7}  reasons")
    for name, sequence in _sequences(options.inputs, perception):
        quality = assess(sequence)
        print(line(name, quality), flush=True)
        if options.out:
            picture(options.out / f"{name}.png", name, sequence, quality)
    return 0


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


def _sequences(names: list[str], perception: PerceptionSettings) -> Iterator[tuple[str, GaitSequence]]:
    for name in names:
        path = Path(name)
        stored = sorted(path.glob("*.npz")) if path.is_dir() else [path] if path.suffix == ".npz" else []
        for file in stored:
            yield file.stem, npz.load(file)
        if not stored:
            for track, sequence in inputs.named(inputs.walks(name, perception=perception)):
                yield f"{path.stem}-{track}", sequence


def picture(path: Path, name: str, sequence: GaitSequence, quality: Quality) -> None:
    """Draw silhouettes over the gait signal with its cycles, and save it as PNG."""
    from gaitid.evaluation.walk_charts import gait_figure

    rhythm = f"{shown(quality, 'cadence', '.0f')} steps/min, {shown(quality, 'cycles', '.1f')} gait cycles"
    verdict = ", ".join(quality.reasons) or f"quality {quality.score:.0f}"
    title = f"{name}: {quality.frames} frames, {rhythm}, {verdict}"
    gait_figure(sequence, analyse(sequence), title).savefig(path)
