"""The exceptions of gaitid, and the one table that maps them to gRPC status.

    GaitIdError
    ├── InputError                 the caller's data is wrong
    │   ├── SequenceError          shape, dtype, range or finiteness of a sequence
    │   │   └── SequenceTooShort   fewer frames than the encoder needs
    │   ├── SourceError            a video source cannot be read
    │   │   ├── SourceNotFound     no such file, device or address
    │   │   ├── SourceEmpty        the source has no frames
    │   │   ├── SourceTruncated    the source ended before it said it would
    │   │   ├── SourceStalled      a live source stopped delivering
    │   │   └── CameraMoving       background subtraction needs a static camera
    │   ├── ConfigError            unknown or ill-typed key of a configuration
    │   ├── DatasetError           a data set on disk is not what it should be
    │   ├── WeightsError           a weight file is damaged, unsafe or unknown
    │   └── MessageError           bytes on the wire that are no valid message
    ├── UnknownName                a registry has no such entry
    ├── NotFound
    │   ├── GalleryNotFound
    │   ├── SubjectNotFound
    │   ├── TemplateNotFound
    │   └── DecisionNotFound       the audit trail has no such search
    ├── AlreadyExists
    │   ├── GalleryExists
    │   └── SubjectExists
    ├── ContractMismatch           an embedding of another encoder
    ├── EnrolmentRejected          samples too poor to enrol; carries reason codes
    ├── EnrolmentSuspect           samples look like another subject, or like two
    ├── SubjectHeld                a legal hold forbids the deletion
    ├── NotCalibrated              what a score means in this gallery is not known
    ├── NormalisationRefused       the cohort would make the gallery find fewer people
    ├── StoreError                 the data directory
    │   ├── StoreLocked            another process owns it
    │   ├── StoreReadOnly          it cannot be written
    │   ├── StoreCorrupt           it fails its integrity check
    │   │   └── AuditBroken        its audit trail was changed or cut
    │   ├── StoreRolledBack        it is an older copy of itself
    │   ├── EngineError            an engine outside of it, which holds an index, failed
    │   │   └── EngineUnreachable  it does not answer
    │   └── KeyMissing             its templates are sealed, and the key was not given
    ├── MissingDependency          an optional package is not installed
    ├── PermissionDenied           the caller may not do this
    ├── Unauthenticated            the caller did not say who it is
    └── ServerError                the far side
        ├── ServerUnreachable      nobody answers at the address
        ├── DeadlineExceeded       no answer in time
        ├── Overloaded             the server asks to come back later
        └── InternalError          the server failed

Every message has three parts, which travel over the wire as such and read as sentences:
``{got}; expected {expected}. {Remedy}.``
"""

from __future__ import annotations

from collections.abc import Iterable


class GaitIdError(Exception):
    """Root of all errors raised by gaitid.

    Args:
        got: What was found, with its values: "The sequence has 9 frames".
        expected: What would have been right, read after "expected": "at least 10 for encoder gei".
        remedy: What the reader can do now: "Record a longer walk".
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
    """The caller's data is wrong."""

    status = "INVALID_ARGUMENT"


class SequenceError(InputError):
    """A sequence has a wrong shape, dtype, range or value."""


class SequenceTooShort(SequenceError):
    """A sequence has fewer frames than the encoder needs."""


class SourceError(InputError):
    """A video source cannot be read."""


class SourceNotFound(SourceError):
    """There is no such file, device or address."""


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
    """A data set on disk is not what its layout promises."""


class WeightsError(InputError):
    """A weight file is damaged, unsafe, or not what its card says."""


class MessageError(InputError):
    """Bytes on the wire are no valid message."""


class UnknownName(InputError):
    """A registry has no entry of that name."""


class NotFound(GaitIdError):
    """A named thing does not exist."""

    status = "NOT_FOUND"


class GalleryNotFound(NotFound):
    """There is no gallery of that name."""


class SubjectNotFound(NotFound):
    """The gallery has no such subject."""


class TemplateNotFound(NotFound):
    """The gallery has no such template."""


class DecisionNotFound(NotFound):
    """The gallery's audit trail has no search of that reference."""


class AlreadyExists(GaitIdError):
    """A thing of that name exists already."""

    status = "ALREADY_EXISTS"


class GalleryExists(AlreadyExists):
    """A gallery of that name exists already."""


class SubjectExists(AlreadyExists):
    """The gallery has a subject of that name already."""


class ContractMismatch(GaitIdError):
    """An embedding was made by another encoder than the gallery's templates."""

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
    """Samples look like another subject's, or not like one subject's, and the caller wants that refused."""

    status = "FAILED_PRECONDITION"


class SubjectHeld(GaitIdError):
    """A legal hold forbids to delete the subject."""

    status = "FAILED_PRECONDITION"


class NotCalibrated(GaitIdError):
    """A target rate is asked of a gallery that does not know what its scores mean."""

    status = "FAILED_PRECONDITION"


class NormalisationRefused(GaitIdError):
    """Scores normalised by this cohort would find fewer people at the same false positives."""

    status = "FAILED_PRECONDITION"


class StoreError(GaitIdError):
    """The data directory cannot be used."""

    status = "UNAVAILABLE"


class StoreLocked(StoreError):
    """Another process owns the data directory."""


class StoreReadOnly(StoreError):
    """The data directory cannot be written."""


class StoreCorrupt(StoreError):
    """The data directory fails its integrity check."""

    status = "DATA_LOSS"


class AuditBroken(StoreCorrupt):
    """The audit trail was changed, cut or reordered."""


class StoreRolledBack(StoreError):
    """The database is an older copy of itself: changes that were acknowledged are not in it."""

    status = "DATA_LOSS"


class EngineError(StoreError):
    """The engine that holds the index of a gallery failed."""


class EngineUnreachable(EngineError):
    """The engine that holds the index of a gallery does not answer in time."""


class KeyMissing(StoreError):
    """The data directory's templates are sealed under a key that was not given."""

    status = "FAILED_PRECONDITION"


class MissingDependency(GaitIdError):
    """An optional package is not installed."""

    status = "UNIMPLEMENTED"


class PermissionDenied(GaitIdError):
    """The caller may not do this."""

    status = "PERMISSION_DENIED"


class Unauthenticated(GaitIdError):
    """The caller did not prove who it is."""

    status = "UNAUTHENTICATED"


class ServerError(GaitIdError):
    """The far side failed."""

    status = "UNAVAILABLE"


class ServerUnreachable(ServerError):
    """Nobody answers at the address."""


class DeadlineExceeded(ServerError):
    """No answer came in time."""

    status = "DEADLINE_EXCEEDED"


class Overloaded(ServerError):
    """The server is full and asks to come back later."""

    status = "RESOURCE_EXHAUSTED"


class InternalError(ServerError):
    """The server failed in a way it did not foresee."""

    status = "INTERNAL"


def code_of(kind: type[GaitIdError]) -> str:
    """The wire code of an error class: its name in UPPER_SNAKE_CASE."""
    name = kind.__name__
    return "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(name)).upper()


def all_errors() -> dict[str, type[GaitIdError]]:
    """Every error class by its wire code, the root included."""
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
