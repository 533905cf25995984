"""The generated demo over several seeds: who is recognised, and which impostors are named.

    python -m benchmarks.demo_seeds [--seeds 10] [--encoder NAME-OR-FILE]

Each seed has eight enrolled people and four impostors of its own. The aim: at most one walk of an impostor in
ten is named, and at least six of the eight are recognised. All are **synthetic**. A seed takes minutes.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import harness
from gaitid.demo.generated import play
from gaitid.demo.story import LEAST_RECOGNISED, MOST_FPIR, summary
from gaitid.perception.pipeline import PerceptionSettings

SUBJECTS, IMPOSTORS = 8, 4
KEPT = (
    "seed", "threshold", "enrolled", "people_recognised", "mated_searches", "rank1", "match_right",
    "match_wrong", "missed", "nonmated_searches", "strangers_matched", "fnir", "fpir",
)  # fmt: skip


def one(seed: int, encoder: str) -> dict[str, Any]:
    """Figures of one seed; see `story.summary`."""
    with tempfile.TemporaryDirectory() as folder:
        facts = summary(play(SUBJECTS, IMPOSTORS, seed, encoder, PerceptionSettings(), Path(folder)))
    return {name: facts[name] for name in KEPT}


def pooled(seeds: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures over all seeds: means, and whether the aims are met."""
    total = {name: sum(facts[name] for facts in seeds) for name in KEPT[2:11]}
    recognised = [facts["people_recognised"] for facts in seeds]
    fpir = total["strangers_matched"] / max(1, total["nonmated_searches"])
    return {
        **total,
        "recognised_mean": round(statistics.mean(recognised), 2),
        "recognised_lowest": min(recognised),
        "fpir": round(fpir, 4),
        "fnir": round(1 - total["match_right"] / max(1, total["mated_searches"]), 4),
        "few_impostors_named": fpir <= MOST_FPIR,
        "enough_recognised": statistics.mean(recognised) >= LEAST_RECOGNISED * SUBJECTS,
    }


def main() -> None:
    """Run all seeds and write the result."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("--seeds", type=int, default=10, help="seeds 0 to one less (default: 10)")
    parser.add_argument("--encoder", default="strider", help="name or weight file (default: strider)")
    options = parser.parse_args()
    seeds: list[dict[str, Any]] = []
    for seed in range(options.seeds):
        seeds.append(one(seed, options.encoder))
        harness.save(
            {"facts": harness.facts(__file__), "all": pooled(seeds), "seeds": seeds}, options.out, show=False
        )
    harness.save({"facts": harness.facts(__file__), "all": pooled(seeds), "seeds": seeds}, options.out)


if __name__ == "__main__":
    main()
