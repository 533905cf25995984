"""Records <-> messages of `gaitid.v1`, errors <-> google.rpc.Status.

`pack_*` gives the message of a record, `unpack_*` the record of a message. Whatever arrives is
distrusted: sizes are checked before anything is allocated, and a message that fits no record is a
`MessageError` or `SequenceError`. Server and client touch the messages of requests and responses
only; what is inside them is made and read here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, TypeVar
from urllib.parse import quote, unquote

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2, error_details_pb2, status_pb2
from numpy.typing import NDArray

from gaitid.errors import (
    EnrolmentRejected,
    GaitIdError,
    InputError,
    InternalError,
    MessageError,
    Overloaded,
    SequenceError,
    from_code,
)
from gaitid.modalities import silhouette, skeleton
from gaitid.records import (
    MAX_FRAMES,
    SILHOUETTE,
    SILHOUETTE_SIZES,
    SKELETON,
    SKELETON_3D,
    AuditEntry,
    AuditHead,
    Backup,
    Calibration,
    CalibrationSource,
    Candidate,
    Decision,
    Embedding,
    Enrolment,
    EnrolmentCheck,
    EnrolmentWarning,
    ErasureReceipt,
    Fusion,
    GaitSequence,
    GalleryInfo,
    Normalisation,
    OperatingPoint,
    Origin,
    Outcome,
    Probe,
    Quality,
    Reason,
    ServerInfo,
    SubjectExport,
    SubjectInfo,
    Suspicion,
    Template,
    Terms,
    Verdict,
    check_choice,
)
from gaitid.v1 import (
    admin_service_pb2,
    decision_pb2,
    gallery_service_pb2,
    match_service_pb2,
    sequence_pb2,
    subject_service_pb2,
)

MAX_MESSAGE_BYTES = 8 * 2**20
"""Largest message either side accepts by default: 60 silhouettes of 64x44 deflate to about 4 KB."""
RETRY_AFTER_S = 0.5
"""What an overloaded server asks its callers to wait, seconds."""
PURPOSE = "gaitid-purpose"
"""Name of the metadata that says what a call is for."""
MAX_TEXT = 500
"""Letters of each part of an error that travel; trailing metadata is limited by gRPC."""

_DOMAIN = "gaitid"
_README = "see protos/README.md"
_UNPACKINGS = {
    sequence_pb2.SILHOUETTE_PACKING_BITS: silhouette.unpack,
    sequence_pb2.SILHOUETTE_PACKING_BITS_DEFLATED: silhouette.inflate,
}
_PRECISIONS: dict[int, skeleton.Precision] = {
    sequence_pb2.FLOAT_FORMAT_FLOAT32: "float32",
    sequence_pb2.FLOAT_FORMAT_FLOAT16: "float16",
}
Choice = TypeVar("Choice", bound=Enum)


def _values(message_enum: Any, kind: type[Choice], prefix: str) -> dict[int, Choice]:
    return {message_enum.Value(f"{prefix}_{member.name}"): member for member in kind}


_OUTCOMES = _values(decision_pb2.Outcome, Outcome, "OUTCOME")
_FUSIONS = _values(gallery_service_pb2.Fusion, Fusion, "FUSION")
_SOURCES = _values(gallery_service_pb2.CalibrationSource, CalibrationSource, "CALIBRATION_SOURCE")
_CHECKS = _values(subject_service_pb2.EnrolmentCheck, EnrolmentCheck, "ENROLMENT_CHECK")
_VERDICTS = _values(match_service_pb2.Verdict, Verdict, "VERDICT")
_SUSPICIONS = _values(subject_service_pb2.Suspicion, Suspicion, "SUSPICION")


def pack_sequence(sequence: GaitSequence) -> sequence_pb2.GaitSequence:
    """The message of a sequence; silhouettes are deflated, skeletons keep all their digits.

    Raises:
        InputError: It is no sequence.
        SequenceError: Its origin or counts do not fit a message.
    """
    if not isinstance(sequence, GaitSequence):
        raise InputError(f"probe is a {type(sequence).__name__}", "a GaitSequence", "convert it")
    try:
        message = sequence_pb2.GaitSequence(
            times_s=sequence.times,
            dropped=sequence.dropped,
            camera=sequence.origin.camera,
            track=sequence.origin.track,
        )
    except (TypeError, ValueError) as error:
        raise SequenceError(f"dropped cannot be sent ({error})", "32-bit counts", "correct it") from error
    if sequence.silhouettes is not None:
        message.silhouettes.CopyFrom(_pack_silhouettes(sequence.silhouettes))
    if sequence.skeletons is not None:
        message.skeletons.frames = len(sequence)
        message.skeletons.format = sequence_pb2.FLOAT_FORMAT_FLOAT32
        message.skeletons.data = skeleton.pack(sequence.skeletons, "float32")
    if sequence.skeletons_3d is not None:
        message.skeletons_3d.frames = len(sequence)
        message.skeletons_3d.format = sequence_pb2.FLOAT_FORMAT_FLOAT32
        message.skeletons_3d.data = skeleton.pack(sequence.skeletons_3d, "float32")
    if sequence.boxes is not None:
        message.boxes = sequence.boxes.astype("<f4", copy=False).tobytes()
    return message


def unpack_sequence(message: sequence_pb2.GaitSequence) -> GaitSequence:
    """The sequence of a message.

    Raises:
        MessageError: A length, layout or count is wrong.
        SequenceError: The content is none of a gait sequence.
    """
    streams: dict[str, NDArray[np.uint8] | NDArray[np.float32]] = {}
    if message.HasField("silhouettes"):
        streams[SILHOUETTE] = _unpack_silhouettes(message.silhouettes)
    if message.HasField("skeletons"):
        streams[SKELETON] = _unpack_skeletons(message.skeletons, 3)
    if message.HasField("skeletons_3d"):
        streams[SKELETON_3D] = _unpack_skeletons(message.skeletons_3d, 4)
    times = np.array(message.times_s, np.float64)
    boxes = _floats(message.boxes, (len(times), 4), "boxes") if message.boxes else None
    return GaitSequence(streams, times, boxes, dict(message.dropped), Origin(message.camera, message.track))


def pack_embedding(embedding: Embedding) -> sequence_pb2.Embedding:
    """The message of an embedding."""
    vector = embedding.vector.astype("<f4", copy=False).tobytes()
    return sequence_pb2.Embedding(vector=vector, contract=embedding.contract)


def unpack_embedding(message: sequence_pb2.Embedding) -> Embedding:
    """The embedding of a message.

    Raises:
        MessageError: The vector is no array of float32.
        InputError: It is not of unit length, or has no contract.
    """
    return Embedding(_floats(message.vector, (len(message.vector) // 4,), "vector"), message.contract)


def pack_probe(probe: Probe) -> sequence_pb2.Probe:
    """The message of a probe."""
    if isinstance(probe, Embedding):
        return sequence_pb2.Probe(embedding=pack_embedding(probe))
    if isinstance(probe, GaitSequence):
        return sequence_pb2.Probe(sequence=pack_sequence(probe))
    raise InputError(f"probe is a {type(probe).__name__}", "a GaitSequence or Embedding", "convert it")


def unpack_probe(message: sequence_pb2.Probe) -> Probe:
    """The probe of a message.

    Raises:
        MessageError: It is neither a sequence nor an embedding.
        InputError: It is malformed.
    """
    match message.WhichOneof("probe"):
        case "sequence":
            return unpack_sequence(message.sequence)
        case "embedding":
            return unpack_embedding(message.embedding)
    raise MessageError("probe is empty", "a sequence or an embedding", "set one of the two")


def unpack_samples(messages: Sequence[sequence_pb2.Probe]) -> list[Probe]:
    """The samples of an enrolment.

    Raises:
        MessageError: Together they have more than `records.MAX_FRAMES` frames.
        InputError: One of them is malformed.
    """
    frames = sum(
        max(one.silhouettes.frames, one.skeletons.frames, one.skeletons_3d.frames)
        for one in (message.sequence for message in messages)
    )
    if frames > MAX_FRAMES:
        raise MessageError(
            f"samples have {frames} frames together", f"at most {MAX_FRAMES} a call", "send several calls"
        )
    return [unpack_probe(message) for message in messages]


def pack_quality(quality: Quality) -> decision_pb2.Quality:
    """The message of a quality."""
    return decision_pb2.Quality(
        score=quality.score,
        frames=quality.frames,
        cycles=quality.cycles,
        cadence=quality.cadence,
        height_px=quality.height_px,
        frame_rate=quality.frame_rate,
        regularity=quality.regularity,
        symmetry=quality.symmetry,
        reasons=[reason.value for reason in quality.reasons],
    )


def unpack_quality(message: decision_pb2.Quality) -> Quality:
    """The quality of a message.

    Raises:
        MessageError: A reason code is unknown.
    """
    return Quality(
        message.score,
        message.frames,
        message.cycles,
        message.cadence,
        message.height_px,
        message.frame_rate,
        message.regularity,
        message.symmetry,
        _reasons(message.reasons),
    )


def pack_operating_point(point: OperatingPoint) -> decision_pb2.OperatingPoint:
    """The message of an operating point."""
    return decision_pb2.OperatingPoint(
        threshold=point.threshold,
        review_band=point.review_band,
        fmr=point.fmr,
        fpir=point.fpir,
        margin=point.margin,
        max_matches=point.max_matches,
    )


def unpack_operating_point(message: decision_pb2.OperatingPoint) -> OperatingPoint:
    """The operating point of a message.

    Raises:
        InputError: A number is out of range.
    """
    return OperatingPoint(
        message.threshold,
        message.review_band,
        message.fmr if message.HasField("fmr") else None,
        message.fpir if message.HasField("fpir") else None,
        message.margin,
        message.max_matches,
    )


def pack_decision(decision: Decision) -> decision_pb2.Decision:
    """The message of a decision."""
    message = decision_pb2.Decision(
        outcome=f"OUTCOME_{decision.outcome.name}",
        candidates=[
            decision_pb2.Candidate(
                subject=candidate.subject,
                score=candidate.score,
                template=candidate.template,
                fpir_at_score=candidate.fpir_at_score,
            )
            for candidate in decision.candidates
        ],
        operating_point=pack_operating_point(decision.operating_point),
        revision=decision.revision,
        audit_id=decision.audit_id,
    )
    if decision.quality is not None:
        message.quality.CopyFrom(pack_quality(decision.quality))
    return message


def unpack_decision(message: decision_pb2.Decision) -> Decision:
    """The decision of a message.

    Raises:
        MessageError: The outcome or a reason code is unknown.
    """
    candidates = tuple(
        Candidate(
            candidate.subject,
            candidate.score,
            candidate.template,
            candidate.fpir_at_score if candidate.HasField("fpir_at_score") else None,
        )
        for candidate in message.candidates
    )
    return Decision(
        _choice(_OUTCOMES, message.outcome, "outcome"),
        candidates,
        unpack_quality(message.quality) if message.HasField("quality") else None,
        unpack_operating_point(message.operating_point),
        message.revision,
        message.audit_id,
    )


def pack_gallery(info: GalleryInfo) -> gallery_service_pb2.Gallery:
    """The message of a gallery's state."""
    message = gallery_service_pb2.Gallery(
        name=info.name,
        encoder=info.encoder,
        contract=info.contract,
        dimension=info.dimension,
        subjects=info.subjects,
        templates=info.templates,
        revision=info.revision,
        operating_point=pack_operating_point(info.operating_point),
        created_at=_pack_time(info.created_at),
        fusion=pack_fusion(info.fusion),
        renewals=info.renewals,
    )
    if info.calibration is not None:
        message.calibration.CopyFrom(pack_calibration(info.calibration))
    if info.normalisation is not None:
        message.normalisation.CopyFrom(pack_normalisation(info.normalisation))
    return message


def unpack_gallery(message: gallery_service_pb2.Gallery) -> GalleryInfo:
    """The gallery's state of a message.

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
        _unpack_time(message.created_at),
        unpack_fusion(message.fusion),
        unpack_calibration(message.calibration) if message.HasField("calibration") else None,
        unpack_normalisation(message.normalisation) if message.HasField("normalisation") else None,
        message.renewals,
    )


def pack_fusion(fusion: Fusion) -> str:
    """The name of a fusion's enum value.

    Raises:
        InputError: It is none.
    """
    return f"FUSION_{check_choice(Fusion, fusion).name}"


def unpack_fusion(value: int) -> Fusion:
    """The fusion of an enum value; unspecified is MAX.

    Raises:
        MessageError: The value is unknown.
    """
    return _choice(_FUSIONS, value, "fusion") if value else Fusion.MAX


def pack_calibration(calibration: Calibration) -> gallery_service_pb2.Calibration:
    """The message of a calibration."""
    return gallery_service_pb2.Calibration(
        source=f"CALIBRATION_SOURCE_{calibration.source.name}",
        subjects=calibration.subjects,
        probes=calibration.probes,
        comparisons=calibration.comparisons,
        clustering=calibration.clustering,
        misfit=calibration.misfit,
        made_at=_pack_time(calibration.made_at),
        normalised=calibration.normalised,
    )


def unpack_calibration(message: gallery_service_pb2.Calibration) -> Calibration:
    """The calibration of a message.

    Raises:
        MessageError: The source is unknown.
    """
    return Calibration(
        _choice(_SOURCES, message.source, "calibration source"),
        message.subjects,
        message.probes,
        message.comparisons,
        message.clustering,
        message.misfit,
        _unpack_time(message.made_at),
        message.normalised,
    )


def pack_normalisation(info: Normalisation) -> gallery_service_pb2.Normalisation:
    """The message of a normalisation."""
    return gallery_service_pb2.Normalisation(
        cohort=info.cohort,
        fpir=info.fpir,
        before=info.before,
        after=info.after,
        probes=info.probes,
        made_at=_pack_time(info.made_at),
    )


def unpack_normalisation(message: gallery_service_pb2.Normalisation) -> Normalisation:
    """The normalisation of a message."""
    return Normalisation(
        message.cohort,
        message.fpir,
        message.before,
        message.after,
        message.probes,
        _unpack_time(message.made_at),
    )


def pack_subject(info: SubjectInfo) -> subject_service_pb2.Subject:
    """The message of a subject."""
    return subject_service_pb2.Subject(
        id=info.id,
        templates=info.templates,
        enrolled_at=_pack_time(info.enrolled_at),
        terms=pack_terms(info.terms),
    )


def unpack_subject(message: subject_service_pb2.Subject) -> SubjectInfo:
    """The subject of a message.

    Raises:
        InputError: Its terms are malformed.
    """
    return SubjectInfo(
        message.id,
        tuple(message.templates),
        _unpack_time(message.enrolled_at),
        unpack_terms(message.terms),
    )


def pack_terms(terms: Terms) -> subject_service_pb2.Terms:
    """The message of terms."""
    return subject_service_pb2.Terms(
        legal_basis=terms.legal_basis,
        purpose=terms.purpose,
        reference=terms.reference,
        expires_at_s=terms.expires_at,
        legal_hold=terms.legal_hold,
    )


def unpack_terms(message: subject_service_pb2.Terms) -> Terms:
    """The terms of a message; an absent one holds the default terms.

    Raises:
        InputError: A text is too long, or the time is none.
    """
    return Terms(
        message.legal_basis,
        message.purpose,
        message.reference,
        message.expires_at_s if message.HasField("expires_at_s") else None,
        message.legal_hold,
    )


def pack_enrolment(enrolment: Enrolment) -> subject_service_pb2.Enrolment:
    """The message of an enrolment's answer."""
    refused = [
        subject_service_pb2.RefusedSample(index=index, reasons=[reason.value for reason in reasons])
        for index, reasons in enrolment.refused
    ]
    return subject_service_pb2.Enrolment(
        subject=enrolment.subject,
        templates=enrolment.templates,
        refused=refused,
        revision=enrolment.revision,
        warnings=[
            subject_service_pb2.EnrolmentWarning(
                index=warning.sample,
                suspicion=f"SUSPICION_{warning.suspicion.name}",
                subject=warning.subject,
                score=warning.score,
            )
            for warning in enrolment.warnings
        ],
    )


def unpack_enrolment(message: subject_service_pb2.Enrolment) -> Enrolment:
    """The enrolment's answer of a message.

    Raises:
        MessageError: A reason code or suspicion is unknown.
    """
    refused = tuple((sample.index, _reasons(sample.reasons)) for sample in message.refused)
    warnings = tuple(
        EnrolmentWarning(
            warning.index,
            _choice(_SUSPICIONS, warning.suspicion, "suspicion"),
            warning.subject,
            warning.score,
        )
        for warning in message.warnings
    )
    return Enrolment(message.subject, tuple(message.templates), refused, message.revision, warnings)


def pack_check(check: EnrolmentCheck) -> str:
    """The name of an enrolment check's enum value.

    Raises:
        InputError: It is none.
    """
    return f"ENROLMENT_CHECK_{check_choice(EnrolmentCheck, check).name}"


def unpack_check(value: int) -> EnrolmentCheck:
    """The enrolment check of an enum value; unspecified is WARN.

    Raises:
        MessageError: The value is unknown.
    """
    return _choice(_CHECKS, value, "check") if value else EnrolmentCheck.WARN


def pack_receipt(receipt: ErasureReceipt) -> subject_service_pb2.ErasureReceipt:
    """The message of an erasure's receipt."""
    return subject_service_pb2.ErasureReceipt(
        gallery=receipt.gallery,
        subject=receipt.subject,
        templates=receipt.templates,
        revision=receipt.revision,
        erased_at_s=receipt.erased_at,
        scanned_bytes=receipt.scanned_bytes,
        public_key=receipt.public_key,
        signature=receipt.signature,
    )


def unpack_receipt(message: subject_service_pb2.ErasureReceipt) -> ErasureReceipt:
    """The erasure's receipt of a message."""
    return ErasureReceipt(
        message.gallery,
        message.subject,
        message.templates,
        message.revision,
        message.erased_at_s,
        message.scanned_bytes,
        message.public_key,
        message.signature,
    )


def pack_export(export: SubjectExport) -> subject_service_pb2.ExportSubjectResponse:
    """The message of all that is held of a subject."""
    return subject_service_pb2.ExportSubjectResponse(
        gallery=export.gallery,
        subject=export.subject,
        enrolled_at=_pack_time(export.enrolled_at),
        templates=[
            subject_service_pb2.Template(
                id=template.id,
                embedding=pack_embedding(template.embedding),
                quality=None if template.quality is None else pack_quality(template.quality),
                enrolled_at=_pack_time(template.enrolled_at),
                camera=template.origin.camera,
                track=template.origin.track,
            )
            for template in export.templates
        ],
        terms=pack_terms(export.terms),
    )


def unpack_export(message: subject_service_pb2.ExportSubjectResponse) -> SubjectExport:
    """All that is held of a subject.

    Raises:
        InputError: An embedding or quality is malformed.
    """
    templates = tuple(
        Template(
            template.id,
            message.subject,
            unpack_embedding(template.embedding),
            unpack_quality(template.quality) if template.HasField("quality") else None,
            _unpack_time(template.enrolled_at),
            Origin(template.camera, template.track),
        )
        for template in message.templates
    )
    enrolled_at, terms = _unpack_time(message.enrolled_at), unpack_terms(message.terms)
    return SubjectExport(message.gallery, message.subject, enrolled_at, templates, terms)


def pack_backup(backup: Backup) -> admin_service_pb2.Backup:
    """The message of a backup."""
    return admin_service_pb2.Backup(
        name=backup.name,
        created_at=_pack_time(backup.created_at),
        changes=backup.changes,
        subjects=backup.subjects,
        templates=backup.templates,
        size_bytes=backup.size_bytes,
        sha256=backup.sha256,
    )


def unpack_backup(message: admin_service_pb2.Backup) -> Backup:
    """The backup of a message."""
    return Backup(
        message.name,
        _unpack_time(message.created_at),
        message.changes,
        message.subjects,
        message.templates,
        message.size_bytes,
        message.sha256,
    )


def pack_verdict(verdict: Verdict) -> str:
    """The name of a verdict's enum value.

    Raises:
        InputError: It is none.
    """
    return f"VERDICT_{check_choice(Verdict, verdict).name}"


def unpack_verdict(value: int) -> Verdict:
    """The verdict of an enum value.

    Raises:
        MessageError: The value is unknown.
    """
    return _choice(_VERDICTS, value, "verdict")


def pack_audit_entry(entry: AuditEntry) -> admin_service_pb2.AuditEntry:
    """The message of an entry of the audit trail."""
    return admin_service_pb2.AuditEntry(
        number=entry.number,
        at_s=entry.at,
        actor=entry.actor,
        purpose=entry.purpose,
        action=entry.action,
        gallery=entry.gallery,
        subject=entry.subject,
        outcome=entry.outcome,
        revision=entry.revision,
        count=entry.count,
        detail=entry.detail,
        reference=entry.reference,
        hash=entry.hash,
    )


def unpack_audit_entry(message: admin_service_pb2.AuditEntry) -> AuditEntry:
    """The entry of the audit trail of a message."""
    return AuditEntry(
        message.number,
        message.at_s,
        message.actor,
        message.purpose,
        message.action,
        message.gallery,
        message.subject,
        message.outcome,
        message.revision,
        message.count,
        message.detail,
        message.reference,
        message.hash,
    )


def pack_audit_head(head: AuditHead) -> admin_service_pb2.AuditHead:
    """The message of the head of an audit trail."""
    return admin_service_pb2.AuditHead(
        number=head.number,
        hash=head.hash,
        signed_at_s=head.signed_at,
        public_key=head.public_key,
        signature=head.signature,
    )


def unpack_audit_head(message: admin_service_pb2.AuditHead) -> AuditHead:
    """The head of an audit trail of a message."""
    return AuditHead(message.number, message.hash, message.signed_at_s, message.public_key, message.signature)


def pack_purpose(purpose: str) -> str:
    """A purpose as metadata: percent-encoded UTF-8."""
    return quote(purpose, safe=" ")


def unpack_purpose(text: str) -> str:
    """The purpose of metadata.

    Raises:
        MessageError: It is no percent-encoded UTF-8.
    """
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise MessageError(f"{PURPOSE} is {text!r:.60}", "percent-encoded UTF-8", _README) from error


def pack_info(info: ServerInfo) -> admin_service_pb2.GetServerInfoResponse:
    """The message of a matcher's description."""
    return admin_service_pb2.GetServerInfoResponse(
        version=info.version,
        encoder=info.encoder,
        contract=info.contract,
        dimension=info.dimension,
        modalities=info.modalities,
        min_frames=info.min_frames,
    )


def unpack_info(message: admin_service_pb2.GetServerInfoResponse) -> ServerInfo:
    """The matcher's description of a message."""
    return ServerInfo(
        message.version,
        message.encoder,
        message.contract,
        message.dimension,
        tuple(message.modalities),
        message.min_frames,
    )


def pack_error(error: GaitIdError) -> status_pb2.Status:
    """The google.rpc.Status of an error.

    `ErrorInfo` carries the error's code and its three parts, `BadRequest` repeats the fault for
    clients that know only the standard details, `RetryInfo` says when to come back.
    """
    parts = {"got": error.got, "expected": error.expected, "remedy": error.remedy}
    if isinstance(error, EnrolmentRejected):
        parts["reasons"] = ",".join(error.reasons)
    metadata = {key: _clipped(text) for key, text in parts.items() if text}
    details = [error_details_pb2.ErrorInfo(reason=error.code, domain=_DOMAIN, metadata=metadata)]
    if isinstance(error, InputError):
        violation = error_details_pb2.BadRequest.FieldViolation(description=metadata.get("got", ""))
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(error, Overloaded):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(int(RETRY_AFTER_S * 1000))
        details.append(retry)
    status = status_pb2.Status(code=code_pb2.Code.Value(error.status), message=_clipped(str(error)))
    for detail in details:
        status.details.add().Pack(detail)
    return status


def unpack_error(status: status_pb2.Status) -> GaitIdError:
    """The error of a google.rpc.Status; without our `ErrorInfo` an `InternalError`."""
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Is(info.DESCRIPTOR) and detail.Unpack(info) and info.domain == _DOMAIN:
            parts = info.metadata
            reasons = parts["reasons"].split(",") if parts.get("reasons") else ()
            return from_code(
                info.reason, parts.get("got", ""), parts.get("expected", ""), parts.get("remedy", ""), reasons
            )
    return InternalError(
        f"status {status.code} ({status.message})", "the details of a gaitid server", "check the address"
    )


def _pack_silhouettes(silhouettes: NDArray[np.uint8]) -> sequence_pb2.SilhouetteStream:
    frames, height, width = silhouettes.shape
    return sequence_pb2.SilhouetteStream(
        frames=frames,
        height=height,
        width=width,
        packing=sequence_pb2.SILHOUETTE_PACKING_BITS_DEFLATED,
        data=silhouette.deflate(silhouettes),
    )


def _unpack_silhouettes(message: sequence_pb2.SilhouetteStream) -> NDArray[np.uint8]:
    if (message.height, message.width) not in SILHOUETTE_SIZES:
        sizes = " or ".join(f"{height}x{width}" for height, width in SILHOUETTE_SIZES)
        raise SequenceError(
            f"silhouettes are {message.height}x{message.width}", sizes, "use perception.align"
        )
    unpack = _UNPACKINGS.get(message.packing)
    if unpack is None:
        raise MessageError(f"silhouette packing is {message.packing}", "bits or deflated bits", _README)
    return unpack(message.data, message.frames, message.height, message.width)


def _unpack_skeletons(
    message: sequence_pb2.SkeletonStream | sequence_pb2.SpaceSkeletonStream, numbers: int
) -> NDArray[np.float32]:
    precision = _PRECISIONS.get(message.format)
    if precision is None:
        raise MessageError(f"skeleton format is {message.format}", "float32 or float16", _README)
    return skeleton.unpack(message.data, message.frames, precision, numbers)


def _floats(data: bytes, shape: tuple[int, ...], what: str) -> NDArray[np.float32]:
    expected = 4 * int(np.prod(shape))
    if len(data) != expected or not data:
        raise MessageError(
            f"{what} has {len(data)} bytes", f"{expected or 'at least 4'}, 4 a float32 number", _README
        )
    return np.frombuffer(data, "<f4").reshape(shape).astype(np.float32, copy=False)


def _choice(known: Mapping[int, Choice], value: int, what: str) -> Choice:
    if value not in known:
        raise MessageError(f"{what} is {value}", "a value of this version", "update gaitid on this side")
    return known[value]


def _reasons(codes: Iterable[str]) -> tuple[Reason, ...]:
    try:
        return tuple(Reason(code) for code in codes)
    except ValueError as error:
        raise MessageError(
            f"reason code unknown here ({error})", "one of records.Reason", "update gaitid on this side"
        ) from error


def _pack_time(seconds: float) -> Timestamp:
    whole = int(seconds // 1)
    nanos = round((seconds - whole) * 1e9)
    return Timestamp(seconds=whole + nanos // 10**9, nanos=nanos % 10**9)


def _unpack_time(time: Timestamp) -> float:
    return time.seconds + time.nanos / 1e9


def _clipped(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
