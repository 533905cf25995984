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
from gaitid.records import Fusion, Normalisation


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """Score normalisation of a gallery.

    Attributes:
        normaliser: Normaliser of the cohort.
        info: Result of the check.
        calibration: Calibration of the normalised scores.
    """

    normaliser: Normaliser
    info: Normalisation
    calibration: ScoreCalibration


def check_cohort(
    vectors: NDArray[np.float32],
    subjects: Sequence[str],
    fusion: Fusion,
    cohort: NDArray[np.float32],
    fpir: float,
) -> Cohort:
    """Check that a cohort does no harm, and calibrate the normalised scores.

    Args:
        vectors: (M, D) float32 templates, of at most `calibration.MOST_SUBJECTS` subjects.
        subjects: Their M subject names.
        fusion: How the templates of a subject make a score.
        cohort: (C, D) float32 vectors of people who are not enrolled, in the space of the templates.
        fpir: False positive identification rate of the check.

    Raises:
        NotCalibrated: The cohort or the gallery is too small.
        NormalisationRefused: The detection and identification rate of left-out templates would fall.
    """
    if not FEWEST <= len(cohort) <= MOST:
        raise NotCalibrated(
            f"The cohort has {len(cohort)} walks",
            f"{FEWEST} to {MOST}",
            "Collect one walk each of more people",
        )
    normaliser = Normaliser.of(cohort)
    before, after, probes = gain(vectors, subjects, fusion, normaliser, fpir)
    if after < before:
        raise NormalisationRefused(
            f"With this cohort {100 * after:.2f} % of {probes} left-out templates would be identified"
            f" at FPIR {100 * fpir:g} %",
            f"at least the {100 * before:.2f} % without normalisation",
            "Collect a cohort with the cameras of the probes, or leave normalisation off",
        )
    calibration = learn(vectors, subjects, fusion, cohort, normaliser=normaliser)
    info = Normalisation(len(cohort), fpir, before, after, probes, time.time())
    return Cohort(normaliser, info, calibration)
