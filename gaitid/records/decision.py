"""Embeddings, operating points and decisions."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError
from gaitid.modalities.arrays import check_array, frozen
from gaitid.records.camera import check_direction
from gaitid.records.sequence import GaitSequence, Origin, Quality

MAX_MATCHES = 1000
"""Largest `OperatingPoint.max_matches`."""


class Outcome(str, Enum):
    """Result of a search or comparison."""

    MATCH = "match"
    NO_MATCH = "no_match"
    REVIEW = "review"
    INSUFFICIENT_QUALITY = "insufficient_quality"
    EMPTY_GALLERY = "empty_gallery"


class Verdict(str, Enum):
    """Human verdict on a decision."""

    CONFIRMED = "confirmed"
    """The probe shows the first candidate."""
    REJECTED = "rejected"
    """The probe does not show the first candidate."""


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A gait embedding and the contract of the encoder that made it.

    Attributes:
        vector: (D,) float32, unit L2 norm (within 1e-3).
        contract: Hexadecimal id of (architecture, weights, preprocessing, D); see `encoders.base`.
        origin: Camera and track of the walk, by which a gallery finds the camera's profile.
        direction: Its direction of travel, one of `DIRECTIONS`; empty = unknown.
    """

    vector: NDArray[np.float32]
    contract: str
    origin: Origin = Origin()  # noqa: RUF009 - frozen
    direction: str = ""

    def __post_init__(self) -> None:
        check_array(self.vector, np.float32, (None,), "The embedding")
        with np.errstate(invalid="ignore"):  # a signalling NaN is refused below like any other
            norm = float(np.linalg.norm(self.vector.astype(np.float64)))  # float32 would overflow
        if not abs(norm - 1.0) < 1e-3:  # also catches NaN
            raise InputError(
                f"The embedding has L2 norm {norm:.4g}",
                "1 (within 0.001)",
                "Normalise the vector and check it for NaN",
            )
        if not self.contract:
            raise InputError(
                "The embedding has no contract", "the encoder's contract id", "Pass encoder.contract"
            )
        check_direction(self.direction)
        object.__setattr__(self, "vector", frozen(self.vector))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A subject that may be the one in the probe.

    Attributes:
        subject: Subject id.
        score: Cosine, -1..1, fused over the subject's templates and normalised if the gallery has a
            `Normalisation`; not a probability.
        template: Id of the best template; of the subject's first template if `Fusion` is not MAX.
        fpir_at_score: Expected FPIR of a threshold at this score in this gallery; for a verification
            (one comparison) the FMR. None without a calibration, or if that is of plain scores and camera
            profiles have come into use since, or the reverse.
    """

    subject: str
    score: float
    template: str
    fpir_at_score: float | None = None


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """How scores become a decision: by a threshold or by a target rate.

    A calibrated gallery derives the threshold from a target rate for each search. `threshold` then holds
    the result, and a value passed by the caller is ignored.

    Attributes:
        threshold: Lowest score of a match, -1..1.
        review_band: Scores up to this far below the threshold need a human (`Outcome.REVIEW`), 0..2;
            0 = none.
        fmr: Target false match rate of one comparison, above 0 and below 1; None = no target FMR.
        fpir: Target false positive identification rate of one search of the whole gallery by a person who
            is not enrolled, above 0 and below 1; None = no target FPIR.
        margin: A match that leads the second candidate by less than this needs a human, 0..2;
            0 = not checked.
        max_matches: More candidates than this at the threshold need a human; 0 = not checked.
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
                f"Argument threshold is {self.threshold}", "a cosine from -1 to 1", "Pass 0.5, for example"
            )
        for name in ("review_band", "margin"):
            if not 0.0 <= getattr(self, name) <= 2.0:
                raise InputError(
                    f"Argument {name} is {getattr(self, name)}", "0 to 2", "Pass 0.05, for example"
                )
        for name in ("fmr", "fpir"):
            rate = getattr(self, name)
            if rate is not None and not 0.0 < rate < 1.0:
                raise InputError(
                    f"Argument {name} is {rate}", "a rate above 0 and below 1", "Pass 0.01 for 1 %"
                )
        if self.fmr is not None and self.fpir is not None:
            raise InputError("Both fmr and fpir are set", "one target rate", "Leave one out")
        if type(self.max_matches) is not int or not 0 <= self.max_matches <= MAX_MATCHES:
            raise InputError(
                f"Argument max_matches is {self.max_matches!r}",
                f"an int from 0 to {MAX_MATCHES}",
                "Pass 1 for the strictest check",
            )

    @property
    def has_target(self) -> bool:
        """Whether the threshold is derived from a target rate."""
        return self.fmr is not None or self.fpir is not None


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to a probe.

    Attributes:
        outcome: Result of the search or comparison.
        candidates: Best first; for a verification only the claimed subject.
        quality: Quality of the probe; None if the probe is an embedding.
        operating_point: The operating point that was used.
        revision: Revision of the gallery that was searched.
        audit_id: Reference in the audit trail, for `Matcher.review`; ignored by ``==``.
        profile_version: Version of the camera profile that the probe was corrected by; 0 = its camera is
            unknown or has no profile yet.
    """

    outcome: Outcome
    candidates: tuple[Candidate, ...]
    quality: Quality | None
    operating_point: OperatingPoint
    revision: int
    audit_id: str = field(default="", compare=False)
    profile_version: int = 0

    @property
    def subject(self) -> str | None:
        """The recognised subject; None unless the outcome is MATCH."""
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
