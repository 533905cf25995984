"""Whether a gallery may normalise its scores by a cohort: only what does no harm is let in."""

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
    """A cohort that does no harm, with what normalised scores mean by it.

    Args:
        contents: Of the gallery; templates of at most so many subjects as a calibration takes.
        fusion: How templates of a subject make a score.
        cohort: (C, D) float32 strangers, placed as the contents are.
        fpir: False positive identification rate of the check.

    Raises:
        NotCalibrated: The cohort or the gallery are too small.
        NormalisationRefused: The detection and identification rate of held-out templates would fall.
    """
    if not FEWEST <= len(cohort) <= MOST:
        raise NotCalibrated(f"a cohort of {len(cohort)} walks", f"{FEWEST} to {MOST}", "collect as many")
    normaliser = Normaliser.of(cohort)
    before, after, probes = gain(contents.vectors, contents.subjects, fusion, normaliser, fpir)
    if after < before:
        raise NormalisationRefused(
            f"with this cohort {100 * after:.2f} % of {probes} held-out templates would be found"
            f" at FPIR {100 * fpir:g} %",
            f"at least the {100 * before:.2f} % that are without",
            "collect a cohort by the same cameras as the probes, or leave scores as they are",
        )
    calibration = learn(contents.vectors, contents.subjects, fusion, cohort, normaliser=normaliser)
    info = Normalisation(len(cohort), fpir, before, after, probes, time.time())
    return Cohort(normaliser, info, calibration)
