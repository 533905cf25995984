"""`gaitid token` and `gaitid pki`, and the verbs that use what they make."""

from __future__ import annotations

import time

import pytest

from gaitid.encoders.gei import GEI
from gaitid.local import LocalMatcher
from gaitid.server.app import ServerSettings, running


def test_a_token_is_created_used_listed_and_revoked(gaitid, tmp_path, monkeypatch):
    file, secret = tmp_path / "tokens", tmp_path / "secret"
    status, out, _ = gaitid("token", "create", file, "--name", "hub", "--role", "admin", "--gallery", "main")
    assert status == 0
    secret.write_text(out)
    identity = out.split("_")[1]
    until = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 90 * 86400))
    listed = gaitid("token", "list", file)[1]
    assert listed == f"{identity} valid    until {until} admin     in main for hub\n"
    matcher = LocalMatcher(GEI(), tmp_path / "data", index="exact")
    matcher.create_gallery("main")
    with running(ServerSettings("127.0.0.1:0", token_file=file), matcher) as address:
        assert gaitid("list", "--server", address)[0] == 1
        assert gaitid("list", "--server", address, "--token-file", secret)[:2][0] == 0
        monkeypatch.setenv("GAITID_TOKEN", out.strip())
        assert "main" in gaitid("list", "--server", address)[1]
        status, out, _ = gaitid("token", "revoke", file, identity)
        assert (status, out) == (0, f"token {identity} of hub is revoked\n")
        status, _, err = gaitid("list", "--server", address)
        assert status == 1
        assert "is revoked" in err
    assert f"{identity} revoked" in gaitid("token", "list", file)[1]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--role", "admim"), "Write 'admin'"),
        (("--role", "admin", "--days", 0), "more than 0 and at most 3650"),
        (("--role", "admin", "--gallery", ""), "names or patterns of galleries"),
        (("--role", "admin", "--name", "a\nb"), "printable text"),
    ],
)
def test_wrong_tokens_are_not_created(gaitid, tmp_path, flags, message):
    status, _, err = gaitid("token", "create", tmp_path / "tokens", "--name", "hub", *flags)
    assert status == 2
    assert message in err
    assert not (tmp_path / "tokens").exists()


def test_an_authority_issues_and_revokes(gaitid, tmp_path):
    folder = tmp_path / "pki"
    assert gaitid("pki", "issue", folder, "gate-3")[0] == 2
    assert gaitid("pki", "init", folder)[0] == 0
    assert gaitid("pki", "issue", folder, "gate.example", "--host", "127.0.0.1")[0] == 0
    assert gaitid("pki", "issue", folder, "gate-3", "--days", 0)[0] == 2
    assert gaitid("pki", "issue", folder, "gate-3")[0] == 0
    status, out, _ = gaitid("pki", "revoke", folder, "gate-3")
    assert (status, "copy" in out) == (0, True)
    assert {path.name for path in folder.iterdir()} == {
        "ca.pem", "ca.key", "crl.pem", "gate.example.pem", "gate.example.key", "gate-3.pem", "gate-3.key",
    }  # fmt: skip
