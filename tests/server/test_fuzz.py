"""Random bytes to every rpc are refused or answered, and the server keeps running."""

from __future__ import annotations

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gaitid import wire
from gaitid.server.service import SERVICES

METHODS = [
    (f"/{service.full_name}/{method.name}", getattr(module, method.input_type.name), method.client_streaming)
    for module in SERVICES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
ALLOWED = {"INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION"}


@pytest.fixture
def channel(address):
    with grpc.insecure_channel(address) as channel:
        yield channel


def send(channel, path, data, is_streamed):
    """Name of the status of a call; a streamed request gets the data twice."""
    try:
        if is_streamed:
            channel.stream_unary(path)(iter([data, data]), timeout=5)
        else:
            channel.unary_unary(path)(data, timeout=5)
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


@pytest.mark.parametrize(("path", "kind", "is_streamed"), METHODS, ids=[path for path, *_ in METHODS])
def test_noise_is_refused_or_answered(path, kind, is_streamed, channel, remote, vector, walk):
    remote.create_gallery("home")
    remote.enrol("home", "ada", [vector(0)])
    seeds = [_filled(kind, wire.pack_probe(probe)).SerializeToString() for probe in (vector(0), walk())]

    @settings(max_examples=30, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        st.one_of(
            st.binary(max_size=64),
            st.tuples(st.sampled_from(seeds), st.integers(0, 400), st.binary(min_size=1, max_size=8)).map(
                lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + len(parts[2]) :]
            ),
        )
    )
    def check(data):
        assert send(channel, path, data, is_streamed) in {"OK", *ALLOWED}

    check()
    assert remote.info().encoder == "gei"


def _filled(kind, probe):
    """A valid request of a kind."""
    names = {field.name for field in kind.DESCRIPTOR.fields}
    values = {
        "gallery": "home",
        "subject": "ada",
        "probe": probe,
        "samples": [probe],
        "impostors": [probe],
        "cohort": [probe],
        "walks": [probe],
        "camera": "gate-3",
        "direction": "left",
        "profiles": True,
    }
    request = kind(**{name: value for name, value in values.items() if name in names})
    if "sequence" in names and probe.HasField("sequence"):
        request.sequence.CopyFrom(probe.sequence)
    return request
