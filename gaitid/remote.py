"""The matcher of a server: the same calls, answers and errors as the local one.

Needs neither torch nor OpenCV nor FAISS.
"""

from __future__ import annotations

import random
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from gaitid import wire
from gaitid.caller import current
from gaitid.channel import Tls as Tls
from gaitid.channel import check_token, open_channel, transport_error
from gaitid.errors import (
    ConfigError,
    GaitIdError,
    InputError,
    MessageError,
    Overloaded,
    ServerUnreachable,
)
from gaitid.matcher import FPIR, MAX_AUDIT, MAX_CANDIDATES
from gaitid.records import (
    AuditEntry,
    AuditHead,
    Backup,
    Calibration,
    CameraProfile,
    Decision,
    Embedding,
    Enrolment,
    EnrolmentCheck,
    ErasureReceipt,
    Fusion,
    GaitSequence,
    GalleryInfo,
    Normalisation,
    OperatingPoint,
    Probe,
    Quality,
    ServerInfo,
    SubjectExport,
    SubjectInfo,
    Terms,
    Verdict,
)
from gaitid.selection import check_probes, check_profiles
from gaitid.v1 import admin_service_pb2 as admin
from gaitid.v1 import (
    admin_service_pb2_grpc,
    camera_service_pb2_grpc,
    gallery_service_pb2_grpc,
    match_service_pb2_grpc,
    subject_service_pb2_grpc,
)
from gaitid.v1 import camera_service_pb2 as camera_v1
from gaitid.v1 import gallery_service_pb2 as gallery_v1
from gaitid.v1 import match_service_pb2 as match
from gaitid.v1 import subject_service_pb2 as subject_v1

ATTEMPTS = 3
"""Largest number of attempts while the server is unavailable, within the deadline of the call."""
BACKOFF_S = 0.1
"""Pause after the first attempt, seconds; it doubles each time, and 50 to 100 % of it are drawn."""

KEPT = 8
"""Batches of an iterator that an `Upload` keeps, so that a full server can be tried again; about 8 MB."""

_DETAILS = "grpc-status-details-bin"
_TOO_LARGE = re.compile(r"larger than max \((\d+) vs\. (\d+)\)")


class Upload:
    """Messages of a streamed request: parameters, batches of probes, and an end mark.

    An exception of the caller's iterable ends the stream early, so that the server changes nothing.

    Args:
        first: Parameters.
        field: Name of the field that has the probes.
        probes: Probes to send; read by a thread of gRPC.
        max_bytes: Largest batch, bytes.

    Attributes:
        error: What the caller's iterable or the packing of a probe raised.

    Raises:
        InputError: `probes` is a single probe, or cannot be iterated.
    """

    def __init__(self, first: Any, field: str, probes: Iterable[Probe], max_bytes: int) -> None:
        self._first, self._field, self._probes = first, field, check_probes(probes)
        self._max_bytes = max_bytes
        self._source = wire.batched(self._probes, max_bytes, wire.BATCH_S)
        self._kept: list[Any] = []
        self._taken = 0
        self._lock = threading.Lock()  # the attempt before may still be taking a batch
        self.error: Exception | None = None

    @property
    def is_repeatable(self) -> bool:
        """Whether all probes can be sent again; of an iterator only the first `KEPT` batches can."""
        return isinstance(self._probes, Sequence) or self._taken <= len(self._kept)

    def messages(self) -> Iterator[Any]:
        """Yield the messages of one attempt; only one batch of a list is in memory."""
        kind = type(self._first)
        yield self._first
        # A retry must send the same batches, so those of a list do not depend on the time.
        is_list = isinstance(self._probes, Sequence)
        batches = wire.batched(self._probes, self._max_bytes, float("inf")) if is_list else self._resumed()
        try:
            for batch in batches:
                yield kind(**{self._field: batch})
        except Exception as error:
            self.error = error
            return
        yield kind(last=True)

    def _resumed(self) -> Iterator[Any]:
        """Yield the batches that an earlier attempt took from the iterator, then further ones."""
        number = 0
        while True:
            with self._lock:
                if number == self._taken:
                    batch = next(self._source, None)
                    if batch is None:
                        return
                    self._taken += 1
                    if len(self._kept) < KEPT:
                        self._kept.append(batch)
                else:
                    batch = self._kept[number]
            number += 1
            yield batch


class RemoteMatcher:
    """Galleries of a server; see `matcher.Matcher` for its methods.

    The purpose set by `caller.calling` is sent along; the server determines the actor. Safe to use from
    several threads. Each change has a fresh `request_id`, so a retry after a broken connection does not
    repeat it.

    Args:
        address: ``host:port``.
        timeout_s: Longest time of a call including retries, seconds.
        stream_timeout_s: The same for `calibrate`, `normalise` and `learn_camera`, which embed every probe on
            the server.
        tls: Certificates; None = without TLS.
        token: Token of 'gaitid token create'; empty = none. Without TLS it is sent within this machine only.
        max_message_bytes: Largest request and answer, bytes.

    Raises:
        ConfigError: The address is malformed, or a TLS file cannot be read.

    All calls raise `ServerUnreachable` if no server answers at the address, `DeadlineExceeded` if no answer
    comes in time, and `Overloaded` if the server is full.
    """

    def __init__(
        self,
        address: str,
        *,
        timeout_s: float = 5.0,
        stream_timeout_s: float = 1800.0,
        tls: Tls | None = None,
        token: str = "",
        max_message_bytes: int = wire.MAX_MESSAGE_BYTES,
    ) -> None:
        for name, limit_s in (("timeout_s", timeout_s), ("stream_timeout_s", stream_timeout_s)):
            if not limit_s > 0:
                raise ConfigError(
                    f"Argument {name} is {limit_s}", "more than 0 seconds", "Leave it out for the default"
                )
        check_token(token, address, tls)
        self._token = token
        self._address, self._timeout_s, self._stream_timeout_s = address, timeout_s, stream_timeout_s
        self._batch_bytes = min(wire.BATCH_BYTES, max_message_bytes // 2)  # leave room for the framing
        self._channel = open_channel(address, tls, max_message_bytes)
        self._match = match_service_pb2_grpc.MatchServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._galleries = gallery_service_pb2_grpc.GalleryServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._subjects = subject_service_pb2_grpc.SubjectServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._cameras = camera_service_pb2_grpc.CameraServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._admin = admin_service_pb2_grpc.AdminServiceStub(self._channel)  # type: ignore[no-untyped-call]

    def create_gallery(
        self,
        gallery: str,
        *,
        operating_point: OperatingPoint | None = None,
        fusion: Fusion = Fusion.MAX,
        profiles: bool = True,
    ) -> GalleryInfo:
        """Create an empty gallery; without an operating point the encoder's threshold is used."""
        request = _request(
            gallery_v1.CreateGalleryRequest,
            gallery=gallery,
            operating_point=_point(operating_point),
            fusion=wire.pack_fusion(fusion),
            profiles=check_profiles(profiles),
            request_id=_request_id(),
        )
        return wire.unpack_gallery(self._call(self._galleries.CreateGallery, request).gallery)

    def calibrate(self, gallery: str, impostors: Iterable[Probe] = ()) -> Calibration:
        """Measure how impostors score in a gallery; the probes are streamed to the server."""
        kind = gallery_v1.CalibrateGalleryRequest
        first = _request(kind, gallery=gallery, request_id=_request_id())
        upload = Upload(first, "impostors", impostors, self._batch_bytes)
        answer = self._stream(self._galleries.CalibrateGallery, upload)
        return wire.unpack_calibration(answer.calibration)

    def set_operating_point(self, gallery: str, operating_point: OperatingPoint) -> GalleryInfo:
        """Replace the operating point of a gallery."""
        if not isinstance(operating_point, OperatingPoint):
            kind = type(operating_point).__name__
            raise InputError(
                f"Argument operating_point is of type {kind}",
                "an OperatingPoint",
                "Pass OperatingPoint(threshold=0.5)",
            )
        request = _request(
            gallery_v1.SetOperatingPointRequest,
            gallery=gallery,
            operating_point=_point(operating_point),
            request_id=_request_id(),
        )
        return wire.unpack_gallery(self._call(self._galleries.SetOperatingPoint, request).gallery)

    def normalise(self, gallery: str, cohort: Iterable[Probe], *, fpir: float = FPIR) -> Normalisation:
        """Normalise scores by a cohort if that does no harm; the probes are streamed to the server."""
        kind = gallery_v1.NormaliseGalleryRequest
        first = _request(kind, gallery=gallery, fpir=fpir, request_id=_request_id())
        upload = Upload(first, "cohort", cohort, self._batch_bytes)
        answer = self._stream(self._galleries.NormaliseGallery, upload)
        return wire.unpack_normalisation(answer.normalisation)

    def stop_normalising(self, gallery: str) -> GalleryInfo:
        """Erase the cohort of a gallery and stop normalising its scores."""
        request = _request(gallery_v1.StopNormalisingRequest, gallery=gallery, request_id=_request_id())
        return wire.unpack_gallery(self._call(self._galleries.StopNormalising, request).gallery)

    def set_profiles(self, gallery: str, profiles: bool) -> GalleryInfo:
        """Switch camera profiles on or off."""
        request = _request(
            gallery_v1.SetProfilesRequest,
            gallery=gallery,
            profiles=check_profiles(profiles),
            request_id=_request_id(),
        )
        return wire.unpack_gallery(self._call(self._galleries.SetProfiles, request).gallery)

    def learn_camera(
        self, gallery: str, camera: str, sequences: Iterable[Probe], *, direction: str = ""
    ) -> CameraProfile:
        """Learn the profile of a camera at once; the walks are streamed to the server."""
        kind = camera_v1.LearnCameraRequest
        first = _request(kind, gallery=gallery, camera=camera, direction=direction, request_id=_request_id())
        upload = Upload(first, "walks", sequences, self._batch_bytes)
        return wire.unpack_camera(self._stream(self._cameras.LearnCamera, upload).profile)

    def cameras(self, gallery: str) -> list[CameraProfile]:
        """List the camera profiles of a gallery, ordered by camera and direction."""
        request = _request(camera_v1.ListCamerasRequest, gallery=gallery)
        answer = self._call(self._cameras.ListCameras, request)
        return [wire.unpack_camera(profile) for profile in answer.profiles]

    def forget_camera(self, gallery: str, camera: str) -> int:
        """Forget all profiles of a camera, and return how many there were."""
        request = _request(
            camera_v1.ForgetCameraRequest, gallery=gallery, camera=camera, request_id=_request_id()
        )
        return int(self._call(self._cameras.ForgetCamera, request).profiles)

    def list_galleries(self) -> list[GalleryInfo]:
        """Describe all galleries, ordered by name; fetched in pages."""
        found: list[GalleryInfo] = []
        token = ""
        while True:
            request = gallery_v1.ListGalleriesRequest(page_token=token)
            answer = self._call(self._galleries.ListGalleries, request)
            found.extend(wire.unpack_gallery(gallery) for gallery in answer.galleries)
            token = answer.next_page_token
            if not token:
                return found

    def describe(self, gallery: str) -> GalleryInfo:
        """Describe one gallery."""
        request = _request(gallery_v1.GetGalleryRequest, gallery=gallery)
        return wire.unpack_gallery(self._call(self._galleries.GetGallery, request).gallery)

    def delete_gallery(self, gallery: str) -> None:
        """Delete a gallery with all its subjects."""
        request = _request(gallery_v1.DeleteGalleryRequest, gallery=gallery, request_id=_request_id())
        self._call(self._galleries.DeleteGallery, request)

    def enrol(
        self,
        gallery: str,
        subject: str,
        samples: Sequence[Probe],
        *,
        check: EnrolmentCheck = EnrolmentCheck.WARN,
    ) -> Enrolment:
        """Enrol a new subject with one template per good sample."""
        request = _samples(subject_v1.EnrolRequest, gallery, subject, samples, check)
        return wire.unpack_enrolment(self._call(self._subjects.Enrol, request).enrolment)

    def add_samples(
        self,
        gallery: str,
        subject: str,
        samples: Sequence[Probe],
        *,
        check: EnrolmentCheck = EnrolmentCheck.WARN,
    ) -> Enrolment:
        """Add templates to an enrolled subject."""
        request = _samples(subject_v1.AddSamplesRequest, gallery, subject, samples, check)
        return wire.unpack_enrolment(self._call(self._subjects.AddSamples, request).enrolment)

    def list_subjects(self, gallery: str) -> list[SubjectInfo]:
        """List all subjects of a gallery, ordered by id; fetched in pages."""
        found: list[SubjectInfo] = []
        token = ""
        while True:
            request = _request(subject_v1.ListSubjectsRequest, gallery=gallery, page_token=token)
            answer = self._call(self._subjects.ListSubjects, request)
            found.extend(wire.unpack_subject(subject) for subject in answer.subjects)
            token = answer.next_page_token
            if not token:
                return found

    def identify(
        self,
        gallery: str,
        probe: Probe,
        *,
        max_candidates: int = MAX_CANDIDATES,
        operating_point: OperatingPoint | None = None,
    ) -> Decision:
        """Search a gallery for a probe (1:N, open set)."""
        request = _request(
            match.IdentifyRequest,
            gallery=gallery,
            probe=wire.pack_probe(probe),
            max_candidates=max_candidates,
            operating_point=_point(operating_point),
        )
        return wire.unpack_decision(self._call(self._match.Identify, request).decision)

    def verify(
        self, gallery: str, subject: str, probe: Probe, *, operating_point: OperatingPoint | None = None
    ) -> Decision:
        """Compare a probe with the claimed subject (1:1)."""
        request = _request(
            match.VerifyRequest,
            gallery=gallery,
            subject=subject,
            probe=wire.pack_probe(probe),
            operating_point=_point(operating_point),
        )
        return wire.unpack_decision(self._call(self._match.Verify, request).decision)

    def delete_subject(self, gallery: str, subject: str) -> int:
        """Delete a subject and its templates, and return the new revision."""
        request = _request(
            subject_v1.DeleteSubjectRequest, gallery=gallery, subject=subject, request_id=_request_id()
        )
        return int(self._call(self._subjects.DeleteSubject, request).revision)

    def set_terms(self, gallery: str, subject: str, terms: Terms) -> int:
        """Replace the terms under which a subject's templates are stored, and return the new revision."""
        if not isinstance(terms, Terms):
            raise InputError(
                f"Argument terms is of type {type(terms).__name__}", "Terms", "Pass a Terms record"
            )
        request = _request(
            subject_v1.SetTermsRequest,
            gallery=gallery,
            subject=subject,
            terms=wire.pack_terms(terms),
            request_id=_request_id(),
        )
        return int(self._call(self._subjects.SetTerms, request).revision)

    def erase_subject(self, gallery: str, subject: str) -> ErasureReceipt:
        """Delete a subject, scan all files of the galleries for traces of it, and sign a receipt."""
        request = _request(
            subject_v1.EraseSubjectRequest, gallery=gallery, subject=subject, request_id=_request_id()
        )
        return wire.unpack_receipt(self._call(self._subjects.EraseSubject, request).receipt)

    def export_subject(self, gallery: str, subject: str) -> SubjectExport:
        """Export everything a gallery stores about a subject (for subject access requests)."""
        request = _request(subject_v1.ExportSubjectRequest, gallery=gallery, subject=subject)
        return wire.unpack_export(self._call(self._subjects.ExportSubject, request))

    def embed(self, sequence: GaitSequence) -> tuple[Embedding, Quality]:
        """Embed a sequence without storing or searching it."""
        request = _request(match.EmbedRequest, sequence=wire.pack_sequence(sequence))
        answer = self._call(self._match.Embed, request)
        return wire.unpack_embedding(answer.embedding), wire.unpack_quality(answer.quality)

    def back_up(self) -> Backup:
        """Write a backup of all galleries into the server's backup folder."""
        request = admin.CreateBackupRequest(request_id=_request_id())
        return wire.unpack_backup(self._call(self._admin.CreateBackup, request).backup)

    def rotate_keys(self) -> int:
        """Reload the keys of the galleries and wrap every subject's data key with the active key."""
        request = admin.RotateKeysRequest(request_id=_request_id())
        return int(self._call(self._admin.RotateKeys, request).subjects)

    def review(self, gallery: str, audit_id: str, verdict: Verdict) -> int:
        """Record a human verdict on a decision, and return the number of its entry in the audit trail."""
        request = _request(
            match.ReviewDecisionRequest,
            gallery=gallery,
            audit_id=audit_id,
            verdict=wire.pack_verdict(verdict),
            request_id=_request_id(),
        )
        return int(self._call(self._match.ReviewDecision, request).number)

    def list_audit(
        self, after: int = 0, *, count: int = MAX_AUDIT, gallery: str = "", subject: str = ""
    ) -> list[AuditEntry]:
        """List the entries of the audit trail with numbers above `after`, ordered by number."""
        request = _request(admin.ListAuditRequest, after=after, count=count, gallery=gallery, subject=subject)
        answer = self._call(self._admin.ListAudit, request)
        return [wire.unpack_audit_entry(entry) for entry in answer.entries]

    def verify_audit(self) -> AuditHead:
        """Verify the hash chain of the audit trail; takes seconds per million entries."""
        answer = self._call(self._admin.VerifyAudit, admin.VerifyAuditRequest())
        return wire.unpack_audit_head(answer.head)

    def renew_templates(self, gallery: str) -> int:
        """Move all templates of a gallery to a new secret projection; no score changes."""
        request = _request(admin.RenewTemplatesRequest, gallery=gallery, request_id=_request_id())
        return int(self._call(self._admin.RenewTemplates, request).templates)

    def info(self) -> ServerInfo:
        """Return version, encoder and required input."""
        return wire.unpack_info(self._call(self._admin.GetServerInfo, admin.GetServerInfoRequest()))

    def close(self) -> None:
        """Release the connection; the matcher cannot be used afterwards."""
        self._channel.close()

    def _call(self, method: Any, request: Any) -> Any:
        return self._retry(lambda **options: method(request, **options), self._timeout_s)

    def _stream(self, method: Any, upload: Upload) -> Any:
        try:
            return self._retry(
                lambda **options: method(upload.messages(), **options),
                self._stream_timeout_s,
                may_retry=lambda: upload.is_repeatable,
            )
        except MessageError:
            if upload.error is not None:  # the stream was ended early because of it
                raise upload.error from None
            raise

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        purpose = current().purpose
        stated = ((wire.PURPOSE, wire.pack_purpose(purpose)),) if purpose else ()
        return (*stated, *((wire.AUTHORIZATION, f"{wire.BEARER}{self._token}"),) * bool(self._token))

    def _retry(
        self, call: Callable[..., Any], timeout_s: float, may_retry: Callable[[], bool] = lambda: True
    ) -> Any:
        """Make a call, again while the server is unavailable or full; `timeout_s` covers all attempts."""
        deadline = time.monotonic() + timeout_s
        metadata = self._metadata()
        for attempt in count(1):
            try:
                return call(timeout=max(deadline - time.monotonic(), 0.001), metadata=metadata)
            except grpc.RpcError as error:
                found = self._error(error, timeout_s)
                pause = _pause(error.code(), found, attempt)
                if pause is None or time.monotonic() + pause >= deadline or not may_retry():
                    raise found from error
                time.sleep(pause)
            except ValueError as error:  # raised by grpc if the channel is closed
                raise ServerUnreachable(
                    "This matcher is closed", "an open matcher", "Make a new RemoteMatcher"
                ) from error
        raise AssertionError("the last attempt returns or raises")  # pragma: no cover

    def _error(self, error: Any, timeout_s: float) -> GaitIdError:
        """Convert the error of a failed call: the server's own, or the meaning of the gRPC status."""
        for key, value in error.trailing_metadata() or ():
            if key == _DETAILS:
                return wire.unpack_error(_status(value))
        code, text = error.code(), error.details()
        too_large = _TOO_LARGE.search(text or "")
        if too_large:
            return MessageError(
                f"The message has {too_large[1]} bytes",
                f"at most {too_large[2]}",
                "Send fewer frames or samples per call, or raise max_message_bytes on both sides",
            )
        return transport_error(code, f"{self._address}: {text}", timeout_s)


def _pause(code: grpc.StatusCode, error: GaitIdError, attempt: int) -> float | None:
    """Seconds until the next attempt; None = there is none."""
    if isinstance(error, Overloaded) and error.retry_after_s is not None:  # it changed nothing
        return max(error.retry_after_s, BACKOFF_S) * min(attempt, 10) * random.uniform(0.5, 1.5)  # noqa: S311
    if code is grpc.StatusCode.UNAVAILABLE and attempt < ATTEMPTS:
        return BACKOFF_S * 2.0 ** (attempt - 1) * random.uniform(0.5, 1.0)  # noqa: S311
    return None


def _request(kind: Any, **fields: Any) -> Any:
    try:
        return kind(**fields)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"An argument does not fit {kind.DESCRIPTOR.name} ({error})",
            "arguments as in `Matcher`",
            "Check the types and ranges of the arguments",
        ) from error


def _samples(kind: Any, gallery: str, subject: str, samples: Sequence[Probe], check: EnrolmentCheck) -> Any:
    return _request(
        kind,
        gallery=gallery,
        subject=subject,
        samples=_probes(samples),
        check=wire.pack_check(check),
        request_id=_request_id(),
    )


def _probes(samples: Sequence[Probe]) -> list[Any]:
    return [wire.pack_probe(sample) for sample in check_probes(samples)]


def _point(operating_point: OperatingPoint | None) -> Any:
    return None if operating_point is None else wire.pack_operating_point(operating_point)


def _request_id() -> str:
    return str(uuid.uuid4())


def _status(data: Any) -> status_pb2.Status:
    try:
        return status_pb2.Status.FromString(data)
    except DecodeError:
        return status_pb2.Status(message="unreadable status details")
