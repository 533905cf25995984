from gaitid.v1 import decision_pb2 as _decision_pb2
from gaitid.v1 import sequence_pb2 as _sequence_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_CONFIRMED: _ClassVar[Verdict]
    VERDICT_REJECTED: _ClassVar[Verdict]
VERDICT_UNSPECIFIED: Verdict
VERDICT_CONFIRMED: Verdict
VERDICT_REJECTED: Verdict

class EmbedRequest(_message.Message):
    __slots__ = ("sequence",)
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    sequence: _sequence_pb2.GaitSequence
    def __init__(self, sequence: _Optional[_Union[_sequence_pb2.GaitSequence, _Mapping]] = ...) -> None: ...

class EmbedResponse(_message.Message):
    __slots__ = ("embedding", "quality")
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    embedding: _sequence_pb2.Embedding
    quality: _decision_pb2.Quality
    def __init__(self, embedding: _Optional[_Union[_sequence_pb2.Embedding, _Mapping]] = ..., quality: _Optional[_Union[_decision_pb2.Quality, _Mapping]] = ...) -> None: ...

class VerifyRequest(_message.Message):
    __slots__ = ("gallery", "subject", "probe", "operating_point")
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    PROBE_FIELD_NUMBER: _ClassVar[int]
    OPERATING_POINT_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    subject: str
    probe: _sequence_pb2.Probe
    operating_point: _decision_pb2.OperatingPoint
    def __init__(self, gallery: _Optional[str] = ..., subject: _Optional[str] = ..., probe: _Optional[_Union[_sequence_pb2.Probe, _Mapping]] = ..., operating_point: _Optional[_Union[_decision_pb2.OperatingPoint, _Mapping]] = ...) -> None: ...

class VerifyResponse(_message.Message):
    __slots__ = ("decision",)
    DECISION_FIELD_NUMBER: _ClassVar[int]
    decision: _decision_pb2.Decision
    def __init__(self, decision: _Optional[_Union[_decision_pb2.Decision, _Mapping]] = ...) -> None: ...

class IdentifyRequest(_message.Message):
    __slots__ = ("gallery", "probe", "max_candidates", "operating_point")
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    PROBE_FIELD_NUMBER: _ClassVar[int]
    MAX_CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    OPERATING_POINT_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    probe: _sequence_pb2.Probe
    max_candidates: int
    operating_point: _decision_pb2.OperatingPoint
    def __init__(self, gallery: _Optional[str] = ..., probe: _Optional[_Union[_sequence_pb2.Probe, _Mapping]] = ..., max_candidates: _Optional[int] = ..., operating_point: _Optional[_Union[_decision_pb2.OperatingPoint, _Mapping]] = ...) -> None: ...

class IdentifyResponse(_message.Message):
    __slots__ = ("decision",)
    DECISION_FIELD_NUMBER: _ClassVar[int]
    decision: _decision_pb2.Decision
    def __init__(self, decision: _Optional[_Union[_decision_pb2.Decision, _Mapping]] = ...) -> None: ...

class ReviewDecisionRequest(_message.Message):
    __slots__ = ("gallery", "audit_id", "verdict", "request_id")
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    AUDIT_ID_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    audit_id: str
    verdict: Verdict
    request_id: str
    def __init__(self, gallery: _Optional[str] = ..., audit_id: _Optional[str] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., request_id: _Optional[str] = ...) -> None: ...

class ReviewDecisionResponse(_message.Message):
    __slots__ = ("number",)
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    number: int
    def __init__(self, number: _Optional[int] = ...) -> None: ...
