"""Subjects: enrolment, terms, export and erasure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gaitid.errors import InputError
from gaitid.records.decision import Embedding
from gaitid.records.sequence import Origin, Quality, Reason

MAX_TERM = 256
"""Longest text of `Terms`, characters."""


class EnrolmentCheck(str, Enum):
    """What to do if samples look like another subject, or like two people."""

    OFF = "off"
    """No check."""
    WARN = "warn"
    """Enrol and report it in `Enrolment.warnings`."""
    REFUSE = "refuse"
    """Refuse with `EnrolmentSuspect`."""


class Suspicion(str, Enum):
    """What an enrolment check suspects."""

    DUPLICATE = "duplicate"
    """The sample reaches the gallery's threshold with another subject: possibly one person under two ids."""
    INCONSISTENT = "inconsistent"
    """The sample scores no higher with the subject's others than impostors do: possibly two people."""


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """An enrolled embedding of a subject.

    Attributes:
        id: Assigned by the gallery, unique in it.
        subject: Subject id.
        embedding: The embedding.
        quality: Quality of the sequence; None if the sample was an embedding.
        enrolled_at: Unix seconds.
        origin: Camera and track of the sample.
    """

    id: str
    subject: str
    embedding: Embedding
    quality: Quality | None
    enrolled_at: float
    origin: Origin = Origin()  # noqa: RUF009 - frozen


@dataclass(frozen=True, slots=True)
class Terms:
    """Terms under which a subject's templates are stored.

    Attributes:
        legal_basis: For example ``consent``, ``contract``, ``legal obligation``; empty = not recorded.
        purpose: What the templates may be used for; empty = not recorded.
        reference: Where the consent or order is filed; empty = not recorded.
        expires_at: When the subject expires and is erased automatically, Unix seconds; None = never.
        legal_hold: Whether the subject neither expires nor can be deleted.
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
                    f"Argument {name} is {text!r:.60}",
                    f"printable text of at most {MAX_TERM} characters",
                    "Shorten it and remove control characters",
                )
        if self.expires_at is not None and not 0.0 <= self.expires_at < 253402300800.0:  # year 10000
            raise InputError(
                f"Argument expires_at is {self.expires_at}",
                "Unix seconds before the year 10000",
                "Leave it out for no expiry",
            )


@dataclass(frozen=True, slots=True)
class SubjectInfo:
    """A subject: its id, template ids, time of the first enrolment (Unix seconds) and terms."""

    id: str
    templates: tuple[str, ...]
    enrolled_at: float
    terms: Terms = Terms()


@dataclass(frozen=True, slots=True)
class EnrolmentWarning:
    """Finding of an enrolment check about one sample.

    Attributes:
        sample: Index of the sample in the call, from 0.
        suspicion: What is suspected.
        subject: Subject that the sample is too similar to (DUPLICATE) or too different from (INCONSISTENT).
        score: Cosine, -1..1, with that subject, or with the most similar of the subject's other samples.
    """

    sample: int
    suspicion: Suspicion
    subject: str
    score: float


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Result of an enrolment.

    Attributes:
        subject: Subject id.
        templates: Ids of the new templates, one per accepted sample, in the order of the samples.
        refused: Index and reason codes of each refused sample.
        revision: First revision of the gallery that contains the new templates.
        warnings: Findings of the enrolment check, ordered by sample.
    """

    subject: str
    templates: tuple[str, ...]
    refused: tuple[tuple[int, tuple[Reason, ...]], ...]
    revision: int
    warnings: tuple[EnrolmentWarning, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class SubjectExport:
    """Everything a gallery stores about a subject.

    Attributes:
        gallery: Name of the gallery.
        subject: Subject id.
        enrolled_at: Time of the first enrolment, Unix seconds.
        templates: Templates of the subject, ordered by id.
        terms: Terms under which they are stored.
    """

    gallery: str
    subject: str
    enrolled_at: float
    templates: tuple[Template, ...]
    terms: Terms = Terms()


@dataclass(frozen=True, slots=True)
class ErasureReceipt:
    """Receipt of an erasure; `gallery.care.identity.check` checks its signature.

    Attributes:
        gallery: Name of the gallery.
        subject: Subject id.
        templates: Number of erased templates.
        revision: First revision of the gallery without the subject.
        erased_at: Unix seconds.
        scanned_bytes: Number of bytes of the data directory that were scanned after the erasure and
            contain no trace of the subject's templates, data key and id.
        public_key: Ed25519 public key of the data directory, 32 bytes.
        signature: Ed25519 signature of `statement`, 64 bytes.
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
        """Text that is signed."""
        return (
            "gaitid erasure receipt 1\n"
            f"gallery {self.gallery}\nsubject {self.subject}\ntemplates {self.templates}\n"
            f"revision {self.revision}\nerased at {self.erased_at:.6f}\n"
            f"scanned bytes {self.scanned_bytes}\npublic key {self.public_key.hex()}\n"
        ).encode()
