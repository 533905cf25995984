"""Galleries: their state, calibration and normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gaitid.records.decision import OperatingPoint


class Fusion(str, Enum):
    """How the scores of a subject's templates become one score."""

    MAX = "max"
    """Cosine of the best template."""
    MEAN = "mean"
    """Mean cosine of all templates."""
    CENTROID = "centroid"
    """Cosine of the normalised mean of all templates."""


class CalibrationSource(str, Enum):
    """Where the impostor scores of a calibration come from."""

    GALLERY = "gallery"
    """Templates of the gallery's subjects compared with its other subjects."""
    IMPOSTORS = "cohort"
    """Probes of people who are not enrolled compared with the gallery's subjects; stored as ``cohort``."""
    CARD = "card"
    """Impostor scores from the encoder's card: provisional, because they were not measured at this site."""
    SMALL = "small"
    """The card's scores, updated by the few comparisons that a small gallery has of its own."""
    SIMULTANEOUS = "simultaneous"
    """The card's scores, updated by comparisons of tracks that one camera saw at the same time."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a gallery knows about impostor scores.

    Attributes:
        source: Where the scores come from.
        subjects: Number of subjects compared with; at most 10,000 are drawn. For source CARD the people on
            the card (0 = not stated), for SIMULTANEOUS 0.
        probes: Number of probes compared; at most 1,000 are drawn. 0 for source CARD.
        comparisons: Number of scores; no rate below ``1 / comparisons`` is reported.
        clustering: 0..1, share of independence between the scores of one probe. Clustered false matches
            cause fewer false positives (1 = false matches are independent).
        misfit: 0..1, largest gap between the fitted and the measured distribution of the highest 5 % of
            scores, as a share of them; above 0.1 distrust extrapolated rates.
        made_at: Unix seconds.
        normalised: Whether the scores are normalised; see `Normalisation`.
        corrected: Whether they are scores of embeddings corrected by camera profiles.
        synthetic: Whether the people behind a card are synthetic.
    """

    source: CalibrationSource
    subjects: int
    probes: int
    comparisons: int
    clustering: float
    misfit: float
    made_at: float
    normalised: bool = False
    corrected: bool = False
    synthetic: bool = False

    @property
    def floor(self) -> float:
        """Lowest rate that so many comparisons can support, 0..1."""
        return 1.0 / max(1, self.comparisons)


@dataclass(frozen=True, slots=True)
class Normalisation:
    """How a gallery normalises scores by a cohort from its site: adaptive score normalisation (AS-norm).

    Both rates are shares of left-out templates of the gallery's own subjects that find their subject, at
    the threshold that a share `fpir` of them reaches with another subject.

    Attributes:
        cohort: Number of walks in the cohort.
        fpir: False positive identification rate of the check.
        before: Detection and identification rate without normalisation, 0..1.
        after: Detection and identification rate with it, 0..1, never lower.
        probes: Number of left-out templates in the check.
        made_at: Unix seconds.
    """

    cohort: int
    fpir: float
    before: float
    after: float
    probes: int
    made_at: float


@dataclass(frozen=True, slots=True)
class GalleryInfo:
    """State of a gallery.

    Attributes:
        name: Unique name.
        encoder: Name of the encoder whose embeddings it stores.
        contract: Contract of those embeddings.
        dimension: Number of dimensions of an embedding.
        subjects: Number of subjects.
        templates: Number of templates.
        revision: Grows by one with each change.
        operating_point: Its operating point, with the threshold for its present size.
        created_at: Unix seconds.
        fusion: How the scores of a subject's templates become one score.
        calibration: What it knows about impostor scores; None = not calibrated.
        normalisation: How scores are normalised by a cohort; None = they are not.
        renewals: How often its templates were renewed; 0 = they are not under a secret projection.
        profiles: Whether it learns and uses camera profiles.
    """

    name: str
    encoder: str
    contract: str
    dimension: int
    subjects: int
    templates: int
    revision: int
    operating_point: OperatingPoint
    created_at: float
    fusion: Fusion = Fusion.MAX
    calibration: Calibration | None = None
    normalisation: Normalisation | None = None
    renewals: int = 0
    profiles: bool = True
