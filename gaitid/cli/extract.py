"""``gaitid extract``: write the sequences of a video as ``.npz`` files, and ``tracks.csv`` to list them."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from gaitid.cli import inputs
from gaitid.cli.files import make_folder
from gaitid.cli.measures import shown
from gaitid.quality import assess
from gaitid.records import GaitSequence, Quality, npz

_COLUMNS = ("file", "track", "start_s", "end_s", "frames", "quality", "cadence", "cycles", "reasons")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid extract``."""
    parser.add_argument("source", help="video file, image directory, USB index or rtsp:// address")
    parser.add_argument("--out", type=Path, default=Path("sequences"), help="directory (default: sequences)")
    parser.add_argument("--camera", default="", help="camera name stored with each sequence")
    parser.add_argument("--usable-only", action="store_true", help="write only sequences worth embedding")
    inputs.add_perception_flags(parser)


def run(options: argparse.Namespace) -> int:
    """Write the sequences of a source."""
    perception = inputs.perception_of(options)
    make_folder(options.out)
    usable = written = 0
    with (options.out / "tracks.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(_COLUMNS)
        for track, sequence in inputs.named(inputs.walks(options.source, options.camera, perception)):
            quality = assess(sequence)
            usable += quality.usable
            if quality.usable or not options.usable_only:
                name = f"track-{track}.npz"
                npz.save(options.out / name, sequence)
                table.writerow([name, *row(sequence, quality)])
                file.flush()
                written += 1
                print(f"{name}: {len(sequence)} frames, {', '.join(quality.reasons) or 'usable'}", flush=True)
    print(f"{written} sequences in {options.out}, {usable} of them usable")
    return 0


def row(sequence: GaitSequence, quality: Quality) -> list[object]:
    """Return a row of ``tracks.csv``: track, start and end (s), frames, score, cadence, cycles, reasons."""
    return [
        sequence.origin.track,
        f"{sequence.times[0]:.2f}",
        f"{sequence.times[-1]:.2f}",
        len(sequence),
        f"{quality.score:.0f}",
        shown(quality, "cadence", ".0f"),
        shown(quality, "cycles", ".1f"),
        " ".join(reason.value for reason in quality.reasons),
    ]
