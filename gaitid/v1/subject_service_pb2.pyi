import datetime

from gaitid.v1 import decision_pb2 as _decision_pb2
from gaitid.v1 import sequence_pb2 as _sequence_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EnrolmentCheck(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENROLMENT_CHECK_UNSPECIFIED: _ClassVar[EnrolmentCheck]
    ENROLMENT_CHECK_OFF: _ClassVar[EnrolmentCheck]
    ENROLMENT_CHECK_WARN: _ClassVar[EnrolmentCheck]
    ENROLMENT_CHECK_REFUSE: _ClassVar[EnrolmentCheck]

class Suspicion(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SUSPICION_UNSPECIFIED: _ClassVar[Suspicion]
    SUSPICION_DUPLICATE: _ClassVar[Suspicion]
    SUSPICION_INCONSISTENT: _ClassVar[Suspicion]
ENROLMENT_CHECK_UNSPECIFIED: EnrolmentCheck
ENROLMENT_CHECK_OFF: EnrolmentCheck
ENROLMENT_CHECK_WARN: EnrolmentCheck
ENROLMENT_CHECK_REFUSE: EnrolmentCheck
SUSPICION_UNSPECIFIED: Suspicion
SUSPICION_DUPLICATE: Suspicion
SUSPICION_INCONSISTENT: Suspicion

class Subject(_message.Message):
    __slots__ = ("id", "templates", "enrolled_at", "terms")
    ID_FIELD_NUMBER: _ClassVar[int]
    TEMPLATES_FIELD_NUMBER: _ClassVar[int]
    ENROLLED_AT_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    id: str
    templates: _containers.RepeatedScalarFieldContainer[str]
    enrolled_at: _timestamp_pb2.Timestamp
    terms: Terms
    def __init__(self, id: _Optional[str] = ..., templates: _Optional[_Iterable[str]] = ..., enrolled_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., terms: _Optional[_Union[Terms, _Mapping]] = ...) -> None: ...

class Terms(_message.Message):
    __slots__ = ("legal_basis", "purpose", "reference", "expires_at_s", "legal_hold")
    LEGAL_BASIS_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_S_FIELD_NUMBER: _ClassVar[int]
    LEGAL_HOLD_FIELD_NUMBER: _ClassVar[int]
    legal_basis: str
    purpose: str
    reference: str
    expires_at_s: float
    legal_hold: bool
    def __init__(self, legal_basis: _Optional[str] = ..., purpose: _Optional[str] = ..., reference: _Optional[str] = ..., expires_at_s: _Optional[float] = ..., legal_hold: bool = ...) -> None: ...

class EnrolmentWarning(_message.Message):
    __slots__ = ("index", "suspicion", "subject", "score")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SUSPICION_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    index: int
    suspicion: Suspicion
    subject: str
    score: float
    def __init__(self, index: _Optional[int] = ..., suspicion: _Optional[_Union[Suspicion, str]] = ..., subject: _Optional[str] = ..., score: _Optional[float] = ...) -> None: ...

class RefusedSample(_message.Message):
    __slots__ = ("index", "reasons")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    index: int
    reasons: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, index: _Optional[int] = ..., reasons: _Optional[_Iterable[str]] = ...) -> None: ...

class Enrolment(_message.Message):
    __slots__ = ("subject", "templates", "refused", "revision", "warnings")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    TEMPLATES_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    subject: str
    templates: _containers.RepeatedScalarFieldContainer[str]
    refused: _containers.RepeatedCompositeFieldContainer[RefusedSample]
    revision: int
    warnings: _containers.RepeatedCompositeFieldContainer[EnrolmentWarning]
    def __init__(self, subject: _Optional[str] = ..., templates: _Optional[_Iterable[str]] = ..., refused: _Optional[_Iterable[_Union[RefusedSample, _Mapping]]] = ..., revision: _Optional[int] = ..., warnings: _Optional[_Iterable[_Union[EnrolmentWarning, _Mapping]]] = ...) -> None: ...

class EnrolRequest(_message.Message):
    __slots__ = ("gallery", "subject", "samples", "request_id", "check")
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CHECK_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    subject: str
    samples: _containers.RepeatedCompositeFieldContainer[_sequence_pb2.Probe]
    request_id: str
    check: EnrolmentCheck
    def __init__(self, gallery: _Optional[str] = ..., subject: _Optional[str] = ..., samples: _Optional[_Iterable[_Union[_sequence_pb2.Probe, _Mapping]]] = ..., request_id: _Optional[str] = ..., check: _Optional[_Union[EnrolmentCheck, str]] = ...) -> None: ...

class EnrolResponse(_message.Message):
    __slots__ = ("enrolment",)
    ENROLMENT_FIELD_NUMBER: _ClassVar[int]
    enrolment: Enrolment
    def __init__(self, enrolment: _Optional[_Union[Enrolment, _Mapping]] = ...) -> None: ...

class AddSamplesRequest(_message.Message):
    __slots__ = ("gallery", "subject", "samples", "request_id", "check")
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CHECK_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    subject: str
    samples: _containers.RepeatedCompositeFieldContainer[_sequence_pb2.Probe]
    request_id: str
    check: EnrolmentCheck
    def __init__(self, gallery: _Optional[str] = ..., subject: _Optional[str] = ..., samples: _Optional[_Iterable[_Union[_sequence_pb2.Probe, _Mapping]]] = ..., request_id: _Optional[str] = ..., check: _Optional[_Union[EnrolmentCheck, str]] = ...) -> None: ...

class AddSamplesResponse(_message.Message):
    __slots__ = ("enrolment",)
    ENROLMENT_FIELD_NUMBER: _ClassVar[int]
    enrolment: Enrolment
    def __init__(self, enrolment: _Optional[_Union[Enrolment, _Mapping]] = ...) -> None: ...

class ListSubjectsRequest(_message.Message):
    __slots__ = ("gallery", "page_size", "page_token")
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    page_size: int
    page_token: str
    def __init__(self, gallery: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListSubjectsResponse(_message.Message):
    __slots__ = ("subjects", "next_page_token")
    SUBJECTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    subjects: _containers.RepeatedCompositeFieldContainer[Subject]
    next_page_token: str
    def __init__(self, subjects: _Optional[_Iterable[_Union[Subject, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteSubjectRequest(_message.Message):
    __slots__ = ("gallery", "subject", "request_id")
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    subject: str
    request_id: str
    def __init__(self, gallery: _Optional[str] = ..., subject: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class DeleteSubjectResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class ErasureReceipt(_message.Message):
    __slots__ = ("gallery", "subject", "templates", "revision", "erased_at_s", "scanned_bytes", "public_key", "signature")
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    TEMPLATES_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ERASED_AT_S_FIELD_NUMBER: _ClassVar[int]
    SCANNED_BYTES_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    subject: str
    templates: int
    revision: int
    erased_at_s: float
    scanned_bytes: int
    public_key: bytes
    signature: bytes
    def __init__(self, gallery: _Optional[str] = ..., subject: _Optional[str] = ..., templates: _Optional[int] = ..., revision: _Optional[int] = ..., erased_at_s: _Optional[float] = ..., scanned_bytes: _Optional[int] = ..., public_key: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class EraseSubjectRequest(_message.Message):
    __slots__ = ("gallery", "subject", "request_id")
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    subject: str
    request_id: str
    def __init__(self, gallery: _Optional[str] = ..., subject: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class EraseSubjectResponse(_message.Message):
    __slots__ = ("receipt",)
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    receipt: ErasureReceipt
    def __init__(self, receipt: _Optional[_Union[ErasureReceipt, _Mapping]] = ...) -> None: ...

class Template(_message.Message):
    __slots__ = ("id", "embedding", "quality", "enrolled_at", "camera", "track")
    ID_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    ENROLLED_AT_FIELD_NUMBER: _ClassVar[int]
    CAMERA_FIELD_NUMBER: _ClassVar[int]
    TRACK_FIELD_NUMBER: _ClassVar[int]
    id: str
    embedding: _sequence_pb2.Embedding
    quality: _decision_pb2.Quality
    enrolled_at: _timestamp_pb2.Timestamp
    camera: str
    track: int
    def __init__(self, id: _Optional[str] = ..., embedding: _Optional[_Union[_sequence_pb2.Embedding, _Mapping]] = ..., quality: _Optional[_Union[_decision_pb2.Quality, _Mapping]] = ..., enrolled_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., camera: _Optional[str] = ..., track: _Optional[int] = ...) -> None: ...

class ExportSubjectRequest(_message.Message):
    __slots__ = ("gallery", "subject")
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    subject: str
    def __init__(self, gallery: _Optional[str] = ..., subject: _Optional[str] = ...) -> None: ...

class ExportSubjectResponse(_message.Message):
    __slots__ = ("gallery", "subject", "enrolled_at", "templates", "terms")
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    ENROLLED_AT_FIELD_NUMBER: _ClassVar[int]
    TEMPLATES_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    subject: str
    enrolled_at: _timestamp_pb2.Timestamp
    templates: _containers.RepeatedCompositeFieldContainer[Template]
    terms: Terms
    def __init__(self, gallery: _Optional[str] = ..., subject: _Optional[str] = ..., enrolled_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., templates: _Optional[_Iterable[_Union[Template, _Mapping]]] = ..., terms: _Optional[_Union[Terms, _Mapping]] = ...) -> None: ...

class SetTermsRequest(_message.Message):
    __slots__ = ("gallery", "subject", "terms", "request_id")
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    subject: str
    terms: Terms
    request_id: str
    def __init__(self, gallery: _Optional[str] = ..., subject: _Optional[str] = ..., terms: _Optional[_Union[Terms, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class SetTermsResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...
