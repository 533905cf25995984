"""From the probes and samples that callers pass to embeddings whose quality suffices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from gaitid.encoders.base import Encoder, check_input
from gaitid.errors import EnrolmentSuspect, InputError, SequenceTooShort
from gaitid.gallery.gallery import Gallery
from gaitid.gallery.learner import Walk
from gaitid.gallery.scoring.learning import Owner
from gaitid.gallery.scoring.profiles import Site
from gaitid.gallery.store.rows import Change, EnrolmentSample
from gaitid.gallery.view import Found
from gaitid.records import (
    CameraProfile,
    Embedding,
    Enrolment,
    EnrolmentCheck,
    EnrolmentWarning,
    GaitSequence,
    Probe,
    Quality,
    Reason,
    Suspicion,
    check_choice,
)
from gaitid.selection import check_contract, check_embedding, check_probe, check_probes, placed, rejected

_LIKELY = 0.25
"""Share of the threshold from which a walk counts as its first candidate's when cameras are learned.

A share of a subject is one person whatever it holds, so a stranger in it does little harm. A resident who
passes often and counts as many strangers does. Ten residents of CASIA-B dev, one of whom passes fifty times:
FNIR at FPIR 10 % is 50.5 at 0.5, 46.3 at 0.25, 45.6 at 0; 69.0 without profiles."""


class Prepared(NamedTuple):
    """An accepted or refused probe.

    Attributes:
        embedding: Its embedding with its origin; None = its quality is too low.
        quality: Its quality; None for an embedding.
    """

    embedding: Embedding | None
    quality: Quality | None


class Intake:
    """Embeds probes and assesses their quality.

    Args:
        encoder: Embeds sequences.
        assess: Measures their quality.
    """

    def __init__(self, encoder: Encoder, assess: Callable[[GaitSequence], Quality]) -> None:
        self._encoder = encoder
        self.assess = assess

    def prepare(self, held: Gallery, probe: Probe) -> Prepared:
        """Embed a probe of a gallery, unless its quality is too low."""
        check_probe(probe, (GaitSequence, Embedding))
        if isinstance(probe, Embedding):
            check_embedding(held.row, probe)
            return Prepared(probe, None)
        check_contract(held.row, self._encoder.contract, f"encoder {self._encoder.name}")
        quality = self._quality(probe)
        return Prepared(placed(self._encoder(probe), probe) if quality.usable else None, quality)

    def enrol(
        self,
        held: Gallery,
        subject: str,
        samples: Sequence[Probe],
        check: EnrolmentCheck,
        store: Callable[[str, Sequence[EnrolmentSample]], Change],
    ) -> Enrolment:
        """Select and inspect samples, store the accepted ones, and learn from them."""
        accepted, refused = self._select(held, samples)
        warnings = _inspect(held, subject, accepted, check)
        change = store(subject, [sample for _, sample in accepted])
        owner = Owner(subject, change.pseudonyms[0])
        held.learn([Walk(one.vector, one.site, one.origin.track, owner) for _, one in accepted])
        return Enrolment(subject, tuple(map(str, change.ids)), refused, change.revision, warnings)

    def enrol_many(self, held: Gallery, subjects: Mapping[str, Sequence[Embedding]]) -> Change:
        """Store new subjects in one change, and learn from their embeddings."""
        samples = {
            name: [EnrolmentSample(one.vector, None, one.origin, one.direction) for one in embeddings]
            for name, embeddings in subjects.items()
        }
        change = held.add_many(samples)
        owners = map(Owner, subjects, change.pseudonyms)
        held.learn(
            [
                Walk(one.vector, one.site, one.origin.track, owner)
                for owner, some in zip(owners, samples.values(), strict=True)
                for one in some
            ]
        )
        return change

    def learn(self, held: Gallery, camera: str, walks: Sequence[Embedding], direction: str) -> CameraProfile:
        """See `Matcher.learn_camera`; `walks` are the usable ones."""
        if not walks:
            raise InputError("No walk was passed", "one walk or more", "Pass a list of sequences")
        sites = [Site(camera, direction or one.direction) for one in walks]
        return held.learn_at_once(
            [Walk(one.vector, site, one.origin.track) for one, site in zip(walks, sites, strict=True)]
        )

    def _quality(self, sequence: GaitSequence) -> Quality:
        quality = self.assess(sequence)
        try:
            check_input(self._encoder, sequence)
        except SequenceTooShort:
            reasons = dict.fromkeys((Reason.TOO_SHORT, *quality.reasons))
            return replace(quality, reasons=tuple(reasons))
        return quality

    def _select(
        self, held: Gallery, samples: Sequence[Probe]
    ) -> tuple[list[tuple[int, EnrolmentSample]], tuple[tuple[int, tuple[Reason, ...]], ...]]:
        """Return the usable samples with their index, and index and reasons of the others."""
        samples = list(check_probes(samples))
        if not samples:
            raise InputError("No sample was passed", "one sample or more", "Pass a list of sequences")
        accepted: list[tuple[int, EnrolmentSample]] = []
        refused: list[tuple[int, tuple[Reason, ...]]] = []
        for number, probe in enumerate(samples):
            embedding, quality = self.prepare(held, probe)
            if embedding is not None:
                sample = EnrolmentSample(embedding.vector, quality, embedding.origin, embedding.direction)
                accepted.append((number, sample))
            elif quality is not None:
                refused.append((number, quality.reasons))
        if not accepted:
            raise rejected([reasons for _, reasons in refused])
        return accepted, tuple(refused)


def walk_of(embedding: Embedding, found: Found, probe: Probe) -> Walk:
    """Return an accepted probe as a walk to learn from: by its first candidate, if that is likely.

    Before its camera has a profile, all walks resemble the same subject, and scores tell nothing.
    """
    seen = (float(probe.times[0]), float(probe.times[-1])) if isinstance(probe, GaitSequence) else None
    owner = None
    if found.candidates and found.profile_version:
        first, bar = found.candidates[0], found.operating_point.threshold
        if first.score >= _LIKELY * bar:
            owner = Owner(first.subject, found.best)
    return Walk(embedding.vector, site_of(embedding), embedding.origin.track, owner, seen)


def site_of(embedding: Embedding) -> Site:
    """Where the walk of an embedding was seen."""
    return Site(embedding.origin.camera, embedding.direction)


def _inspect(
    held: Gallery, subject: str, samples: Sequence[tuple[int, EnrolmentSample]], check: EnrolmentCheck
) -> tuple[EnrolmentWarning, ...]:
    if check_choice(EnrolmentCheck, check) is EnrolmentCheck.OFF:
        return ()
    found = held.suspicions(subject, samples)
    if found and check_choice(EnrolmentCheck, check) is EnrolmentCheck.REFUSE:
        first = found[0]
        what = {
            Suspicion.DUPLICATE: f"similar to subject {first.subject!r}",
            Suspicion.INCONSISTENT: "unlike the subject's other samples",
        }
        raise EnrolmentSuspect(
            f"Sample {first.sample} is {what[first.suspicion]} (score {first.score:.3f})",
            f"samples of subject {subject!r} only",
            "Look at the walks, and enrol with check WARN if they are right",
        )
    return found
