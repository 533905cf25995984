"""Subjects, terms, enrolments, receipts and exports <-> `subject_service.proto`."""

from __future__ import annotations

from gaitid.records import (
    Enrolment,
    EnrolmentCheck,
    EnrolmentWarning,
    ErasureReceipt,
    Origin,
    SubjectExport,
    SubjectInfo,
    Suspicion,
    Template,
    Terms,
    check_choice,
)
from gaitid.v1 import subject_service_pb2
from gaitid.wire.decision import pack_quality, unpack_quality
from gaitid.wire.fields import choice, fields_of, pack_time, reasons, record_of, unpack_time, values_of
from gaitid.wire.sequence import pack_embedding, unpack_embedding

_CHECKS = values_of(subject_service_pb2.EnrolmentCheck, EnrolmentCheck, "ENROLMENT_CHECK")
_SUSPICIONS = values_of(subject_service_pb2.Suspicion, Suspicion, "SUSPICION")


def pack_subject(info: SubjectInfo) -> subject_service_pb2.Subject:
    """Pack a subject."""
    return subject_service_pb2.Subject(
        id=info.id,
        templates=info.templates,
        enrolled_at=pack_time(info.enrolled_at),
        terms=pack_terms(info.terms),
    )


def unpack_subject(message: subject_service_pb2.Subject) -> SubjectInfo:
    """Unpack a subject.

    Raises:
        InputError: Its terms are malformed.
    """
    return SubjectInfo(
        message.id,
        tuple(message.templates),
        unpack_time(message.enrolled_at),
        unpack_terms(message.terms),
    )


def pack_terms(terms: Terms) -> subject_service_pb2.Terms:
    """Pack terms."""
    return subject_service_pb2.Terms(
        legal_basis=terms.legal_basis,
        purpose=terms.purpose,
        reference=terms.reference,
        expires_at_s=terms.expires_at,
        legal_hold=terms.legal_hold,
    )


def unpack_terms(message: subject_service_pb2.Terms) -> Terms:
    """Unpack terms; an absent message gives the default terms.

    Raises:
        InputError: A text is too long, or the time is out of range.
    """
    return Terms(
        message.legal_basis,
        message.purpose,
        message.reference,
        message.expires_at_s if message.HasField("expires_at_s") else None,
        message.legal_hold,
    )


def pack_enrolment(enrolment: Enrolment) -> subject_service_pb2.Enrolment:
    """Pack the result of an enrolment."""
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
    """Unpack the result of an enrolment.

    Raises:
        MessageError: A reason code or suspicion is unknown.
    """
    refused = tuple((sample.index, reasons(sample.reasons)) for sample in message.refused)
    warnings = tuple(
        EnrolmentWarning(
            warning.index,
            choice(_SUSPICIONS, warning.suspicion, "suspicion"),
            warning.subject,
            warning.score,
        )
        for warning in message.warnings
    )
    return Enrolment(message.subject, tuple(message.templates), refused, message.revision, warnings)


def pack_check(check: EnrolmentCheck) -> str:
    """Name of an enrolment check's enum value.

    Raises:
        InputError: It is not an `EnrolmentCheck`.
    """
    return f"ENROLMENT_CHECK_{check_choice(EnrolmentCheck, check).name}"


def unpack_check(value: int) -> EnrolmentCheck:
    """Unpack an enrolment check; unspecified is WARN.

    Raises:
        MessageError: The value is unknown.
    """
    return choice(_CHECKS, value, "check") if value else EnrolmentCheck.WARN


def pack_receipt(receipt: ErasureReceipt) -> subject_service_pb2.ErasureReceipt:
    """Pack the receipt of an erasure."""
    return subject_service_pb2.ErasureReceipt(**fields_of(receipt, erased_at="erased_at_s"))


def unpack_receipt(message: subject_service_pb2.ErasureReceipt) -> ErasureReceipt:
    """Unpack the receipt of an erasure."""
    return record_of(ErasureReceipt, message, erased_at="erased_at_s")


def pack_export(export: SubjectExport) -> subject_service_pb2.ExportSubjectResponse:
    """Pack everything that is stored about a subject."""
    return subject_service_pb2.ExportSubjectResponse(
        gallery=export.gallery,
        subject=export.subject,
        enrolled_at=pack_time(export.enrolled_at),
        templates=[
            subject_service_pb2.Template(
                id=template.id,
                embedding=pack_embedding(template.embedding),
                quality=None if template.quality is None else pack_quality(template.quality),
                enrolled_at=pack_time(template.enrolled_at),
                camera=template.origin.camera,
                track=template.origin.track,
            )
            for template in export.templates
        ],
        terms=pack_terms(export.terms),
    )


def unpack_export(message: subject_service_pb2.ExportSubjectResponse) -> SubjectExport:
    """Unpack everything that is stored about a subject.

    Raises:
        InputError: An embedding or quality is malformed.
    """
    templates = tuple(
        Template(
            template.id,
            message.subject,
            unpack_embedding(template.embedding),
            unpack_quality(template.quality) if template.HasField("quality") else None,
            unpack_time(template.enrolled_at),
            Origin(template.camera, template.track),
        )
        for template in message.templates
    )
    enrolled_at, terms = unpack_time(message.enrolled_at), unpack_terms(message.terms)
    return SubjectExport(message.gallery, message.subject, enrolled_at, templates, terms)
