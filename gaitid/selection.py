"""Checks of the probes that callers pass, and the selection of usable ones for calibrations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from gaitid.errors import (
    ConfigError,
    ContractMismatch,
    EnrolmentRejected,
    InputError,
    SequenceError,
    SequenceTooShort,
)
from gaitid.matcher import Matcher
from gaitid.modalities.streams import check_live
from gaitid.quality import assess
from gaitid.records import (
    Embedding,
    GaitSequence,
    GalleryInfo,
    Origin,
    Probe,
    Reason,
    check_direction,
    direction_of,
)

MAX_PROBES = 10_000
"""Largest number of probes of one calibration or normalisation: 54 MiB of embeddings of 1,408 dimensions."""


class EmbeddingSpace(Protocol):
    """What the embeddings of a gallery have in common; see `records.GalleryInfo`."""

    @property
    def name(self) -> str:
        """Name of the gallery."""

    @property
    def encoder(self) -> str:
        """Name of the encoder."""

    @property
    def contract(self) -> str:
        """Contract of the encoder."""

    @property
    def dimension(self) -> int:
        """Number of dimensions."""


class Selection:
    """Embeddings of the usable probes of a calibration or normalisation; others are left out.

    Keeps embeddings only, so memory does not grow with the length of the walks.

    Args:
        matcher: Embeds the sequences.
        gallery: Name of the gallery that is calibrated.

    Raises:
        GalleryNotFound: There is no such gallery.
    """

    def __init__(self, matcher: Matcher, gallery: str) -> None:
        self._matcher = matcher
        self._gallery, self._server = matcher.describe(gallery), matcher.info()
        self._embeddings: list[Embedding] = []
        self._refused: list[tuple[Reason, ...]] = []

    def add(self, probe: Probe) -> None:
        """Keep the embedding of a probe, or the reasons why its quality is too low.

        Raises:
            InputError: It is malformed, or there are more than `MAX_PROBES`.
            ContractMismatch: It belongs to another encoder than the gallery.
        """
        check_probe(probe, (GaitSequence, Embedding))
        if len(self._embeddings) + len(self._refused) >= MAX_PROBES:
            raise InputError(
                f"More than {MAX_PROBES} probes were passed",
                f"at most {MAX_PROBES} per call",
                "Pass a random sample of them",
            )
        if isinstance(probe, Embedding):
            check_embedding(self._gallery, probe)
            self._embeddings.append(probe)
        else:
            check_contract(self._gallery, self._server.contract, f"encoder {self._server.encoder}")
            self._embed(probe)

    def embeddings(self) -> list[Embedding]:
        """Return the embeddings in the order of their probes; empty if no probe was added.

        Raises:
            EnrolmentRejected: Probes were added, and none of them is usable.
        """
        if self._refused and not self._embeddings:
            raise rejected(self._refused)
        return self._embeddings

    def _embed(self, sequence: GaitSequence) -> None:
        try:
            embedding, quality = self._matcher.embed(sequence)
        except SequenceTooShort:
            self._refused.append((Reason.TOO_SHORT,))
            return
        except SequenceError:
            quality = assess(sequence)
            if quality.usable:
                raise
            self._refused.append(quality.reasons)  # not embedded, as an enrolment would not
            return
        if quality.usable:
            self._embeddings.append(placed(embedding, sequence))
        else:
            self._refused.append(quality.reasons)


def placed(embedding: Embedding, sequence: GaitSequence) -> Embedding:
    """Return the embedding of a sequence with the origin and direction of that sequence."""
    return replace(embedding, origin=sequence.origin, direction=direction_of(sequence))


def select(matcher: Matcher, gallery: str, probes: Iterable[Probe]) -> list[Embedding]:
    """Embed the usable ones of `probes`, which are read once and may be an iterator.

    Raises:
        GaitIdError: See `Selection`.
    """
    selection = Selection(matcher, gallery)
    for probe in probes:
        selection.add(probe)
    return selection.embeddings()


def rejected(refused: Sequence[tuple[Reason, ...]]) -> EnrolmentRejected:
    """Error of samples that are all refused, with the reasons of each in `refused`."""
    reasons = tuple(dict.fromkeys(reason.value for why in refused for reason in why))
    return EnrolmentRejected(
        f"All {len(refused)} samples were refused ({', '.join(reasons)})",
        "at least one good sample",
        "Record a longer, unobstructed walk",
        reasons,
    )


def check_probes(probes: Iterable[Probe]) -> Iterable[Probe]:
    """Return `probes` if they can be iterated.

    Raises:
        InputError: It is a single probe, or cannot be iterated.
    """
    if isinstance(probes, GaitSequence | Embedding) or not isinstance(probes, Iterable):
        raise InputError(
            f"A single {type(probes).__name__} was passed", "a list of probes", "Put the probe in a list"
        )
    return probes


def check_probe(probe: object, kinds: tuple[type, ...]) -> None:
    """Raise `InputError` unless `probe` is one of `kinds`, with streams that can be live."""
    if not isinstance(probe, kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise InputError(
            f"Argument probe is of type {type(probe).__name__}", wanted, "Convert it to that type"
        )
    if isinstance(probe, GaitSequence):
        check_live(probe.streams)


def check_embedding(gallery: EmbeddingSpace, embedding: Embedding) -> None:
    """Raise an error unless an embedding belongs to the space of a gallery.

    Raises:
        ContractMismatch: It was made by another encoder.
        InputError: It has another number of dimensions than its contract says.
    """
    check_contract(gallery, embedding.contract, "the embedding")
    if len(embedding.vector) != gallery.dimension:
        raise InputError(
            f"The embedding has {len(embedding.vector)} dimensions",
            f"{gallery.dimension} as its contract says",
            "Embed the sequence again",
        )


def check_contract(gallery: EmbeddingSpace, contract: str, maker: str) -> None:
    """Raise `ContractMismatch` unless `contract` is the gallery's; `maker` is who has it."""
    if contract != gallery.contract:
        raise ContractMismatch(
            f"Contract {contract} of {maker} does not fit gallery {gallery.name!r}",
            f"contract {gallery.contract} of encoder {gallery.encoder}",
            "Use that encoder, or enrol in a new gallery",
        )


def check_fpir(fpir: float) -> float:
    """Return `fpir` if a normalisation can be checked at it.

    Raises:
        InputError: It is not a number from 0.001 to 0.5.
    """
    if not isinstance(fpir, int | float) or not 0.001 <= fpir <= 0.5:
        raise InputError(f"Argument fpir is {fpir!r:.40}", "0.001 to 0.5", "Pass 0.01 for 1 %")
    return fpir


def check_camera(camera: str) -> str:
    """Return `camera` if it can name one; see `Origin`.

    Raises:
        InputError: It is empty, or not a text.
    """
    if not Origin(camera).camera:
        raise InputError("The name of the camera is empty", "a name", "Pass Origin.camera of its walks")
    return camera


def check_learning(gallery: GalleryInfo, camera: str, direction: str) -> None:
    """Raise an error unless a gallery can learn a camera and direction of travel.

    Raises:
        InputError: The camera has no name, or the direction is unknown.
        ConfigError: Camera profiles are switched off.
    """
    check_camera(camera)
    check_direction(direction)
    if not gallery.profiles:
        raise ConfigError(
            f"Gallery {gallery.name!r} does not use camera profiles",
            "a gallery with profiles switched on",
            "Switch them on with set_profiles",
        )


def check_profiles(profiles: bool) -> bool:
    """Return `profiles` if it says whether camera profiles are used.

    Raises:
        InputError: It is neither True nor False.
    """
    if type(profiles) is not bool:
        raise InputError(
            f"Argument profiles is {profiles!r:.40}", "True or False", "Pass True to use camera profiles"
        )
    return profiles
