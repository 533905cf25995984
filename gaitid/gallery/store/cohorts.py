"""The cohorts by which galleries of a database normalise scores: templates of people, kept as such.

A cohort has a data key of its own, is under the newest projection of its gallery, and goes with it. All of
it is called by the store, within its transactions or while it holds what it reads.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass

import numpy as np

from gaitid.errors import NotCalibrated
from gaitid.gallery.scoring.calibration import ScoreCalibration
from gaitid.gallery.scoring.normalisation import Normaliser
from gaitid.gallery.store.renewal import Known, under
from gaitid.gallery.store.rows import GalleryRow
from gaitid.gallery.store.sealing import Sealing
from gaitid.records import Normalisation


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """How a gallery normalises.

    Attributes:
        normaliser: Of its cohort.
        info: What the check found.
        calibration: What normalised scores mean.
    """

    normaliser: Normaliser
    info: Normalisation
    calibration: ScoreCalibration


class Cohorts:
    """The cohorts of a database.

    Args:
        db: The database.
        sealing: Seals and opens them.
    """

    def __init__(self, db: sqlite3.Connection, sealing: Sealing) -> None:
        self._db, self._sealing = db, sealing

    def of(self, gallery: GalleryRow, known: Known) -> Cohort | None:
        """The cohort of a gallery under its newest projection; None = scores are not normalised.

        Raises:
            KeyMissing: Its key is not there, or does not open it.
            StoreCorrupt: It was changed, or belongs elsewhere.
        """
        row = self._db.execute(
            "SELECT vectors, key_name, data_key, generation, normalisation, law FROM cohorts"
            " WHERE gallery = ? AND contract = ?",
            (gallery.key, gallery.contract),
        ).fetchone()
        if row is None:
            return None
        sealed = [(*row[:3], "cohort")]
        (plain,) = self._sealing.unsealed(gallery.key, gallery.contract, sealed)
        held = np.frombuffer(plain, "<f4").astype(np.float32).reshape(-1, gallery.dimension)
        vectors = under(held, [row[3]] * len(held), known, max(known, default=0))
        parts = json.loads(row[4])
        normaliser = Normaliser(vectors, parts["mean"], parts["deviation"])
        return Cohort(normaliser, Normalisation(**parts["info"]), ScoreCalibration.loads(row[5]))

    def keep(self, gallery: GalleryRow, cohort: Cohort, generation: int) -> None:
        """Let a gallery normalise by a cohort that is under the projection of `generation`."""
        normaliser = cohort.normaliser
        plain = normaliser.cohort.astype("<f4").tobytes()
        parts = {"mean": normaliser.mean, "deviation": normaliser.deviation, "info": asdict(cohort.info)}
        vectors, name, wrapped = self._sealing.seal_apart(gallery.key, gallery.contract, "cohort", plain)
        self._db.execute(
            "INSERT OR REPLACE INTO cohorts (gallery, contract, vectors, generation, normalisation, law,"
            " key_name, data_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                gallery.key,
                gallery.contract,
                vectors,
                generation,
                json.dumps(parts),
                cohort.calibration.dumps(),
                name,
                wrapped,
            ),
        )

    def set_calibration(self, gallery: GalleryRow, calibration: ScoreCalibration) -> None:
        """Let normalised scores of a gallery mean something else.

        Raises:
            NotCalibrated: The gallery does not normalise.
        """
        changed = self._db.execute(
            "UPDATE cohorts SET law = ? WHERE gallery = ?", (calibration.dumps(), gallery.key)
        ).rowcount
        if not changed:
            raise NotCalibrated("a law of normalised scores", "one of plain scores", "calibrate again")

    def forget(self, gallery: GalleryRow) -> None:
        """Erase the cohort of a gallery."""
        self._db.execute("DELETE FROM cohorts WHERE gallery = ?", (gallery.key,))
