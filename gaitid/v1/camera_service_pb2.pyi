import datetime

from gaitid.v1 import sequence_pb2 as _sequence_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CameraProfile(_message.Message):
    __slots__ = ("camera", "direction", "version", "walks", "people", "shift", "updated_at")
    CAMERA_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WALKS_FIELD_NUMBER: _ClassVar[int]
    PEOPLE_FIELD_NUMBER: _ClassVar[int]
    SHIFT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    camera: str
    direction: str
    version: int
    walks: int
    people: float
    shift: float
    updated_at: _timestamp_pb2.Timestamp
    def __init__(self, camera: _Optional[str] = ..., direction: _Optional[str] = ..., version: _Optional[int] = ..., walks: _Optional[int] = ..., people: _Optional[float] = ..., shift: _Optional[float] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class LearnCameraRequest(_message.Message):
    __slots__ = ("gallery", "camera", "direction", "walks", "request_id", "last")
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    CAMERA_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    WALKS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    camera: str
    direction: str
    walks: _containers.RepeatedCompositeFieldContainer[_sequence_pb2.Probe]
    request_id: str
    last: bool
    def __init__(self, gallery: _Optional[str] = ..., camera: _Optional[str] = ..., direction: _Optional[str] = ..., walks: _Optional[_Iterable[_Union[_sequence_pb2.Probe, _Mapping]]] = ..., request_id: _Optional[str] = ..., last: bool = ...) -> None: ...

class LearnCameraResponse(_message.Message):
    __slots__ = ("profile",)
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    profile: CameraProfile
    def __init__(self, profile: _Optional[_Union[CameraProfile, _Mapping]] = ...) -> None: ...

class ListCamerasRequest(_message.Message):
    __slots__ = ("gallery",)
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    def __init__(self, gallery: _Optional[str] = ...) -> None: ...

class ListCamerasResponse(_message.Message):
    __slots__ = ("profiles",)
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    profiles: _containers.RepeatedCompositeFieldContainer[CameraProfile]
    def __init__(self, profiles: _Optional[_Iterable[_Union[CameraProfile, _Mapping]]] = ...) -> None: ...

class ForgetCameraRequest(_message.Message):
    __slots__ = ("gallery", "camera", "request_id")
    GALLERY_FIELD_NUMBER: _ClassVar[int]
    CAMERA_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    gallery: str
    camera: str
    request_id: str
    def __init__(self, gallery: _Optional[str] = ..., camera: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class ForgetCameraResponse(_message.Message):
    __slots__ = ("profiles",)
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    profiles: int
    def __init__(self, profiles: _Optional[int] = ...) -> None: ...
