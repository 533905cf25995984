"""``gaitid dataset synth``: synthetic walkers as sequences, or in the layout of a public data set."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import gaitid
from gaitid.cli.files import make_folder
from gaitid.cli.progress import Bar
from gaitid.datasets.base import synthetic_mark
from gaitid.errors import InputError
from gaitid.records import npz
from gaitid.synthetic.layouts import LAYOUTS, LayoutWalk, write_layout
from gaitid.synthetic.miniatures import film, plan_of, record, training_subjects
from gaitid.synthetic.population import SPLITS, Population


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid dataset synth``."""
    parser.add_argument(
        "--out", type=Path, required=True, help="directory to write into; must be new or empty"
    )
    parser.add_argument(
        "--layout", default="npz", choices=["npz", *LAYOUTS], help="layout of the files (default: npz)"
    )
    parser.add_argument("--subjects", type=int, default=6, help="number of subjects (default: 6)")
    parser.add_argument(
        "--frames", type=int, default=60, help="frames per walk, at 25 frames/s (default: 60)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="another seed generates other subjects (default: 0)"
    )
    parser.add_argument(
        "--split", default="test", choices=SPLITS, help="population to draw from; splits share no subject"
    )
    parser.add_argument("--clean", action="store_true", help="ground-truth masks, without segmentation noise")


def run(options: argparse.Namespace) -> int:
    """Write the walks."""
    if options.subjects < 1:
        raise InputError(f"Flag --subjects is {options.subjects}", "1 or more", "Pass --subjects 1 or more")
    if options.out.exists() and any(options.out.iterdir()):
        raise InputError(
            f"Directory {options.out} is not empty", "a new or empty directory", "Pass another --out"
        )
    make_folder(options.out)
    population = Population(options.seed, options.split)
    write = _write_npz if options.layout == "npz" else _write_tree
    walks = write(options, population)
    facts = {"gaitid": gaitid.__version__, "seed": options.seed, "split": options.split}
    synthetic_mark(options.out).write_text(json.dumps(facts) + "\n", encoding="utf-8")
    print(f"{walks} walks of {options.subjects} synthetic subjects in {options.out} ({options.layout})")
    return 0


def _write_tree(options: argparse.Namespace, population: Population) -> int:
    plan, subjects = plan_of(options.layout), int(options.subjects)
    level = 0.0 if options.clean else 1.0
    walks = record(plan, population, subjects, frames=options.frames, level=level)
    total = subjects * len(plan.shots)
    train = training_subjects(plan, subjects)
    write_layout(options.layout, options.out, _counted(walks, total), train=train)
    return total


def _counted(walks: Iterator[LayoutWalk], total: int) -> Iterator[LayoutWalk]:
    bar = Bar(sys.stderr)
    for done, walk in enumerate(walks, 1):
        yield walk
        bar(done, total)


def _write_npz(options: argparse.Namespace, population: Population) -> int:
    """``subject/condition-number/view.npz`` with both streams: own data, as data set ``folder``."""
    plan, subjects, bar = plan_of("folder"), int(options.subjects), Bar(sys.stderr)
    total = subjects * len(plan.shots)
    filmed = film(plan, population, subjects, frames=options.frames)
    for done, (_, shot, walk) in enumerate(filmed, 1):
        folder = options.out / walk.subject / f"{shot.condition}-{shot.number:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        npz.save(folder / f"{shot.view:03d}.npz", walk.sequence(0.0 if options.clean else 1.0))
        bar(done, total)
    return total
