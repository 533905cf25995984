"""Errors <-> google.rpc.Status."""

from __future__ import annotations

from google.rpc import code_pb2, error_details_pb2, status_pb2

from gaitid.errors import EnrolmentRejected, GaitIdError, InputError, InternalError, Overloaded, from_code

RETRY_AFTER_S = 0.5
"""How long callers of an overloaded server should wait if it cannot estimate that, seconds."""
MAX_TEXT = 500
"""Longest part of an error that is sent, characters; gRPC limits trailing metadata."""
_DOMAIN = "gaitid"


def pack_error(error: GaitIdError) -> status_pb2.Status:
    """Pack an error.

    `ErrorInfo` has the code and the three parts of the error. `BadRequest` repeats the fault for clients
    that know only the standard details, and `RetryInfo` says when to try again.
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
        after_s = RETRY_AFTER_S if error.retry_after_s is None else error.retry_after_s
        retry.retry_delay.FromMilliseconds(int(after_s * 1000))
        details.append(retry)
    status = status_pb2.Status(code=code_pb2.Code.Value(error.status), message=_clipped(str(error)))
    for detail in details:
        status.details.add().Pack(detail)
    return status


def unpack_error(status: status_pb2.Status) -> GaitIdError:
    """Unpack an error; a status without gaitid's `ErrorInfo` becomes an `InternalError`."""
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Is(info.DESCRIPTOR) and detail.Unpack(info) and info.domain == _DOMAIN:
            parts = info.metadata
            reasons = parts["reasons"].split(",") if parts.get("reasons") else ()
            error = from_code(
                info.reason, parts.get("got", ""), parts.get("expected", ""), parts.get("remedy", ""), reasons
            )
            if isinstance(error, Overloaded):
                error.retry_after_s = retry_after_s(status)
            return error
    return InternalError(
        f"The status is {status.code} ({status.message})",
        "the details of a gaitid server",
        "Check the address",
    )


def retry_after_s(status: status_pb2.Status) -> float | None:
    """When to try again, seconds, at least 0; None = the status does not say."""
    retry = error_details_pb2.RetryInfo()
    for detail in status.details:
        if detail.Is(retry.DESCRIPTOR) and detail.Unpack(retry):
            return max(float(retry.retry_delay.ToNanoseconds()) / 1e9, 0.0)
    return None


def _clipped(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
