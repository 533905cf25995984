"""Calibrates a gallery by people who were seen together, until it has a better basis."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from gaitid.gallery.learner import Walk
from gaitid.gallery.scoring.calibration import ScoreCalibration, updated
from gaitid.gallery.scoring.profiles import Profiles
from gaitid.gallery.scoring.simultaneous import Encounters, Passage
from gaitid.records import CalibrationSource

_SCORES_A_PERSON, _MOST_PEOPLE = 10, 20
"""However many scores there are, they count as few people: the same few may meet every day."""
_BETTER = (CalibrationSource.GALLERY, CalibrationSource.IMPOSTORS)
"""Bases that encounters do not replace."""


class Meetings:
    """The encounters of one gallery.

    Args:
        known: Its calibration, with the scores of earlier encounters.
    """

    def __init__(self, known: ScoreCalibration | None) -> None:
        met = () if known is None else known.met
        self._encounters = Encounters(met, corrected=known is not None and known.info.corrected)

    def learn(
        self, walks: Sequence[Walk], profiles: Profiles, known: ScoreCalibration | None
    ) -> ScoreCalibration | None:
        """Add walks; return a calibration that is better than `known`, if they make one."""
        found: tuple[float, ...] = ()
        for walk in walks:
            if walk.seen is not None:
                vector = profiles.correct(walk.vector[None], [walk.site])[0]
                name = "" if walk.owner is None else walk.owner.name
                passage = Passage(walk.site.camera, walk.track, *walk.seen, name)
                found = self._encounters.add(passage, vector, time.time(), corrected=bool(profiles)) or found
        return _better(found, known, corrected=bool(profiles)) if found else None

    def forget(self) -> None:
        """Drop all embeddings that are held."""
        self._encounters.forget()


def _better(
    scores: tuple[float, ...], known: ScoreCalibration | None, *, corrected: bool
) -> ScoreCalibration | None:
    if known is None or known.info.normalised or (card := known.card(corrected=corrected)) is None:
        return None
    now = known.fitting(corrected=corrected).info
    if now.source in _BETTER or (now.source is CalibrationSource.SMALL and now.comparisons >= len(scores)):
        return None
    people = min(_MOST_PEOPLE, len(scores) // _SCORES_A_PERSON)
    made = updated(card, scores, people, CalibrationSource.SIMULTANEOUS, corrected=corrected)
    return replace(made, cards=known.cards, met=scores)
