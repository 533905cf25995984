"""``gaitid train``: train an encoder from a recipe."""

from __future__ import annotations

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``gaitid train``."""
    parser.add_argument("recipe", type=Path, help="TOML file, such as training/recipes/strider.toml")
    parser.add_argument(
        "folder",
        type=Path,
        help="folder of checkpoint, metrics, log and, at the end, the weight file; resumed if it exists",
    )
    parser.add_argument("--workers", type=int, default=1, help="processes that make batches (default: 1)")
    parser.add_argument("--threads", type=int, default=1, help="threads of the network (default: 1)")
    parser.add_argument(
        "--device",
        default="auto",
        help="cpu, cuda or cuda:N; auto takes a GPU if there is one (default: auto)",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=0.0,
        help="wall time of the run; its schedule is planned for the steps that fit (default: no limit)",
    )


def run(options: argparse.Namespace) -> int:
    """Train, and print the path of the weight file when the run is finished."""
    from gaitid.training.train import run_recipe

    how = {name: getattr(options, name) for name in ("workers", "threads", "device", "minutes")}
    if target := run_recipe(options.recipe, options.folder, **how):
        print(target)
    return 0
