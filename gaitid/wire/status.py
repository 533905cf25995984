"""Errors <-> google.rpc.Status."""

from __future__ import annotations

from google.rpc import code_pb2, error_details_pb2, status_pb2

from gaitid.errors import EnrolmentRejected, GaitIdError, InputError, InternalError, Overloaded, from_code

RETRY_AFTER_S = 0.5
"""What an overloaded server asks its callers to wait, seconds."""
MAX_TEXT = 500
"""Letters of each part of an error that travel; trailing metadata is limited by gRPC."""
_DOMAIN = "gaitid"


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


def _clipped(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
