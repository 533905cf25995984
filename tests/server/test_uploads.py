"""Streamed requests that are interrupted, malformed, slow or too many change nothing."""

from __future__ import annotations

import queue
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from gaitid import wire
from gaitid.encoders.gei import GEI
from gaitid.local import LocalMatcher
from gaitid.server import admission, calls
from gaitid.server.app import ServerSettings, running
from gaitid.v1.camera_service_pb2 import LearnCameraRequest
from gaitid.v1.camera_service_pb2_grpc import CameraServiceStub
from gaitid.v1.gallery_service_pb2 import CalibrateGalleryRequest as Request
from gaitid.v1.gallery_service_pb2 import GetGalleryRequest, NormaliseGalleryRequest
from gaitid.v1.gallery_service_pb2_grpc import GalleryServiceStub


@pytest.fixture
def stub(address, local, vector):
    local.create_gallery("home")
    local.enrol("home", "ada", [vector(0)])
    with grpc.insecure_channel(address) as channel:
        yield GalleryServiceStub(channel)


@pytest.fixture
def probes(vector):
    """1,200 embeddings."""
    return [wire.pack_probe(vector(seed)) for seed in range(1200)]


def refused(call):
    """Code name and ErrorInfo reason of a refused call."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    status = status_pb2.Status.FromString(dict(caught.value.trailing_metadata())["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return caught.value.code().name, info.reason


def is_unchanged(local):
    info = local.describe("home")
    return info.calibration is None and info.normalisation is None and info.revision == 1


MESSAGE_ERROR = ("INVALID_ARGUMENT", "MESSAGE_ERROR")
# name: messages from the probes, and the error
MALFORMED = {
    "no message": (lambda probes: [], MESSAGE_ERROR),
    "no last message": (lambda probes: [Request(gallery="home", impostors=probes)], MESSAGE_ERROR),
    "a message after the last": (
        lambda probes: [Request(gallery="home", impostors=probes, last=True), Request(impostors=probes[:1])],
        MESSAGE_ERROR,
    ),
    "a gallery in the second message": (
        lambda probes: [Request(gallery="home", impostors=probes), Request(gallery="home", last=True)],
        MESSAGE_ERROR,
    ),
    "an id in the second message": (
        lambda probes: [Request(gallery="home", impostors=probes), Request(request_id="1", last=True)],
        MESSAGE_ERROR,
    ),
    "an empty message": (
        lambda probes: [Request(gallery="home", impostors=probes), Request(), Request(last=True)],
        MESSAGE_ERROR,
    ),
    "a long id": (lambda probes: [Request(gallery="home", request_id="1" * 65, last=True)], MESSAGE_ERROR),
    "an empty probe": (
        lambda probes: [Request(gallery="home", impostors=[wire.sequence.sequence_pb2.Probe()], last=True)],
        MESSAGE_ERROR,
    ),
    "no gallery": (
        lambda probes: [Request(impostors=probes, last=True)],
        ("INVALID_ARGUMENT", "INPUT_ERROR"),
    ),
    "an unknown gallery": (
        lambda probes: [Request(gallery="none", impostors=probes, last=True)],
        ("NOT_FOUND", "GALLERY_NOT_FOUND"),
    ),
}


@pytest.mark.parametrize(("make", "error"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_stream_is_refused(stub, local, probes, make, error):
    assert refused(lambda: stub.CalibrateGallery(iter(make(probes)), timeout=10)) == error
    assert is_unchanged(local)


def test_a_rate_out_of_range_is_refused_before_the_probes(stub, local):
    begun = queue.Queue()

    def messages():
        yield NormaliseGalleryRequest(gallery="home", fpir=2.0)
        yield begun.get()  # comes too late

    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(refused, lambda: stub.NormaliseGallery(messages(), timeout=10))
        assert call.result(8) == ("INVALID_ARGUMENT", "INPUT_ERROR")
        begun.put(NormaliseGalleryRequest(last=True))
    assert is_unchanged(local)


@pytest.mark.parametrize("end", ["cancel", "deadline"])
def test_an_interrupted_stream_changes_nothing(stub, local, probes, end):
    go = queue.Queue()

    def messages():
        yield Request(gallery="home", impostors=probes[:600])
        yield Request(impostors=probes[600:])
        yield go.get()

    call = stub.CalibrateGallery.future(messages(), timeout=10 if end == "cancel" else 1.0)
    if end == "cancel":
        time.sleep(0.5)
        call.cancel()
    with pytest.raises((grpc.RpcError, grpc.FutureCancelledError)):
        call.result()
    go.put(Request(last=True))
    time.sleep(0.3)
    assert is_unchanged(local)
    request = Request(gallery="home", impostors=probes, last=True)
    assert stub.CalibrateGallery(iter([request]), timeout=20).calibration.comparisons == 1000


def test_a_camera_of_an_interrupted_stream_is_not_learned(address, stub, local, walk):
    walks = [wire.pack_probe(walk(seed)) for seed in range(4)]
    first = LearnCameraRequest(gallery="home", camera="gate", walks=walks)
    with grpc.insecure_channel(address) as channel:
        cameras = CameraServiceStub(channel)
        assert refused(lambda: cameras.LearnCamera(iter([first]), timeout=10)) == MESSAGE_ERROR
        second = LearnCameraRequest(direction="left", last=True)
        assert refused(lambda: cameras.LearnCamera(iter([first, second]), timeout=10)) == MESSAGE_ERROR
        assert local.cameras("home") == []
        whole = [first, LearnCameraRequest(last=True)]
        assert cameras.LearnCamera(iter(whole), timeout=10).profile.walks == 4
    assert [one.walks for one in local.cameras("home")] == [4]


def test_a_pause_ends_the_stream(stub, local, probes, monkeypatch):
    monkeypatch.setattr(admission, "IDLE_S", 0.3)
    go = queue.Queue()

    def messages():
        yield Request(gallery="home", impostors=probes)
        yield go.get()

    call = stub.CalibrateGallery.future(messages(), timeout=10)
    with pytest.raises(grpc.RpcError) as caught:
        call.result()
    go.put(Request(last=True))
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "at least every 0 s" in caught.value.details()
    assert is_unchanged(local)


def test_probes_that_are_made_slowly_are_no_pause(stub, remote, vector, monkeypatch):
    monkeypatch.setattr(admission, "IDLE_S", 2.0)
    monkeypatch.setattr(wire, "BATCH_S", 0.2)

    def slowly():
        for seed in range(1000):
            time.sleep(1.0 if seed in {5, 15, 25} else 0)
            yield vector(seed)

    monkeypatch.setattr(remote, "_batch_bytes", 2**22)
    assert remote.calibrate("home", slowly()).probes == 1000


def test_too_many_streams_are_refused(stub, local, probes, monkeypatch):
    monkeypatch.setattr(calls, "MAX_UPLOADS", 1)
    go = queue.Queue()

    def messages():
        yield Request(gallery="home", impostors=probes)
        yield go.get()

    first = stub.CalibrateGallery.future(messages(), timeout=20)
    time.sleep(0.5)
    second = iter([Request(gallery="home", impostors=probes, last=True)])
    assert refused(lambda: stub.CalibrateGallery(second, timeout=10)) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
    go.put(Request(last=True))
    assert first.result().calibration.comparisons == 1000
    assert local.describe("home").revision == 2


def test_streams_leave_the_threads_to_other_calls(stub, local, walk, monkeypatch):
    begun, go = threading.Semaphore(0), threading.Event()
    embed = local.embed

    def slowly(sequence):
        begun.release()
        assert go.wait(20)
        return embed(sequence)

    monkeypatch.setattr(local, "embed", slowly)
    request = Request(gallery="home", impostors=[wire.pack_probe(walk())], last=True)
    streams = [stub.CalibrateGallery.future(iter([request]), timeout=30) for _ in range(calls.MAX_UPLOADS)]
    try:
        assert begun.acquire(timeout=10)
        time.sleep(0.3)  # the other streams wait for the thread, or have one
        assert stub.GetGallery(GetGalleryRequest(gallery="home"), timeout=5).gallery.name == "home"
    finally:
        go.set()
    for stream in streams:
        assert refused(stream.result) == ("FAILED_PRECONDITION", "NOT_CALIBRATED")


def test_a_repeated_stream_changes_once(stub, local, probes):
    name = str(uuid.uuid4())

    def stream(count):
        first = Request(gallery="home", request_id=name)
        return iter([first, Request(impostors=probes[:600]), Request(impostors=probes[600:count], last=True)])

    made = stub.CalibrateGallery(stream(1200), timeout=20).calibration
    assert stub.CalibrateGallery(stream(1200), timeout=20).calibration == made
    assert local.describe("home").revision == 2
    assert refused(lambda: stub.CalibrateGallery(stream(1199), timeout=20)) == MESSAGE_ERROR


def test_a_server_that_stops_changes_nothing(tmp_path, probes):
    matcher = LocalMatcher(GEI(), tmp_path / "data", index="exact")
    matcher.create_gallery("home")
    go = queue.Queue()

    def messages():
        yield Request(gallery="home", impostors=probes)
        yield go.get()

    with running(ServerSettings("127.0.0.1:0", shutdown_grace_s=0.2), matcher) as address:
        channel = grpc.insecure_channel(address)
        call = GalleryServiceStub(channel).CalibrateGallery.future(messages(), timeout=20)
        time.sleep(0.5)
    with pytest.raises(grpc.RpcError) as caught:
        call.result(5)
    assert caught.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    go.put(Request(last=True))
    channel.close()
    again = LocalMatcher(GEI(), tmp_path / "data", index="exact")
    assert again.describe("home").revision == 0
    again.close()
