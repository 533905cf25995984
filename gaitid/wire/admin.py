"""Backups, the audit trail and server information <-> `admin_service.proto`."""

from __future__ import annotations

from gaitid.records import AuditEntry, AuditHead, Backup, QualityPolicy, ServerInfo
from gaitid.v1 import admin_service_pb2
from gaitid.wire.fields import fields_of, pack_time, record_of, unpack_time


def pack_backup(backup: Backup) -> admin_service_pb2.Backup:
    """Pack a backup."""
    return admin_service_pb2.Backup(
        name=backup.name,
        created_at=pack_time(backup.created_at),
        changes=backup.changes,
        subjects=backup.subjects,
        templates=backup.templates,
        size_bytes=backup.size_bytes,
        sha256=backup.sha256,
    )


def unpack_backup(message: admin_service_pb2.Backup) -> Backup:
    """Unpack a backup."""
    return Backup(
        message.name,
        unpack_time(message.created_at),
        message.changes,
        message.subjects,
        message.templates,
        message.size_bytes,
        message.sha256,
    )


def pack_audit_entry(entry: AuditEntry) -> admin_service_pb2.AuditEntry:
    """Pack an entry of the audit trail."""
    return admin_service_pb2.AuditEntry(**fields_of(entry, at="at_s"))


def unpack_audit_entry(message: admin_service_pb2.AuditEntry) -> AuditEntry:
    """Unpack an entry of the audit trail."""
    return record_of(AuditEntry, message, at="at_s")


def pack_audit_head(head: AuditHead) -> admin_service_pb2.AuditHead:
    """Pack the head of an audit trail."""
    return admin_service_pb2.AuditHead(**fields_of(head, signed_at="signed_at_s"))


def unpack_audit_head(message: admin_service_pb2.AuditHead) -> AuditHead:
    """Unpack the head of an audit trail."""
    return record_of(AuditHead, message, signed_at="signed_at_s")


def pack_info(info: ServerInfo) -> admin_service_pb2.GetServerInfoResponse:
    """Pack the description of a matcher."""
    return admin_service_pb2.GetServerInfoResponse(
        version=info.version,
        encoder=info.encoder,
        contract=info.contract,
        dimension=info.dimension,
        modalities=info.modalities,
        min_frames=info.min_frames,
        quality=None if info.quality is None else admin_service_pb2.QualityPolicy(**fields_of(info.quality)),
    )


def unpack_info(message: admin_service_pb2.GetServerInfoResponse) -> ServerInfo:
    """Unpack the description of a matcher."""
    return ServerInfo(
        message.version,
        message.encoder,
        message.contract,
        message.dimension,
        tuple(message.modalities),
        message.min_frames,
        record_of(QualityPolicy, message.quality) if message.HasField("quality") else None,
    )
