"""Galleries, calibrations and normalisations <-> `gallery_service.proto`."""

from __future__ import annotations

from gaitid.records import Calibration, CalibrationSource, Fusion, GalleryInfo, Normalisation, check_choice
from gaitid.v1 import gallery_service_pb2
from gaitid.wire.decision import pack_operating_point, unpack_operating_point
from gaitid.wire.fields import choice, pack_time, unpack_time, values_of

_FUSIONS = values_of(gallery_service_pb2.Fusion, Fusion, "FUSION")
_SOURCES = values_of(gallery_service_pb2.CalibrationSource, CalibrationSource, "CALIBRATION_SOURCE")


def pack_gallery(info: GalleryInfo) -> gallery_service_pb2.Gallery:
    """Pack the state of a gallery."""
    message = gallery_service_pb2.Gallery(
        name=info.name,
        encoder=info.encoder,
        contract=info.contract,
        dimension=info.dimension,
        subjects=info.subjects,
        templates=info.templates,
        revision=info.revision,
        operating_point=pack_operating_point(info.operating_point),
        created_at=pack_time(info.created_at),
        fusion=pack_fusion(info.fusion),
        renewals=info.renewals,
        profiles=info.profiles,
    )
    if info.calibration is not None:
        message.calibration.CopyFrom(pack_calibration(info.calibration))
    if info.normalisation is not None:
        message.normalisation.CopyFrom(pack_normalisation(info.normalisation))
    return message


def unpack_gallery(message: gallery_service_pb2.Gallery) -> GalleryInfo:
    """Unpack the state of a gallery.

    Raises:
        MessageError: The fusion or the calibration's source is unknown.
    """
    return GalleryInfo(
        message.name,
        message.encoder,
        message.contract,
        message.dimension,
        message.subjects,
        message.templates,
        message.revision,
        unpack_operating_point(message.operating_point),
        unpack_time(message.created_at),
        unpack_fusion(message.fusion),
        unpack_calibration(message.calibration) if message.HasField("calibration") else None,
        unpack_normalisation(message.normalisation) if message.HasField("normalisation") else None,
        message.renewals,
        message.profiles,
    )


def pack_fusion(fusion: Fusion) -> str:
    """Name of a fusion's enum value.

    Raises:
        InputError: It is not a `Fusion`.
    """
    return f"FUSION_{check_choice(Fusion, fusion).name}"


def unpack_fusion(value: int) -> Fusion:
    """Unpack a fusion; unspecified is MAX.

    Raises:
        MessageError: The value is unknown.
    """
    return choice(_FUSIONS, value, "fusion") if value else Fusion.MAX


def pack_calibration(calibration: Calibration) -> gallery_service_pb2.Calibration:
    """Pack a calibration."""
    return gallery_service_pb2.Calibration(
        source=f"CALIBRATION_SOURCE_{calibration.source.name}",
        subjects=calibration.subjects,
        probes=calibration.probes,
        comparisons=calibration.comparisons,
        clustering=calibration.clustering,
        misfit=calibration.misfit,
        made_at=pack_time(calibration.made_at),
        normalised=calibration.normalised,
        corrected=calibration.corrected,
        synthetic=calibration.synthetic,
    )


def unpack_calibration(message: gallery_service_pb2.Calibration) -> Calibration:
    """Unpack a calibration.

    Raises:
        MessageError: The source is unknown.
    """
    return Calibration(
        choice(_SOURCES, message.source, "calibration source"),
        message.subjects,
        message.probes,
        message.comparisons,
        message.clustering,
        message.misfit,
        unpack_time(message.made_at),
        message.normalised,
        message.corrected,
        message.synthetic,
    )


def pack_normalisation(info: Normalisation) -> gallery_service_pb2.Normalisation:
    """Pack a normalisation."""
    return gallery_service_pb2.Normalisation(
        cohort=info.cohort,
        fpir=info.fpir,
        before=info.before,
        after=info.after,
        probes=info.probes,
        made_at=pack_time(info.made_at),
    )


def unpack_normalisation(message: gallery_service_pb2.Normalisation) -> Normalisation:
    """Unpack a normalisation."""
    return Normalisation(
        message.cohort,
        message.fpir,
        message.before,
        message.after,
        message.probes,
        unpack_time(message.made_at),
    )
