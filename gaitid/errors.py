"""The exceptions of gaitid, and the one table that maps them to gRPC status.

    GaitIdError
    ├── InputError                 invalid data from the caller
    │   ├── SequenceError          shape, dtype, range or finiteness of a sequence
    │   │   └── SequenceTooShort   fewer frames than the encoder needs
    │   ├── SourceError            a video source cannot be read
    │   │   ├── SourceNotFound     no such file, device or address
    │   │   ├── SourceEmpty        the source has no frames
    │   │   ├── SourceTruncated    the source ended before its announced frame count
    │   │   ├── SourceStalled      a live source stopped delivering
    │   │   └── CameraMoving       background subtraction needs a static camera
    │   ├── ConfigError            unknown or ill-typed key of a configuration
    │   ├── DatasetError           a data set on disk does not match its layout
    │   ├── WeightsError           a weight file is damaged, unsafe or unknown
    │   ├── MessageError           invalid bytes on the wire
    │   └── UnknownName            a registry has no such entry
    ├── NotFound
    │   ├── GalleryNotFound
    │   ├── SubjectNotFound
    │   └── DecisionNotFound       no such search in the audit trail
    ├── AlreadyExists
    │   ├── GalleryExists
    │   └── SubjectExists
    ├── ContractMismatch           an embedding of another encoder
    ├── EnrolmentRejected          samples too poor to enrol; carries reason codes
    ├── EnrolmentSuspect           samples look like another subject, or like two people
    ├── SubjectHeld                a legal hold forbids the deletion
    ├── NotCalibrated              the gallery is not calibrated
    ├── NormalisationRefused       the cohort would lower the identification rate
    ├── StoreError                 the data directory
    │   ├── StoreLocked            another process owns it
    │   ├── StoreReadOnly          it is read-only
    │   ├── StoreCorrupt           it fails its integrity check
    │   │   └── AuditBroken        its audit trail was modified
    │   ├── StoreRolledBack        it was replaced by an older copy
    │   ├── EngineError            the external engine that stores an index failed
    │   │   └── EngineUnreachable  it does not answer
    │   └── KeyMissing             its templates are encrypted and the key is missing
    ├── MissingDependency          an optional package is not installed
    ├── PermissionDenied           the caller may not do this
    ├── Unauthenticated            the caller is not identified
    └── ServerError                failure of the server or the connection
        ├── ServerUnreachable      no server answers at the address
        ├── DeadlineExceeded       no answer in time
        ├── Overloaded             the server is full; try again later
        └── InternalError          the server failed

Every message has three parts, which are sent separately over the wire and read as sentences:
``{got}; expected {expected}. {Remedy}.``
"""

from __future__ import annotations

from collections.abc import Iterable


class GaitIdError(Exception):
    """Base class of all errors raised by gaitid.

    Args:
        got: What was found, with its values: "The sequence has 9 frames".
        expected: What would be valid; follows the word "expected": "at least 10 for encoder gei".
        remedy: What the reader can do: "Record a longer walk".
    """

    status: str = "INTERNAL"

    def __init__(self, got: str, expected: str = "", remedy: str = "") -> None:
        self.got, self.expected, self.remedy = got, expected, remedy
        fault = f"{got}; expected {expected}" if expected else got
        super().__init__(f"{fault}. {remedy}." if remedy else f"{fault}.")

    @property
    def code(self) -> str:
        """Stable code of this class on the wire, for example ``GALLERY_NOT_FOUND``."""
        return code_of(type(self))


class InputError(GaitIdError):
    """Data from the caller is invalid."""

    status = "INVALID_ARGUMENT"


class SequenceError(InputError):
    """A sequence has an invalid shape, dtype, range or value."""


class SequenceTooShort(SequenceError):
    """A sequence has fewer frames than the encoder needs."""


class SourceError(InputError):
    """A video source cannot be read."""


class SourceNotFound(SourceError):
    """The file, device or address does not exist."""


class SourceEmpty(SourceError):
    """The source has no frames."""


class SourceTruncated(SourceError):
    """The source ended before the frame count it announced."""


class SourceStalled(SourceError):
    """A live source stopped delivering frames."""


class CameraMoving(SourceError):
    """The camera moves; background subtraction needs a static one."""


class ConfigError(InputError):
    """A configuration has an unknown or ill-typed key."""


class DatasetError(InputError):
    """A data set on disk does not match its layout."""


class WeightsError(InputError):
    """A weight file is damaged or unsafe, or does not match its card."""


class MessageError(InputError):
    """Bytes on the wire are not a valid message."""


class UnknownName(InputError):
    """A registry has no entry of that name."""


class NotFound(GaitIdError):
    """A gallery, subject or decision does not exist."""

    status = "NOT_FOUND"


class GalleryNotFound(NotFound):
    """No gallery has that name."""


class SubjectNotFound(NotFound):
    """The subject is not enrolled in the gallery."""


class DecisionNotFound(NotFound):
    """The audit trail of the gallery has no search with that reference."""


class AlreadyExists(GaitIdError):
    """A gallery or subject of that name already exists."""

    status = "ALREADY_EXISTS"


class GalleryExists(AlreadyExists):
    """A gallery of that name already exists."""


class SubjectExists(AlreadyExists):
    """The subject is already enrolled in the gallery."""


class ContractMismatch(GaitIdError):
    """An embedding and the gallery's templates come from different encoders."""

    status = "FAILED_PRECONDITION"


class EnrolmentRejected(GaitIdError):
    """No sample was good enough to enrol.

    Attributes:
        reasons: The reason codes (`records.Reason` values) of the refused samples.
    """

    status = "FAILED_PRECONDITION"

    def __init__(self, got: str, expected: str = "", remedy: str = "", reasons: Iterable[str] = ()) -> None:
        super().__init__(got, expected, remedy)
        self.reasons = tuple(reasons)


class EnrolmentSuspect(GaitIdError):
    """Samples look like another subject, or like two people, and the caller asked to refuse them."""

    status = "FAILED_PRECONDITION"


class SubjectHeld(GaitIdError):
    """A legal hold forbids deleting the subject."""

    status = "FAILED_PRECONDITION"


class NotCalibrated(GaitIdError):
    """A target rate was requested from a gallery that is not calibrated."""

    status = "FAILED_PRECONDITION"


class NormalisationRefused(GaitIdError):
    """Normalisation by this cohort would lower the identification rate at the same FPIR."""

    status = "FAILED_PRECONDITION"


class StoreError(GaitIdError):
    """The data directory cannot be used."""

    status = "UNAVAILABLE"


class StoreLocked(StoreError):
    """Another process owns the data directory."""


class StoreReadOnly(StoreError):
    """The data directory is read-only."""


class StoreCorrupt(StoreError):
    """The data directory fails its integrity check."""

    status = "DATA_LOSS"


class AuditBroken(StoreCorrupt):
    """The audit trail was changed, truncated or reordered."""


class StoreRolledBack(StoreError):
    """The database was replaced by an older copy: it lacks acknowledged changes."""

    status = "DATA_LOSS"


class EngineError(StoreError):
    """The external engine that stores the index of a gallery failed."""


class EngineUnreachable(EngineError):
    """The external engine that stores the index of a gallery does not answer in time."""


class KeyMissing(StoreError):
    """The templates of the data directory are encrypted and the key is missing."""

    status = "FAILED_PRECONDITION"


class MissingDependency(GaitIdError):
    """An optional package is not installed."""

    status = "UNIMPLEMENTED"


class PermissionDenied(GaitIdError):
    """The caller has no permission for this call."""

    status = "PERMISSION_DENIED"


class Unauthenticated(GaitIdError):
    """The caller did not prove its identity."""

    status = "UNAUTHENTICATED"


class ServerError(GaitIdError):
    """The server or the connection to it failed."""

    status = "UNAVAILABLE"


class ServerUnreachable(ServerError):
    """No server answers at the address."""


class DeadlineExceeded(ServerError):
    """No answer came in time."""

    status = "DEADLINE_EXCEEDED"


class Overloaded(ServerError):
    """The server is full; try again later.

    Attributes:
        retry_after_s: When to try again, seconds; None = the server did not say.
    """

    status = "RESOURCE_EXHAUSTED"

    def __init__(
        self, got: str, expected: str = "", remedy: str = "", *, retry_after_s: float | None = None
    ) -> None:
        super().__init__(got, expected, remedy)
        self.retry_after_s = retry_after_s


class InternalError(ServerError):
    """The server failed unexpectedly."""

    status = "INTERNAL"


def code_of(kind: type[GaitIdError]) -> str:
    """Wire code of an error class: its name in UPPER_SNAKE_CASE."""
    name = kind.__name__
    return "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(name)).upper()


def all_errors() -> dict[str, type[GaitIdError]]:
    """All error classes by wire code, including `GaitIdError`."""
    found: dict[str, type[GaitIdError]] = {}
    pending: list[type[GaitIdError]] = [GaitIdError]
    while pending:
        kind = pending.pop()
        found[code_of(kind)] = kind
        pending.extend(kind.__subclasses__())
    return found


def from_code(
    code: str, got: str, expected: str = "", remedy: str = "", reasons: Iterable[str] = ()
) -> GaitIdError:
    """Rebuild an error from its wire form; an unknown code gives `InternalError`."""
    kind = all_errors().get(code, InternalError)
    if issubclass(kind, EnrolmentRejected):
        return kind(got, expected, remedy, reasons)
    return kind(got, expected, remedy)
