"""Every rpc, good and bad, over a real connection and the bare stubs."""

from __future__ import annotations

import uuid
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gaitid import wire
from gaitid.encoders.gei import GEI
from gaitid.gallery.care.backup import verify
from gaitid.gallery.care.identity import check as check_receipt
from gaitid.local import LocalMatcher
from gaitid.server.service import SERVICES, Service
from gaitid.v1 import admin_service_pb2 as admin
from gaitid.v1 import camera_service_pb2 as camera
from gaitid.v1 import decision_pb2 as decision
from gaitid.v1 import gallery_service_pb2 as gallery
from gaitid.v1 import match_service_pb2 as match
from gaitid.v1 import subject_service_pb2 as subject

RPCS = {
    method.name: (
        f"/{service.full_name}/{method.name}",
        getattr(module, method.output_type.name),
        method.client_streaming,
    )
    for module in SERVICES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


@pytest.fixture
def call(address):
    """Calls an rpc by its name with a message or bytes, or with several for a streamed request."""
    with grpc.insecure_channel(address) as channel:

        def make(name, *requests):
            path, answer, is_streamed = RPCS[name]
            data = [one if isinstance(one, bytes) else one.SerializeToString() for one in requests]
            options = {"response_deserializer": answer.FromString}
            if is_streamed:
                return channel.stream_unary(path, **options)(iter(data), timeout=5)
            return channel.unary_unary(path, **options)(*data, timeout=5)

        yield make


def refused(call, name, request):
    """Code name and ErrorInfo reason of a refused call."""
    with pytest.raises(grpc.RpcError) as caught:
        call(name, request)
    metadata = dict(caught.value.trailing_metadata())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "gaitid"
    assert info.metadata["got"]
    return caught.value.code().name, info.reason


@pytest.fixture
def home(call, vector):
    """A gallery with ada and bob."""
    call("CreateGallery", gallery.CreateGalleryRequest(gallery="home"))
    for seed, name in enumerate(("ada", "bob")):
        samples = [wire.pack_probe(vector(seed))]
        call("Enrol", subject.EnrolRequest(gallery="home", subject=name, samples=samples))


def test_all_rpcs_of_the_protos_are_tested():
    here = Path(__file__).read_text()
    assert len(RPCS) == 29
    assert not [name for name in RPCS if f'"{name}"' not in here]


def test_a_gallery_from_creation_to_deletion(call):
    assert not call("ListGalleries", gallery.ListGalleriesRequest()).galleries
    made = call("CreateGallery", gallery.CreateGalleryRequest(gallery="home")).gallery
    assert (made.name, made.encoder, made.dimension, made.subjects) == ("home", "gei", 1408, 0)
    assert made.operating_point.threshold == pytest.approx(GEI.threshold)
    assert call("GetGallery", gallery.GetGalleryRequest(gallery="home")).gallery == made
    assert list(call("ListGalleries", gallery.ListGalleriesRequest()).galleries) == [made]
    call("DeleteGallery", gallery.DeleteGalleryRequest(gallery="home"))
    assert not call("ListGalleries", gallery.ListGalleriesRequest()).galleries


@pytest.mark.usefixtures("home")
def test_a_subject_from_enrolment_to_deletion(call, vector):
    probe = wire.pack_probe(vector(0))
    found = call("Identify", match.IdentifyRequest(gallery="home", probe=probe)).decision
    assert found.outcome == 1
    assert [candidate.subject for candidate in found.candidates] == ["ada", "bob"]
    assert found.candidates[0].score == pytest.approx(1.0)
    assert not found.HasField("quality")
    more = call("AddSamples", subject.AddSamplesRequest(gallery="home", subject="bob", samples=[probe]))
    assert len(more.enrolment.templates) == 1
    claimed = call("Verify", match.VerifyRequest(gallery="home", subject="bob", probe=probe)).decision
    assert (claimed.outcome, len(claimed.candidates)) == (1, 1)
    gone = call("DeleteSubject", subject.DeleteSubjectRequest(gallery="home", subject="bob"))
    assert gone.revision > more.enrolment.revision
    left = call("ListSubjects", subject.ListSubjectsRequest(gallery="home")).subjects
    assert [info.id for info in left] == ["ada"]


def test_a_gallery_is_calibrated_and_gets_a_target_rate(call, vector):
    call("CreateGallery", gallery.CreateGalleryRequest(gallery="home", fusion="FUSION_MEAN"))
    for seed in range(3):
        samples = [wire.pack_probe(vector(seed))]
        call("Enrol", subject.EnrolRequest(gallery="home", subject=f"s{seed}", samples=samples))
    impostors = [wire.pack_probe(vector(100 + seed)) for seed in range(400)]
    request = gallery.CalibrateGalleryRequest(
        gallery="home", impostors=impostors, request_id=str(uuid.uuid4()), last=True
    )
    learnt = call("CalibrateGallery", request).calibration
    assert (learnt.source, learnt.comparisons) == (2, 1200)
    assert call("CalibrateGallery", request).calibration == learnt
    operating_point = decision.OperatingPoint(fpir=0.01, review_band=0.1)
    ruled = call(
        "SetOperatingPoint", gallery.SetOperatingPointRequest(gallery="home", operating_point=operating_point)
    ).gallery
    assert (ruled.calibration, ruled.fusion, ruled.revision) == (learnt, 2, 5)
    assert ruled.operating_point.fpir == 0.01
    assert 0 < ruled.operating_point.threshold < 0.5
    found = call("Identify", match.IdentifyRequest(gallery="home", probe=impostors[0])).decision
    assert found.operating_point == ruled.operating_point
    rates = [candidate.fpir_at_score for candidate in found.candidates]
    assert rates == sorted(rates)
    assert all(0 < rate <= 1 for rate in rates)


def test_a_sequence_is_embedded(call, walk, local):
    sequence = walk()
    request = match.EmbedRequest(sequence=wire.pack_sequence(sequence))
    answer = call("Embed", request)
    embedding, quality = local.embed(sequence)
    assert wire.unpack_embedding(answer.embedding).vector.tobytes() == embedding.vector.tobytes()
    assert wire.unpack_quality(answer.quality) == quality


@pytest.mark.usefixtures("home")
def test_a_subject_is_exported_and_erased_with_a_receipt(call, vector):
    held = call("ExportSubject", subject.ExportSubjectRequest(gallery="home", subject="ada"))
    assert (held.gallery, held.subject, len(held.templates)) == ("home", "ada", 1)
    assert wire.unpack_embedding(held.templates[0].embedding).contract == GEI.contract
    terms = subject.Terms(legal_basis="consent", legal_hold=True)
    record = subject.SetTermsRequest(gallery="home", subject="ada", terms=terms)
    assert call("SetTerms", record).revision == 3
    listed = call("ListSubjects", subject.ListSubjectsRequest(gallery="home")).subjects
    assert [info.terms for info in listed] == [terms, subject.Terms()]
    delete = subject.DeleteSubjectRequest(gallery="home", subject="ada")
    assert refused(call, "DeleteSubject", delete) == ("FAILED_PRECONDITION", "SUBJECT_HELD")
    call("SetTerms", subject.SetTermsRequest(gallery="home", subject="ada"))
    request = subject.EraseSubjectRequest(gallery="home", subject="ada", request_id=str(uuid.uuid4()))
    receipt = call("EraseSubject", request).receipt
    assert call("EraseSubject", request).receipt == receipt
    check_receipt(wire.unpack_receipt(receipt))
    export = subject.ExportSubjectRequest(gallery="home", subject="ada")
    assert refused(call, "ExportSubject", export) == ("NOT_FOUND", "SUBJECT_NOT_FOUND")


@pytest.mark.usefixtures("home")
def test_a_decision_is_reviewed_and_recorded(call, vector):
    probe = wire.pack_probe(vector(0))
    found = call("Identify", match.IdentifyRequest(gallery="home", probe=probe)).decision
    assert len(found.audit_id) == 16
    request = match.ReviewDecisionRequest(gallery="home", audit_id=found.audit_id, verdict=1, request_id="r")
    assert [call("ReviewDecision", request).number for _ in range(2)] == [
        5,
        5,
    ]  # a retry is no second verdict
    entries = call("ListAudit", admin.ListAuditRequest(after=3, gallery="home")).entries
    assert [(e.number, e.action, e.outcome) for e in entries] == [
        (4, "identify", "match"),
        (5, "review", "confirmed"),
    ]
    assert [e.reference for e in entries] == [found.audit_id] * 2
    assert {e.actor for e in entries} == {"anonymous"}
    assert len(call("ListAudit", admin.ListAuditRequest(count=2)).entries) == 2
    head = wire.unpack_audit_head(call("VerifyAudit", admin.VerifyAuditRequest()).head)
    check_receipt(head)
    assert (head.number, head.hash) == (5, entries[-1].hash)


def test_a_server_without_keys_has_none_to_rotate(call):
    assert refused(call, "RotateKeys", admin.RotateKeysRequest()) == ("FAILED_PRECONDITION", "KEY_MISSING")


def test_a_server_without_keys_renews_nothing(call):
    call("CreateGallery", gallery.CreateGalleryRequest(gallery="home"))
    request = admin.RenewTemplatesRequest(gallery="home")
    assert refused(call, "RenewTemplates", request) == ("FAILED_PRECONDITION", "KEY_MISSING")


def test_a_small_cohort_is_refused(call, vector):
    call("CreateGallery", gallery.CreateGalleryRequest(gallery="home"))
    cohort = [wire.pack_probe(vector(seed)) for seed in range(100)]
    request = gallery.NormaliseGalleryRequest(gallery="home", cohort=cohort, last=True)
    assert refused(call, "NormaliseGallery", request) == ("FAILED_PRECONDITION", "NOT_CALIBRATED")
    request = gallery.NormaliseGalleryRequest(gallery="home", cohort=cohort, fpir=0.0)
    assert refused(call, "NormaliseGallery", request) == ("INVALID_ARGUMENT", "INPUT_ERROR")
    request = gallery.StopNormalisingRequest(gallery="home", request_id=str(uuid.uuid4()))
    stopped = call("StopNormalising", request).gallery
    assert (stopped.revision, stopped.HasField("normalisation")) == (1, False)
    assert call("StopNormalising", request).gallery == stopped


def test_a_camera_is_learned_used_and_forgotten(call, walk):
    call("CreateGallery", gallery.CreateGalleryRequest(gallery="home"))
    walks = [wire.pack_probe(walk(seed)) for seed in range(5)]
    samples = [wire.pack_probe(walk(9))]
    call("Enrol", subject.EnrolRequest(gallery="home", subject="ada", samples=samples))
    request = camera.LearnCameraRequest(
        gallery="home", camera="gate-3", walks=walks, request_id=str(uuid.uuid4()), last=True
    )
    profile = call("LearnCamera", request).profile
    assert (profile.camera, profile.direction, profile.version, profile.walks) == ("gate-3", "", 1, 5)
    assert profile.people == pytest.approx(5)
    assert 0 < profile.shift < 1
    assert call("LearnCamera", request).profile == profile  # a retry learns nothing twice
    listed = call("ListCameras", camera.ListCamerasRequest(gallery="home"))
    assert list(listed.profiles) == [profile]
    probe = wire.pack_probe(walk(9, noise=1))
    probe.sequence.camera = "gate-3"
    found = call("Identify", match.IdentifyRequest(gallery="home", probe=probe)).decision
    assert found.profile_version == 1
    assert call("Verify", match.VerifyRequest(gallery="home", subject="ada", probe=probe)).decision
    request = gallery.SetProfilesRequest(gallery="home", profiles=False, request_id=str(uuid.uuid4()))
    switched = call("SetProfiles", request).gallery
    assert not switched.profiles
    assert call("SetProfiles", request).gallery == switched
    found = call("Identify", match.IdentifyRequest(gallery="home", probe=probe)).decision
    assert found.profile_version == 0
    request = camera.ForgetCameraRequest(gallery="home", camera="gate-3", request_id=str(uuid.uuid4()))
    assert [call("ForgetCamera", request).profiles for _ in range(2)] == [1, 1]
    again = camera.ForgetCameraRequest(gallery="home", camera="gate-3")
    assert call("ForgetCamera", again).profiles == 0
    assert not call("ListCameras", camera.ListCamerasRequest(gallery="home")).profiles


def test_a_gallery_uses_profiles_unless_it_is_told_not_to(call):
    for name, chosen in (("one", {}), ("two", {"profiles": True}), ("three", {"profiles": False})):
        made = call("CreateGallery", gallery.CreateGalleryRequest(gallery=name, **chosen)).gallery
        assert made.profiles is (name != "three")


def test_a_server_without_a_folder_for_backups_makes_none(call):
    request = admin.CreateBackupRequest()
    assert refused(call, "CreateBackup", request) == ("INVALID_ARGUMENT", "CONFIG_ERROR")


def test_a_repeated_request_makes_no_second_backup(tmp_path, vector):
    matcher = LocalMatcher(GEI(), tmp_path / "data", index="exact", backups=tmp_path / "backups")
    matcher.create_gallery("home")
    matcher.enrol("home", "ada", [vector(0)])
    service, request = Service(matcher), admin.CreateBackupRequest(request_id=str(uuid.uuid4()))
    made = wire.unpack_backup(service.CreateBackup(request).backup)
    assert wire.unpack_backup(service.CreateBackup(request).backup) == made
    assert [path.name for path in (tmp_path / "backups").iterdir()] == [made.name]
    assert verify(tmp_path / "backups" / made.name) == made
    matcher.close()


def test_the_server_describes_itself(call, local):
    answer = call("GetServerInfo", admin.GetServerInfoRequest())
    assert wire.unpack_info(answer) == local.info()


@pytest.mark.usefixtures("home")
def test_max_candidates_is_five_unless_given(call, vector):
    for seed in range(2, 7):
        samples = [wire.pack_probe(vector(seed))]
        call("Enrol", subject.EnrolRequest(gallery="home", subject=f"s{seed}", samples=samples))
    request = match.IdentifyRequest(gallery="home", probe=wire.pack_probe(vector(0)))
    assert len(call("Identify", request).decision.candidates) == 5
    request.max_candidates = 7
    assert len(call("Identify", request).decision.candidates) == 7
    request.max_candidates = 0
    assert refused(call, "Identify", request) == ("INVALID_ARGUMENT", "INPUT_ERROR")


BAD = {
    "no sequence": ("Embed", match.EmbedRequest(), "INVALID_ARGUMENT", "MESSAGE_ERROR"),
    "no probe": ("Identify", match.IdentifyRequest(gallery="home"), "INVALID_ARGUMENT", "MESSAGE_ERROR"),
    "no claimed probe": (
        "Verify",
        match.VerifyRequest(gallery="home", subject="ada"),
        "INVALID_ARGUMENT",
        "MESSAGE_ERROR",
    ),
    "empty name": ("CreateGallery", gallery.CreateGalleryRequest(), "INVALID_ARGUMENT", "INPUT_ERROR"),
    "taken name": (
        "CreateGallery",
        gallery.CreateGalleryRequest(gallery="home"),
        "ALREADY_EXISTS",
        "GALLERY_EXISTS",
    ),
    "bad threshold": (
        "CreateGallery",
        gallery.CreateGalleryRequest(
            gallery="new", operating_point=decision.OperatingPoint(threshold=float("nan"))
        ),
        "INVALID_ARGUMENT",
        "INPUT_ERROR",
    ),
    "long request id": (
        "CreateGallery",
        gallery.CreateGalleryRequest(gallery="new", request_id="x" * 65),
        "INVALID_ARGUMENT",
        "MESSAGE_ERROR",
    ),
    "unknown gallery": (
        "GetGallery",
        gallery.GetGalleryRequest(gallery="x"),
        "NOT_FOUND",
        "GALLERY_NOT_FOUND",
    ),
    "unknown deleted gallery": (
        "DeleteGallery",
        gallery.DeleteGalleryRequest(gallery="x"),
        "NOT_FOUND",
        "GALLERY_NOT_FOUND",
    ),
    "no samples": (
        "Enrol",
        subject.EnrolRequest(gallery="home", subject="eve"),
        "INVALID_ARGUMENT",
        "INPUT_ERROR",
    ),
    "unknown enrolled subject": (
        "AddSamples",
        subject.AddSamplesRequest(gallery="home", subject="eve"),
        "NOT_FOUND",
        "SUBJECT_NOT_FOUND",
    ),
    "unknown subject": (
        "DeleteSubject",
        subject.DeleteSubjectRequest(gallery="home", subject="eve"),
        "NOT_FOUND",
        "SUBJECT_NOT_FOUND",
    ),
    "nameless camera": (
        "LearnCamera",
        camera.LearnCameraRequest(gallery="home", last=True),
        "INVALID_ARGUMENT",
        "INPUT_ERROR",
    ),
    "unknown direction": (
        "LearnCamera",
        camera.LearnCameraRequest(gallery="home", camera="gate", direction="up", last=True),
        "INVALID_ARGUMENT",
        "INPUT_ERROR",
    ),
    "no walks": (
        "LearnCamera",
        camera.LearnCameraRequest(gallery="home", camera="gate", last=True),
        "INVALID_ARGUMENT",
        "INPUT_ERROR",
    ),
    "cameras of an unknown gallery": (
        "ListCameras",
        camera.ListCamerasRequest(gallery="x"),
        "NOT_FOUND",
        "GALLERY_NOT_FOUND",
    ),
    "forgotten in an unknown gallery": (
        "ForgetCamera",
        camera.ForgetCameraRequest(gallery="x", camera="gate"),
        "NOT_FOUND",
        "GALLERY_NOT_FOUND",
    ),
    "nameless forgotten camera": (
        "ForgetCamera",
        camera.ForgetCameraRequest(gallery="home"),
        "INVALID_ARGUMENT",
        "INPUT_ERROR",
    ),
    "switched in an unknown gallery": (
        "SetProfiles",
        gallery.SetProfilesRequest(gallery="x"),
        "NOT_FOUND",
        "GALLERY_NOT_FOUND",
    ),
    "no verdict": (
        "ReviewDecision",
        match.ReviewDecisionRequest(gallery="home", audit_id="0" * 16),
        "INVALID_ARGUMENT",
        "MESSAGE_ERROR",
    ),
    "unknown decision": (
        "ReviewDecision",
        match.ReviewDecisionRequest(gallery="home", audit_id="0" * 16, verdict=1),
        "NOT_FOUND",
        "DECISION_NOT_FOUND",
    ),
    "no entries wanted": (
        "ListAudit",
        admin.ListAuditRequest(count=0),
        "INVALID_ARGUMENT",
        "INPUT_ERROR",
    ),
    "negative page": (
        "ListSubjects",
        subject.ListSubjectsRequest(gallery="home", page_size=-1),
        "INVALID_ARGUMENT",
        "MESSAGE_ERROR",
    ),
    "foreign page token": (
        "ListSubjects",
        subject.ListSubjectsRequest(gallery="home", page_token="!?"),  # noqa: S106
        "INVALID_ARGUMENT",
        "MESSAGE_ERROR",
    ),
}


def test_pages_hold_every_gallery_once(call, remote, monkeypatch):
    assert call("ListGalleries", gallery.ListGalleriesRequest()) == gallery.ListGalleriesResponse()
    names = ["a", "b", "b.2", "c", "d-1"]
    for name in names:
        call("CreateGallery", gallery.CreateGalleryRequest(gallery=name))
    request, pages = gallery.ListGalleriesRequest(page_size=2), []
    while True:
        page = call("ListGalleries", request)
        pages.append([info.name for info in page.galleries])
        request.page_token = page.next_page_token
        if not page.next_page_token:
            break
    assert pages == [["a", "b"], ["b.2", "c"], ["d-1"]]
    monkeypatch.setattr("gaitid.server.service.MAX_PAGE", 2)
    assert [info.name for info in remote.list_galleries()] == names


def test_tokens_belong_to_their_list(call):
    for name in ("a", "b"):
        call("CreateGallery", gallery.CreateGalleryRequest(gallery=name))
    token = call("ListGalleries", gallery.ListGalleriesRequest(page_size=1)).next_page_token
    request = subject.ListSubjectsRequest(gallery="a", page_token=token)
    assert refused(call, "ListSubjects", request) == ("INVALID_ARGUMENT", "MESSAGE_ERROR")
    for bad in (gallery.ListGalleriesRequest(page_size=-1), gallery.ListGalleriesRequest(page_token="YSBi")):  # noqa: S106
        assert refused(call, "ListGalleries", bad) == ("INVALID_ARGUMENT", "MESSAGE_ERROR")


@pytest.mark.usefixtures("home")
def test_each_bad_request_is_a_typed_error(call):
    for name, (rpc, request, code, reason) in BAD.items():
        assert refused(call, rpc, request) == (code, reason), name


def test_garbage_is_an_invalid_argument_on_every_rpc(call):
    for name in RPCS:
        assert refused(call, name, b"\xff\xff\xff\xff") == ("INVALID_ARGUMENT", "MESSAGE_ERROR"), name


def test_pages_hold_every_subject_once(call, vector):
    call("CreateGallery", gallery.CreateGalleryRequest(gallery="home"))
    request = subject.ListSubjectsRequest(gallery="home", page_size=2)
    assert call("ListSubjects", request) == subject.ListSubjectsResponse()
    names = ["a", "b", "b.2", "c", "d-1"]
    for name in names:
        samples = [wire.pack_probe(vector(0))]
        call("Enrol", subject.EnrolRequest(gallery="home", subject=name, samples=samples))
    pages = []
    while True:
        page = call("ListSubjects", request)
        pages.append([info.id for info in page.subjects])
        request.page_token = page.next_page_token
        if not page.next_page_token:
            break
    assert pages == [["a", "b"], ["b.2", "c"], ["d-1"]]


@pytest.mark.usefixtures("home")
def test_a_page_token_belongs_to_its_gallery(call):
    token = call("ListSubjects", subject.ListSubjectsRequest(gallery="home", page_size=1)).next_page_token
    call("CreateGallery", gallery.CreateGalleryRequest(gallery="other"))
    request = subject.ListSubjectsRequest(gallery="other", page_token=token)
    assert refused(call, "ListSubjects", request) == ("INVALID_ARGUMENT", "MESSAGE_ERROR")


def test_a_repeated_request_id_replays_the_answer(call, vector):
    create = gallery.CreateGalleryRequest(gallery="home", request_id=str(uuid.uuid4()))
    assert call("CreateGallery", create) == call("CreateGallery", create)
    samples = [wire.pack_probe(vector(0))]
    enrol = subject.EnrolRequest(gallery="home", subject="ada", samples=samples, request_id="r1")
    assert call("Enrol", enrol) == call("Enrol", enrol)
    add = subject.AddSamplesRequest(gallery="home", subject="ada", samples=samples, request_id="r2")
    assert call("AddSamples", add) == call("AddSamples", add)
    state = call("GetGallery", gallery.GetGalleryRequest(gallery="home")).gallery
    assert (state.subjects, state.templates) == (1, 2)
    delete = subject.DeleteSubjectRequest(gallery="home", subject="ada", request_id="r3")
    assert call("DeleteSubject", delete) == call("DeleteSubject", delete)
    drop = gallery.DeleteGalleryRequest(gallery="home", request_id="r4")
    assert call("DeleteGallery", drop) == call("DeleteGallery", drop)


def test_a_request_id_with_another_body_is_refused(call):
    call("CreateGallery", gallery.CreateGalleryRequest(gallery="one", request_id="r"))
    for rpc, request in (
        ("CreateGallery", gallery.CreateGalleryRequest(gallery="two", request_id="r")),
        ("DeleteGallery", gallery.DeleteGalleryRequest(gallery="one", request_id="r")),
    ):
        assert refused(call, rpc, request) == ("INVALID_ARGUMENT", "MESSAGE_ERROR")
    assert [item.name for item in call("ListGalleries", gallery.ListGalleriesRequest()).galleries] == ["one"]


def test_a_failed_request_may_be_tried_again(call):
    request = gallery.DeleteGalleryRequest(gallery="late", request_id="r")
    assert refused(call, "DeleteGallery", request) == ("NOT_FOUND", "GALLERY_NOT_FOUND")
    call("CreateGallery", gallery.CreateGalleryRequest(gallery="late"))
    call("DeleteGallery", request)


# name: (metadata, purpose on record; None = refused)
PURPOSES = {
    "none": ((), ""),
    "plain": ((("gaitid-purpose", "front door 4"),), "front door 4"),
    "encoded": ((("gaitid-purpose", "Haust%C3%BCr 100%25"),), "Haust\u00fcr 100%"),
    "no UTF-8": ((("gaitid-purpose", "%ff"),), None),
    "two lines": ((("gaitid-purpose", "a%0Ab"),), None),
    "too long": ((("gaitid-purpose", "x" * 257),), None),
}


@pytest.mark.parametrize(("metadata", "purpose"), PURPOSES.values(), ids=PURPOSES)
def test_a_purpose_is_taken_from_the_metadata(address, local, metadata, purpose):
    path, answer, _ = RPCS["CreateGallery"]
    with grpc.insecure_channel(address) as channel:
        rpc = channel.unary_unary(path, response_deserializer=answer.FromString)
        data = gallery.CreateGalleryRequest(gallery="home").SerializeToString()
        if purpose is None:
            with pytest.raises(grpc.RpcError) as caught:
                rpc(data, timeout=5, metadata=metadata)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert local.list_audit() == []
        else:
            rpc(data, timeout=5, metadata=metadata)
            assert [(e.actor, e.purpose) for e in local.list_audit()] == [("anonymous", purpose)]


def test_health_is_served(address):
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", "gaitid.v1.MatchService", "gaitid.v1.CameraService", "gaitid.v1.AdminService"):
            answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(service="other"), timeout=5)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
