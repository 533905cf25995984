"""Callers that open calls and do nothing leave the server to the others."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import ExitStack, contextmanager

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from gaitid.errors import Overloaded
from gaitid.remote import RemoteMatcher
from gaitid.server import admission, health
from gaitid.server.admission import Admission
from gaitid.server.app import ServerSettings, running

IDENTIFY = "/gaitid.v1.MatchService/Identify"
CALIBRATE = "/gaitid.v1.GalleryService/CalibrateGallery"
CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING


def connection(address):
    """A channel with a connection of its own; others of one process share theirs."""
    return grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)])


@contextmanager
def silent(address, path, count):
    """Calls on one connection that never send a message."""
    end = threading.Event()

    def nothing():
        end.wait(60)
        return iter(())

    def messages():
        yield from nothing()

    with connection(address) as channel:
        call = channel.stream_stream(path)
        held = [call(messages(), timeout=60) for _ in range(count)]
        try:
            yield held
        finally:
            end.set()
            for one in held:
                one.cancel()


def answers_within(address, limit_s=2.0):
    """Whether health and a call of another connection are answered in time."""
    with connection(address) as channel:
        status = HealthStub(channel).Check(HealthCheckRequest(), timeout=limit_s).status
    client = RemoteMatcher(address, timeout_s=limit_s)
    try:
        return status == SERVING and client.list_galleries() == []
    finally:
        client.close()


@pytest.mark.parametrize("path", [IDENTIFY, CALIBRATE, CHECK, WATCH])
def test_256_silent_calls_on_a_connection_leave_the_server_to_others(path, address):
    with silent(address, path, 256):
        time.sleep(0.3)
        assert answers_within(address)


def test_300_watches_leave_the_server_to_others(address):
    with ExitStack() as held:
        channels = [held.enter_context(connection(address)) for _ in range(5)]
        watches = [HealthStub(channel).Watch(HealthCheckRequest()) for channel in channels for _ in range(60)]
        assert all(next(watch).status == SERVING for watch in watches)
        assert answers_within(address)
        for watch in watches:
            watch.cancel()


def test_a_call_that_sends_nothing_ends(address, monkeypatch):
    monkeypatch.setattr(admission, "ARRIVAL_S", 0.3)
    for path in (IDENTIFY, CHECK, WATCH):
        with silent(address, path, 1) as (call,):
            assert call.code() is grpc.StatusCode.DEADLINE_EXCEEDED, path


def test_a_stream_that_trickles_ends(address, local, monkeypatch, vector):
    from gaitid import wire
    from gaitid.v1.gallery_service_pb2 import CalibrateGalleryRequest

    local.create_gallery("home")
    monkeypatch.setattr(admission, "STREAM_S", 0.5)

    def trickle():
        yield CalibrateGalleryRequest(gallery="home").SerializeToString()
        for number in range(100):
            time.sleep(0.1)
            probe = wire.pack_probe(vector(number))
            yield CalibrateGalleryRequest(impostors=[probe]).SerializeToString()

    begun = time.monotonic()
    with connection(address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.stream_unary(CALIBRATE)(trickle(), timeout=30)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - begun < 5


def test_an_empty_call_is_refused(address):
    with connection(address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.stream_unary(IDENTIFY)(iter(()), timeout=5)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


class Context:
    def __init__(self, peer, name="anonymous"):
        self._peer, self.name = peer, name

    def peer(self):
        return self._peer


LIMITS = {
    "the server": ([Context(f"ipv4:10.0.0.{n}:1") for n in range(6)], "The server has 6"),
    "an address": ([Context(f"ipv4:10.0.0.1:{n}") for n in range(4)], "Caller ipv4:10.0.0.1 has 4"),
    "a certificate": ([Context(f"ipv4:10.0.0.{n}:1", "gate-1") for n in range(4)], "Caller gate-1 has 4"),
    "a connection": ([Context("ipv6:[::1]:7")] * 2, r"Connection ipv6:\[::1\]:7 has 2"),
}


@pytest.mark.parametrize(("contexts", "message"), LIMITS.values(), ids=LIMITS)
def test_limits_hold_and_every_place_becomes_free_again(contexts, message):
    async def play():
        door = Admission(6, 4, 2)
        with ExitStack() as held:
            for context in contexts:
                held.enter_context(door.admitted(context, context.name))
            with pytest.raises(Overloaded, match=message), door.admitted(contexts[0], contexts[0].name):
                pass
        with door.admitted(contexts[0], contexts[0].name):
            assert door._open.total() == 3
        assert not door._open
        assert not door._silent

    asyncio.run(play())


@pytest.mark.parametrize(("contexts", "message"), LIMITS.values(), ids=LIMITS)
def test_the_oldest_silent_call_makes_way(contexts, message, monkeypatch):
    monkeypatch.setattr(admission, "PATIENCE_S", 0.0)

    async def play():
        door = Admission(6, 4, 2)
        with ExitStack() as held:
            calls = [held.enter_context(door.admitted(one, one.name)) for one in contexts]
            door.heard(calls[0])  # it has sent its message
            await asyncio.sleep(0.01)
            with door.admitted(contexts[0], contexts[0].name):
                assert [call.ended.done() for call in calls] == [False, True, *[False] * (len(calls) - 2)]
            for call in calls:
                door.heard(call)
            held.enter_context(door.admitted(contexts[0], contexts[0].name))
            await asyncio.sleep(0.01)
        assert not door._open
        assert not door._silent

    asyncio.run(play())


@pytest.mark.parametrize("path", [IDENTIFY, CALIBRATE])
def test_silent_calls_on_many_connections_leave_others_of_the_same_address(path, address):
    with ExitStack() as held:
        calls = [held.enter_context(silent(address, path, 64)) for _ in range(6)]
        time.sleep(admission.PATIENCE_S + 0.2)
        for _ in range(5):
            assert answers_within(address)
        codes = {call.code() for some in calls for call in some if call.done()}
        assert codes == {grpc.StatusCode.RESOURCE_EXHAUSTED}


def test_watchers_learn_of_changes_and_of_the_end():
    """A watcher that does not read its answers does not keep others from theirs."""

    class Watcher:
        def __init__(self, reads):
            self.reads, self.seen = reads, []

        async def write(self, answer):
            if not self.reads:
                await asyncio.sleep(60)
            self.seen.append(answer.status)

    async def play():
        vitals = health.Health(["", "a"])
        good, stuck = Watcher(True), Watcher(False)

        async def request():
            yield HealthCheckRequest(service="a")

        tasks = [asyncio.create_task(vitals._watch(request(), one)) for one in (stuck, good)]
        for change in (lambda: None, lambda: vitals.set("a", is_serving=False), lambda: None, vitals.stop):
            change()
            await asyncio.sleep(0.02)
        vitals.set("a", is_serving=True)  # ignored: the server stops
        await asyncio.sleep(0.02)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert vitals._watches == 0
        return good.seen

    assert asyncio.run(play()) == [SERVING, NOT_SERVING]


def test_too_many_watches_are_refused_and_checks_are_not(address, monkeypatch):
    monkeypatch.setattr(health, "MAX_WATCHES", 1)
    with connection(address) as channel:
        stub = HealthStub(channel)
        first = stub.Watch(HealthCheckRequest())
        assert next(first).status == SERVING
        assert stub.Watch(HealthCheckRequest()).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert stub.Check(HealthCheckRequest(), timeout=5).status == SERVING
        first.cancel()


def test_a_connection_has_its_own_limit(local, monkeypatch):
    monkeypatch.setattr(admission, "PATIENCE_S", 60.0)
    settings = ServerSettings("127.0.0.1:0", max_per_connection=3, shutdown_grace_s=1.0)
    with running(settings, local) as address, silent(address, IDENTIFY, 5) as calls:
        deadline = time.monotonic() + 5
        while sum(call.done() for call in calls) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        for call in calls:
            if call.done():
                assert call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                assert "has 3 open calls; expected fewer than 3" in call.details()
        assert answers_within(address)
