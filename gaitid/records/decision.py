"""Embeddings, operating points and decisions."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError
from gaitid.records.checks import check_array, frozen
from gaitid.records.sequence import GaitSequence, Quality

MAX_MATCHES = 1000
"""Largest `OperatingPoint.max_matches`."""


class Outcome(str, Enum):
    """What a matcher answers."""

    MATCH = "match"
    NO_MATCH = "no_match"
    REVIEW = "review"
    INSUFFICIENT_QUALITY = "insufficient_quality"
    EMPTY_GALLERY = "empty_gallery"


class Verdict(str, Enum):
    """What a human says of a decision."""

    CONFIRMED = "confirmed"
    """It is the first candidate."""
    REJECTED = "rejected"
    """It is not."""


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A gait embedding and the contract of the encoder that made it.

    Attributes:
        vector: (D,) float32, unit L2 norm (within 1e-3).
        contract: Hex id of (architecture, weights, preprocessing, D); see `encoders.base`.
    """

    vector: NDArray[np.float32]
    contract: str

    def __post_init__(self) -> None:
        check_array(self.vector, np.float32, (None,), "embedding")
        with np.errstate(invalid="ignore"):  # a signalling NaN is refused below as any other
            norm = float(np.linalg.norm(self.vector.astype(np.float64)))  # float32 would overflow
        if not abs(norm - 1.0) < 1e-3:  # also catches NaN
            raise InputError(
                f"embedding has L2 norm {norm:.4g}", "1 (within 0.001)", "normalise it, and look for NaN"
            )
        if not self.contract:
            raise InputError(
                "embedding has no contract", "the encoder's contract id", "pass encoder.contract"
            )
        object.__setattr__(self, "vector", frozen(self.vector))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A subject that a probe may be.

    Attributes:
        subject: Subject id.
        score: Cosine, -1..1, fused over the subject's templates, in a gallery with a `Normalisation`
            corrected by it; not a probability.
        template: Id of the best template; of the subject's first when `Fusion` is not MAX.
        fpir_at_score: Expected FPIR of a threshold at this score in this gallery, for a verification
            (one comparison) its FMR; None without calibration.
    """

    subject: str
    score: float
    template: str
    fpir_at_score: float | None = None


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """The rule that turns scores into a decision.

    It says the threshold, or a target rate from which a calibrated gallery derives the threshold anew
    for each probe; then `threshold` is what came out, and what a caller gives there is not used.

    Attributes:
        threshold: Lowest score of a match, -1..1.
        review_band: Scores this far below the threshold are for a human (`Outcome.REVIEW`); 0 = none.
        fmr: Target false match rate of one comparison, above 0 and below 1; None = not by FMR.
        fpir: Target false positive identification rate of a stranger's search in the whole gallery,
            above 0 and below 1; None = not by FPIR.
        margin: A match that leads the second candidate by less is for a human, 0..2; 0 = no such rule.
        max_matches: More candidates than this at the threshold are for a human; 0 = no such rule.
    """

    threshold: float = 1.0
    review_band: float = 0.0
    fmr: float | None = None
    fpir: float | None = None
    margin: float = 0.0
    max_matches: int = 0

    def __post_init__(self) -> None:
        if not -1.0 <= self.threshold <= 1.0:
            raise InputError(
                f"threshold is {self.threshold}", "a cosine from -1 to 1", "choose one in that range"
            )
        for name in ("review_band", "margin"):
            if not 0.0 <= getattr(self, name) <= 2.0:
                raise InputError(f"{name} is {getattr(self, name)}", "0 to 2", "choose one in that range")
        for name in ("fmr", "fpir"):
            rate = getattr(self, name)
            if rate is not None and not 0.0 < rate < 1.0:
                raise InputError(f"target {name} is {rate}", "above 0 and below 1", "0.01 is 1 %")
        if self.fmr is not None and self.fpir is not None:
            raise InputError("two targets, fmr and fpir", "one", "leave one out")
        if type(self.max_matches) is not int or not 0 <= self.max_matches <= MAX_MATCHES:
            raise InputError(
                f"max_matches is {self.max_matches!r}",
                f"an int from 0 to {MAX_MATCHES}",
                "1 is the strictest",
            )

    @property
    def has_target(self) -> bool:
        """True when the threshold follows from a target rate."""
        return self.fmr is not None or self.fpir is not None


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to a probe.

    Attributes:
        outcome: See `Outcome`.
        candidates: Best first; for a verification the claimed subject only.
        quality: Quality of the probe, or None for a ready embedding.
        operating_point: The rule used.
        revision: State of the gallery that was searched.
        audit_id: Its reference in the audit trail, as `Matcher.review` takes it; equal answers have
            different ones.
    """

    outcome: Outcome
    candidates: tuple[Candidate, ...]
    quality: Quality | None
    operating_point: OperatingPoint
    revision: int
    audit_id: str = field(default="", compare=False)

    @property
    def subject(self) -> str | None:
        """The recognised subject, or None unless the outcome is MATCH."""
        return self.candidates[0].subject if self.outcome is Outcome.MATCH else None

    def __str__(self) -> str:
        words = self.outcome.value.replace("_", " ")
        if self.quality is not None and not self.quality.usable:
            return f"{words}: {', '.join(reason.value for reason in self.quality.reasons)}"
        if not self.candidates:
            return words
        best = self.candidates[0]
        bar = f"threshold {self.operating_point.threshold:.3f}"
        if self.outcome is Outcome.MATCH:
            return f"{words}: {best.subject} (score {best.score:.3f}, {bar})"
        return f"{words} (best score {best.score:.3f}, {bar})"


Probe = GaitSequence | Embedding
