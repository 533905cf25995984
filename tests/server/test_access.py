"""Who may call what: every cell of the table, tokens, certificates, revocation, and the audit of refusals."""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from gaitid.caller import Caller
from gaitid.errors import (
    ConfigError,
    InputError,
    NotFound,
    PermissionDenied,
    ServerUnreachable,
    StoreError,
    Unauthenticated,
)
from gaitid.remote import RemoteMatcher, Tls
from gaitid.server import access, pki, refusals
from gaitid.server.access import ANY, MAY, SITE, AccessRule, Role, table
from gaitid.server.app import ServerSettings, running
from gaitid.server.refusals import Refusals
from gaitid.server.service import SERVICES
from gaitid.server.tokens import TokenFile
from gaitid.settings import build

RPCS = {
    method.name: (f"/{service.full_name}/{method.name}", getattr(module, method.input_type.name), method)
    for module in SERVICES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
DAY = 86400.0


def test_the_table_has_every_rpc_and_is_in_the_docs():
    assert set(MAY) == set(RPCS)
    assert set(MAY) >= SITE | ANY
    assert all(Role.ADMIN in roles for roles in MAY.values())
    assert table() in (Path(__file__).parents[2] / "docs" / "access.md").read_text()


@pytest.fixture
def tokens(tmp_path):
    return TokenFile(tmp_path / "tokens")


@pytest.fixture
def guarded(local, tokens):
    """A server with galleries ``mine`` and ``yours``, and a token for each role in ``mine`` and for all."""
    local.create_gallery("mine")
    local.create_gallery("yours")
    held = {
        (role, places): tokens.create(f"{role.value}-{len(places)}", role.value, places, 1)
        for role in Role
        for places in (("mine",), ("*",))
    }
    settings = ServerSettings("127.0.0.1:0", token_file=tokens._path, shutdown_grace_s=1.0)
    with running(settings, local) as address:
        yield address, held


def code(address, rpc, gallery, token=""):
    """Status of a call with an empty request, but for the gallery."""
    path, kind, method = RPCS[rpc]
    request = kind(gallery=gallery) if "gallery" in kind.DESCRIPTOR.fields_by_name else kind()
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    with grpc.insecure_channel(address) as channel:
        call = channel.stream_unary(path) if method.client_streaming else channel.unary_unary(path)
        data = request.SerializeToString()
        try:
            call(iter([data]) if method.client_streaming else data, timeout=10, metadata=metadata)
        except grpc.RpcError as error:
            return error.code().name
    return "OK"


def test_every_forbidden_cell_is_refused_and_audited(guarded, local):
    address, held = guarded
    harmless = set(MAY) - {"DeleteGallery"}  # an admin may: the others still need the galleries
    expected = Counter()
    for (role, places), token in held.items():
        for rpc in harmless:
            for gallery in ("mine", "yours", ""):
                there = rpc in ANY or places == ("*",) or (gallery == "mine" and rpc not in SITE)
                allowed = role in MAY[rpc] and there
                found = code(address, rpc, gallery, token)
                assert (found != "PERMISSION_DENIED") == allowed, (role, places, rpc, gallery, found)
                assert found not in ("UNAUTHENTICATED", "INTERNAL")
                if not allowed:
                    expected[f"token:{role.value}-{len(places)}", rpc] += 1
    entries = [entry for entry in local.list_audit() if entry.action == "refuse"]
    recorded = {(entry.actor, entry.detail.split()[0]) for entry in entries}
    assert len(entries) == len(recorded)  # equal refusals make one entry a minute
    assert recorded <= set(expected)
    assert len(recorded) == min(len(expected), refusals.MOST)
    assert all(re.search(r" from ipv[46]:.*: PERMISSION_DENIED$", entry.detail) for entry in entries)
    assert {entry.outcome for entry in entries} == {"refused"}


def test_without_a_token_nothing_is_allowed(guarded, local):
    address, held = guarded
    wrong = next(iter(held.values()))[:-1] + "_"
    for rpc in RPCS:
        assert code(address, rpc, "mine") == "UNAUTHENTICATED"
        assert code(address, rpc, "mine", wrong) == "UNAUTHENTICATED"
        assert code(address, rpc, "mine", "junk") == "UNAUTHENTICATED"
    entries = [entry for entry in local.list_audit() if entry.action == "refuse"]
    assert {entry.actor for entry in entries} == {"anonymous"}
    assert {entry.detail.split()[0] for entry in entries} == set(RPCS)


def test_a_list_shows_own_galleries_only(guarded):
    address, held = guarded
    for places, seen in ((("mine",), ["mine"]), (("*",), ["mine", "yours"])):
        matcher = RemoteMatcher(address, token=held[Role.CAMERA, places])
        assert [info.name for info in matcher.list_galleries()] == seen
        matcher.close()


def test_a_refusal_does_not_tell_whether_a_gallery_exists(guarded):
    address, held = guarded
    matcher = RemoteMatcher(address, token=held[Role.OPERATOR, ("mine",)])
    messages = []
    for name in ("yours", "none"):
        with pytest.raises(PermissionDenied) as caught:
            matcher.describe(name)
        messages.append(str(caught.value).replace(name, "x"))
    matcher.close()
    assert messages[0] == messages[1]
    assert "the role admin or auditor or camera or enroller or operator" in messages[0]


def test_a_token_works_until_it_is_revoked_or_expires(guarded, tokens, local, monkeypatch):
    address, _ = guarded
    text = tokens.create("hub", "operator", ["mine"], 2)
    matcher = RemoteMatcher(address, token=text)
    assert matcher.describe("mine").name == "mine"
    identity = text.split("_")[1]
    assert text.split("_")[2] not in tokens._path.read_text()  # hashed at rest
    assert oct(tokens._path.stat().st_mode)[-3:] == "600"
    now = time.time
    monkeypatch.setattr("gaitid.server.tokens.time.time", lambda: now() + 3 * DAY)
    with pytest.raises(Unauthenticated, match="is expired"):
        matcher.describe("mine")
    monkeypatch.undo()
    tokens.revoke(identity)
    with pytest.raises(Unauthenticated, match="is revoked"):
        matcher.describe("mine")
    with pytest.raises(NotFound, match="no token 'none'"):
        tokens.revoke("none")
    matcher.close()


def test_what_a_token_does_is_recorded_under_its_name(guarded, local):
    address, held = guarded
    matcher = RemoteMatcher(address, token=held[Role.ADMIN, ("mine",)])
    matcher.set_profiles("mine", False)
    matcher.close()
    assert local.list_audit()[-1].actor == "token:admin-1"


@pytest.mark.parametrize("content", ["junk", "{}", '{"revoked": "a", "at": 1}', None])
def test_a_damaged_token_file_is_named(tmp_path, content):
    path = tmp_path / "tokens"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=str(path)):
        TokenFile(path).tokens()
    with (
        pytest.raises(ConfigError, match=str(path)),
        running(ServerSettings("127.0.0.1:0", data=tmp_path / "data", token_file=path)),
    ):
        pass


def test_a_token_is_not_sent_in_the_clear():
    for token, tls in (("gaitid_a_b", None), ("with space", Tls()), ("line\n", Tls())):
        with pytest.raises(ConfigError):
            RemoteMatcher("gate.example:7443", tls=tls, token=token)


WRONG = {
    "TLS without client authority or tokens": {"tls_certificate": "a", "tls_key": "b"},
    "client authority without rules": {"tls_certificate": "a", "tls_key": "b", "tls_client_ca": "c"},
    "rules without client authority": {"access": [{"certificate": "*", "role": "admin"}]},
    "revocations without client authority": {"tls_revoked": "a"},
    "tokens in the clear": {"insecure": True, "token_file": "a"},
    "unknown role": {"access": [{"certificate": "*", "role": "admim"}]},
    "rule without certificate": {"access": [{"role": "admin"}]},
    "rule without galleries": {"access": [{"certificate": "*", "role": "admin", "galleries": []}]},
}


@pytest.mark.parametrize("keys", WRONG.values(), ids=WRONG)
def test_settings_that_leave_a_door_open_are_refused(keys):
    with pytest.raises(ConfigError):
        build(ServerSettings, {"address": "0.0.0.0:7443", **keys})


@pytest.fixture
def authority(tmp_path):
    folder = tmp_path / "pki"
    pki.create_authority(folder)
    pki.issue(folder, "server", ["127.0.0.1"])
    for name in ("gate-3", "desk", "lost"):
        pki.issue(folder, name)
    return folder


@pytest.fixture
def secured(authority):
    """Settings with rules for gates and the desk."""
    return ServerSettings(
        "127.0.0.1:0",
        tls_certificate=authority / "server.pem",
        tls_key=authority / "server.key",
        tls_client_ca=authority / "ca.pem",
        tls_revoked=authority / pki.CRL,
        access=(
            AccessRule("gate-*", "camera", ("mine",)),
            AccessRule("desk", "admin"),
            AccessRule("lost", "admin"),
        ),
        shutdown_grace_s=1.0,
    )


def client(authority, address, name):
    return RemoteMatcher(
        address,
        tls=Tls(authority / "ca.pem", authority / f"{name}.pem", authority / f"{name}.key"),
        timeout_s=5.0,
    )


def test_certificates_have_roles(authority, secured, local, walk):
    local.create_gallery("mine")
    with running(secured, local) as address:
        gate, desk = (client(authority, address, name) for name in ("gate-3", "desk"))
        desk.enrol("mine", "ada", [walk()])
        assert gate.identify("mine", walk()).candidates[0].subject == "ada"
        for act in (
            lambda: gate.enrol("mine", "eve", [walk(1)]),
            lambda: gate.delete_gallery("mine"),
            lambda: gate.export_subject("mine", "ada"),
            lambda: gate.back_up(),
            lambda: gate.identify("yours", walk()),
        ):
            with pytest.raises(PermissionDenied, match="Caller gate-3"):
                act()
        gate.close()
        desk.close()
        refused = [entry for entry in local.list_audit() if entry.action == "refuse"]
    assert {entry.detail.split()[0] for entry in refused} == {
        "Enrol", "DeleteGallery", "ExportSubject", "CreateBackup", "Identify",
    }  # fmt: skip
    assert {entry.actor for entry in refused} == {"gate-3"}


def test_a_revoked_certificate_is_refused_at_its_next_call(authority, secured, local):
    with running(secured, local) as address:
        lost, desk = (client(authority, address, name) for name in ("lost", "desk"))
        assert lost.list_galleries() == []
        pki.revoke(authority, "lost")
        with pytest.raises(Unauthenticated, match="is revoked"):
            lost.list_galleries()
        assert desk.list_galleries() == []
        (authority / pki.CRL).write_text("junk")  # what cannot be read revokes nothing and allows nothing new
        with pytest.raises(Unauthenticated, match="is revoked"):
            lost.list_galleries()
        lost.close()
        desk.close()


def test_a_new_certificate_of_the_server_needs_no_restart(authority, secured, local):
    def serial(address):
        host, port = address.split(":")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(authority / "ca.pem")
        context.load_cert_chain(authority / "desk.pem", authority / "desk.key")
        context.set_alpn_protocols(["h2"])
        with (
            socket.create_connection((host, int(port)), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=host) as tls,
        ):
            return tls.getpeercert()["serialNumber"]

    with running(secured, local) as address:
        before = serial(address)
        pki.issue(authority, "next", ["127.0.0.1"])
        (authority / "next.key").replace(authority / "server.key")
        assert serial(address) == before  # half of a pair changes nothing
        (authority / "next.pem").replace(authority / "server.pem")
        assert serial(address) != before
        desk = client(authority, address, "desk")
        assert desk.list_galleries() == []
        desk.close()


def test_wrong_tls_files_are_named(authority, secured, tmp_path):
    other = tmp_path / "other"
    pki.create_authority(other)
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    pki.issue(authority, "old", ["127.0.0.1"], days=0.000001)
    time.sleep(0.2)
    cases = {
        "is not the key of": {"tls_key": authority / "desk.key"},
        "cannot be read": {"tls_key": tmp_path / "none"},
        "junk.pem": {"tls_client_ca": junk},
        "is not signed by": {"tls_revoked": other / pki.CRL},
        "list of revoked certificates": {"tls_revoked": junk},
        "expired on": {"tls_certificate": authority / "old.pem", "tls_key": authority / "old.key"},
    }
    for message, changes in cases.items():
        with (
            pytest.raises(ConfigError, match=message),
            running(replace(secured, data=tmp_path / "data", **changes)),
        ):
            pass


def test_another_authority_is_not_let_in(authority, secured, local, tmp_path):
    other = tmp_path / "other"
    pki.create_authority(other)
    pki.issue(other, "desk")
    stranger = Tls(authority / "ca.pem", other / "desk.pem", other / "desk.key")
    with running(secured, local) as address:
        matcher = RemoteMatcher(address, tls=stranger, timeout_s=2.0)
        with pytest.raises(ServerUnreachable):
            matcher.list_galleries()
        matcher.close()


def test_an_authority_is_made_once_and_names_are_names(authority):
    with pytest.raises(ConfigError, match="cannot be written"):
        pki.create_authority(authority)
    with pytest.raises(ConfigError, match="cannot be written"):
        pki.issue(authority, "desk")
    with pytest.raises(InputError):
        pki.issue(authority, "../desk")
    with pytest.raises(ConfigError, match="gaitid pki"):
        pki.revoke(authority, "nobody")
    assert oct((authority / "ca.key").stat().st_mode)[-3:] == "600"


HOST = "ipv4:10.0.0.1"


def test_a_flood_of_refusals_makes_few_entries(monkeypatch):
    written, now = [], [100.0]
    monkeypatch.setattr(refusals.time, "monotonic", lambda: now[0])
    held = Refusals(lambda caller, detail, count: written.append((caller.actor, detail, count)))
    denied = PermissionDenied("a", "b", "c")
    threads = [
        threading.Thread(
            target=lambda: [held.record(denied, "Enrol", "gate", f"{HOST}:{n}") for n in range(500)]
        )
        for _ in range(4)
    ]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert written == [("gate", "Enrol from ipv4:10.0.0.1: PERMISSION_DENIED", 0)]
    now[0] += refusals.WITHIN_S
    held.record(denied, "Enrol", "gate", f"{HOST}:1")
    assert written[1][2] == 1999
    for n in range(1000):
        held.record(denied, "Enrol", f"gate-{n}", f"{HOST}:1")
    assert len(written) == 2 + refusals.MOST - 1


def test_a_refusal_that_cannot_be_recorded_is_logged(caplog):
    def write(caller, detail, count):
        raise StoreError("disk full", "", "")

    Refusals(write).record(Unauthenticated("a", "b", "c"), "Embed", "gate", f"{HOST}:1")
    assert "a refused Embed could not be recorded: STORE_ERROR" in caplog.text


def test_patterns_grant_galleries():
    grant = access.Grant(Role.CAMERA, ("terminal-*",))
    assert grant.covers("terminal-2")
    assert not grant.covers("staff")
    assert not grant.covers("")
    entrant = access.Entrant(Caller("gate"), (grant, access.Grant(Role.AUDITOR)))
    assert entrant.holds("Identify", "terminal-1")
    assert not entrant.holds("Identify", "staff")  # an auditor may see it, but not search it
    assert entrant.holds("ListAudit", "")
