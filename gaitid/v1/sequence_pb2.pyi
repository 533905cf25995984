from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SilhouettePacking(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SILHOUETTE_PACKING_UNSPECIFIED: _ClassVar[SilhouettePacking]
    SILHOUETTE_PACKING_BITS: _ClassVar[SilhouettePacking]
    SILHOUETTE_PACKING_BITS_DEFLATED: _ClassVar[SilhouettePacking]

class FloatFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FLOAT_FORMAT_UNSPECIFIED: _ClassVar[FloatFormat]
    FLOAT_FORMAT_FLOAT32: _ClassVar[FloatFormat]
    FLOAT_FORMAT_FLOAT16: _ClassVar[FloatFormat]
SILHOUETTE_PACKING_UNSPECIFIED: SilhouettePacking
SILHOUETTE_PACKING_BITS: SilhouettePacking
SILHOUETTE_PACKING_BITS_DEFLATED: SilhouettePacking
FLOAT_FORMAT_UNSPECIFIED: FloatFormat
FLOAT_FORMAT_FLOAT32: FloatFormat
FLOAT_FORMAT_FLOAT16: FloatFormat

class SilhouetteStream(_message.Message):
    __slots__ = ("frames", "height", "width", "packing", "data")
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    PACKING_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    frames: int
    height: int
    width: int
    packing: SilhouettePacking
    data: bytes
    def __init__(self, frames: _Optional[int] = ..., height: _Optional[int] = ..., width: _Optional[int] = ..., packing: _Optional[_Union[SilhouettePacking, str]] = ..., data: _Optional[bytes] = ...) -> None: ...

class SkeletonStream(_message.Message):
    __slots__ = ("frames", "format", "data")
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    frames: int
    format: FloatFormat
    data: bytes
    def __init__(self, frames: _Optional[int] = ..., format: _Optional[_Union[FloatFormat, str]] = ..., data: _Optional[bytes] = ...) -> None: ...

class SpaceSkeletonStream(_message.Message):
    __slots__ = ("frames", "format", "data")
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    frames: int
    format: FloatFormat
    data: bytes
    def __init__(self, frames: _Optional[int] = ..., format: _Optional[_Union[FloatFormat, str]] = ..., data: _Optional[bytes] = ...) -> None: ...

class GaitSequence(_message.Message):
    __slots__ = ("silhouettes", "skeletons", "times_s", "boxes", "dropped", "camera", "track", "skeletons_3d")
    class DroppedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SILHOUETTES_FIELD_NUMBER: _ClassVar[int]
    SKELETONS_FIELD_NUMBER: _ClassVar[int]
    TIMES_S_FIELD_NUMBER: _ClassVar[int]
    BOXES_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    CAMERA_FIELD_NUMBER: _ClassVar[int]
    TRACK_FIELD_NUMBER: _ClassVar[int]
    SKELETONS_3D_FIELD_NUMBER: _ClassVar[int]
    silhouettes: SilhouetteStream
    skeletons: SkeletonStream
    times_s: _containers.RepeatedScalarFieldContainer[float]
    boxes: bytes
    dropped: _containers.ScalarMap[str, int]
    camera: str
    track: int
    skeletons_3d: SpaceSkeletonStream
    def __init__(self, silhouettes: _Optional[_Union[SilhouetteStream, _Mapping]] = ..., skeletons: _Optional[_Union[SkeletonStream, _Mapping]] = ..., times_s: _Optional[_Iterable[float]] = ..., boxes: _Optional[bytes] = ..., dropped: _Optional[_Mapping[str, int]] = ..., camera: _Optional[str] = ..., track: _Optional[int] = ..., skeletons_3d: _Optional[_Union[SpaceSkeletonStream, _Mapping]] = ...) -> None: ...

class Embedding(_message.Message):
    __slots__ = ("vector", "contract", "camera", "track", "direction")
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_FIELD_NUMBER: _ClassVar[int]
    CAMERA_FIELD_NUMBER: _ClassVar[int]
    TRACK_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    vector: bytes
    contract: str
    camera: str
    track: int
    direction: str
    def __init__(self, vector: _Optional[bytes] = ..., contract: _Optional[str] = ..., camera: _Optional[str] = ..., track: _Optional[int] = ..., direction: _Optional[str] = ...) -> None: ...

class Probe(_message.Message):
    __slots__ = ("sequence", "embedding")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    sequence: GaitSequence
    embedding: Embedding
    def __init__(self, sequence: _Optional[_Union[GaitSequence, _Mapping]] = ..., embedding: _Optional[_Union[Embedding, _Mapping]] = ...) -> None: ...
