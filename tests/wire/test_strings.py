"""Every string of every message has a limit, and no request gets past it."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor

from gaitid.encoders.gei import GEI
from gaitid.errors import InputError
from gaitid.local import LocalMatcher
from gaitid.records import Origin
from gaitid.server.app import ServerSettings, running
from gaitid.server.service import SERVICES
from gaitid.wire import check_strings
from gaitid.wire.strings import RULES

METHODS = [
    (f"/{service.full_name}/{method.name}", method.input_type, method.output_type, module)
    for module in SERVICES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]


def strings(kind, above=()):
    """Paths of fields to each string of a message and of the messages inside it; keys of maps count."""
    for field in kind.fields:
        path = (*above, field)
        if field.type == FieldDescriptor.TYPE_STRING:
            yield path
        elif field.message_type is not None and field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["key"].type == FieldDescriptor.TYPE_STRING:
                yield path
        elif field.message_type is not None:
            yield from strings(field.message_type, path)


def filled(message, path, text):
    """Set the string at a path."""
    *above, last = path
    inner = message
    for field in above:
        held = getattr(inner, field.name)
        inner = held.add() if hasattr(held, "add") else held
        inner.SetInParent()
    if last.message_type is not None:
        getattr(inner, last.name)[text] = 1
    elif hasattr(getattr(inner, last.name), "append"):
        getattr(inner, last.name).append(text)
    else:
        setattr(inner, last.name, text)
    return message


REQUESTS = [
    (name, getattr(module, kind.name), path) for name, kind, _, module in METHODS for path in strings(kind)
]
NAMES = [f"{name}:{'.'.join(field.name for field in path)}" for name, _, path in REQUESTS]
BAD = {
    "long": "a" * 20_000,
    "a second line": "a\n2026-12-01 ERROR forged",
    "escape": "a\x1b[2J",
    "bidi": "a\u202eb",
}


def test_every_string_of_every_message_has_a_rule():
    found = {path[-1].name for _, *kinds, _ in METHODS for kind in kinds for path in strings(kind)}
    assert found == set(RULES)


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
@pytest.mark.parametrize(("kind", "path"), [request[1:] for request in REQUESTS], ids=NAMES)
def test_no_string_of_a_request_is_long_or_unprintable(kind, path, text):
    with pytest.raises(InputError):
        check_strings(filled(kind(), path, text))


@pytest.mark.parametrize(("kind", "path"), [request[1:] for request in REQUESTS], ids=NAMES)
def test_usual_strings_are_accepted(kind, path):
    check_strings(filled(kind(), path, "0123456789abcdef"))
    check_strings(kind())


@pytest.fixture(scope="module")
def channel(tmp_path_factory):
    matcher = LocalMatcher(GEI(), tmp_path_factory.mktemp("data"), index="exact")
    matcher.create_gallery("gate-3")
    with (
        running(ServerSettings("127.0.0.1:0", shutdown_grace_s=0.0), matcher) as address,
        grpc.insecure_channel(address) as channel,
    ):
        yield channel


@pytest.mark.parametrize(("name", "kind", "path"), REQUESTS, ids=NAMES)
def test_the_server_refuses_them(name, kind, path, channel):
    request = filled(kind(), path, BAD["a second line"])
    with pytest.raises(grpc.RpcError) as caught:
        channel.stream_unary(name)(iter([request.SerializeToString()]), timeout=10)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "\n" not in caught.value.details()


@pytest.mark.parametrize("camera", ["a" * 129, "a\nb", "\ud800", 7], ids=["long", "line", "surrogate", "int"])
def test_the_camera_of_a_sequence_in_this_process_is_checked_too(camera):
    with pytest.raises(InputError, match=r"Camera is .*; expected printable text of at most 128 characters"):
        Origin(camera)
