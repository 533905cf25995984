from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    OUTCOME_MATCH: _ClassVar[Outcome]
    OUTCOME_NO_MATCH: _ClassVar[Outcome]
    OUTCOME_REVIEW: _ClassVar[Outcome]
    OUTCOME_INSUFFICIENT_QUALITY: _ClassVar[Outcome]
    OUTCOME_EMPTY_GALLERY: _ClassVar[Outcome]
OUTCOME_UNSPECIFIED: Outcome
OUTCOME_MATCH: Outcome
OUTCOME_NO_MATCH: Outcome
OUTCOME_REVIEW: Outcome
OUTCOME_INSUFFICIENT_QUALITY: Outcome
OUTCOME_EMPTY_GALLERY: Outcome

class Quality(_message.Message):
    __slots__ = ("score", "frames", "cycles", "cadence", "height_px", "frame_rate", "regularity", "symmetry", "reasons")
    SCORE_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    CYCLES_FIELD_NUMBER: _ClassVar[int]
    CADENCE_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    FRAME_RATE_FIELD_NUMBER: _ClassVar[int]
    REGULARITY_FIELD_NUMBER: _ClassVar[int]
    SYMMETRY_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    score: float
    frames: int
    cycles: float
    cadence: float
    height_px: float
    frame_rate: float
    regularity: float
    symmetry: float
    reasons: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, score: _Optional[float] = ..., frames: _Optional[int] = ..., cycles: _Optional[float] = ..., cadence: _Optional[float] = ..., height_px: _Optional[float] = ..., frame_rate: _Optional[float] = ..., regularity: _Optional[float] = ..., symmetry: _Optional[float] = ..., reasons: _Optional[_Iterable[str]] = ...) -> None: ...

class Candidate(_message.Message):
    __slots__ = ("subject", "score", "template", "fpir_at_score")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    FPIR_AT_SCORE_FIELD_NUMBER: _ClassVar[int]
    subject: str
    score: float
    template: str
    fpir_at_score: float
    def __init__(self, subject: _Optional[str] = ..., score: _Optional[float] = ..., template: _Optional[str] = ..., fpir_at_score: _Optional[float] = ...) -> None: ...

class OperatingPoint(_message.Message):
    __slots__ = ("threshold", "review_band", "fmr", "fpir", "margin", "max_matches")
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    REVIEW_BAND_FIELD_NUMBER: _ClassVar[int]
    FMR_FIELD_NUMBER: _ClassVar[int]
    FPIR_FIELD_NUMBER: _ClassVar[int]
    MARGIN_FIELD_NUMBER: _ClassVar[int]
    MAX_MATCHES_FIELD_NUMBER: _ClassVar[int]
    threshold: float
    review_band: float
    fmr: float
    fpir: float
    margin: float
    max_matches: int
    def __init__(self, threshold: _Optional[float] = ..., review_band: _Optional[float] = ..., fmr: _Optional[float] = ..., fpir: _Optional[float] = ..., margin: _Optional[float] = ..., max_matches: _Optional[int] = ...) -> None: ...

class Decision(_message.Message):
    __slots__ = ("outcome", "candidates", "quality", "operating_point", "revision", "audit_id", "profile_version")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    OPERATING_POINT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    AUDIT_ID_FIELD_NUMBER: _ClassVar[int]
    PROFILE_VERSION_FIELD_NUMBER: _ClassVar[int]
    outcome: Outcome
    candidates: _containers.RepeatedCompositeFieldContainer[Candidate]
    quality: Quality
    operating_point: OperatingPoint
    revision: int
    audit_id: str
    profile_version: int
    def __init__(self, outcome: _Optional[_Union[Outcome, str]] = ..., candidates: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ..., quality: _Optional[_Union[Quality, _Mapping]] = ..., operating_point: _Optional[_Union[OperatingPoint, _Mapping]] = ..., revision: _Optional[int] = ..., audit_id: _Optional[str] = ..., profile_version: _Optional[int] = ...) -> None: ...
