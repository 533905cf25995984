"""``gaitid train`` and ``gaitid finetune``: networks from recipes, and shipped ones for own people."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from gaitid.cli.prepare import Bar
from gaitid.errors import InputError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb that the parser is for."""
    if parser.prog.endswith("train"):
        parser.add_argument("recipe", type=Path, help="TOML file, such as training/recipes/strider.toml")
        parser.add_argument(
            "folder",
            type=Path,
            help="where checkpoint, metrics, log and at the end the weight file go; resumed if there",
        )
        parser.add_argument("--workers", type=int, default=1, help="processes that make batches (default: 1)")
        parser.add_argument("--threads", type=int, default=1, help="threads of the network (default: 1)")
        parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
        return
    parser.add_argument(
        "root", type=Path, help="own people: SUBJECT/WALK/VIEW.npz, two walks or more of each"
    )
    parser.add_argument("--encoder", default="strider", help="encoder to start from (default: strider)")
    parser.add_argument("--out", type=Path, required=True, help="weight file to write, NAME.safetensors")
    parser.add_argument("--steps", type=int, default=150, help="optimiser steps (default: 150)")
    parser.add_argument("--rate", type=float, default=3e-4, help="learning rate (default: 0.0003)")
    parser.add_argument(
        "--force", action="store_true", help="write weights that did worse on kept-out walks too"
    )


def run(options: argparse.Namespace) -> int:
    """Train or fine-tune."""
    return _train(options) if options.verb == "train" else _finetune(options)


def _train(options: argparse.Namespace) -> int:
    from gaitid.training.train import run_recipe

    how = {name: getattr(options, name) for name in ("workers", "threads", "device")}
    if target := run_recipe(options.recipe, options.folder, **how):
        print(target)
    return 0


def _finetune(options: argparse.Namespace) -> int:
    from gaitid.datasets.base import open_dataset
    from gaitid.encoders.learned import one_network
    from gaitid.training import finetune as tuner

    if options.out.suffix != ".safetensors":
        raise InputError(f"--out is {options.out}", "NAME.safetensors", "name the file so")
    encoder = one_network(options.encoder)
    plan = tuner.Plan(steps=options.steps, rate=options.rate)
    bars: dict[str, Bar] = {}

    def progress(phase: str, done: int, total: int) -> None:
        if phase not in bars:
            print(phase, file=sys.stderr)
        bars.setdefault(phase, Bar(sys.stderr))(done, total)

    with tempfile.TemporaryDirectory() as folder:
        dataset = open_dataset("folder", options.root)
        outcome = tuner.finetune(encoder, dataset, Path(folder), plan, progress)
    print(tuner.words(outcome))
    if not outcome.better and not options.force:
        raise InputError(
            "the fine-tuned weights tell people apart no better on the walks that were kept out",
            "better ones",
            "record more walks, lower --rate or --steps, or write them all the same with --force",
        )
    tuner.save(encoder, outcome, options.out, options.root.name)
    print(f"{options.out}: use it with --encoder {options.out}; galleries of other encoders do not fit it")
    return 0
