"""``gaitid extract``: write the sequences of a video as ``.npz`` files, and ``tracks.csv`` to list them."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from gaitid.cli import footage, inputs
from gaitid.cli.files import make_folder
from gaitid.cli.measures import shown
from gaitid.errors import InputError
from gaitid.quality import assess
from gaitid.records import GaitSequence, Quality, npz

_TABLE = "tracks.csv"
_COLUMNS = ("file", "track", "start_s", "end_s", "frames", "quality", "cadence", "cycles", "reasons")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid extract``."""
    parser.add_argument("source", help="video file, image directory, USB index or rtsp:// address")
    parser.add_argument("--out", type=Path, default=Path("sequences"), help="directory (default: sequences)")
    parser.add_argument("--camera", default="", help="camera name stored with each sequence")
    parser.add_argument("--overwrite", action="store_true", help="replace the sequences of an earlier run")
    parser.add_argument("--usable-only", action="store_true", help="write only sequences worth embedding")
    inputs.add_perception_flags(parser)


def run(options: argparse.Namespace) -> int:
    """Write the sequences of a source; return 3 if none is usable."""
    from gaitid.perception.account import Account

    perception = inputs.perception_of(options)
    _make_place(options.out, overwrite=options.overwrite)
    account = Account(static_camera=perception.static_camera)
    usable = written = 0
    with (options.out / _TABLE).open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(_COLUMNS)
        for track, sequence in footage.named(
            footage.walks(options.source, options.camera, perception, fps=options.fps, account=account)
        ):
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
    return 0 if usable else footage.nothing_usable(account.finding(f"Video {options.source}"))


def _make_place(folder: Path, *, overwrite: bool) -> None:
    """Make the folder; an earlier run's sequences in it are an error, or deleted.

    Raises:
        InputError: The folder has the table of an earlier run, or cannot be made.
    """
    make_folder(folder)
    table = folder / _TABLE
    if not table.exists():
        return
    if not overwrite:
        raise InputError(
            f"Folder {folder} has the sequences of an earlier run",
            f"a folder without {_TABLE}",
            "Pass another --out, or --overwrite to replace them",
        )
    with table.open(newline="") as file:
        for old in csv.DictReader(file):
            if (old.get("file") or "").endswith(".npz"):
                (folder / Path(old["file"]).name).unlink(missing_ok=True)
    table.unlink()


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
