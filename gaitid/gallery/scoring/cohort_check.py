"""Check of a cohort before a gallery normalises its scores by it: a harmful cohort is refused."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import NormalisationRefused, NotCalibrated
from gaitid.gallery.scoring.calibration import learn
from gaitid.gallery.scoring.normalisation import FEWEST, MOST, Normaliser, gain
from gaitid.gallery.store.cohorts import Cohort
from gaitid.gallery.store.rows import Contents
from gaitid.records import Fusion, Normalisation


def check_cohort(contents: Contents, fusion: Fusion, cohort: NDArray[np.float32], fpir: float) -> Cohort:
    """Check that a cohort does no harm, and calibrate the normalised scores.

    Args:
        contents: Contents of the gallery, with at most as many subjects as a calibration takes.
        fusion: How the templates of a subject make a score.
        cohort: (C, D) float32 vectors of people who are not enrolled, in the space of the contents.
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
    before, after, probes = gain(contents.vectors, contents.subjects, fusion, normaliser, fpir)
    if after < before:
        raise NormalisationRefused(
            f"With this cohort {100 * after:.2f} % of {probes} left-out templates would be identified"
            f" at FPIR {100 * fpir:g} %",
            f"at least the {100 * before:.2f} % without normalisation",
            "Collect a cohort with the cameras of the probes, or leave normalisation off",
        )
    calibration = learn(contents.vectors, contents.subjects, fusion, cohort, normaliser=normaliser)
    info = Normalisation(len(cohort), fpir, before, after, probes, time.time())
    return Cohort(normaliser, info, calibration)
