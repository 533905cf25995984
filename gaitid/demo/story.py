"""Everything that happened in the generated demo, and the figures that follow from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gaitid.demo.scene import FilmedDay
from gaitid.edge.pictures import AMBER, GREEN, RED
from gaitid.perception.pipeline import Walk
from gaitid.records import Decision, Outcome, Quality

FPIR = 0.05
"""Target FPIR of the demo's threshold."""
MOST_FPIR, LEAST_RECOGNISED = 0.1, 0.75
"""What the demo should reach: impostors named, and enrolled people recognised, as shares."""


@dataclass(frozen=True, slots=True, eq=False)
class DemoProbe:
    """A walk of day two and the server's decision.

    Attributes:
        subject: True subject of the walk.
        condition: Clothes: ``nm`` or ``cl``.
        walk: The walk.
        decision: The server's decision.
        enrolled: True when the subject is in the gallery.
    """

    subject: str
    condition: str
    walk: Walk
    decision: Decision
    enrolled: bool

    @property
    def quality(self) -> Quality:
        """Quality of the walk as the server found it."""
        assert self.decision.quality is not None  # noqa: S101 - a probe that is a sequence has its quality
        return self.decision.quality


@dataclass(frozen=True, slots=True, eq=False)
class DemoStory:
    """Everything the report shows.

    Attributes:
        days: Both days.
        enrolled: Subject -> the walks of day one it was enrolled from.
        failed: Subjects of day one without a usable walk.
        probes: Walks of day two with decisions.
        unowned: Number of walks of both days that ground truth assigns to no subject.
        conditions: Subject -> clothes on day two.
        impostors: People of day two who are not enrolled, on purpose.
        threshold: Threshold of the gallery.
        encoder: Name of the encoder.
        seed: Seed of the population.
        seconds: Step -> wall time.
        others: Number of other people that the threshold was learned from.
    """

    days: tuple[FilmedDay, FilmedDay]
    enrolled: dict[str, list[Walk]]
    failed: list[str]
    probes: list[DemoProbe]
    unowned: int
    conditions: dict[str, str]
    impostors: list[str]
    threshold: float
    encoder: str
    seed: int
    seconds: dict[str, float]
    others: int = 0


def verdict(probe: DemoProbe) -> tuple[str, tuple[int, int, int]]:
    """Whether the decision is right, in words and as a BGR colour."""
    outcome = probe.decision.outcome
    if outcome is Outcome.MATCH:
        right = probe.decision.subject == probe.subject
        return ("right", GREEN) if right else ("wrong", RED)
    if outcome is Outcome.NO_MATCH:
        return ("missed", AMBER) if probe.enrolled else ("right", GREEN)
    return "no answer", AMBER


def summary(story: DemoStory) -> dict[str, Any]:
    """All figures of the report, as docs/formats.md describes them."""
    asked = [p for p in story.probes if p.decision.outcome is not Outcome.INSUFFICIENT_QUALITY]
    mated = [p for p in asked if p.enrolled]
    nonmated = [p for p in asked if not p.enrolled]
    matched = [p for p in mated if p.decision.outcome is Outcome.MATCH]
    right = sum(p.decision.subject == p.subject for p in matched)
    false = sum(p.decision.outcome is Outcome.MATCH for p in nonmated)
    return {
        "synthetic": True,
        "seed": story.seed,
        "encoder": story.encoder,
        "threshold": story.threshold,
        "others": story.others,
        "enrolled": len(story.enrolled),
        "not_enrolled": story.failed,
        "strangers": len(story.impostors),
        "people_recognised": len({p.subject for p in matched if p.decision.subject == p.subject}),
        "walks_of_day_two": len(story.probes),
        "insufficient_quality": len(story.probes) - len(asked),
        "walks_of_nobody": story.unowned,
        "mated_searches": len(mated),
        "rank1": sum(rank(p) == 1 for p in mated),
        "match_right": right,
        "match_wrong": len(matched) - right,
        "missed": len(mated) - len(matched),
        "nonmated_searches": len(nonmated),
        "strangers_matched": false,
        "fnir": 1 - right / len(mated) if mated else None,
        "fnir_interval": interval(len(mated) - right, len(mated)),
        "fpir": false / len(nonmated) if nonmated else None,
        "fpir_interval": interval(false, len(nonmated)),
        "frames": [day.frames for day in story.days],
        "seconds": {step: round(value, 1) for step, value in story.seconds.items()},
    }


def interval(count: int, total: int) -> tuple[float, float]:
    """95 % interval of the share `count` / `total` (Wilson 1927)."""
    if total == 0:
        return 0.0, 1.0
    z, share = 1.96, count / total
    middle = share + z * z / (2 * total)
    reach = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    low, high = ((middle + sign * reach) / (1 + z * z / total) for sign in (-1, 1))
    return max(0.0, low), min(1.0, high)


def rank(probe: DemoProbe) -> int | None:
    """Rank of the true subject among the candidates, from 1; None when it is not among them."""
    subjects = [candidate.subject for candidate in probe.decision.candidates]
    return subjects.index(probe.subject) + 1 if probe.subject in subjects else None
