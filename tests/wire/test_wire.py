"""Records and errors survive the wire; malformed messages are typed errors."""

from __future__ import annotations

import contextlib
import zlib
from dataclasses import astuple, replace

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from gaitid import errors, wire
from gaitid.errors import MessageError
from gaitid.records import (
    DIRECTIONS,
    MAX_FRAMES,
    AuditEntry,
    AuditHead,
    Backup,
    Calibration,
    CalibrationSource,
    CameraProfile,
    Candidate,
    Decision,
    Embedding,
    Enrolment,
    EnrolmentCheck,
    EnrolmentWarning,
    Fusion,
    GaitSequence,
    GalleryInfo,
    Normalisation,
    OperatingPoint,
    Origin,
    Outcome,
    Quality,
    QualityPolicy,
    Reason,
    ServerInfo,
    SubjectInfo,
    Suspicion,
    Verdict,
)
from gaitid.v1 import decision_pb2, match_service_pb2, sequence_pb2, subject_service_pb2

POINT = OperatingPoint(0.87, 0.05)
QUALITY = Quality(61.5, 40, 3.5, 112.3, 240.0, 24.98, 0.8, 0.7, (Reason.MERGED, Reason.CUT_OFF))
GALLERY = GalleryInfo("home", "gei", "c0", 1408, 2, 3, 9, POINT, 1_795_388_466.5724492)


def sequence(frames=12, *, streams=("silhouette", "skeleton"), size=(64, 44), seed=0):
    rng = np.random.default_rng(seed)
    made = {}
    if "silhouette" in streams:
        made["silhouette"] = rng.integers(0, 2, (frames, *size), np.uint8)
    if "skeleton" in streams:
        made["skeleton"] = rng.random((frames, 17, 3), np.float32)
    if "skeleton3d" in streams:
        made["skeleton3d"] = rng.random((frames, 17, 4), np.float32)
    boxes = rng.random((frames, 4), np.float32) * 500
    times = 1_795_388_466.25 + np.cumsum(rng.uniform(0.01, 0.1, frames))
    return GaitSequence(made, times, boxes, {"merged": 3, "cut_off": 0}, Origin("gate-1", 7))


def embedding(dimension=8, seed=0):
    vector = np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)
    return Embedding(vector / np.float32(np.linalg.norm(vector)), "c0")


def assert_same_sequence(one, two):
    assert set(one.streams) == set(two.streams)
    for name, stream in one.streams.items():
        assert stream.dtype == two.streams[name].dtype
        np.testing.assert_array_equal(stream, two.streams[name])
    np.testing.assert_array_equal(one.times, two.times)
    np.testing.assert_equal(one.boxes, two.boxes)
    assert dict(one.dropped) == dict(two.dropped)
    assert one.origin == two.origin


@settings(max_examples=30, deadline=None)
@given(
    frames=st.integers(1, 20),
    streams=st.sampled_from(
        [("silhouette",), ("skeleton",), ("skeleton3d",), ("silhouette", "skeleton", "skeleton3d")]
    ),
    size=st.sampled_from([(64, 44), (64, 64), (128, 88)]),
    seed=st.integers(0, 1000),
)
def test_any_sequence_survives(frames, streams, size, seed):
    original = sequence(frames, streams=streams, size=size, seed=seed)
    data = wire.pack_probe(original).SerializeToString()
    assert_same_sequence(original, wire.unpack_probe(sequence_pb2.Probe.FromString(data)))


def test_a_bare_sequence_survives():
    bare = GaitSequence({"silhouette": np.ones((1, 64, 44), np.uint8)}, np.zeros(1))
    assert_same_sequence(bare, wire.unpack_sequence(wire.pack_sequence(bare)))


def test_a_half_precision_skeleton_is_read():
    original = sequence(streams=("skeleton",))
    message = wire.pack_sequence(original)
    message.skeletons.format = sequence_pb2.FLOAT_FORMAT_FLOAT16
    message.skeletons.data = original.skeletons.astype("<f2").tobytes()
    np.testing.assert_allclose(wire.unpack_sequence(message).skeletons, original.skeletons, atol=1e-3)


def test_undeflated_silhouettes_are_read():
    original = sequence(streams=("silhouette",))
    message = wire.pack_sequence(original)
    message.silhouettes.data = zlib.decompress(message.silhouettes.data)
    message.silhouettes.packing = sequence_pb2.SILHOUETTE_PACKING_BITS
    assert_same_sequence(original, wire.unpack_sequence(message))


@pytest.mark.parametrize("dimension", [1, 8, 1408])
def test_an_embedding_survives(dimension):
    original = embedding(dimension)
    back = wire.unpack_probe(wire.pack_probe(original))
    np.testing.assert_array_equal(original.vector, back.vector)
    assert back.contract == original.contract


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_an_embedding_keeps_where_it_was_seen(direction):
    original = replace(embedding(), origin=Origin("gate-1", -7), direction=direction)
    back = wire.unpack_embedding(wire.pack_embedding(original))
    assert (back.origin, back.direction) == (Origin("gate-1", -7), direction)


def test_an_embedding_of_an_unknown_direction_is_refused():
    message = wire.pack_embedding(embedding())
    message.direction = "up"
    with pytest.raises(errors.InputError, match="'up'; expected one of left, right, towards, away"):
        wire.unpack_embedding(message)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_camera_profile_survives(direction):
    original = CameraProfile("gate-1", direction, 4, 318, 12.5, 0.62, 1_795_388_466.5724492)
    assert wire.unpack_camera(wire.pack_camera(original)) == original


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("quality", [None, QUALITY])
def test_a_decision_survives(outcome, quality):
    candidates = (Candidate("ada", 0.91, "t1", 0.01), Candidate("bob", -0.2, "t2"))
    for chosen in ((), candidates[:1], candidates):
        original = Decision(outcome, chosen, quality, POINT, 12, "ab" * 8, 3)
        back = wire.unpack_decision(wire.pack_decision(original))
        assert (back, back.audit_id) == (original, "ab" * 8)


@pytest.mark.parametrize("created_at", [0.0, 1.5, 1_795_388_466.5724492, 1_795_388_466.9999998])
def test_a_gallery_survives(created_at):
    original = replace(GALLERY, created_at=created_at)
    assert wire.unpack_gallery(wire.pack_gallery(original)) == original


@pytest.mark.parametrize("fusion", list(Fusion))
@pytest.mark.parametrize("source", list(CalibrationSource))
def test_a_calibrated_gallery_survives(fusion, source):
    calibration = Calibration(source, 20, 30, 600, 0.75, 0.125, 1_795_388_466.25)
    original = replace(GALLERY, fusion=fusion, calibration=calibration)
    assert wire.unpack_gallery(wire.pack_gallery(original)) == original
    normalisation = Normalisation(300, 0.01, 0.25, 0.5, 400, 1_795_388_466.25)
    original = replace(
        original,
        calibration=replace(calibration, normalised=True, corrected=True),
        normalisation=normalisation,
        renewals=3,
        profiles=False,
    )
    assert wire.unpack_gallery(wire.pack_gallery(original)) == original


@pytest.mark.parametrize(
    "point",
    [
        OperatingPoint(0.5, 0.25, fmr=1e-6),
        OperatingPoint(-1.0, fpir=0.01, margin=0.125),
        OperatingPoint(max_matches=1000),
    ],
)
def test_an_operating_point_survives(point):
    assert wire.unpack_operating_point(wire.pack_operating_point(point)) == point


@pytest.mark.parametrize("check", list(EnrolmentCheck))
def test_an_enrolment_check_survives(check):
    message = subject_service_pb2.EnrolRequest(check=wire.pack_check(check))
    assert wire.unpack_check(message.check) is check
    assert wire.unpack_check(0) is EnrolmentCheck.WARN


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_verdict_survives(verdict):
    message = match_service_pb2.ReviewDecisionRequest(verdict=wire.pack_verdict(verdict))
    assert wire.unpack_verdict(message.verdict) is verdict
    with pytest.raises(MessageError, match="verdict is 0"):
        wire.unpack_verdict(0)


@pytest.mark.parametrize("purpose", ["", "front door 4", "Haust\u00fcr 100 %", "%41", "a&b=c;d", "\u6b69"])
def test_a_purpose_survives(purpose):
    packed = wire.pack_purpose(purpose)
    assert packed.isascii()
    assert wire.unpack_purpose(packed) == purpose


def test_an_undecodable_purpose_is_refused():
    with pytest.raises(MessageError, match="gaitid-purpose"):
        wire.unpack_purpose("%ff")


@pytest.mark.parametrize("unpack", [wire.unpack_check, wire.unpack_fusion, wire.unpack_verdict])
def test_an_unknown_enum_value_is_refused(unpack):
    with pytest.raises(MessageError, match="is 77"):
        unpack(77)


def test_other_answers_survive():
    subject = SubjectInfo("ada", ("t1", "t2"), 1_795_388_466.25)
    assert wire.unpack_subject(wire.pack_subject(subject)) == subject
    warnings = tuple(EnrolmentWarning(n, kind, "bob", 0.75) for n, kind in enumerate(Suspicion))
    enrolment = Enrolment("ada", ("t1",), ((1, (Reason.STANDING,)), (3, ())), 4, warnings)
    assert wire.unpack_enrolment(wire.pack_enrolment(enrolment)) == enrolment
    entry = AuditEntry(7, 1.5, "ann", "door", "enrol", "g", "ab" * 16, "done", 3, 2, "x", "cd" * 8, b"hash")
    assert wire.unpack_audit_entry(wire.pack_audit_entry(entry)) == entry
    head = AuditHead(7, b"hash", 1_795_388_466.25, b"key", b"signature")
    assert wire.unpack_audit_head(wire.pack_audit_head(head)) == head
    info = ServerInfo("0.1.0", "gei", "c0", 1408, ("silhouette",), 10)
    assert wire.unpack_info(wire.pack_info(info)) == info
    info = replace(info, quality=QualityPolicy(min_frames=7, min_cycles=0.3, max_dropped=0.1))
    assert wire.unpack_info(wire.pack_info(info)) == info
    backup = Backup("gaitid-1", 1_795_388_466.25, 7, 2, 3, 81920, "ab" * 32)
    assert wire.unpack_backup(wire.pack_backup(backup)) == backup


def _error(kind):
    if kind is errors.EnrolmentRejected:
        return kind("all 2 samples", "one good", "walk on", ("too_short", Reason.MERGED))
    return kind("got 3", "expected 4", "do this")


@pytest.mark.parametrize("kind", errors.all_errors().values(), ids=errors.all_errors())
def test_every_error_survives(kind):
    original = _error(kind)
    status = status_pb2.Status.FromString(wire.pack_error(original).SerializeToString())
    back = wire.unpack_error(status)
    assert type(back) is kind
    assert (back.got, back.expected, back.remedy) == (original.got, original.expected, original.remedy)
    assert getattr(back, "reasons", None) == getattr(original, "reasons", None)
    assert str(back) == str(original) == status.message
    assert code_pb2.Code.Name(status.code) == kind.status
    details = {detail.type_url.rpartition(".")[2] for detail in status.details}
    assert ("BadRequest" in details) == issubclass(kind, errors.InputError)
    assert ("RetryInfo" in details) == issubclass(kind, errors.Overloaded)


def test_an_error_of_few_words_survives():
    back = wire.unpack_error(wire.pack_error(errors.StoreLocked("locked")))
    assert (back.got, back.expected, back.remedy) == ("locked", "", "")


def test_a_long_error_is_clipped():
    back = wire.unpack_error(wire.pack_error(errors.InputError("x" * 10_000)))
    assert len(back.got) == wire.MAX_TEXT


@pytest.mark.parametrize(
    "status",
    [
        status_pb2.Status(),
        status_pb2.Status(code=5, message="not ours"),
        wire.pack_error(errors.InputError("x")).__class__(code=13),
    ],
)
def test_a_foreign_status_is_an_internal_error(status):
    assert type(wire.unpack_error(status)) is errors.InternalError


def test_a_foreign_domain_is_not_believed():
    status = status_pb2.Status(code=5, message="theirs")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="GALLERY_NOT_FOUND", domain="example"))
    assert type(wire.unpack_error(status)) is errors.InternalError


def _changed(**changes):
    message = wire.pack_sequence(sequence())
    for path, value in changes.items():
        *parents, name = path.split("__")
        target = message
        for parent in parents:
            target = getattr(target, parent)
        setattr(target, name, value)
    return message


def _times(values):
    message = wire.pack_sequence(sequence())
    del message.times_s[:]
    message.times_s.extend(values)
    return message


def _without(*names):
    message = wire.pack_sequence(sequence())
    for name in names:
        message.ClearField(name)
    return message


def _dropped(key):
    message = wire.pack_sequence(sequence())
    message.dropped[key] = 1
    return message


BOMB = zlib.compress(bytes(200 * 2**20), 1)
NAN = np.full((12, 17, 3), np.nan, "<f4").tobytes()
BIG = np.full((12, 17, 3), 7.0, "<f4").tobytes()
MALFORMED = {
    "empty": (sequence_pb2.GaitSequence(), errors.SequenceError),
    "no stream": (_without("silhouettes", "skeletons"), errors.SequenceError),
    "no times": (_without("times_s"), errors.MessageError),
    "no times and boxes": (_without("times_s", "boxes"), errors.SequenceError),
    "frames 0": (_changed(silhouettes__frames=0), errors.MessageError),
    "frames 2**32-1": (_changed(silhouettes__frames=2**32 - 1), errors.MessageError),
    "frames one more": (_changed(silhouettes__frames=13), errors.MessageError),
    "frames one less": (_changed(silhouettes__frames=11), errors.MessageError),
    "skeleton frames 2**32-1": (_changed(skeletons__frames=2**32 - 1), errors.MessageError),
    "skeleton frames 0": (_changed(skeletons__frames=0), errors.MessageError),
    "height 0": (_changed(silhouettes__height=0), errors.SequenceError),
    "width 2**32-1": (_changed(silhouettes__width=2**32 - 1), errors.SequenceError),
    "another size": (_changed(silhouettes__height=65), errors.SequenceError),
    "packing unset": (_changed(silhouettes__packing=0), errors.MessageError),
    "packing unknown": (_changed(silhouettes__packing=99), errors.MessageError),
    "format unset": (_changed(skeletons__format=0), errors.MessageError),
    "format unknown": (_changed(skeletons__format=99), errors.MessageError),
    "silhouettes no zlib": (_changed(silhouettes__data=b"garbage"), errors.MessageError),
    "silhouettes empty": (_changed(silhouettes__data=b""), errors.MessageError),
    "zip bomb": (_changed(silhouettes__data=BOMB), errors.MessageError),
    "bits too few": (_changed(silhouettes__packing=1), errors.MessageError),
    "skeletons cut": (_changed(skeletons__data=NAN[:-1]), errors.MessageError),
    "skeletons NaN": (_changed(skeletons__data=NAN), errors.SequenceError),
    "confidence 7": (_changed(skeletons__data=BIG), errors.SequenceError),
    "boxes cut": (_changed(boxes=b"123"), errors.MessageError),
    "boxes of fewer frames": (_changed(boxes=bytes(16)), errors.MessageError),
    "times NaN": (_times([float("nan")] * 12), errors.SequenceError),
    "times constant": (_times([1.0] * 12), errors.SequenceError),
    "times too many": (_times(range(MAX_FRAMES + 1)), errors.MessageError),
    "unknown reason": (_dropped("bad_hair"), errors.SequenceError),
}


@pytest.mark.parametrize(("message", "kind"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_sequence_is_a_typed_error(message, kind):
    with pytest.raises(kind) as caught:
        wire.unpack_sequence(message)
    assert caught.value.got
    assert caught.value.expected


EMBEDDINGS = {
    "empty": sequence_pb2.Embedding(),
    "no contract": sequence_pb2.Embedding(vector=embedding().vector.tobytes()),
    "cut": sequence_pb2.Embedding(vector=embedding().vector.tobytes()[:-1], contract="c"),
    "NaN": sequence_pb2.Embedding(vector=np.full(4, np.nan, "<f4").tobytes(), contract="c"),
    "zero": sequence_pb2.Embedding(vector=bytes(16), contract="c"),
    "long": sequence_pb2.Embedding(vector=np.full(4, 3e38, "<f4").tobytes(), contract="c"),
}


@pytest.mark.parametrize("message", EMBEDDINGS.values(), ids=EMBEDDINGS)
def test_a_malformed_embedding_is_a_typed_error(message):
    with pytest.raises(errors.InputError):
        wire.unpack_embedding(message)


def test_an_empty_probe_is_a_typed_error():
    with pytest.raises(errors.MessageError, match="probe is empty"):
        wire.unpack_probe(sequence_pb2.Probe())


@pytest.mark.parametrize("stream", ["silhouettes", "skeletons", "skeletons_3d"])
def test_samples_are_bounded_before_they_are_inflated(stream):
    one = wire.pack_probe(sequence())
    getattr(one.sequence, stream).frames = MAX_FRAMES // 2
    with pytest.raises(errors.MessageError, match="have 15000 frames"):
        wire.unpack_samples([one, one, one])
    assert wire.unpack_samples([]) == []


@pytest.mark.parametrize("outcome", [0, 99])
def test_an_unknown_outcome_is_a_typed_error(outcome):
    with pytest.raises(errors.MessageError, match="outcome"):
        wire.unpack_decision(decision_pb2.Decision(outcome=outcome))


def test_an_unknown_reason_is_a_typed_error():
    with pytest.raises(errors.MessageError, match="new_code"):
        wire.unpack_quality(decision_pb2.Quality(reasons=["new_code"]))


@pytest.mark.parametrize("probe", [None, b"bytes", np.zeros(3)])
def test_only_probes_are_packed(probe):
    with pytest.raises(errors.InputError):
        wire.pack_probe(probe)


def test_values_out_of_a_messages_range_are_typed_errors():
    with pytest.raises(errors.SequenceError):
        wire.pack_probe(replace(sequence(), dropped={"merged": 2**40}))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 2000))
def test_noise_in_a_message_is_refused_or_read(noise, at):
    data = bytearray(wire.pack_probe(sequence(2)).SerializeToString())
    data[at : at + len(noise)] = noise
    with contextlib.suppress(errors.InputError, DecodeError):
        wire.unpack_probe(sequence_pb2.Probe.FromString(bytes(data)))


def test_quality_carries_all_its_fields():
    assert astuple(wire.unpack_quality(wire.pack_quality(QUALITY))) == astuple(QUALITY)
