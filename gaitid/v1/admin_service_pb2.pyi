import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerInfoResponse(_message.Message):
    __slots__ = ("version", "encoder", "contract", "dimension", "modalities", "min_frames", "quality")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ENCODER_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    MODALITIES_FIELD_NUMBER: _ClassVar[int]
    MIN_FRAMES_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    version: str
    encoder: str
    contract: str
    dimension: int
    modalities: _containers.RepeatedScalarFieldContainer[str]
    min_frames: int
    quality: QualityPolicy
    def __init__(self, version: _Optional[str] = ..., encoder: _Optional[str] = ..., contract: _Optional[str] = ..., dimension: _Optional[int] = ..., modalities: _Optional[_Iterable[str]] = ..., min_frames: _Optional[int] = ..., quality: _Optional[_Union[QualityPolicy, _Mapping]] = ...) -> None: ...

class QualityPolicy(_message.Message):
    __slots__ = ("min_frames", "min_cycles", "min_height_px", "min_frame_rate", "min_motion", "min_ankle_motion", "min_rhythm", "max_dropped", "min_joints")
    MIN_FRAMES_FIELD_NUMBER: _ClassVar[int]
    MIN_CYCLES_FIELD_NUMBER: _ClassVar[int]
    MIN_HEIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    MIN_FRAME_RATE_FIELD_NUMBER: _ClassVar[int]
    MIN_MOTION_FIELD_NUMBER: _ClassVar[int]
    MIN_ANKLE_MOTION_FIELD_NUMBER: _ClassVar[int]
    MIN_RHYTHM_FIELD_NUMBER: _ClassVar[int]
    MAX_DROPPED_FIELD_NUMBER: _ClassVar[int]
    MIN_JOINTS_FIELD_NUMBER: _ClassVar[int]
    min_frames: int
    min_cycles: float
    min_height_px: float
    min_frame_rate: float
    min_motion: float
    min_ankle_motion: float
    min_rhythm: float
    max_dropped: float
    min_joints: float
    def __init__(self, min_frames: _Optional[int] = ..., min_cycles: _Optional[float] = ..., min_height_px: _Optional[float] = ..., min_frame_rate: _Optional[float] = ..., min_motion: _Optional[float] = ..., min_ankle_motion: _Optional[float] = ..., min_rhythm: _Optional[float] = ..., max_dropped: _Optional[float] = ..., min_joints: _Optional[float] = ...) -> None: ...

class CreateBackupRequest(_message.Message):
    __slots__ = ("request_id",)
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    def __init__(self, request_id: _Optional[str] = ...) -> None: ...

class CreateBackupResponse(_message.Message):
    __slots__ = ("backup",)
    BACKUP_FIELD_NUMBER: _ClassVar[int]
    backup: Backup
    def __init__(self, backup: _Optional[_Union[Backup, _Mapping]] = ...) -> None: ...

class Backup(_message.Message):
    __slots__ = ("name", "created_at", "changes", "subjects", "templates", "size_bytes", "sha256")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    SUBJECTS_FIELD_NUMBER: _ClassVar[int]
    TEMPLATES_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    name: str
    created_at: _timestamp_pb2.Timestamp
    changes: int
    subjects: int
    templates: int
    size_bytes: int
    sha256: str
    def __init__(self, name: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., changes: _Optional[int] = ..., subjects: _Optional[int] = ..., templates: _Optional[int] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[str] = ...) -> None: ...

class RotateKeysRequest(_message.Message):
    __slots__ = ("request_id",)
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    def __init__(self, request_id: _Optional[str] = ...) -> None: ...

class RotateKeysResponse(_message.Message):
    __slots__ = ("subjects",)
    SUBJECTS_FIELD_NUMBER: _ClassVar[int]
    subjects: int
    def __init__(self, subjects: _Optional[int] = ...) -> None: ...

class AuditEntry(_message.Message):
    __slots__ = ("number", "at_s", "actor", "purpose", "action", "gallery", "subject", "outcome", "revision", "count", "detail", "reference", "hash")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    AT_S_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    number: int
    at_s: float
    actor: str
    purpose: str
    action: str
    gallery: str
    subject: str
    outcome: str
    revision: int
    count: int
    detail: str
    reference: str
    hash: bytes
    def __init__(self, number: _Optional[int] = ..., at_s: _Optional[float] = ..., actor: _Optional[str] = ..., purpose: _Optional[str] = ..., action: _Optional[str] = ..., gallery: _Optional[str] = ..., subject: _Optional[str] = ..., outcome: _Optional[str] = ..., revision: _Optional[int] = ..., count: _Optional[int] = ..., detail: _Optional[str] = ..., reference: _Optional[str] = ..., hash: _Optional[bytes] = ...) -> None: ...

class AuditHead(_message.Message):
    __slots__ = ("number", "hash", "signed_at_s", "public_key", "signature")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    SIGNED_AT_S_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    number: int
    hash: bytes
    signed_at_s: float
    public_key: bytes
    signature: bytes
    def __init__(self, number: _Optional[int] = ..., hash: _Optional[bytes] = ..., signed_at_s: _Optional[float] = ..., public_key: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class ListAuditRequest(_message.Message):
    __slots__ = ("after", "count", "gallery", "subject")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    after: int
    count: int
    gallery: str
    subject: str
    def __init__(self, after: _Optional[int] = ..., count: _Optional[int] = ..., gallery: _Optional[str] = ..., subject: _Optional[str] = ...) -> None: ...

class ListAuditResponse(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[AuditEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[AuditEntry, _Mapping]]] = ...) -> None: ...

class VerifyAuditRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class VerifyAuditResponse(_message.Message):
    __slots__ = ("head",)
    HEAD_FIELD_NUMBER: _ClassVar[int]
    head: AuditHead
    def __init__(self, head: _Optional[_Union[AuditHead, _Mapping]] = ...) -> None: ...

class RenewTemplatesRequest(_message.Message):
    __slots__ = ("gallery", "request_id")
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    request_id: str
    def __init__(self, gallery: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class RenewTemplatesResponse(_message.Message):
    __slots__ = ("templates",)
    TEMPLATES_FIELD_NUMBER: _ClassVar[int]
    templates: int
    def __init__(self, templates: _Optional[int] = ...) -> None: ...
