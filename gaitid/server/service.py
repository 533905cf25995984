"""The rpcs of `gaitid.v1` over any `Matcher`: unwrap the request, call, wrap the answer.

All methods block and are safe to call from several threads if the matcher is; `calls` runs them.
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right

from google.protobuf.message import Message

from gaitid import wire
from gaitid.errors import MessageError
from gaitid.matcher import FPIR, MAX_CANDIDATES, Matcher
from gaitid.records import OperatingPoint
from gaitid.server.replay import Replay
from gaitid.v1 import admin_service_pb2 as admin
from gaitid.v1 import gallery_service_pb2 as gallery
from gaitid.v1 import match_service_pb2 as match
from gaitid.v1 import subject_service_pb2 as subject

SERVICES = (match, gallery, subject, admin)
"""Generated modules whose services are served."""
MAX_PAGE = 1000
"""Subjects or entries of a page at most."""


class Service:
    """One method for each rpc, named as the rpc is.

    Args:
        matcher: Does the work.
    """

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        self._replay = Replay()

    def ExtractTemplate(self, request: match.ExtractTemplateRequest) -> Message:  # noqa: N802
        """Embed a sequence."""
        if not request.HasField("sequence"):
            raise MessageError("request has no sequence", "a sequence", "set it")
        embedding, quality = self._matcher.extract(wire.unpack_sequence(request.sequence))
        return match.ExtractTemplateResponse(
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

    def ReviewDecision(self, request: match.ReviewDecisionRequest) -> Message:  # noqa: N802
        """Record what a human says of a decision."""

        def work() -> Message:
            verdict = wire.unpack_verdict(request.verdict)
            number = self._matcher.review(request.gallery, request.audit_id, verdict)
            return match.ReviewDecisionResponse(number=number)

        return self._replay(request.request_id, request, work)

    def CreateGallery(self, request: gallery.CreateGalleryRequest) -> Message:  # noqa: N802
        """Make a gallery."""

        def work() -> Message:
            info = self._matcher.create_gallery(
                request.gallery,
                operating_point=_operating_point(request),
                fusion=wire.unpack_fusion(request.fusion),
            )
            return gallery.CreateGalleryResponse(gallery=wire.pack_gallery(info))

        return self._replay(request.request_id, request, work)

    def CalibrateGallery(self, request: gallery.CalibrateGalleryRequest) -> Message:  # noqa: N802
        """Learn what scores mean in a gallery."""

        def work() -> Message:
            impostors = wire.unpack_samples(request.strangers)
            calibration = self._matcher.calibrate(request.gallery, impostors)
            return gallery.CalibrateGalleryResponse(calibration=wire.pack_calibration(calibration))

        return self._replay(request.request_id, request, work)

    def SetOperatingPoint(self, request: gallery.SetOperatingPointRequest) -> Message:  # noqa: N802
        """Decide by another rule."""

        def work() -> Message:
            operating_point = _operating_point(request)
            if operating_point is None:
                raise MessageError("request has no operating_point", "one", "set it")
            info = self._matcher.set_operating_point(request.gallery, operating_point)
            return gallery.SetOperatingPointResponse(gallery=wire.pack_gallery(info))

        return self._replay(request.request_id, request, work)

    def NormaliseGallery(self, request: gallery.NormaliseGalleryRequest) -> Message:  # noqa: N802
        """Correct scores by a cohort."""

        def work() -> Message:
            cohort = wire.unpack_samples(request.cohort)
            fpir = request.fpir if request.HasField("fpir") else FPIR
            info = self._matcher.normalise(request.gallery, cohort, fpir=fpir)
            return gallery.NormaliseGalleryResponse(normalisation=wire.pack_normalisation(info))

        return self._replay(request.request_id, request, work)

    def StopNormalising(self, request: gallery.StopNormalisingRequest) -> Message:  # noqa: N802
        """Erase the cohort."""

        def work() -> Message:
            info = self._matcher.stop_normalising(request.gallery)
            return gallery.StopNormalisingResponse(gallery=wire.pack_gallery(info))

        return self._replay(request.request_id, request, work)

    def GetGallery(self, request: gallery.GetGalleryRequest) -> Message:  # noqa: N802
        """Show a gallery."""
        info = self._matcher.describe(request.gallery)
        return gallery.GetGalleryResponse(gallery=wire.pack_gallery(info))

    def ListGalleries(self, request: gallery.ListGalleriesRequest) -> Message:  # noqa: N802
        """Show all galleries."""
        infos = self._matcher.list_galleries()
        return gallery.ListGalleriesResponse(galleries=[wire.pack_gallery(info) for info in infos])

    def DeleteGallery(self, request: gallery.DeleteGalleryRequest) -> Message:  # noqa: N802
        """Delete a gallery."""

        def work() -> Message:
            self._matcher.delete_gallery(request.gallery)
            return gallery.DeleteGalleryResponse()

        return self._replay(request.request_id, request, work)

    def Enrol(self, request: subject.EnrolRequest) -> Message:  # noqa: N802
        """Add a subject."""

        def work() -> Message:
            samples = wire.unpack_samples(request.samples)
            check = wire.unpack_check(request.check)
            enrolment = self._matcher.enrol(request.gallery, request.subject, samples, check=check)
            return subject.EnrolResponse(enrolment=wire.pack_enrolment(enrolment))

        return self._replay(request.request_id, request, work)

    def AddSamples(self, request: subject.AddSamplesRequest) -> Message:  # noqa: N802
        """Add templates to a subject."""

        def work() -> Message:
            samples = wire.unpack_samples(request.samples)
            check = wire.unpack_check(request.check)
            enrolment = self._matcher.add_samples(request.gallery, request.subject, samples, check=check)
            return subject.AddSamplesResponse(enrolment=wire.pack_enrolment(enrolment))

        return self._replay(request.request_id, request, work)

    def ListSubjects(self, request: subject.ListSubjectsRequest) -> Message:  # noqa: N802
        """Show a page of subjects."""
        if request.page_size < 0:
            raise MessageError(f"page_size is {request.page_size}", "0 or more", "leave it out")
        after = _subject_of(request.page_token, request.gallery)
        subjects = self._matcher.list_subjects(request.gallery)
        first = bisect_right(subjects, after, key=lambda info: info.id)
        last = first + min(request.page_size or MAX_PAGE, MAX_PAGE)
        page = subjects[first:last]
        token = _page_token(request.gallery, page[-1].id) if last < len(subjects) else ""
        return subject.ListSubjectsResponse(
            subjects=[wire.pack_subject(info) for info in page], next_page_token=token
        )

    def DeleteSubject(self, request: subject.DeleteSubjectRequest) -> Message:  # noqa: N802
        """Delete a subject."""

        def work() -> Message:
            revision = self._matcher.delete_subject(request.gallery, request.subject)
            return subject.DeleteSubjectResponse(revision=revision)

        return self._replay(request.request_id, request, work)

    def SetTerms(self, request: subject.SetTermsRequest) -> Message:  # noqa: N802
        """Record on what terms a subject is held."""

        def work() -> Message:
            terms = wire.unpack_terms(request.terms)
            revision = self._matcher.set_terms(request.gallery, request.subject, terms)
            return subject.SetTermsResponse(revision=revision)

        return self._replay(request.request_id, request, work)

    def EraseSubject(self, request: subject.EraseSubjectRequest) -> Message:  # noqa: N802
        """Delete a subject, with a receipt."""

        def work() -> Message:
            receipt = self._matcher.erase_subject(request.gallery, request.subject)
            return subject.EraseSubjectResponse(receipt=wire.pack_receipt(receipt))

        return self._replay(request.request_id, request, work)

    def ExportSubject(self, request: subject.ExportSubjectRequest) -> Message:  # noqa: N802
        """Show all that is held of a subject."""
        return wire.pack_export(self._matcher.export_subject(request.gallery, request.subject))

    def CreateBackup(self, request: admin.CreateBackupRequest) -> Message:  # noqa: N802
        """Write a backup into the server's folder for them."""

        def work() -> Message:
            return admin.CreateBackupResponse(backup=wire.pack_backup(self._matcher.back_up()))

        return self._replay(request.request_id, request, work)

    def RotateKeys(self, request: admin.RotateKeysRequest) -> Message:  # noqa: N802
        """Bring every subject under the key in use."""

        def work() -> Message:
            return admin.RotateKeysResponse(subjects=self._matcher.rotate_keys())

        return self._replay(request.request_id, request, work)

    def ListAudit(self, request: admin.ListAuditRequest) -> Message:  # noqa: N802
        """Show entries of the audit trail."""
        entries = self._matcher.list_audit(
            request.after,
            count=request.count if request.HasField("count") else MAX_PAGE,
            gallery=request.gallery,
            subject=request.subject,
        )
        return admin.ListAuditResponse(entries=[wire.pack_audit_entry(entry) for entry in entries])

    def VerifyAudit(self, request: admin.VerifyAuditRequest) -> Message:  # noqa: N802
        """Follow the audit trail."""
        return admin.VerifyAuditResponse(head=wire.pack_audit_head(self._matcher.verify_audit()))

    def RenewTemplates(self, request: admin.RenewTemplatesRequest) -> Message:  # noqa: N802
        """Bring all templates of a gallery under a new projection."""

        def work() -> Message:
            return admin.RenewTemplatesResponse(templates=self._matcher.renew_templates(request.gallery))

        return self._replay(request.request_id, request, work)

    def GetServerInfo(self, request: admin.GetServerInfoRequest) -> Message:  # noqa: N802
        """Show version, encoder and wanted input."""
        return wire.pack_info(self._matcher.info())


def _operating_point(
    request: match.VerifyRequest
    | match.IdentifyRequest
    | gallery.CreateGalleryRequest
    | gallery.SetOperatingPointRequest,
) -> OperatingPoint | None:
    chosen = request.HasField("operating_point")
    return wire.unpack_operating_point(request.operating_point) if chosen else None


def _page_token(gallery_name: str, last: str) -> str:
    return base64.urlsafe_b64encode(f"{gallery_name} {last}".encode()).decode()


def _subject_of(token: str, gallery_name: str) -> str:
    if not token:
        return ""
    try:
        name, _, last = base64.b64decode(token, b"-_", validate=True).decode().partition(" ")
    except (binascii.Error, ValueError):
        name, last = "", ""
    if name != gallery_name or not last:
        raise MessageError(
            "page_token is none of this gallery", "next_page_token of the page before", "begin again"
        )
    return last
