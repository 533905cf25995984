"""Camera profiles <-> `camera_service.proto`."""

from __future__ import annotations

from gaitid.records import CameraProfile
from gaitid.v1 import camera_service_pb2
from gaitid.wire.fields import pack_time, unpack_time


def pack_camera(profile: CameraProfile) -> camera_service_pb2.CameraProfile:
    """Pack a camera profile."""
    return camera_service_pb2.CameraProfile(
        camera=profile.camera,
        direction=profile.direction,
        version=profile.version,
        walks=profile.walks,
        people=profile.people,
        shift=profile.shift,
        updated_at=pack_time(profile.updated),
    )


def unpack_camera(message: camera_service_pb2.CameraProfile) -> CameraProfile:
    """Unpack a camera profile."""
    return CameraProfile(
        message.camera,
        message.direction,
        message.version,
        message.walks,
        message.people,
        message.shift,
        unpack_time(message.updated_at),
    )
