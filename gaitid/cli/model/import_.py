"""``gaitid model import``: convert a checkpoint of the OpenGait framework to a weight file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gaitid.encoders.base import WEIGHTS
from gaitid.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from gaitid.encoders.foreign import Configuration


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid model import``."""
    parser.add_argument(
        "checkpoint", type=Path, metavar="CHECKPOINT", help="checkpoint written by torch.save"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="weight file to write, NAME.safetensors"
    )
    parser.add_argument(
        "--architecture", help="gaitset, gaitbase or deepgaitv2 (default: by the names of the tensors)"
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="YAML configuration that it was trained with (default: the published settings)",
    )


def run(options: argparse.Namespace) -> int:
    """Convert the checkpoint and list the tensors that were left out."""
    from gaitid.encoders import foreign

    if options.out.suffix != WEIGHTS:
        raise InputError(
            f"Flag --out is {options.out}",
            f"a name that ends in {WEIGHTS}",
            f"Pass --out {options.out.stem}{WEIGHTS}",
        )
    configuration = foreign.read_configuration(options.config) if options.config else None
    state = foreign.read_checkpoint(options.checkpoint)
    architecture = _architecture(options, configuration, state)
    imported = foreign.import_state(architecture, state, configuration)
    name = options.out.stem
    made = foreign.save_imported(options.out, name, architecture, imported, options.checkpoint.name)
    print(f"{options.out}: encoder {name}, {architecture}, {made.card.dimension} dimensions")
    source = "the shapes and the configuration" if configuration else "the shapes"
    print(f"arguments read from {source}: {imported.arguments}")
    if imported.unused:
        print(f"left out, used in training only: {', '.join(imported.unused)}")
    if configuration is None:
        print(
            "warning: without --config the published settings are assumed; shapes do not show "
            "strides, pooling, bins, norms and use_emb2",
            file=sys.stderr,
        )
    print(f"warning: {foreign.LICENCE_WARNING}", file=sys.stderr)
    return 0


def _architecture(
    options: argparse.Namespace, configuration: Configuration | None, state: dict[str, Tensor]
) -> str:
    """The architecture that was asked for, or that of the configuration, or that of the tensors."""
    from gaitid.encoders.foreign import recognise

    if options.architecture:
        return str(options.architecture)
    if configuration is not None:
        return configuration.architecture
    likely = recognise(state)
    if likely is None or not likely.architecture:
        looks = f"look like {likely.network}" if likely else "are of no known network"
        raise InputError(
            f"The tensors of {options.checkpoint.name} {looks}",
            "those of GaitSet, GaitBase or DeepGaitV2",
            "Train the network that you need; docs/training.md says how",
        )
    return likely.architecture
