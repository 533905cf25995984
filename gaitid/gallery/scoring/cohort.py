"""The cohort of a gallery that normalises its scores, and the check that refuses a harmful one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import NormalisationRefused, NotCalibrated
from gaitid.gallery.scoring.calibration import ScoreCalibration, learn
from gaitid.gallery.scoring.normalisation import FEWEST, MOST, Normaliser, gain
from gaitid.gallery.scoring.profiles import Site
from gaitid.gallery.scoring.space import Space
from gaitid.records import Fusion, Normalisation


@dataclass(frozen=True, slots=True, eq=False)
class Walks:
    """Vectors (N, D) float32 and their N sites."""

    vectors: NDArray[np.float32]
    sites: Sequence[Site]


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """Score normalisation of a gallery.

    Attributes:
        normaliser: Normaliser of the cohort.
        info: Result of the check.
        calibration: Calibration of the normalised scores.
        walks: Where its walks come from, and their vectors as the store holds them.
    """

    normaliser: Normaliser
    info: Normalisation
    calibration: ScoreCalibration
    walks: Walks


def check_cohort(
    vectors: NDArray[np.float32],
    subjects: Sequence[str],
    fusion: Fusion,
    cohort: Walks,
    space: Space,
    fpir: float,
) -> Cohort:
    """Check that a cohort does no harm, and calibrate the normalised scores.

    Args:
        vectors: (M, D) float32 templates, of at most `calibration.MOST_SUBJECTS` subjects.
        subjects: Their M subject names.
        fusion: How the templates of a subject make a score.
        cohort: C walks of people who are not enrolled.
        space: The space of the templates.
        fpir: False positive identification rate of the check.

    Raises:
        NotCalibrated: The cohort or the gallery is too small.
        NormalisationRefused: The detection and identification rate of left-out templates would fall.
    """
    if not FEWEST <= len(cohort.vectors) <= MOST:
        raise NotCalibrated(
            f"The cohort has {len(cohort.vectors)} walks",
            f"{FEWEST} to {MOST}",
            "Collect one walk each of more people",
        )
    rotated = space.rotate(cohort.vectors)
    placed = space.place_stored(rotated, cohort.sites)
    normaliser = Normaliser.of(placed)
    before, after, probes = gain(vectors, subjects, fusion, normaliser, fpir)
    if after < before:
        raise NormalisationRefused(
            f"With this cohort {100 * after:.2f} % of {probes} left-out templates would be identified"
            f" at FPIR {100 * fpir:g} %",
            f"at least the {100 * before:.2f} % without normalisation",
            "Collect a cohort with the cameras of the probes, or leave normalisation off",
        )
    calibration = learn(
        vectors, subjects, fusion, placed, normaliser=normaliser, corrected=bool(space.profiles)
    )
    info = Normalisation(len(placed), fpir, before, after, probes, time.time())
    return Cohort(normaliser, info, calibration, Walks(rotated, cohort.sites))
