"""The client against servers that are absent, restarting, foreign or slow."""

from __future__ import annotations

import time
from concurrent import futures

import grpc
import pytest

from gaitid import errors, wire
from gaitid import remote as module
from gaitid.remote import RemoteMatcher, Tls
from gaitid.v1.admin_service_pb2 import GetServerInfoResponse
from gaitid.v1.admin_service_pb2_grpc import AdminServiceServicer, add_AdminServiceServicer_to_server
from gaitid.v1.gallery_service_pb2 import CalibrateGalleryResponse
from gaitid.v1.gallery_service_pb2_grpc import GalleryServiceServicer, add_GalleryServiceServicer_to_server
from gaitid.v1.subject_service_pb2 import DeleteSubjectResponse
from gaitid.v1.subject_service_pb2_grpc import SubjectServiceServicer, add_SubjectServiceServicer_to_server


class Scripted(AdminServiceServicer, GalleryServiceServicer, SubjectServiceServicer):
    """A server that aborts with each code of a script in turn, then answers."""

    def __init__(self, *script):
        self.script = list(script)
        self.request_ids = []

    def GetServerInfo(self, request, context):  # noqa: N802
        self._play(context)
        return GetServerInfoResponse(version="9")

    def DeleteSubject(self, request, context):  # noqa: N802
        self.request_ids.append(request.request_id)
        self._play(context)
        return DeleteSubjectResponse(revision=7)

    def CalibrateGallery(self, requests, context):  # noqa: N802
        self.requests = list(requests)
        self.request_ids.append(self.requests[0].request_id)
        self._play(context)
        return CalibrateGalleryResponse(calibration={"source": 2, "probes": 7})

    def _play(self, context):
        if self.script:
            code, *metadata = self.script.pop(0)
            context.set_trailing_metadata(metadata)
            context.abort(code, "as scripted")


@pytest.fixture
def scripted():
    """Starts a scripted server and a client of it."""
    stack = []

    def begin(*script):
        server = grpc.server(futures.ThreadPoolExecutor(2))
        servicer = Scripted(*script)
        add_AdminServiceServicer_to_server(servicer, server)
        add_GalleryServiceServicer_to_server(servicer, server)
        add_SubjectServiceServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        client = RemoteMatcher(f"127.0.0.1:{port}", timeout_s=2.0)
        stack.extend([client.close, lambda: server.stop(0).wait()])
        return servicer, client

    yield begin
    for close in stack:
        close()


UNAVAILABLE = (grpc.StatusCode.UNAVAILABLE,)


def test_an_unavailable_server_is_tried_again_with_one_request_id(scripted):
    servicer, client = scripted(UNAVAILABLE, UNAVAILABLE)
    assert client.delete_subject("home", "ada") == 7
    assert len(servicer.request_ids) == module.ATTEMPTS == 3
    assert len(set(servicer.request_ids)) == 1
    client.delete_subject("home", "ada")
    assert len(set(servicer.request_ids)) == 2


def test_a_stream_is_sent_again_with_one_request_id(scripted, vector):
    servicer, client = scripted(UNAVAILABLE, UNAVAILABLE)
    assert client.calibrate("home", [vector(seed) for seed in range(100)]).probes == 7
    assert len(servicer.request_ids) == 3
    assert len(set(servicer.request_ids)) == 1
    assert sum(len(request.impostors) for request in servicer.requests) == 100
    assert [request.last for request in servicer.requests] == [False] * (len(servicer.requests) - 1) + [True]


@pytest.mark.parametrize("kept", [0, 1, 8])
def test_the_first_batches_of_an_iterator_are_sent_again(scripted, vector, monkeypatch, kept):
    monkeypatch.setattr(module, "KEPT", kept)
    servicer, client = scripted(UNAVAILABLE, UNAVAILABLE)
    small = RemoteMatcher(client._address, max_message_bytes=20_000)
    probes = (vector(seed) for seed in range(6))
    if kept < 8:  # the server reads all before it refuses, as the scripted one does
        with pytest.raises(errors.ServerUnreachable, match="as scripted"):
            small.calibrate("home", probes)
        assert len(servicer.request_ids) == 1
    else:
        small.calibrate("home", probes)
        assert len(servicer.request_ids) == 3
        assert len(set(servicer.request_ids)) == 1
        sent = [probe for request in servicer.requests for probe in request.impostors]
        assert [probe.embedding.vector for probe in sent] == [
            vector(seed).vector.astype("<f4").tobytes() for seed in range(6)
        ]
    small.close()


def full(retry_after_s=None):
    """Entry of a script: the server is full, and says when to try again, or not."""
    error = errors.Overloaded("The server is full", "room", "Try later", retry_after_s=retry_after_s)
    status = wire.pack_error(error)
    if retry_after_s is None:  # a server of somebody else
        del status.details[-1]
    return (grpc.StatusCode.RESOURCE_EXHAUSTED, ("grpc-status-details-bin", status.SerializeToString()))


def test_a_full_server_is_tried_again_when_it_says(scripted):
    servicer, client = scripted(*[full(0.1)] * 5)
    begun = time.monotonic()
    assert client.info().version == "9"
    assert 0.1 * (1 + 2 + 3 + 4 + 5) * 0.5 <= time.monotonic() - begun < 2.0
    assert not servicer.script


@pytest.mark.parametrize("probes", [list, iter], ids=["list", "iterator"])
def test_a_full_server_gets_a_stream_again(scripted, vector, probes):
    servicer, client = scripted(full(0.1), full(0.1))
    assert client.calibrate("home", probes([vector(seed) for seed in range(100)])).probes == 7
    assert sum(len(request.impostors) for request in servicer.requests) == 100
    assert len(set(servicer.request_ids)) == 1


@pytest.mark.parametrize("retry_after_s", [None, 30.0], ids=["no time", "after the deadline"])
def test_a_full_server_is_not_tried_in_vain(scripted, retry_after_s):
    servicer, client = scripted(full(retry_after_s), full(retry_after_s))
    begun = time.monotonic()
    with pytest.raises(errors.Overloaded) as caught:
        client.info()
    assert caught.value.retry_after_s == retry_after_s
    assert time.monotonic() - begun < 1.0
    assert len(servicer.script) == 1


def test_batches_fit_the_limit_of_the_client(scripted, vector):
    servicer, client = scripted()
    small = RemoteMatcher(client._address, max_message_bytes=20_000)
    small.calibrate("home", [vector(seed) for seed in range(10)])
    small.close()
    assert max(request.ByteSize() for request in servicer.requests) < 20_000


def test_retries_come_to_an_end(scripted):
    servicer, client = scripted(*[UNAVAILABLE] * 5)
    with pytest.raises(errors.ServerUnreachable, match="as scripted"):
        client.info()
    assert len(servicer.script) == 2


CODES = {
    "CANCELLED": errors.ServerUnreachable,
    "DEADLINE_EXCEEDED": errors.DeadlineExceeded,
    "RESOURCE_EXHAUSTED": errors.Overloaded,
    "PERMISSION_DENIED": errors.PermissionDenied,
    "UNAUTHENTICATED": errors.Unauthenticated,
    "UNKNOWN": errors.InternalError,
    "UNIMPLEMENTED": errors.InternalError,
    "NOT_FOUND": errors.InternalError,
}


@pytest.mark.parametrize(("code", "kind"), CODES.items(), ids=CODES)
def test_a_bare_status_is_a_typed_error_and_not_retried(scripted, code, kind):
    servicer, client = scripted((grpc.StatusCode[code],), UNAVAILABLE)
    with pytest.raises(kind) as caught:
        client.info()
    assert type(caught.value) is kind
    assert caught.value.remedy
    assert len(servicer.script) == 1


def test_unreadable_details_are_an_internal_error(scripted):
    _, client = scripted((grpc.StatusCode.NOT_FOUND, ("grpc-status-details-bin", b"\xff\xff")))
    with pytest.raises(errors.InternalError):
        client.info()


def test_a_restarted_server_is_found_again(scripted):
    servicer, client = scripted(UNAVAILABLE)
    assert client.info().version == "9"
    assert not servicer.script


def test_a_server_of_another_kind_is_an_internal_error(tmp_path):
    server = grpc.server(futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    client = RemoteMatcher(f"127.0.0.1:{port}")
    with pytest.raises(errors.InternalError, match="UNIMPLEMENTED"):
        client.info()
    client.close()
    server.stop(0).wait()


def test_the_deadline_holds_while_retrying(scripted, monkeypatch):
    monkeypatch.setattr(module, "BACKOFF_S", 10.0)
    _, client = scripted(UNAVAILABLE)
    begun = time.monotonic()
    with pytest.raises(errors.ServerUnreachable):
        client.info()
    assert time.monotonic() - begun < 1.0


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, float("nan")])
def test_an_invalid_deadline_is_refused(timeout_s):
    with pytest.raises(errors.ConfigError):
        RemoteMatcher("127.0.0.1:1", timeout_s=timeout_s)


def test_half_a_client_certificate_is_refused(tmp_path):
    with pytest.raises(errors.ConfigError):
        Tls(certificate=tmp_path / "a.pem")
    with pytest.raises(errors.ConfigError, match=r"none\.pem"):
        RemoteMatcher("127.0.0.1:1", tls=Tls(ca=tmp_path / "none.pem"))
