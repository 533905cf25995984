"""``gaitid import-checkpoint``: a checkpoint of the common academic framework -> a weight file of ours."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gaitid.encoders.base import WEIGHTS
from gaitid.errors import InputError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("checkpoint", type=Path, help="file of tensors, as torch.save writes it")
    parser.add_argument("target", type=Path, help="weight file to write, NAME.safetensors")
    parser.add_argument("--architecture", required=True, help="gaitset, gaitbase or deepgaitv2")


def run(options: argparse.Namespace) -> int:
    """Import it and say what was left out."""
    from gaitid.encoders import foreign

    if options.target.suffix != WEIGHTS:
        raise InputError(
            f"target {options.target}", f"a name that ends in {WEIGHTS}", "encoders are loaded by it"
        )
    state = foreign.read_checkpoint(options.checkpoint)
    imported = foreign.import_state(options.architecture, state)
    name = options.target.stem
    made = foreign.save_imported(
        options.target, name, options.architecture, imported, options.checkpoint.name
    )
    print(f"{options.target}: encoder {name}, {made.card.dimension} numbers an embedding")
    print(f"arguments read from the shapes: {imported.arguments}")
    if imported.unused:
        print(f"left out, they serve training only: {', '.join(imported.unused)}")
    print(f"warning: {foreign.LICENCE_WARNING}", file=sys.stderr)
    return 0
