"""``gaitid model finetune``: adapt an encoder to your own subjects."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from gaitid.cli.progress import Bar
from gaitid.errors import InputError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid model finetune``."""
    parser.add_argument(
        "--root",
        type=Path,
        required=True,
        help="your own walks: SUBJECT/WALK/VIEW.npz, at least two walks per subject",
    )
    parser.add_argument("--encoder", default="strider", help="encoder to start from (default: strider)")
    parser.add_argument("--out", type=Path, required=True, help="weight file to write, NAME.safetensors")
    parser.add_argument("--steps", type=int, default=150, help="optimiser steps (default: 150)")
    parser.add_argument("--rate", type=float, default=3e-4, help="learning rate (default: 0.0003)")
    parser.add_argument(
        "--force", action="store_true", help="write the weights even if they did worse in validation"
    )


def run(options: argparse.Namespace) -> int:
    """Fine-tune, and write the weights if they improve on the validation walks."""
    from gaitid.datasets.opening import open_dataset
    from gaitid.encoders.learned import one_network
    from gaitid.training import finetune as tuner

    if options.out.suffix != ".safetensors":
        raise InputError(
            f"Flag --out is {options.out}",
            "a name that ends in .safetensors",
            f"Pass --out {options.out.stem}.safetensors",
        )
    encoder = one_network(options.encoder)
    plan = tuner.FinetunePlan(steps=options.steps, rate=options.rate)
    with tempfile.TemporaryDirectory() as folder:
        dataset = open_dataset("folder", options.root)
        result = tuner.finetune(encoder, dataset, Path(folder), plan, _Progress())
    print(tuner.summary(result))
    if not result.better and not options.force:
        raise InputError(
            "The fine-tuned weights are no better on the validation walks",
            "better ones",
            "Record more walks, lower --rate or --steps, or write them anyway with --force",
        )
    tuner.save(encoder, result, options.out, options.root.name)
    print(f"{options.out}: use it with --encoder {options.out}; galleries of other encoders do not fit it")
    return 0


class _Progress:
    """One progress bar per phase, under its name."""

    def __init__(self) -> None:
        self._bars: dict[str, Bar] = {}

    def __call__(self, phase: str, done: int, total: int) -> None:
        if phase not in self._bars:
            print(phase, file=sys.stderr)
            self._bars[phase] = Bar(sys.stderr)
        self._bars[phase](done, total)
