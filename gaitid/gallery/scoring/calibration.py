"""Calibration: from impostor scores to the error rates at a score.

FMR is the share of comparisons of an impostor with one subject that reach a score; FPIR is the share of
impostors whose search of the whole gallery returns such a score. With N subjects and independent
comparisons ``FPIR = 1 - (1 - FMR)^N``. The comparisons of one probe are not quite independent (some people
resemble many), so false matches cluster and the formula is too strict. N is therefore multiplied by the
extremal index, the share of probes among false matches (Leadbetter 1983; Coles 2001, ch. 5), with a lower
limit of one comparison.

A gallery without its own calibration uses that of the encoder's card, if the card has enough data. The card
describes pairs of single walks, so every row of the gallery counts as a comparison. Its subjects, cameras and
clothes are not those of the site, so this calibration is provisional.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError, NotCalibrated
from gaitid.gallery.scoring.comparisons import grouped, subject_scores
from gaitid.gallery.scoring.normalisation import Normaliser
from gaitid.gallery.scoring.prior import CLUSTERING, CORRECTED, CORRECTED_OWN, FEWEST_OWN, PLAIN, predicted
from gaitid.gallery.scoring.tail import FEWEST, Doubles, Tail, fit_tail
from gaitid.records import Calibration, CalibrationSource, Fusion, OperatingPoint

if TYPE_CHECKING:
    from gaitid.encoders.weights import Impostors

MOST_SUBJECTS, MOST_PROBES = 10_000, 1_000
"""Largest sample: ten million comparisons take 40 MB and a second."""
FEWEST_COMPARISONS = 20 * FEWEST
"""The tail is 5 % of the comparisons."""

_MOST_DRAWN = 500_000
"""Scores drawn from a card's distribution (50 CPU ms)."""
_BY_ROW = (CalibrationSource.CARD, CalibrationSource.SMALL, CalibrationSource.SIMULTANEOUS)
"""Sources whose scores are of pairs of walks, so that every row of the gallery counts as a comparison."""
_CLUSTER_PROBES = 20
"""Clustering is measured at the score that this many probes reach with some subject, at most a tenth of all.
Clustering weakens as the score grows, so a lower score would make thresholds too lax."""
_FEWEST_PROBES = 50
"""With fewer probes clustering is not measured, and comparisons count as independent."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreCalibration:
    """The function from scores to error rates.

    Attributes:
        info: The record that describes it.
        tail: FMR by score.
        cards: Calibrations of the encoder's card, of plain and of corrected scores.
        met: Scores of people who were seen together; see `scoring.simultaneous`.
    """

    info: Calibration
    tail: Tail
    cards: tuple[ScoreCalibration, ...] = ()
    met: tuple[float, ...] = ()

    def fitting(self, *, corrected: bool) -> ScoreCalibration:
        """The calibration of plain or of corrected scores: this one, else the card's, else this one."""
        if self.info.normalised or self.info.corrected == corrected:
            return self
        kept = [card for card in self.cards if card.info.corrected == corrected]
        return replace(kept[0], cards=self.cards) if kept else self

    def following(self, known: ScoreCalibration | None) -> ScoreCalibration:
        """This calibration, with what stays of an earlier one."""
        return self if known is None else replace(self, cards=known.cards, met=known.met)

    def card(self, *, corrected: bool) -> ScoreCalibration | None:
        """What the card says of plain or of corrected scores; None = nothing."""
        kept = [card for card in self.cards if card.info.corrected == corrected]
        return kept[0] if kept else None

    def fpir(self, scores: Sequence[float], subjects: int, rows: float = 1.0) -> Doubles:
        """Expected FPIR (N,) of thresholds (N,) in a gallery of `subjects`; with one subject, the FMR.

        Args:
            scores: (N,) thresholds.
            subjects: Number of subjects in the gallery.
            rows: Index rows per subject; used by a card's calibration only.
        """
        fmr = self.tail.fmr(np.asarray(scores, np.float64))
        with np.errstate(divide="ignore"):  # FMR 1 at the lowest scores
            rates: Doubles = -np.expm1(self._comparisons(subjects, rows) * np.log1p(-fmr))
        return rates

    def resolve(self, operating_point: OperatingPoint, subjects: int, rows: float = 1.0) -> OperatingPoint:
        """Set the threshold that the target rate requires in a gallery of `subjects`; see `fpir`."""
        if operating_point.fmr is not None:
            rate, comparisons = operating_point.fmr, self._comparisons(1, rows)
        elif operating_point.fpir is not None:
            rate, comparisons = operating_point.fpir, self._comparisons(subjects, rows)
        else:
            return operating_point
        fmr = -float(np.expm1(np.log1p(-rate) / comparisons))
        return replace(operating_point, threshold=max(-1.0, min(1.0, self.tail.threshold(fmr))))

    def dumps(self) -> str:
        """Serialise as JSON for the store."""
        return json.dumps(self._plain())

    def _plain(self) -> dict[str, Any]:
        tail = asdict(self.tail)
        tail |= {name: tail[name].tolist() for name in ("grid", "grid_fmr")}
        plain: dict[str, Any] = {"info": asdict(self.info), "tail": tail}
        if self.cards:
            plain["cards"] = [card._plain() for card in self.cards]
        if self.met:
            plain["met"] = list(self.met)
        return plain

    @classmethod
    def loads(cls, text: str) -> ScoreCalibration:
        """Read the JSON of `dumps`."""
        return cls._of(json.loads(text))

    @classmethod
    def _of(cls, parts: dict[str, Any]) -> ScoreCalibration:
        info, tail = parts["info"], parts["tail"]
        info["source"] = CalibrationSource(info["source"])
        tail |= {name: np.array(tail[name]) for name in ("grid", "grid_fmr")}
        return cls(
            Calibration(**info),
            Tail(**tail),
            tuple(map(cls._of, parts.get("cards", ()))),
            tuple(parts.get("met", ())),
        )

    def _comparisons(self, subjects: int, rows: float) -> float:
        each = max(1.0, rows) if self.info.source in _BY_ROW else 1.0
        return max(1.0, self.info.clustering * subjects * each)


def of_card(plain: Impostors | None, corrected: Impostors | None = None) -> ScoreCalibration | None:
    """Calibration by an encoder's card: of plain scores, with that of corrected scores in `cards`.

    Args:
        plain: Scores of different people.
        corrected: The same after correction by camera profiles.

    Returns:
        None when the card has too few data.
    """
    kinds = ((plain, False), (corrected, True))
    found = [card for kind, moved in kinds if kind is not None and (card := _of_kind(kind, corrected=moved))]
    return replace(found[0], cards=tuple(found)) if found else None


def _of_kind(found: Impostors, *, corrected: bool) -> ScoreCalibration | None:
    fmr, scores = found.fmr, found.scores
    count = min(_MOST_DRAWN, int(1 / fmr[-1])) if fmr else 0
    if count < FEWEST_COMPARISONS:
        return None
    ranks = (np.arange(count) + 0.5) / count
    drawn = np.interp(np.log(ranks), np.log(fmr[::-1]), scores[::-1])
    try:
        tail = fit_tail(drawn, bootstraps=0)
    except InputError:  # the scores do not vary
        return None
    if corrected:  # what other people, cameras and clothes do to them is known
        tail = predicted(tail, np.empty(0), 0, CORRECTED)
    info = Calibration(
        CalibrationSource.CARD,
        found.people,
        0,
        found.pairs,
        max(CLUSTERING, found.clustering) if corrected else 1.0,
        tail.distance,
        time.time(),
        corrected=corrected,
        synthetic=found.protocol.startswith("synthetic"),
    )
    return ScoreCalibration(info, tail)


def learn(
    vectors: NDArray[np.float32],
    subjects: Sequence[str],
    fusion: Fusion,
    impostors: NDArray[np.float32] | None = None,
    *,
    normaliser: Normaliser | None = None,
    corrected: bool = False,
    card: ScoreCalibration | None = None,
) -> ScoreCalibration:
    """Calibrate on impostors, or on the gallery's own subjects.

    With fewer than `FEWEST_COMPARISONS` they update the card's calibration; see `scoring.prior`.

    Without impostors, each template is compared with all other subjects. Impostors are better: templates
    often have a higher quality than a camera's probes, and a subject enrolled under two names counts as her
    own impostor, which makes thresholds stricter.

    Args:
        vectors: (M, D) float32 templates, unit norm.
        subjects: Their M subject names.
        fusion: How the templates of a subject make a score.
        impostors: (P, D) float32 probes of people who are not enrolled, unit norm.
        normaliser: Normalises the scores; None = the calibration is of cosines.
        corrected: Whether camera profiles have corrected the vectors.
        card: What the encoder's card says of such scores; None = nothing.

    Raises:
        NotCalibrated: There are too few comparisons, or their scores do not vary.
    """
    rows, starts, owners = grouped(vectors, subjects, fusion)
    count = len(starts)
    probes = vectors if impostors is None else impostors
    drawn = np.linspace(0, len(probes) - 1, min(len(probes), MOST_PROBES)).astype(np.intp)
    possible = len(drawn) * (count - 1) // 2 if impostors is None else len(drawn) * count
    if possible < FEWEST_COMPARISONS:
        if card is None or possible < FEWEST_OWN or normaliser is not None:
            raise _too_few(possible)
        return _small(rows, starts, probes, owners if impostors is None else None, card, corrected)
    score = (lambda some: some @ rows.T) if normaliser is None else normaliser.against(rows)
    scores = subject_scores(probes[drawn], starts, score)
    own = impostors is None
    counted = _without_own(scores, owners[drawn]) if own else np.ones(scores.shape, np.bool_)
    tail = _fitted(scores[counted])
    source = CalibrationSource.GALLERY if own else CalibrationSource.IMPOSTORS
    info = Calibration(
        source,
        count,
        len(drawn),
        int(counted.sum()),
        clustering(scores),
        tail.distance,
        time.time(),
        normaliser is not None,
        corrected,
    )
    return ScoreCalibration(info, tail)


def _small(
    rows: NDArray[np.float32],
    starts: NDArray[np.intp],
    probes: NDArray[np.float32],
    owners: NDArray[np.intp] | None,
    card: ScoreCalibration,
    corrected: bool,
) -> ScoreCalibration:
    """Update a card by the scores of probes (P, D) with rows (R, D) of other subjects."""
    of_row = np.repeat(np.arange(len(starts)), np.diff([*starts, len(rows)]))
    scores, people = probes @ rows.T, len(starts)
    if owners is None:
        own = scores.ravel()
    else:
        own, people = scores[owners[:, None] < of_row], len(starts)
    return updated(card, own, people, CalibrationSource.SMALL, corrected=corrected, probes=len(probes))


def updated(
    card: ScoreCalibration,
    own: Sequence[float] | NDArray[np.floating],
    people: int,
    source: CalibrationSource,
    *,
    corrected: bool,
    probes: int = 0,
) -> ScoreCalibration:
    """Update a card's calibration by scores (N,) between different people of a site; see `scoring.prior`."""
    tail = predicted(card.tail, np.asarray(own, np.float64), people, CORRECTED_OWN if corrected else PLAIN)
    subjects = people if source is CalibrationSource.SMALL else 0
    info = Calibration(
        source,
        subjects,
        probes,
        len(own),
        card.info.clustering,
        tail.distance,
        time.time(),
        corrected=corrected,
    )
    return ScoreCalibration(info, tail)


def _without_own(scores: NDArray[np.float32], own: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Remove the scores of templates with their own subjects, and mark the comparisons that count.

    Args:
        scores: (P, S) scores; those with the own subject become -inf.
        own: (P,) position of each template's subject.
    """
    subject, other = own[:, None], np.arange(scores.shape[1])[None]
    scores[subject == other] = -np.inf
    # Both directions of a pair have almost the same score: only one of them counts.
    counted: NDArray[np.bool_] = (subject != other) & (((subject + other) % 2 == 0) == (subject < other))
    return counted


def _fitted(impostor: NDArray[np.float32]) -> Tail:
    try:
        return fit_tail(impostor, bootstraps=0)  # no p-value: comparisons share probes
    except InputError as error:
        remedy = "Enrol more subjects, or pass more impostors"
        raise NotCalibrated(error.got, error.expected, remedy) from error


def clustering(scores: NDArray[np.float32]) -> float:
    """Share of independence, 0..1, between the scores (P, S) of a probe; see `Calibration.clustering`."""
    if len(scores) < _FEWEST_PROBES:
        return 1.0
    best = scores.max(axis=1)
    level = np.quantile(best, 1 - min(0.1, _CLUSTER_PROBES / len(best)))
    return float((best >= level).sum() / (scores >= level).sum())


def _too_few(possible: int) -> NotCalibrated:
    return NotCalibrated(
        f"There are {possible} impostor comparisons",
        f"at least {FEWEST_COMPARISONS}",
        "Enrol more subjects, or pass sequences of people who are not enrolled",
    )
