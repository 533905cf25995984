"""The server as a process: settings, TLS, one owner of the data, graceful shutdown."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gaitid import settings
from gaitid.caller import calling
from gaitid.errors import ConfigError, ServerUnreachable, StoreLocked, UnknownName
from gaitid.records import QualityPolicy
from gaitid.remote import RemoteMatcher, Tls
from gaitid.server.access import AccessRule
from gaitid.server.app import ServerSettings, running

ROOT = Path(__file__).resolve().parents[2]

WRONG = {
    "no port": {"address": "127.0.0.1"},
    "no host": {"address": ":7443"},
    "port of letters": {"address": "127.0.0.1:http"},
    "port too large": {"address": "127.0.0.1:65536"},
    "open without TLS": {"address": "0.0.0.0:7443"},
    "named host without TLS": {"address": "gate.example:7443"},
    "no workers": {"workers": 0},
    "no calls": {"max_concurrent": 0},
    "no bytes": {"max_message_bytes": 0},
    "negative grace": {"shutdown_grace_s": -1.0},
    "grace NaN": {"shutdown_grace_s": float("nan")},
    "certificate without key": {"tls_certificate": "a.pem"},
    "key without certificate": {"tls_key": "a.pem"},
    "client authority without TLS": {"tls_client_ca": "a.pem"},
    "unknown key": {"adress": "127.0.0.1:1"},
    "ill-typed key": {"workers": "two"},
}


@pytest.mark.parametrize("table", WRONG.values(), ids=WRONG)
def test_invalid_settings_are_refused(table):
    with pytest.raises(ConfigError) as caught:
        settings.build(ServerSettings, table)
    assert caught.value.remedy


RIGHT = {
    "defaults": {},
    "localhost": {"address": "localhost:0"},
    "IPv6": {"address": "[::1]:0"},
    "open on purpose": {"address": "0.0.0.0:7443", "insecure": True},
    "open with TLS and tokens": {
        "address": "0.0.0.0:7443",
        "tls_certificate": "a.pem",
        "tls_key": "b.pem",
        "token_file": "c",
    },
}


@pytest.mark.parametrize("table", RIGHT.values(), ids=RIGHT)
def test_valid_settings_are_read(table):
    settings.build(ServerSettings, table)


def begin(address="127.0.0.1:0", **changes):
    return running(ServerSettings(address, **changes))


def test_a_taken_address_is_named(address, tmp_path):
    with pytest.raises(ConfigError, match=address), begin(address, data=tmp_path / "other", index="exact"):
        pass


def test_a_second_server_on_the_data_is_refused(address, tmp_path):
    with pytest.raises(StoreLocked), begin(data=tmp_path / "data", index="exact"):
        pass


@pytest.mark.parametrize("key", ["encoder", "index"])
def test_unknown_names_are_refused(key, tmp_path):
    with pytest.raises(UnknownName), begin(data=tmp_path, **{key: "nonesuch"}):
        pass


def test_unreadable_certificates_are_named(tmp_path):
    missing = tmp_path / "none.pem"
    with pytest.raises(ConfigError, match=r"none\.pem"), begin(tls_certificate=missing, tls_key=missing):
        pass


def test_invalid_certificates_are_refused(tmp_path):
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    with pytest.raises(ConfigError), begin(data=tmp_path / "d", tls_certificate=junk, tls_key=junk):
        pass


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    """An authority, a server and a client certificate, and a client of another authority."""
    directory = tmp_path_factory.mktemp("pki")
    for authority, names in (("ca", ("server", "client")), ("other", ("impostor",))):
        key = ec.generate_private_key(ec.SECP256R1())
        _write(directory, authority, key, _certificate(authority, key, authority, key))
        for name in names:
            own = ec.generate_private_key(ec.SECP256R1())
            _write(directory, name, own, _certificate(name, own, authority, key))
    return directory


def _certificate(name, key, issuer, issuer_key):
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([loopback]), critical=False)
        .add_extension(x509.BasicConstraints(ca=name == issuer, path_length=None), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )


def _write(directory, name, key, certificate):
    pem = serialization.Encoding.PEM
    (directory / f"{name}.pem").write_bytes(certificate.public_bytes(pem))
    (directory / f"{name}.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def test_mutual_tls_lets_in_only_known_clients(pki, local):
    secured = ServerSettings(
        "127.0.0.1:0",
        tls_certificate=pki / "server.pem",
        tls_key=pki / "server.key",
        tls_client_ca=pki / "ca.pem",
        access=(AccessRule("client", "admin"),),
        shutdown_grace_s=1.0,
    )
    cases = {
        "known client": (Tls(pki / "ca.pem", pki / "client.pem", pki / "client.key"), True),
        "no certificate": (Tls(pki / "ca.pem"), False),
        "impostor": (Tls(pki / "ca.pem", pki / "impostor.pem", pki / "impostor.key"), False),
        "server not trusted": (Tls(pki / "other.pem", pki / "client.pem", pki / "client.key"), False),
        "no TLS": (None, False),
    }
    with running(secured, local) as address:
        for name, (tls, is_let_in) in cases.items():
            client = RemoteMatcher(address, tls=tls, timeout_s=3.0)
            try:
                with calling("tests", actor="somebody else"):
                    client.create_gallery("g")
                assert is_let_in, name
            except ServerUnreachable:
                assert not is_let_in, name
            finally:
                client.close()
        (entry,) = local.list_audit()
        assert (entry.actor, entry.purpose) == ("client", "tests")


SERVER = """
    import asyncio, sys, time
    from pathlib import Path
    from gaitid.encoders import gei
    from gaitid.server.app import ServerSettings, serve
    slowly = gei.GEI.__call__
    def call(self, sequence):
        print("embedding", flush=True)
        time.sleep(float(sys.argv[2]))
        return slowly(self, sequence)
    gei.GEI.__call__ = call
    data = ServerSettings("127.0.0.1:0", data=Path(sys.argv[1]), encoder="gei", shutdown_grace_s=5.0)
    asyncio.run(serve(data, lambda address: print(address, flush=True)))
    print("ended", flush=True)
"""


@contextlib.contextmanager
def python(code, *arguments):
    """A process that runs the code; killed at the end if it still lives."""
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ask_until_refused(client):
    """Call until the signal has arrived."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        client.info()
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_calls_finish_and_takes_no_new_ones(number, tmp_path, walk):
    with python(SERVER, tmp_path / "data", 1.2) as process:
        address = process.stdout.readline().strip()
        first, second = RemoteMatcher(address), RemoteMatcher(address, timeout_s=1.0)
        assert second.info().encoder == "gei"
        answers = []
        thread = threading.Thread(target=lambda: answers.append(first.embed(walk())))
        thread.start()
        assert process.stdout.readline() == "embedding\n"
        process.send_signal(number)
        with pytest.raises(ServerUnreachable, match="server is stopping"):
            ask_until_refused(second)
        assert not answers
        thread.join(5)
        assert len(answers) == 1
        assert process.stdout.readline() == "ended\n"
        assert process.wait(5) == 0
        first.close()
        second.close()


def test_a_killed_server_loses_nothing_acknowledged(tmp_path, vector):
    for round_ in range(2):
        with python(SERVER, tmp_path / "data", 0) as process:
            client = RemoteMatcher(process.stdout.readline().strip())
            if round_ == 0:
                client.create_gallery("home")
                client.enrol("home", "ada", [vector(0)])
            assert client.identify("home", vector(0)).subject == "ada"
            process.kill()
            process.wait(5)
            with pytest.raises(ServerUnreachable):
                client.info()
            client.close()


MEMORY = """
    import asyncio, json, sys
    from pathlib import Path
    from gaitid.remote import RemoteMatcher
    def rss():
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
    if sys.argv[1] == "client":
        RemoteMatcher("127.0.0.1:1").close()
        print(json.dumps([rss(), sorted({name.partition(".")[0] for name in sys.modules})]))
    else:
        from gaitid.server.app import ServerSettings, start
        async def main():
            async with start(ServerSettings("127.0.0.1:0", data=Path(sys.argv[2]))) as address:
                client = RemoteMatcher(address)
                await asyncio.to_thread(client.create_gallery, "home")
                client.close()
                print(json.dumps([rss(), sorted({name.partition(".")[0] for name in sys.modules})]))
        asyncio.run(main())
"""
HEAVY = {"torch", "torchvision", "cv2", "ultralytics", "scipy", "matplotlib"}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize(
    ("side", "limit_mib", "foreign"), [("client", 60, HEAVY | {"faiss"}), ("server", 120, HEAVY)]
)
def test_memory_and_imports_stay_small(side, limit_mib, foreign, tmp_path):
    with python(MEMORY, side, tmp_path / "data") as process:
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    rss_mib, modules = json.loads(output)
    assert rss_mib < limit_mib
    assert not foreign & set(modules)


def test_an_address_without_a_server_is_reported_at_once():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    client = RemoteMatcher(f"127.0.0.1:{port}")
    begun = time.monotonic()
    with pytest.raises(ServerUnreachable, match=f"No server answers at 127.0.0.1:{port}") as caught:
        client.info()
    assert time.monotonic() - begun < 2
    assert "gaitid serve" in caught.value.remedy
    client.close()


def test_the_server_tells_its_quality_policy(tmp_path):
    policy = QualityPolicy(min_frames=33, min_cycles=2.5)
    with begin(data=tmp_path, index="exact", encoder="gei", quality=policy) as address:
        client = RemoteMatcher(address)
        assert client.info().quality == policy
        client.close()
