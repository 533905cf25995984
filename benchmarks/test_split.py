"""Encoders on subjects of the test split: rank-1, EER and open-set errors, with intervals over subjects.

    python -m benchmarks.test_split [--data FOLDER] [--encoders NAME-OR-FILE ...]

No training saw the subjects of the split ``test``. Their walks are made into FOLDER when it is empty:

- ``laboratory``: 60 subjects; gallery is day 0 in normal clothes, probes are day 1 in normal clothes, with
  a bag and in a coat; eleven views, one walk of 50 frames each, noise level 1. Rank-1 is the mean over
  pairs of different views, and over equal views.
- ``gate``: 1,500 subjects; enrolled by four walks of day 0 (0, 54, 90 and 126 degrees), seen on day 1 from
  a view of their own in each of the three conditions. In each of 20 splits 1,000 are enrolled and 500 are
  impostors. A score is that of the best of a subject's templates.

**Synthetic**: these figures compare encoders with one another; they do not predict figures on real subjects.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import harness
from benchmarks.embeddings import embed_corpus
from gaitid import registry
from gaitid.datasets.protocol import Group, Labels, Pick, Protocol
from gaitid.encoders.base import Encoder, load_encoder
from gaitid.evaluation.experiment import ExperimentPlan, evaluate, plain
from gaitid.evaluation.openset import Split
from gaitid.synthetic import CONDITIONS, VIEWS, Population, WalkPlan, plan_grid
from gaitid.training.corpus import Corpus
from gaitid.training.shards import fill, laboratory

SEED, FRAMES = 1, 50
LABORATORY, GATE, ENROLLED = 60, 1500, 1000
ENROL_VIEWS = (0.0, 54.0, 90.0, 126.0)


def gate(people: range) -> list[WalkPlan]:
    """Plan of the gate: enrolled from four views, seen again from one."""
    gallery = plan_grid(
        people, sessions=(0,), numbers=(0,), conditions=("nm",), views=ENROL_VIEWS, frames=FRAMES
    )
    views = {i: np.random.default_rng((SEED, i)).choice(VIEWS, len(CONDITIONS)) for i in people}
    probes = [
        WalkPlan(i, 1, 0, condition, float(view), FRAMES)
        for i in people
        for condition, view in zip(CONDITIONS, views[i], strict=True)
    ]
    return gallery + probes


def labels_of(corpus: Corpus) -> Labels:
    """Labels whose condition names clothes and day, so that a protocol can select a day."""
    every = corpus.labels
    return Labels.of(
        (one.subject for one in every),
        (f"{one.view:03.0f}" for one in every),
        (f"{one.condition}+day{one.session}" for one in every),
        (f"{one.condition}-{one.walk}" for one in every),
    )


def protocol(name: str, *, pooled: bool) -> Protocol:
    """Probes of day 1 by condition against day 0; pairs of different views only unless pooled."""
    return Protocol(
        name,
        "ours, see benchmarks/test_split.py",
        tuple(
            Group(condition.upper(), Pick(sequences=(f"{condition}-1000",)), Pick(conditions=("day0",)))
            for condition in CONDITIONS
        ),
        layout="pooled" if pooled else "cells",
        exclude="nothing" if pooled else "view",
        average="probes" if pooled else "cells",
    )


def equal_views(vectors: NDArray[np.float32], labels: Labels, group: Group) -> list[float]:
    """Rank-1 within views, with its interval over subjects."""
    probes, gallery = group.masks(labels)
    right = {subject: [] for subject in np.unique(labels.subject[probes]).tolist()}
    for view in np.unique(labels.view):
        rows, columns = (np.flatnonzero(side & (labels.view == view)) for side in (probes, gallery))
        best = columns[(vectors[rows] @ vectors[columns].T).argmax(1)]
        for subject, found in zip(labels.subject[rows].tolist(), labels.subject[best], strict=True):
            right[subject].append(found == subject)
    shares = np.array([np.mean(hits) for hits in right.values()])
    drawn = np.random.default_rng(SEED).choice(shares, (1000, len(shares))).mean(1)
    return _percent(float(shares.mean()), *np.quantile(drawn, (0.025, 0.975)).tolist())


def row(encoder: Encoder, corpora: dict[str, Corpus]) -> dict[str, Any]:
    """Every figure of one encoder."""
    embedded: dict[str, NDArray[np.float32]] = {}
    seconds = harness.cpu_s(
        lambda: embedded.update((name, embed_corpus(encoder, corpus)) for name, corpus in corpora.items())
    )
    walks = sum(len(corpus) for corpus in corpora.values())
    found: dict[str, Any] = {"CPU-ms a walk": round(1e3 * seconds / walks, 2)}
    labels, views = labels_of(corpora["laboratory"]), protocol("laboratory", pooled=False)
    document = evaluate(embedded["laboratory"], labels, views)
    for group, rule in zip(document["groups"], views.groups, strict=True):
        figures = group["identification"]
        found[group["name"]] = {
            "rank-1, different views": _percent(figures["rank"]["1"], *figures["rank_1_interval"]),
            "rank-1, equal views": equal_views(embedded["laboratory"], labels, rule),
        }
    document = evaluate(
        embedded["gate"],
        labels_of(corpora["gate"]),
        protocol("gate", pooled=True),
        ExperimentPlan(split=Split(enrolled=ENROLLED / GATE)),
    )
    for group in document["groups"]:
        found[group["name"]].update(_gate(group))
    return found


def _made(folder: Path, plan: Callable[[range], list[WalkPlan]], people: int) -> Corpus:
    """The walks of a plan; missing ones are made."""
    fill(folder, Population(SEED, "test"), range(people), plan)
    return Corpus(folder)


def _gate(group: dict[str, Any]) -> dict[str, list[float]]:
    closed, pairs = group["identification"], group["verification"]
    return {
        "rank-1 at the gate": _percent(closed["rank"]["1"], *closed["rank_1_interval"]),
        "EER": _percent(pairs["eer"], *pairs["eer_interval"]),
        **{
            f"FNIR at FPIR {point['fpir']:.0%}": _percent(point["fnir"], point["low"], point["high"])
            for point in group["open_set"]["points"]
            if point["rank"] == 1
        },
    }


def _percent(*rates: float) -> list[float]:
    return [round(100 * rate, 1) for rate in rates]


def main() -> None:
    """Make the walks, embed, measure, print and save."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("--data", type=Path, default=Path("out/test-split"))
    parser.add_argument("--encoders", nargs="*", default=list(registry.ENCODERS))
    parser.add_argument("--people", type=int, nargs=2, default=(LABORATORY, GATE))
    options = parser.parse_args()
    harness.log_progress()
    corpora = {
        plan.__name__: _made(options.data / plan.__name__, plan, people)
        for plan, people in zip((laboratory, gate), options.people, strict=True)
    }
    result: dict[str, Any] = {
        **harness.facts(__file__),
        "what": "SYNTHETIC subjects of the test split; see benchmarks/test_split.py",
        "people": {name: len(corpus.subjects) for name, corpus in corpora.items()},
        "unit": "percent, with 95 % intervals over subjects",
    }
    for name in options.encoders:
        encoder = load_encoder(name)
        result[encoder.name] = plain(row(encoder, corpora))
        print(encoder.name, json.dumps(result[encoder.name], indent=1), flush=True)
    harness.save(result, options.out, show=False)


if __name__ == "__main__":
    main()
