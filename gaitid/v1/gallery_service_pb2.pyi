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

class Fusion(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FUSION_UNSPECIFIED: _ClassVar[Fusion]
    FUSION_MAX: _ClassVar[Fusion]
    FUSION_MEAN: _ClassVar[Fusion]
    FUSION_CENTROID: _ClassVar[Fusion]

class CalibrationSource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CALIBRATION_SOURCE_UNSPECIFIED: _ClassVar[CalibrationSource]
    CALIBRATION_SOURCE_GALLERY: _ClassVar[CalibrationSource]
    CALIBRATION_SOURCE_IMPOSTORS: _ClassVar[CalibrationSource]
    CALIBRATION_SOURCE_CARD: _ClassVar[CalibrationSource]
    CALIBRATION_SOURCE_SMALL: _ClassVar[CalibrationSource]
    CALIBRATION_SOURCE_SIMULTANEOUS: _ClassVar[CalibrationSource]
FUSION_UNSPECIFIED: Fusion
FUSION_MAX: Fusion
FUSION_MEAN: Fusion
FUSION_CENTROID: Fusion
CALIBRATION_SOURCE_UNSPECIFIED: CalibrationSource
CALIBRATION_SOURCE_GALLERY: CalibrationSource
CALIBRATION_SOURCE_IMPOSTORS: CalibrationSource
CALIBRATION_SOURCE_CARD: CalibrationSource
CALIBRATION_SOURCE_SMALL: CalibrationSource
CALIBRATION_SOURCE_SIMULTANEOUS: CalibrationSource

class Calibration(_message.Message):
    __slots__ = ("source", "subjects", "probes", "comparisons", "clustering", "misfit", "made_at", "normalised", "corrected", "synthetic")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SUBJECTS_FIELD_NUMBER: _ClassVar[int]
    PROBES_FIELD_NUMBER: _ClassVar[int]
    COMPARISONS_FIELD_NUMBER: _ClassVar[int]
    CLUSTERING_FIELD_NUMBER: _ClassVar[int]
    MISFIT_FIELD_NUMBER: _ClassVar[int]
    MADE_AT_FIELD_NUMBER: _ClassVar[int]
    NORMALISED_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_FIELD_NUMBER: _ClassVar[int]
    SYNTHETIC_FIELD_NUMBER: _ClassVar[int]
    source: CalibrationSource
    subjects: int
    probes: int
    comparisons: int
    clustering: float
    misfit: float
    made_at: _timestamp_pb2.Timestamp
    normalised: bool
    corrected: bool
    synthetic: bool
    def __init__(self, source: _Optional[_Union[CalibrationSource, str]] = ..., subjects: _Optional[int] = ..., probes: _Optional[int] = ..., comparisons: _Optional[int] = ..., clustering: _Optional[float] = ..., misfit: _Optional[float] = ..., made_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., normalised: bool = ..., corrected: bool = ..., synthetic: bool = ...) -> None: ...

class Normalisation(_message.Message):
    __slots__ = ("cohort", "fpir", "before", "after", "probes", "made_at")
    COHORT_FIELD_NUMBER: _ClassVar[int]
    FPIR_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    PROBES_FIELD_NUMBER: _ClassVar[int]
    MADE_AT_FIELD_NUMBER: _ClassVar[int]
    cohort: int
    fpir: float
    before: float
    after: float
    probes: int
    made_at: _timestamp_pb2.Timestamp
    def __init__(self, cohort: _Optional[int] = ..., fpir: _Optional[float] = ..., before: _Optional[float] = ..., after: _Optional[float] = ..., probes: _Optional[int] = ..., made_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Gallery(_message.Message):
    __slots__ = ("name", "encoder", "contract", "dimension", "subjects", "templates", "revision", "operating_point", "created_at", "fusion", "calibration", "normalisation", "renewals", "profiles")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ENCODER_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    SUBJECTS_FIELD_NUMBER: _ClassVar[int]
    TEMPLATES_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    OPERATING_POINT_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    FUSION_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    NORMALISATION_FIELD_NUMBER: _ClassVar[int]
    RENEWALS_FIELD_NUMBER: _ClassVar[int]
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    name: str
    encoder: str
    contract: str
    dimension: int
    subjects: int
    templates: int
    revision: int
    operating_point: _decision_pb2.OperatingPoint
    created_at: _timestamp_pb2.Timestamp
    fusion: Fusion
    calibration: Calibration
    normalisation: Normalisation
    renewals: int
    profiles: bool
    def __init__(self, name: _Optional[str] = ..., encoder: _Optional[str] = ..., contract: _Optional[str] = ..., dimension: _Optional[int] = ..., subjects: _Optional[int] = ..., templates: _Optional[int] = ..., revision: _Optional[int] = ..., operating_point: _Optional[_Union[_decision_pb2.OperatingPoint, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., fusion: _Optional[_Union[Fusion, str]] = ..., calibration: _Optional[_Union[Calibration, _Mapping]] = ..., normalisation: _Optional[_Union[Normalisation, _Mapping]] = ..., renewals: _Optional[int] = ..., profiles: bool = ...) -> None: ...

class CreateGalleryRequest(_message.Message):
    __slots__ = ("gallery", "operating_point", "request_id", "fusion", "profiles")
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    OPERATING_POINT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    FUSION_FIELD_NUMBER: _ClassVar[int]
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    operating_point: _decision_pb2.OperatingPoint
    request_id: str
    fusion: Fusion
    profiles: bool
    def __init__(self, gallery: _Optional[str] = ..., operating_point: _Optional[_Union[_decision_pb2.OperatingPoint, _Mapping]] = ..., request_id: _Optional[str] = ..., fusion: _Optional[_Union[Fusion, str]] = ..., profiles: bool = ...) -> None: ...

class CreateGalleryResponse(_message.Message):
    __slots__ = ("gallery",)
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    gallery: Gallery
    def __init__(self, gallery: _Optional[_Union[Gallery, _Mapping]] = ...) -> None: ...

class GetGalleryRequest(_message.Message):
    __slots__ = ("gallery",)
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    def __init__(self, gallery: _Optional[str] = ...) -> None: ...

class GetGalleryResponse(_message.Message):
    __slots__ = ("gallery",)
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    gallery: Gallery
    def __init__(self, gallery: _Optional[_Union[Gallery, _Mapping]] = ...) -> None: ...

class ListGalleriesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListGalleriesResponse(_message.Message):
    __slots__ = ("galleries", "next_page_token")
    GALLERIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    galleries: _containers.RepeatedCompositeFieldContainer[Gallery]
    next_page_token: str
    def __init__(self, galleries: _Optional[_Iterable[_Union[Gallery, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CalibrateGalleryRequest(_message.Message):
    __slots__ = ("gallery", "impostors", "request_id", "last")
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    IMPOSTORS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    impostors: _containers.RepeatedCompositeFieldContainer[_sequence_pb2.Probe]
    request_id: str
    last: bool
    def __init__(self, gallery: _Optional[str] = ..., impostors: _Optional[_Iterable[_Union[_sequence_pb2.Probe, _Mapping]]] = ..., request_id: _Optional[str] = ..., last: bool = ...) -> None: ...

class CalibrateGalleryResponse(_message.Message):
    __slots__ = ("calibration",)
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    calibration: Calibration
    def __init__(self, calibration: _Optional[_Union[Calibration, _Mapping]] = ...) -> None: ...

class SetOperatingPointRequest(_message.Message):
    __slots__ = ("gallery", "operating_point", "request_id")
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    OPERATING_POINT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    operating_point: _decision_pb2.OperatingPoint
    request_id: str
    def __init__(self, gallery: _Optional[str] = ..., operating_point: _Optional[_Union[_decision_pb2.OperatingPoint, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class SetOperatingPointResponse(_message.Message):
    __slots__ = ("gallery",)
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    gallery: Gallery
    def __init__(self, gallery: _Optional[_Union[Gallery, _Mapping]] = ...) -> None: ...

class SetProfilesRequest(_message.Message):
    __slots__ = ("gallery", "profiles", "request_id")
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    profiles: bool
    request_id: str
    def __init__(self, gallery: _Optional[str] = ..., profiles: bool = ..., request_id: _Optional[str] = ...) -> None: ...

class SetProfilesResponse(_message.Message):
    __slots__ = ("gallery",)
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    gallery: Gallery
    def __init__(self, gallery: _Optional[_Union[Gallery, _Mapping]] = ...) -> None: ...

class NormaliseGalleryRequest(_message.Message):
    __slots__ = ("gallery", "cohort", "fpir", "request_id", "last")
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    COHORT_FIELD_NUMBER: _ClassVar[int]
    FPIR_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    cohort: _containers.RepeatedCompositeFieldContainer[_sequence_pb2.Probe]
    fpir: float
    request_id: str
    last: bool
    def __init__(self, gallery: _Optional[str] = ..., cohort: _Optional[_Iterable[_Union[_sequence_pb2.Probe, _Mapping]]] = ..., fpir: _Optional[float] = ..., request_id: _Optional[str] = ..., last: bool = ...) -> None: ...

class NormaliseGalleryResponse(_message.Message):
    __slots__ = ("normalisation",)
    NORMALISATION_FIELD_NUMBER: _ClassVar[int]
    normalisation: Normalisation
    def __init__(self, normalisation: _Optional[_Union[Normalisation, _Mapping]] = ...) -> None: ...

class StopNormalisingRequest(_message.Message):
    __slots__ = ("gallery", "request_id")
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    request_id: str
    def __init__(self, gallery: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class StopNormalisingResponse(_message.Message):
    __slots__ = ("gallery",)
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    gallery: Gallery
    def __init__(self, gallery: _Optional[_Union[Gallery, _Mapping]] = ...) -> None: ...

class DeleteGalleryRequest(_message.Message):
    __slots__ = ("gallery", "request_id")
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    request_id: str
    def __init__(self, gallery: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class DeleteGalleryResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
