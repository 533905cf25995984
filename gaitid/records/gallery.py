"""Galleries: their state, calibration and normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gaitid.records.decision import OperatingPoint


class Fusion(str, Enum):
    """How the templates of a subject make one score."""

    MAX = "max"
    """The cosine of the best template."""
    MEAN = "mean"
    """The mean cosine of all templates."""
    CENTROID = "centroid"
    """The cosine of the normalised mean of all templates."""


class CalibrationSource(str, Enum):
    """Whose scores a calibration was learnt from."""

    GALLERY = "gallery"
    """Templates of the gallery's subjects against its other subjects."""
    IMPOSTORS = "cohort"
    """Probes of people who are not enrolled against the gallery's subjects."""
    CARD = "card"
    """Pairs of walks that the encoder's makers had: provisional, for they are not the site's."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a gallery knows about the scores of strangers.

    Attributes:
        source: Whose scores it was learnt from.
        subjects: Subjects compared with; at most 10,000 are drawn. 0 for a card's.
        probes: Probes compared; at most 1,000 are drawn. 0 for a card's.
        comparisons: Scores it rests on; FMRs below ``1 / comparisons`` are extrapolated.
        clustering: 0..1, share of independence between the scores of one probe: false matches that
            come together make fewer false positives (1 = each comes alone).
        misfit: 0..1, largest gap between the law of the highest 5 % of scores and those scores, as a
            share of them; above 0.1 distrust extrapolated rates.
        made_at: Unix seconds.
        normalised: It is of normalised scores; see `Normalisation`.
    """

    source: CalibrationSource
    subjects: int
    probes: int
    comparisons: int
    clustering: float
    misfit: float
    made_at: float
    normalised: bool = False


@dataclass(frozen=True, slots=True)
class Normalisation:
    """How a gallery corrects scores by a cohort of the site: adaptive score normalisation (AS-norm).

    Both rates are shares of held-out templates of the gallery's own subjects that find their subject, at
    the threshold that `fpir` of them reach with somebody else.

    Attributes:
        cohort: Walks of the cohort.
        fpir: False positive identification rate of the check.
        before: Detection and identification rate without, 0..1.
        after: The same with it, 0..1, never lower.
        probes: Held-out templates of the check.
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
    """What a gallery is.

    Attributes:
        name: Unique name.
        encoder: Name of the encoder whose embeddings it holds.
        contract: Contract those embeddings carry.
        dimension: Length of an embedding.
        subjects: Number of subjects.
        templates: Number of templates.
        revision: Grows by one with each change.
        operating_point: The gallery's decision rule; its threshold is that for the present size.
        created_at: Unix seconds.
        fusion: How the templates of a subject make one score.
        calibration: What it knows about the scores of strangers; None = nothing yet.
        normalisation: How scores are corrected by a cohort; None = they are not.
        renewals: How often its templates were renewed; 0 = they are not under a projection.
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
