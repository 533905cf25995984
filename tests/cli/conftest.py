"""One drawn video and the sequences extracted from it, shared by the tests of the verbs."""

from __future__ import annotations

import pytest

from gaitid.cli import main
from gaitid.records import npz
from gaitid.server.app import ServerSettings, running
from tests.filmed import walk_video

WALKERS = ((1.0, 1.0), (1.7, 0.9))


@pytest.fixture(scope="session")
def video(tmp_path_factory):
    """Two walkers, a slim quick one and a stout slow one."""
    return walk_video(tmp_path_factory.mktemp("video") / "two.avi", walkers=WALKERS)


@pytest.fixture(scope="session")
def extracted(video, tmp_path_factory):
    """Files of both walks, in order."""
    out = tmp_path_factory.mktemp("sequences")
    assert main(["extract", str(video), "--out", str(out), "--camera", "gate", "--usable-only"]) == 0
    files = sorted(out.glob("*.npz"))
    assert len(files) == 2
    return files


@pytest.fixture
def gaitid(capsys):
    """Run the command line in this process; returns status, standard output and standard error."""

    def run(*arguments):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = stop.code
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


@pytest.fixture
def halves(extracted, tmp_path):
    """First and second half of both walks: files a1, a2, b1, b2."""
    files = {}
    for name, path in zip("ab", extracted, strict=True):
        walk = npz.load(path)
        middle = len(walk) // 2
        for half, frames in (("1", slice(0, middle)), ("2", slice(middle, None))):
            files[name + half] = tmp_path / f"{name}{half}.npz"
            npz.save(files[name + half], walk.part(frames))
    return files


@pytest.fixture(params=["local", "remote"])
def target(request, tmp_path):
    if request.param == "local":
        yield ["--data", tmp_path / "data"]
        return
    with running(ServerSettings(address="127.0.0.1:0", data=tmp_path / "data")) as address:
        yield ["--server", address]
