"""A local matcher beside a remote one."""

from __future__ import annotations

import contextlib

import pytest
from congruent import assess

from gaitid.encoders.gei import GEI
from gaitid.local import LocalMatcher
from gaitid.remote import RemoteMatcher
from gaitid.server.app import ServerSettings, running


@pytest.fixture
def pair(tmp_path):
    """A local matcher, and a remote one on a server of another directory."""
    local = LocalMatcher(GEI(), tmp_path / "local", index="exact", assess=assess)
    far = LocalMatcher(GEI(), tmp_path / "remote", index="exact", assess=assess)
    with (
        contextlib.closing(local),
        running(ServerSettings("127.0.0.1:0", shutdown_grace_s=1.0), far) as address,
        contextlib.closing(RemoteMatcher(address, timeout_s=10.0)) as remote,
    ):
        yield local, remote
