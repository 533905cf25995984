"""The cohorts by which galleries of a database normalise scores: templates of people, protected as such.

A cohort has a data key of its own, is under the newest projection of its gallery, and is erased with it. The
store calls all of it within its transactions, or while it holds the database.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict
from typing import NamedTuple

import numpy as np

from gaitid.errors import NotCalibrated
from gaitid.gallery.scoring.calibration import ScoreCalibration
from gaitid.gallery.scoring.cohort import Cohort, Walks
from gaitid.gallery.scoring.normalisation import Normaliser
from gaitid.gallery.scoring.profiles import NOWHERE, Site
from gaitid.gallery.scoring.space import Space
from gaitid.gallery.store import query
from gaitid.gallery.store.renewal import Known, under
from gaitid.gallery.store.rows import GalleryRow
from gaitid.gallery.store.sealing import SealedRow, Sealing
from gaitid.records import Normalisation


class _CohortRow(NamedTuple):
    vectors: bytes
    key_name: str | None
    data_key: bytes | None
    generation: int
    normalisation: str
    law: str
    sites: str


class Cohorts:
    """The cohorts of a database.

    Args:
        db: The database.
        sealing: Encrypts and decrypts them.
    """

    def __init__(self, db: sqlite3.Connection, sealing: Sealing) -> None:
        self._db, self._sealing = db, sealing

    def of(self, gallery: GalleryRow, known: Known, space: Space) -> Cohort | None:
        """Return the cohort of a gallery in its `space`; None = scores are not normalised.

        Raises:
            KeyMissing: Its key is missing, or does not open it.
            StoreCorrupt: It was changed, or belongs elsewhere.
        """
        row = query.first(
            self._db,
            _CohortRow,
            "SELECT vectors, key_name, data_key, generation, normalisation, law, sites FROM cohorts"
            " WHERE gallery = ? AND contract = ?",
            gallery.key,
            gallery.contract,
        )
        if row is None:
            return None
        sealed = SealedRow(row.vectors, row.key_name, row.data_key, "cohort")
        (plain,) = self._sealing.unsealed(gallery.key, gallery.contract, [sealed])
        stored = np.frombuffer(plain, "<f4").astype(np.float32).reshape(-1, gallery.dimension)
        rotated = under(stored, [row.generation] * len(stored), known, space.generation)
        sites = [Site(*site) for site in json.loads(row.sites)] or [NOWHERE] * len(stored)
        parts = json.loads(row.normalisation)
        normaliser = Normaliser(space.place_stored(rotated, sites), parts["mean"], parts["deviation"])
        law = ScoreCalibration.loads(row.law)
        return Cohort(normaliser, Normalisation(**parts["info"]), law, Walks(rotated, sites))

    def keep(self, gallery: GalleryRow, cohort: Cohort, generation: int) -> None:
        """Store the cohort of a gallery, which is under the projection of `generation`."""
        normaliser = cohort.normaliser
        plain = cohort.walks.vectors.astype("<f4").tobytes()
        parts = {"mean": normaliser.mean, "deviation": normaliser.deviation, "info": asdict(cohort.info)}
        vectors, name, wrapped = self._sealing.seal_apart(gallery.key, gallery.contract, "cohort", plain)
        self._db.execute(
            "INSERT OR REPLACE INTO cohorts (gallery, contract, vectors, generation, normalisation, law,"
            " key_name, data_key, sites) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                gallery.key,
                gallery.contract,
                vectors,
                generation,
                json.dumps(parts),
                cohort.calibration.dumps(),
                name,
                wrapped,
                json.dumps(cohort.walks.sites),
            ),
        )

    def set_calibration(self, gallery: GalleryRow, calibration: ScoreCalibration) -> None:
        """Replace the calibration of a gallery's normalised scores.

        Raises:
            NotCalibrated: The gallery does not normalise.
        """
        changed = self._db.execute(
            "UPDATE cohorts SET law = ? WHERE gallery = ?", (calibration.dumps(), gallery.key)
        ).rowcount
        if not changed:
            raise NotCalibrated(
                "The calibration is of normalised scores, and the gallery does not normalise",
                "a calibration of plain scores",
                "Calibrate again",
            )

    def erase(self, gallery: GalleryRow) -> None:
        """Erase the cohort of a gallery."""
        self._db.execute("DELETE FROM cohorts WHERE gallery = ?", (gallery.key,))
