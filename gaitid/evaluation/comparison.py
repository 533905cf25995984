"""Two evaluations side by side, with significance over subjects.

Sequences of one subject are alike, so the subject is the unit. Each figure has one value per subject in both
evaluations. The mean difference is tested by flipping the signs of the paired differences (Fisher 1935,
sec. 21), and its interval comes from drawing subjects with replacement.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError
from gaitid.evaluation.experiment import FORMAT

LOWER_IS_BETTER = ("FNMR", "FNIR")


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of one group in both evaluations.

    Attributes:
        group: Name of the group.
        figure: Name of the figure; FNMR and FNIR are better when lower, the others when higher.
        subjects: Number of subjects in both evaluations.
        first: Mean over those subjects in the first evaluation.
        second: Mean over those subjects in the second.
        low: Lower end of the 95 % interval of ``second - first``.
        high: Upper end of that interval.
        p_value: Two-sided p-value of no difference.
    """

    group: str
    figure: str
    subjects: int
    first: float
    second: float
    low: float
    high: float
    p_value: float

    @property
    def verdict(self) -> str:
        """Whether the second is ``better``, ``worse`` or ``no significant difference``, at the 5 % level."""
        if self.p_value >= 0.05 or self.first == self.second:
            return "no significant difference"
        grew = self.second > self.first
        return "better" if grew != self.figure.startswith(LOWER_IS_BETTER) else "worse"


def read(path: Path | str) -> dict[str, Any]:
    """Read the document of an evaluation.

    Raises:
        InputError: The file is missing, is not JSON, or is not an evaluation of this format.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"File {path} cannot be read ({error})",
            "the JSON of an evaluation",
            "Pass a result.json of 'gaitid evaluate'",
        ) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        found = document.get("format") if isinstance(document, dict) else None
        raise InputError(f"File {path} has format {found!r}", FORMAT, "Evaluate again with this version")
    return document


def compare(
    first: Mapping[str, Any], second: Mapping[str, Any], *, repeats: int = 10_000, seed: int = 0
) -> list[Difference]:
    """Compare two evaluations by one protocol and convention.

    Args:
        first: Document of the first evaluation.
        second: Document of the second.
        repeats: Number of sign flips, and of resamples.
        seed: Seed of both.

    Raises:
        InputError: The protocols or conventions differ, or the evaluations share no subject.
    """
    for what, table, key in (("protocol", "protocol", "name"), ("convention", "plan", "convention")):
        if first[table][key] != second[table][key]:
            raise InputError(
                f"The first is by {what} {first[table][key]}, the second by {second[table][key]}",
                f"one {what}",
                f"Evaluate both by the same {what}",
            )
    random = np.random.default_rng(seed)
    others = {group["name"]: group["per_subject"] for group in second["groups"]}
    found = [
        _difference(group["name"], figure, table, others[group["name"]][figure], repeats, random)
        for group in first["groups"]
        for figure, table in group["per_subject"].items()
        if figure in others.get(group["name"], {})
    ]
    if not found:
        raise InputError(
            "The two evaluations share no group", "the same groups", "Evaluate both on the same data set"
        )
    return found


def _difference(
    group: str,
    figure: str,
    first: Mapping[str, list[float]],
    second: Mapping[str, list[float]],
    repeats: int,
    random: np.random.Generator,
) -> Difference:
    both = sorted(set(first) & set(second))
    if not both:
        raise InputError(
            f"Group {group} has no subject in both evaluations",
            "the same subjects",
            "Evaluate both on the same data set",
        )
    one, other = (np.array([table[name][0] / table[name][1] for name in both]) for table in (first, second))
    gaps = other - one
    low, high = np.quantile(_means(gaps, repeats, random), [0.025, 0.975])
    flipped = _flipped(gaps, repeats, random)
    # Equality up to rounding counts as equal, so p is 1 when nothing differs.
    as_far = np.abs(flipped) >= abs(gaps.mean()) - 1e-12
    return Difference(
        group,
        figure,
        len(both),
        float(one.mean()),
        float(other.mean()),
        float(low),
        float(high),
        float((1 + as_far.sum()) / (1 + repeats)),
    )


def _means(gaps: NDArray[np.float64], repeats: int, random: np.random.Generator) -> NDArray[np.float64]:
    share = np.full(len(gaps), 1 / len(gaps))
    means: NDArray[np.float64] = np.concatenate(
        [random.multinomial(len(gaps), share, part) @ gaps / len(gaps) for part in _parts(repeats, len(gaps))]
    )
    return means


def _flipped(gaps: NDArray[np.float64], repeats: int, random: np.random.Generator) -> NDArray[np.float64]:
    means: NDArray[np.float64] = np.concatenate(
        [
            random.integers(0, 2, (part, len(gaps)), np.int8) @ (2 * gaps / len(gaps)) - gaps.mean()
            for part in _parts(repeats, len(gaps))
        ]
    )
    return means


def _parts(repeats: int, width: int) -> list[int]:
    """Split repeats into portions of at most 10 million random numbers."""
    size = max(1, 10_000_000 // width)
    return [min(size, repeats - start) for start in range(0, repeats, size)]
