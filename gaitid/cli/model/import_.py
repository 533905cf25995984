"""``gaitid model import``: convert a checkpoint of the OpenGait framework to a weight file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gaitid.encoders.base import WEIGHTS
from gaitid.errors import InputError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid model import``."""
    parser.add_argument(
        "checkpoint", type=Path, metavar="CHECKPOINT", help="checkpoint written by torch.save"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="weight file to write, NAME.safetensors"
    )
    parser.add_argument("--architecture", required=True, help="gaitset, gaitbase or deepgaitv2")


def run(options: argparse.Namespace) -> int:
    """Convert the checkpoint and list the tensors that were left out."""
    from gaitid.encoders import foreign

    if options.out.suffix != WEIGHTS:
        raise InputError(
            f"Flag --out is {options.out}",
            f"a name that ends in {WEIGHTS}",
            f"Pass --out {options.out.stem}{WEIGHTS}",
        )
    state = foreign.read_checkpoint(options.checkpoint)
    imported = foreign.import_state(options.architecture, state)
    name = options.out.stem
    made = foreign.save_imported(options.out, name, options.architecture, imported, options.checkpoint.name)
    print(f"{options.out}: encoder {name}, {made.card.dimension} dimensions")
    print(f"arguments read from the shapes: {imported.arguments}")
    if imported.unused:
        print(f"left out, used in training only: {', '.join(imported.unused)}")
    print(f"warning: {foreign.LICENCE_WARNING}", file=sys.stderr)
    return 0
