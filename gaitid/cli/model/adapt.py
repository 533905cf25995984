"""``gaitid model adapt``: adapt an encoder to your own people."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from gaitid.cli.progress import Bar
from gaitid.errors import InputError

if TYPE_CHECKING:
    from gaitid.datasets.base import Dataset
    from gaitid.encoders.learned import LearnedEncoder
    from gaitid.training.adapt import Adaptation, Progress

_METHODS = ("whitening", "lda", "gradient")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid model adapt``."""
    parser.add_argument(
        "--root",
        type=Path,
        required=True,
        help="your own walks: SUBJECT/WALK/VIEW.npz, at least two walks per subject",
    )
    parser.add_argument("--encoder", default="strider", help="encoder to start from (default: strider)")
    parser.add_argument("--out", type=Path, required=True, help="weight file to write, NAME.safetensors")
    parser.add_argument(
        "--method",
        choices=_METHODS,
        help="whitening or lda: a head in closed form, in seconds; gradient: train all layers, in minutes "
        "(default: whitening, and lda from 16 people)",
    )
    parser.add_argument("--steps", type=int, default=150, help="optimiser steps of gradient (default: 150)")
    parser.add_argument(
        "--rate", type=float, default=3e-4, help="learning rate of gradient (default: 0.0003)"
    )
    parser.add_argument(
        "--force", action="store_true", help="write the weights even if they did worse in validation"
    )


def run(options: argparse.Namespace) -> int:
    """Adapt, and write the weights if they improve on the validation walks."""
    from gaitid.datasets.opening import open_dataset
    from gaitid.encoders.learned import one_network
    from gaitid.training import adapt

    if options.out.suffix != ".safetensors":
        raise InputError(
            f"Flag --out is {options.out}",
            "a name that ends in .safetensors",
            f"Pass --out {options.out.stem}.safetensors",
        )
    encoder, dataset, progress = (
        one_network(options.encoder),
        open_dataset("folder", options.root),
        _Progress(),
    )
    if options.method == "gradient":
        result = _by_gradient(encoder, dataset, options, progress)
    else:
        result = adapt.adapt(encoder, dataset, options.method or "", progress)
    print(adapt.summary(result))
    if not result.better and not options.force:
        raise InputError(
            "The adapted weights are no better on the validation walks",
            "better ones",
            "Record more people and walks, choose another --method, or write them anyway with --force",
        )
    adapt.save(encoder, result, options.out, options.root.name)
    progress("packing", 1, 1)
    print(f"{options.out}: use it with --encoder {options.out}; galleries of other encoders do not fit it")
    return 0


def _by_gradient(
    encoder: LearnedEncoder, dataset: Dataset, options: argparse.Namespace, progress: Progress
) -> Adaptation:
    from gaitid.training.finetune import FinetunePlan, finetune

    plan = FinetunePlan(steps=options.steps, rate=options.rate)
    with tempfile.TemporaryDirectory() as folder:
        return finetune(encoder, dataset, Path(folder), plan, progress)


class _Progress:
    """One progress bar per phase, under its name."""

    def __init__(self) -> None:
        self._bars: dict[str, Bar] = {}

    def __call__(self, phase: str, done: int, total: int) -> None:
        if phase not in self._bars:
            print(phase, file=sys.stderr)
            self._bars[phase] = Bar(sys.stderr)
        self._bars[phase](done, total)
