"""Audit trail, backups and what a server says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class AuditAction(str, Enum):
    """What the audit trail records."""

    CREATE_GALLERY = "create_gallery"
    DELETE_GALLERY = "delete_gallery"
    SET_OPERATING_POINT = "set_operating_point"
    CALIBRATE = "calibrate"
    NORMALISE = "normalise"
    STOP_NORMALISING = "stop_normalising"
    ENROL = "enrol"
    ADD_SAMPLES = "add_samples"
    SET_TERMS = "set_terms"
    EXPORT_SUBJECT = "export_subject"
    DELETE_SUBJECT = "delete_subject"
    ERASE_SUBJECT = "erase_subject"
    EXPIRE_SUBJECT = "expire_subject"
    """Its time was over; nobody asked."""
    IDENTIFY = "identify"
    VERIFY = "verify"
    REVIEW = "review"
    ROTATE_KEYS = "rotate_keys"
    RENEW_TEMPLATES = "renew_templates"
    BACK_UP = "back_up"


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup of all galleries; `gallery.backup.verify` tells whether it is whole.

    Attributes:
        name: Of its folder.
        created_at: Unix seconds.
        changes: How many changes the galleries had seen, as the mark counts them.
        subjects: Number of subjects.
        templates: Number of templates.
        size_bytes: Size of its files together.
        sha256: Of the database in it, 64 hexadecimal digits.
    """

    name: str
    created_at: float
    changes: int
    subjects: int
    templates: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An entry of the audit trail; `hash` binds it to all entries before it.

    Attributes:
        number: Its place, from 1.
        at: Unix seconds.
        actor: Who did it; see `caller.Caller`.
        purpose: What for, in the actor's words; empty = not said.
        action: One of `AuditAction`, or of a newer gaitid's.
        gallery: Name of the gallery; empty = all.
        subject: Pseudonym of the subject, 32 hexadecimal digits: of the one that was claimed or changed,
            or found by a search that ended in MATCH or REVIEW; else empty.
        outcome: Of a search its `Outcome`, of a review its `Verdict`, else ``done``.
        revision: The gallery's, searched or made.
        count: Candidates of a search, templates or subjects of a change, comparisons of a calibration,
            walks of a cohort.
        detail: The rule of a search or gallery, expiry and hold of terms, the source of a calibration, what
            the check of a cohort found.
        reference: `Decision.audit_id` of a search, and of the reviews of it; else empty.
        hash: 32 bytes, SHA-256 of the hash before it (32 zeros before the first) and `statement`.
    """

    number: int
    at: float
    actor: str
    purpose: str
    action: str
    gallery: str = ""
    subject: str = ""
    outcome: str = "done"
    revision: int = 0
    count: int = 0
    detail: str = ""
    reference: str = ""
    hash: bytes = b""

    def statement(self) -> bytes:
        """What is hashed."""
        return (
            f"gaitid audit entry 1\nnumber {self.number}\nat {self.at:.6f}\n"
            f"actor {self.actor}\npurpose {self.purpose}\naction {self.action}\n"
            f"gallery {self.gallery}\nsubject {self.subject}\noutcome {self.outcome}\n"
            f"revision {self.revision}\ncount {self.count}\ndetail {self.detail}\n"
            f"reference {self.reference}\n"
        ).encode()


@dataclass(frozen=True, slots=True)
class AuditHead:
    """How far an audit trail has come; `gallery.identity.check` tells whether it is genuine.

    Attributes:
        number: Of the last entry; 0 = there is none.
        hash: Of the last entry, 32 bytes; zeros when there is none.
        signed_at: Unix seconds.
        public_key: 32 bytes, Ed25519, of the data directory.
        signature: 64 bytes over `statement`.
    """

    number: int
    hash: bytes
    signed_at: float
    public_key: bytes = b""
    signature: bytes = b""

    def statement(self) -> bytes:
        """What is signed."""
        return (
            f"gaitid audit head 1\nnumber {self.number}\nhash {self.hash.hex()}\n"
            f"signed at {self.signed_at:.6f}\npublic key {self.public_key.hex()}\n"
        ).encode()


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """A matcher's version, encoder, contract and wanted input.

    Attributes:
        version: Version of gaitid.
        encoder: Name of the encoder.
        contract: Its contract.
        dimension: Length of its embeddings.
        modalities: Streams it needs.
        min_frames: Fewest frames it accepts.
    """

    version: str
    encoder: str
    contract: str
    dimension: int
    modalities: tuple[str, ...]
    min_frames: int
