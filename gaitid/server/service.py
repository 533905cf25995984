"""The rpcs of `gaitid.v1` over any `Matcher`: unpack the request, call, pack the answer.

All methods block and are safe to call from several threads if the matcher is; `calls` runs them.
Streamed requests are in `uploads`.
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any, TypeVar, cast

from google.protobuf.message import Message

from gaitid import wire
from gaitid.errors import MessageError
from gaitid.matcher import FPIR, MAX_AUDIT, MAX_CANDIDATES, MAX_PAGE, Matcher
from gaitid.records import Embedding, OperatingPoint
from gaitid.selection import check_fpir, check_learning
from gaitid.server.access import is_visible
from gaitid.server.replay import Answers, Digest, Replay
from gaitid.server.uploads import Upload
from gaitid.v1 import admin_service_pb2 as admin
from gaitid.v1 import camera_service_pb2 as camera
from gaitid.v1 import gallery_service_pb2 as gallery
from gaitid.v1 import match_service_pb2 as match
from gaitid.v1 import subject_service_pb2 as subject

SERVICES = (match, gallery, subject, camera, admin)
"""Generated modules of the services."""

_GALLERIES = "*"
"""The list of galleries in page tokens; no gallery has this name."""
T = TypeVar("T")
Method = TypeVar("Method", bound=Callable[..., Message])


def _once(change: Method) -> Method:
    """Make an rpc return its earlier answer if its `request_id` was used before."""

    @wraps(change)
    def answer(service: Service, request: Any) -> Message:
        work = partial(change, service, request)
        return service._replay(request.request_id, Digest(request).value(), work)

    return cast(Method, answer)


class Service:
    """One method per rpc, with the name of the rpc; a streamed request gets an `Upload`.

    Args:
        matcher: Does the work.
        answers: Keeps the answers of changes over a restart; None = they are not kept.
    """

    def __init__(self, matcher: Matcher, answers: Answers | None = None) -> None:
        self._matcher = matcher
        self._replay = Replay(answers=answers)

    def Embed(self, request: match.EmbedRequest) -> Message:  # noqa: N802
        """Embed a sequence."""
        if not request.HasField("sequence"):
            raise MessageError("The request has no sequence", "a sequence", "Set field sequence")
        embedding, quality = self._matcher.embed(wire.unpack_sequence(request.sequence))
        return match.EmbedResponse(
            embedding=wire.pack_embedding(embedding), quality=wire.pack_quality(quality)
        )

    def Verify(self, request: match.VerifyRequest) -> Message:  # noqa: N802
        """Compare a probe with a subject."""
        decision = self._matcher.verify(
            request.gallery,
            request.subject,
            wire.unpack_probe(request.probe),
            operating_point=_operating_point(request),
        )
        return match.VerifyResponse(decision=wire.pack_decision(decision))

    def Identify(self, request: match.IdentifyRequest) -> Message:  # noqa: N802
        """Search a gallery for a probe."""
        chosen = request.HasField("max_candidates")
        decision = self._matcher.identify(
            request.gallery,
            wire.unpack_probe(request.probe),
            max_candidates=request.max_candidates if chosen else MAX_CANDIDATES,
            operating_point=_operating_point(request),
        )
        return match.IdentifyResponse(decision=wire.pack_decision(decision))

    @_once
    def ReviewDecision(self, request: match.ReviewDecisionRequest) -> Message:  # noqa: N802
        """Record a human verdict on a decision."""
        verdict = wire.unpack_verdict(request.verdict)
        number = self._matcher.review(request.gallery, request.audit_id, verdict)
        return match.ReviewDecisionResponse(number=number)

    @_once
    def CreateGallery(self, request: gallery.CreateGalleryRequest) -> Message:  # noqa: N802
        """Create a gallery."""
        info = self._matcher.create_gallery(
            request.gallery,
            operating_point=_operating_point(request),
            fusion=wire.unpack_fusion(request.fusion),
            profiles=request.profiles if request.HasField("profiles") else True,
        )
        return gallery.CreateGalleryResponse(gallery=wire.pack_gallery(info))

    def CalibrateGallery(self) -> Upload:  # noqa: N802
        """Calibrate a gallery."""

        def act(first: gallery.CalibrateGalleryRequest, impostors: list[Embedding]) -> Message:
            calibration = self._matcher.calibrate(first.gallery, impostors)
            return gallery.CalibrateGalleryResponse(calibration=wire.pack_calibration(calibration))

        return Upload(self._matcher, self._replay, "impostors", act)

    @_once
    def SetOperatingPoint(self, request: gallery.SetOperatingPointRequest) -> Message:  # noqa: N802
        """Replace the operating point."""
        point = _operating_point(request)
        if point is None:
            raise MessageError(
                "The request has no operating_point", "an operating point", "Set field operating_point"
            )
        info = self._matcher.set_operating_point(request.gallery, point)
        return gallery.SetOperatingPointResponse(gallery=wire.pack_gallery(info))

    @_once
    def SetProfiles(self, request: gallery.SetProfilesRequest) -> Message:  # noqa: N802
        """Switch camera profiles on or off."""
        info = self._matcher.set_profiles(request.gallery, request.profiles)
        return gallery.SetProfilesResponse(gallery=wire.pack_gallery(info))

    def NormaliseGallery(self) -> Upload:  # noqa: N802
        """Normalise scores by a cohort."""

        def act(first: gallery.NormaliseGalleryRequest, cohort: list[Embedding]) -> Message:
            info = self._matcher.normalise(first.gallery, cohort, fpir=_fpir(first))
            return gallery.NormaliseGalleryResponse(normalisation=wire.pack_normalisation(info))

        return Upload(self._matcher, self._replay, "cohort", act, lambda first: check_fpir(_fpir(first)))

    @_once
    def StopNormalising(self, request: gallery.StopNormalisingRequest) -> Message:  # noqa: N802
        """Erase the cohort and stop normalising."""
        info = self._matcher.stop_normalising(request.gallery)
        return gallery.StopNormalisingResponse(gallery=wire.pack_gallery(info))

    def GetGallery(self, request: gallery.GetGalleryRequest) -> Message:  # noqa: N802
        """Describe a gallery."""
        info = self._matcher.describe(request.gallery)
        return gallery.GetGalleryResponse(gallery=wire.pack_gallery(info))

    def ListGalleries(self, request: gallery.ListGalleriesRequest) -> Message:  # noqa: N802
        """Describe a page of galleries."""
        infos = [info for info in self._matcher.list_galleries() if is_visible(info.name)]
        page, token = _page(infos, lambda info: info.name, request, _GALLERIES)
        return gallery.ListGalleriesResponse(
            galleries=[wire.pack_gallery(info) for info in page], next_page_token=token
        )

    @_once
    def DeleteGallery(self, request: gallery.DeleteGalleryRequest) -> Message:  # noqa: N802
        """Delete a gallery."""
        self._matcher.delete_gallery(request.gallery)
        return gallery.DeleteGalleryResponse()

    @_once
    def Enrol(self, request: subject.EnrolRequest) -> Message:  # noqa: N802
        """Enrol a subject."""
        samples = wire.unpack_samples(request.samples)
        check = wire.unpack_check(request.check)
        enrolment = self._matcher.enrol(request.gallery, request.subject, samples, check=check)
        return subject.EnrolResponse(enrolment=wire.pack_enrolment(enrolment))

    @_once
    def AddSamples(self, request: subject.AddSamplesRequest) -> Message:  # noqa: N802
        """Add templates to an enrolled subject."""
        samples = wire.unpack_samples(request.samples)
        check = wire.unpack_check(request.check)
        enrolment = self._matcher.add_samples(request.gallery, request.subject, samples, check=check)
        return subject.AddSamplesResponse(enrolment=wire.pack_enrolment(enrolment))

    def ListSubjects(self, request: subject.ListSubjectsRequest) -> Message:  # noqa: N802
        """List a page of subjects."""
        subjects = self._matcher.list_subjects(request.gallery)
        page, token = _page(subjects, lambda info: info.id, request, request.gallery)
        return subject.ListSubjectsResponse(
            subjects=[wire.pack_subject(info) for info in page], next_page_token=token
        )

    @_once
    def DeleteSubject(self, request: subject.DeleteSubjectRequest) -> Message:  # noqa: N802
        """Delete a subject."""
        revision = self._matcher.delete_subject(request.gallery, request.subject)
        return subject.DeleteSubjectResponse(revision=revision)

    @_once
    def SetTerms(self, request: subject.SetTermsRequest) -> Message:  # noqa: N802
        """Replace the terms of a subject."""
        terms = wire.unpack_terms(request.terms)
        revision = self._matcher.set_terms(request.gallery, request.subject, terms)
        return subject.SetTermsResponse(revision=revision)

    @_once
    def EraseSubject(self, request: subject.EraseSubjectRequest) -> Message:  # noqa: N802
        """Delete a subject and return a receipt."""
        receipt = self._matcher.erase_subject(request.gallery, request.subject)
        return subject.EraseSubjectResponse(receipt=wire.pack_receipt(receipt))

    def ExportSubject(self, request: subject.ExportSubjectRequest) -> Message:  # noqa: N802
        """Export everything that is stored about a subject."""
        return wire.pack_export(self._matcher.export_subject(request.gallery, request.subject))

    def LearnCamera(self) -> Upload:  # noqa: N802
        """Learn the profile of a camera."""

        def act(first: camera.LearnCameraRequest, walks: list[Embedding]) -> Message:
            profile = self._matcher.learn_camera(
                first.gallery, first.camera, walks, direction=first.direction
            )
            return camera.LearnCameraResponse(profile=wire.pack_camera(profile))

        def check(first: camera.LearnCameraRequest) -> None:
            check_learning(self._matcher.describe(first.gallery), first.camera, first.direction)

        return Upload(self._matcher, self._replay, "walks", act, check)

    def ListCameras(self, request: camera.ListCamerasRequest) -> Message:  # noqa: N802
        """List the camera profiles of a gallery."""
        found = self._matcher.cameras(request.gallery)
        return camera.ListCamerasResponse(profiles=[wire.pack_camera(profile) for profile in found])

    @_once
    def ForgetCamera(self, request: camera.ForgetCameraRequest) -> Message:  # noqa: N802
        """Forget all profiles of a camera."""
        return camera.ForgetCameraResponse(
            profiles=self._matcher.forget_camera(request.gallery, request.camera)
        )

    @_once
    def CreateBackup(self, request: admin.CreateBackupRequest) -> Message:  # noqa: N802
        """Write a backup into the server's backup folder."""
        return admin.CreateBackupResponse(backup=wire.pack_backup(self._matcher.back_up()))

    @_once
    def RotateKeys(self, request: admin.RotateKeysRequest) -> Message:  # noqa: N802
        """Re-encrypt every subject with the active key."""
        return admin.RotateKeysResponse(subjects=self._matcher.rotate_keys())

    def ListAudit(self, request: admin.ListAuditRequest) -> Message:  # noqa: N802
        """List entries of the audit trail."""
        entries = self._matcher.list_audit(
            request.after,
            count=request.count if request.HasField("count") else MAX_AUDIT,
            gallery=request.gallery,
            subject=request.subject,
        )
        return admin.ListAuditResponse(entries=[wire.pack_audit_entry(entry) for entry in entries])

    def VerifyAudit(self, request: admin.VerifyAuditRequest) -> Message:  # noqa: N802
        """Verify the audit trail."""
        return admin.VerifyAuditResponse(head=wire.pack_audit_head(self._matcher.verify_audit()))

    @_once
    def RenewTemplates(self, request: admin.RenewTemplatesRequest) -> Message:  # noqa: N802
        """Move all templates of a gallery to a new projection."""
        return admin.RenewTemplatesResponse(templates=self._matcher.renew_templates(request.gallery))

    def GetServerInfo(self, request: admin.GetServerInfoRequest) -> Message:  # noqa: N802
        """Return version, encoder and required input."""
        return wire.pack_info(self._matcher.info())


def _fpir(request: gallery.NormaliseGalleryRequest) -> float:
    return request.fpir if request.HasField("fpir") else FPIR


def _operating_point(
    request: match.VerifyRequest
    | match.IdentifyRequest
    | gallery.CreateGalleryRequest
    | gallery.SetOperatingPointRequest,
) -> OperatingPoint | None:
    chosen = request.HasField("operating_point")
    return wire.unpack_operating_point(request.operating_point) if chosen else None


def _page(
    found: Sequence[T],
    key: Callable[[T], str],
    request: subject.ListSubjectsRequest | gallery.ListGalleriesRequest,
    of: str,
) -> tuple[Sequence[T], str]:
    """The page of a list that a request asks for, and the token of the next one.

    Args:
        found: All items, ordered by their key.
        key: Name of an item.
        request: Has the size and the token of the page.
        of: What is listed; a token is valid for the same list only.

    Raises:
        MessageError: The size is negative, or the token is not one of this list.
    """
    if request.page_size < 0:
        raise MessageError(f"Field page_size is {request.page_size}", "0 or more", "Leave it out for 1000")
    first = bisect_right(found, _last_of(request.page_token, of), key=key)
    last = first + min(request.page_size or MAX_PAGE, MAX_PAGE)
    page = found[first:last]
    return page, _page_token(of, key(page[-1])) if last < len(found) else ""


def _page_token(of: str, last: str) -> str:
    return base64.urlsafe_b64encode(f"{of} {last}".encode()).decode()


def _last_of(token: str, of: str) -> str:
    if not token:
        return ""
    try:
        name, _, last = base64.b64decode(token, b"-_", validate=True).decode().partition(" ")
    except (binascii.Error, ValueError):
        name, last = "", ""
    if name != of or not last:
        raise MessageError(
            f"Field page_token is not from {'the galleries' if of == _GALLERIES else 'this gallery'}",
            "next_page_token of the previous page",
            "Start again without page_token",
        )
    return last
