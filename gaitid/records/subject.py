"""Subjects: enrolment, terms, export and erasure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gaitid.errors import InputError
from gaitid.records.decision import Embedding
from gaitid.records.sequence import Origin, Quality, Reason

MAX_TERM = 256
"""Longest text of `Terms`, letters."""


class EnrolmentCheck(str, Enum):
    """What to do when samples look like another subject's, or like those of two people."""

    OFF = "off"
    """Do not look."""
    WARN = "warn"
    """Enrol, and say so."""
    REFUSE = "refuse"
    """Do not enrol."""


class Suspicion(str, Enum):
    """What an enrolment check finds."""

    DUPLICATE = "duplicate"
    """The sample reaches the gallery's threshold with another subject: one person, two names."""
    INCONSISTENT = "inconsistent"
    """The sample is no more like the subject's others than strangers are: two people, one name."""


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """An enrolled embedding of a subject.

    Attributes:
        id: Assigned by the gallery, unique in it.
        subject: Subject id.
        embedding: The embedding.
        quality: Quality of the sequence it came from, or None for a ready embedding.
        enrolled_at: Unix seconds.
        origin: Where the sample was seen.
    """

    id: str
    subject: str
    embedding: Embedding
    quality: Quality | None
    enrolled_at: float
    origin: Origin = Origin()  # noqa: RUF009 - frozen


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a subject's templates are held.

    Attributes:
        legal_basis: For example ``consent``, ``contract``, ``legal obligation``; empty = not recorded.
        purpose: What they may be used for; empty = not recorded.
        reference: Where the consent or order is filed; empty = nowhere.
        expires_at: When they are deleted of themselves, Unix seconds; None = never.
        legal_hold: They must be kept: neither deleted by anybody nor expired.
    """

    legal_basis: str = ""
    purpose: str = ""
    reference: str = ""
    expires_at: float | None = None
    legal_hold: bool = False

    def __post_init__(self) -> None:
        for name in ("legal_basis", "purpose", "reference"):
            text = getattr(self, name)
            if not isinstance(text, str) or len(text) > MAX_TERM or not text.isprintable():
                raise InputError(
                    f"{name} is {text!r:.60}", f"printable, {MAX_TERM} letters at most", "shorten it"
                )
        if self.expires_at is not None and not 0.0 <= self.expires_at < 253402300800.0:  # year 10000
            raise InputError(f"expires_at is {self.expires_at}", "Unix seconds", "leave it out for never")


@dataclass(frozen=True, slots=True)
class SubjectInfo:
    """A subject: its id, template ids, when it was first enrolled (Unix seconds), and on what terms."""

    id: str
    templates: tuple[str, ...]
    enrolled_at: float
    terms: Terms = Terms()


@dataclass(frozen=True, slots=True)
class EnrolmentWarning:
    """What an enrolment check found about one sample.

    Attributes:
        sample: Its index among the samples given.
        suspicion: What it may be.
        subject: The subject it is too like (DUPLICATE) or too unlike (INCONSISTENT).
        score: Cosine, -1..1: with that subject, or with the most alike of its other samples.
    """

    sample: int
    suspicion: Suspicion
    subject: str
    score: float


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The answer to an enrolment.

    Attributes:
        subject: Subject id.
        templates: Ids of the new templates, one per accepted sample, in their order.
        refused: Index of each refused sample with its reason codes.
        revision: Revision of the gallery that holds the new templates.
        warnings: What the enrolment check found, by sample.
    """

    subject: str
    templates: tuple[str, ...]
    refused: tuple[tuple[int, tuple[Reason, ...]], ...]
    revision: int
    warnings: tuple[EnrolmentWarning, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class SubjectExport:
    """All that a gallery holds of a subject.

    Attributes:
        gallery: Name of the gallery.
        subject: Subject id.
        enrolled_at: When it was first enrolled, Unix seconds.
        templates: By id.
        terms: On what terms they are held.
    """

    gallery: str
    subject: str
    enrolled_at: float
    templates: tuple[Template, ...]
    terms: Terms = Terms()


@dataclass(frozen=True, slots=True)
class ErasureReceipt:
    """Says that a subject was erased; `gallery.identity.check` tells whether it is genuine.

    Attributes:
        gallery: Name of the gallery.
        subject: Subject id.
        templates: Number of templates erased.
        revision: First revision of the gallery that lacks the subject.
        erased_at: Unix seconds.
        scanned_bytes: Bytes of the data directory in which no trace of its templates, its data key and
            its id was found afterwards.
        public_key: 32 bytes, Ed25519, of the data directory.
        signature: 64 bytes over `statement`.
    """

    gallery: str
    subject: str
    templates: int
    revision: int
    erased_at: float
    scanned_bytes: int
    public_key: bytes = b""
    signature: bytes = b""

    def statement(self) -> bytes:
        """What is signed."""
        return (
            "gaitid erasure receipt 1\n"
            f"gallery {self.gallery}\nsubject {self.subject}\ntemplates {self.templates}\n"
            f"revision {self.revision}\nerased at {self.erased_at:.6f}\n"
            f"scanned bytes {self.scanned_bytes}\npublic key {self.public_key.hex()}\n"
        ).encode()
