"""A server on a full disk goes on searching, says what it cannot do, and recovers."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import time

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from gaitid.encoders.gei import GEI
from gaitid.errors import StoreError
from gaitid.local import LocalMatcher
from gaitid.records import Outcome
from gaitid.remote import RemoteMatcher
from gaitid.server import app
from gaitid.server.app import CHANGING, ServerSettings, running

SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING


@pytest.fixture
def disk(tmp_path):
    """A directory on a file system of 4 MB, and a function that fills it or frees it again."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip("this user may not mount a small file system")

    def fill(full=True):
        ballast = place / "ballast"
        ballast.unlink(missing_ok=True)
        if full:
            with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(bytes(1024))

    yield place / "data", fill
    subprocess.run(["umount", "--lazy", place], check=True)


def status(address, service):
    with grpc.insecure_channel(address) as channel:
        return HealthStub(channel).Check(HealthCheckRequest(service=service), timeout=5).status


def await_status(address, expected):
    deadline = time.monotonic() + 10
    while {status(address, service) for service in CHANGING} != {expected}:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def enrol_until_full(remote, vector):
    def enrol():
        for n in range(100, 10_000):
            remote.enrol("home", f"subject-{n}", [vector(n)])

    with pytest.raises(StoreError) as caught:
        enrol()
    assert caught.value.code == "STORE_ERROR"


def test_a_full_disk_ends_writes_only_and_a_restart_is_possible(disk, vector, monkeypatch, caplog):
    data, fill = disk
    monkeypatch.setattr(app, "_REPORT_S", 0.1)
    settings = ServerSettings("127.0.0.1:0", data=data, encoder="gei", shutdown_grace_s=1.0)
    with running(settings) as address:
        remote = RemoteMatcher(address)
        remote.create_gallery("home")
        remote.enrol("home", "ada", [vector(0)])
        await_status(address, SERVING)
        fill()
        with caplog.at_level(logging.INFO):
            enrol_until_full(remote, vector)
            await_status(address, NOT_SERVING)
            for _ in range(20):
                assert remote.identify("home", vector(0)).outcome is Outcome.MATCH
            assert status(address, "") == status(address, "gaitid.v1.MatchService") == SERVING
            time.sleep(2)
        refused = [one for one in caplog.records if "refused until" in one.message]
        assert len(refused) == 1
        assert len([one for one in caplog.records if one.levelno >= logging.ERROR]) <= 2
        fill(full=False)
        await_status(address, SERVING)
        assert len([one for one in remote.list_audit(count=1000) if one.action == "identify"]) == 20
        remote.close()
        fill()  # nothing waits to be recorded, so the server ends in peace
    fill()
    with running(settings) as address:
        remote = RemoteMatcher(address)
        assert remote.identify("home", vector(0)).outcome is Outcome.MATCH
        enrol_until_full(remote, vector)
        await_status(address, NOT_SERVING)
        fill(full=False)
        await_status(address, SERVING)
        remote.enrol("home", "bob", [vector(1)])
        assert len([one for one in remote.list_audit(count=1000) if one.action == "identify"]) == 21
        remote.close()
    matcher = LocalMatcher(GEI(), data)  # the reserve is made again
    matcher.close()
    assert (data / "gaitid.reserve").stat().st_size == 256 * 1024
