"""Limits, deadlines and faults between the wire and the matcher."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from gaitid import wire
from gaitid.errors import DeadlineExceeded, GalleryNotFound, InternalError, MessageError, Overloaded
from gaitid.remote import RemoteMatcher
from gaitid.server.app import ServerSettings, running
from gaitid.v1.gallery_service_pb2 import GetGalleryRequest
from gaitid.v1.gallery_service_pb2_grpc import GalleryServiceStub


class Slow:
    """A matcher whose `describe` waits for `go`; counts the calls that started."""

    def __init__(self):
        self.go = threading.Event()
        self.begun = threading.Semaphore(0)
        self.count = 0
        self.closed = False

    def describe(self, gallery):
        self.count += 1
        self.begun.release()
        assert self.go.wait(10)
        raise ZeroDivisionError("secret of subject ada")

    answers = None

    def accepts_changes(self):
        return True

    def close(self):
        self.closed = True


@pytest.fixture
def slow():
    matcher = Slow()
    yield matcher
    matcher.go.set()


def serving(matcher, **changes):
    return running(ServerSettings("127.0.0.1:0", shutdown_grace_s=1.0, **changes), matcher)


def test_a_full_server_says_when_to_come_back(slow):
    with (
        serving(slow, workers=1, max_concurrent=2) as address,
        grpc.insecure_channel(address) as channel,
        ThreadPoolExecutor(2) as pool,
    ):
        stub = GalleryServiceStub(channel)
        waiting = [pool.submit(stub.GetGallery, GetGalleryRequest(), timeout=10) for _ in range(2)]
        assert slow.begun.acquire(timeout=5)
        deadline = time.monotonic() + 5
        while True:  # until the second call waits for a thread
            with pytest.raises(grpc.RpcError) as caught:
                stub.GetGallery(GetGalleryRequest(), timeout=0.5)
            if caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                break
            assert time.monotonic() < deadline
        details = status_pb2.Status.FromString(
            dict(caught.value.trailing_metadata())["grpc-status-details-bin"]
        ).details
        retry = error_details_pb2.RetryInfo()
        assert any(detail.Unpack(retry) for detail in details)
        assert retry.retry_delay.ToMilliseconds() == wire.RETRY_AFTER_S * 1000
        client = RemoteMatcher(address)
        with pytest.raises(Overloaded, match="2 calls in progress"):
            client.describe("home")
        client.close()
        slow.go.set()
        for call in waiting:
            assert call.exception(5) is not None


def test_expired_work_is_not_begun(slow):
    with serving(slow, workers=1) as address, ThreadPoolExecutor(1) as pool:
        patient, hasty = RemoteMatcher(address, timeout_s=10), RemoteMatcher(address, timeout_s=0.3)
        first = pool.submit(patient.describe, "home")
        assert slow.begun.acquire(timeout=5)
        with pytest.raises(DeadlineExceeded, match=r"within 0\.3 s"):
            hasty.describe("home")
        slow.go.set()
        assert isinstance(first.exception(5), InternalError)
        time.sleep(0.1)
        assert slow.count == 1
        patient.close()
        hasty.close()


def test_a_thread_of_expired_work_is_used_again(slow):
    with serving(slow, workers=1) as address:
        client = RemoteMatcher(address, timeout_s=0.5)
        with pytest.raises(DeadlineExceeded):  # its work has begun and goes on
            client.describe("home")
        slow.go.set()
        for _ in range(3):
            with pytest.raises(InternalError):
                client.describe("home")
        assert slow.count == 4
        client.close()


def test_an_unforeseen_fault_has_an_incident_and_no_secret(slow, caplog):
    slow.go.set()
    with serving(slow) as address, caplog.at_level(logging.ERROR):
        client = RemoteMatcher(address)
        with pytest.raises(InternalError, match="incident") as caught:
            client.describe("home")
        client.close()
    incident = caught.value.got.partition("incident ")[2].rstrip(")")
    assert incident in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text + str(caught.value)


def test_an_oversize_message_names_the_limit(slow):
    with serving(slow, max_message_bytes=10_000) as address:
        client = RemoteMatcher(address)
        with pytest.raises(MessageError, match=r"message has 2\d{4} bytes; expected at most 10000"):
            client.describe("x" * 20_000)
        client.close()
        small = RemoteMatcher(address, max_message_bytes=5000)
        with pytest.raises(MessageError, match=r"at most 5000"):
            small.describe("x" * 6000)
        small.close()


def test_the_matcher_is_closed_with_the_server(slow):
    with serving(slow):
        assert not slow.closed
    assert slow.closed


def test_an_unknown_rpc_is_unimplemented(address):
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/gaitid.v1.AdminService/Restore")(b"", timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


class Working:
    """A matcher whose `describe` takes 50 ms."""

    def describe(self, gallery):
        time.sleep(0.05)
        raise GalleryNotFound("none")

    answers = None

    def accepts_changes(self):
        return True

    def close(self):
        pass


def status_of(stub, timeout_s):
    """Status, seconds and RetryInfo (seconds, or None) of a call."""
    begun = time.monotonic()
    with pytest.raises(grpc.RpcError) as caught:
        stub.GetGallery(GetGalleryRequest(gallery="home"), timeout=timeout_s)
    took = time.monotonic() - begun
    details = dict(caught.value.trailing_metadata() or ()).get("grpc-status-details-bin")
    retry = details and wire.unpack_error(status_pb2.Status.FromString(details))
    return caught.value.code(), took, getattr(retry, "retry_after_s", None)


def test_a_call_that_would_wait_long_is_refused_at_once():
    with (
        serving(Working(), workers=1, max_wait_s=0.12) as address,
        grpc.insecure_channel(address) as channel,
        ThreadPoolExecutor(20) as pool,
    ):
        stub = GalleryServiceStub(channel)
        for _ in range(30):  # the server learns how long a call takes
            status_of(stub, 10)
        found = list(pool.map(lambda _: status_of(stub, 10), range(20)))
    refused = [(took, retry) for code, took, retry in found if code is grpc.StatusCode.RESOURCE_EXHAUSTED]
    accepted = [took for code, took, _ in found if code is grpc.StatusCode.NOT_FOUND]
    assert len(accepted) + len(refused) == 20
    assert 2 <= len(accepted) <= 6
    assert max(took for took, _ in refused) < min(max(accepted), 0.25)
    assert all(0.05 < retry < 0.5 for _, retry in refused)
    assert max(accepted) < 0.5


def test_a_call_whose_deadline_cannot_be_met_is_refused_at_once():
    with (
        serving(Working(), workers=1, max_wait_s=10) as address,
        grpc.insecure_channel(address) as channel,
        ThreadPoolExecutor(5) as pool,
    ):
        stub = GalleryServiceStub(channel)
        for _ in range(30):
            status_of(stub, 10)
        patient = [pool.submit(status_of, stub, 10) for _ in range(5)]
        time.sleep(0.02)
        code, took, retry = status_of(stub, 0.12)  # behind five calls of 50 ms
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert took < 0.12
        assert retry > 0.1
        assert {call.result()[0] for call in patient} == {grpc.StatusCode.NOT_FOUND}
