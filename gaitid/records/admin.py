"""Audit trail, backups and server information."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gaitid.records.policy import QualityPolicy


class AuditAction(str, Enum):
    """Actions that the audit trail records."""

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
    """Automatic erasure of an expired subject."""
    IDENTIFY = "identify"
    VERIFY = "verify"
    REVIEW = "review"
    ROTATE_KEYS = "rotate_keys"
    RENEW_TEMPLATES = "renew_templates"
    SET_PROFILES = "set_profiles"
    LEARN_CAMERA = "learn_camera"
    """Camera profiles have a new version, or a caller had one learned."""
    FORGET_CAMERA = "forget_camera"
    BACK_UP = "back_up"
    REFUSE = "refuse"
    """A server refused a call: its caller is unknown, or has not the role."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup of all galleries; `gallery.care.backup.verify` checks that it is complete.

    Attributes:
        name: Name of its folder.
        created_at: Creation time, Unix seconds.
        changes: Number of changes the galleries had seen, as counted by the mark file.
        subjects: Number of subjects.
        templates: Number of templates.
        size_bytes: Total size of its files.
        sha256: SHA-256 of its database, 64 hexadecimal digits.
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
    """An entry of the audit trail; `hash` chains it to all previous entries.

    Attributes:
        number: Position in the trail, from 1.
        at: Unix seconds.
        actor: Who called; see `caller.Caller`.
        purpose: Purpose in the actor's words; empty = not given.
        action: An `AuditAction`, or an action of a newer version of gaitid.
        gallery: Name of the gallery; empty = all galleries.
        subject: Pseudonym, 32 hexadecimal digits, of the subject that was claimed or changed, or found by
            a search that ended in MATCH or REVIEW; otherwise empty.
        outcome: `Outcome` of a search, `Verdict` of a review, otherwise ``done``.
        revision: Revision of the gallery that was searched or created.
        count: Number of candidates of a search, templates or subjects of a change, comparisons of a
            calibration, or walks of a cohort or camera; of an automatic `LEARN_CAMERA` and of
            `FORGET_CAMERA` the number of profiles; of a refusal the number of earlier ones without an entry.
        detail: Operating point of a search or gallery, expiry and legal hold of terms, source of a
            calibration, or result of the check of a cohort.
        reference: `Decision.audit_id` of a search and of its reviews; otherwise empty.
        hash: 32 bytes, SHA-256 of the previous hash (32 zero bytes before the first) and `statement`.
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
        """Text that is hashed."""
        return (
            f"gaitid audit entry 1\nnumber {self.number}\nat {self.at:.6f}\n"
            f"actor {self.actor}\npurpose {self.purpose}\naction {self.action}\n"
            f"gallery {self.gallery}\nsubject {self.subject}\noutcome {self.outcome}\n"
            f"revision {self.revision}\ncount {self.count}\ndetail {self.detail}\n"
            f"reference {self.reference}\n"
        ).encode()


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The signed end of an audit trail; `gallery.care.identity.check` checks the signature.

    Attributes:
        number: Number of the last entry; 0 = the trail is empty.
        hash: Hash of the last entry, 32 bytes; zeros if the trail is empty.
        signed_at: Unix seconds.
        public_key: Ed25519 public key of the data directory, 32 bytes.
        signature: Ed25519 signature of `statement`, 64 bytes.
    """

    number: int
    hash: bytes
    signed_at: float
    public_key: bytes = b""
    signature: bytes = b""

    def statement(self) -> bytes:
        """Text that is signed."""
        return (
            f"gaitid audit head 1\nnumber {self.number}\nhash {self.hash.hex()}\n"
            f"signed at {self.signed_at:.6f}\npublic key {self.public_key.hex()}\n"
        ).encode()


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """Version, encoder and required input of a matcher.

    Attributes:
        version: Version of gaitid.
        encoder: Name of the encoder.
        contract: Contract of the encoder.
        dimension: Number of dimensions of an embedding.
        modalities: Streams that the encoder needs.
        min_frames: Smallest number of frames that the encoder accepts.
        quality: Smallest quality of a sequence that is searched or enrolled; None = not known.
    """

    version: str
    encoder: str
    contract: str
    dimension: int
    modalities: tuple[str, ...]
    min_frames: int
    quality: QualityPolicy | None = None
