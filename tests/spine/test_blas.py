"""Numpy computes on one thread where gaitid works, and on as many as before elsewhere."""

import subprocess
import sys
import threading

import numpy as np  # noqa: F401 - loads its BLAS
import pytest
from threadpoolctl import ThreadpoolController

from gaitid import blas


@pytest.fixture
def threads():
    """Number of threads of numpy's BLAS, two outside `one_thread`."""
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    numpys = next((library for library in libraries if "numpy" in library.filepath), None)
    if numpys is None:
        pytest.skip("numpy's BLAS is not one whose threads can be set")
    before = numpys.num_threads
    numpys.set_num_threads(2)
    if numpys.num_threads < 2:
        pytest.skip("numpy's BLAS has one thread on this machine")
    yield lambda: numpys.num_threads
    numpys.set_num_threads(before)


def test_overlapping_contexts_restore_the_number_when_the_last_ends(threads):
    inside, leave = threading.Event(), threading.Event()

    def hold():
        with blas.one_thread():
            inside.set()
            leave.wait(10)

    other = threading.Thread(target=hold)
    with blas.one_thread():
        assert threads() == 1
        other.start()
        assert inside.wait(10)
    assert threads() == 1
    leave.set()
    other.join()
    assert threads() == 2


def test_a_failure_restores_the_number(threads):
    with pytest.raises(KeyError), blas.one_thread():
        raise KeyError
    assert threads() == 2


SEEN = """
import os, sys
for key in [key for key in os.environ if key.endswith("_NUM_THREADS")]: del os.environ[key]
import numpy as np
from threadpoolctl import ThreadpoolController
numpys = [one for one in ThreadpoolController().lib_controllers if "numpy" in one.filepath]
if not numpys: sys.exit(77)
numpys = numpys[0]
numpys.set_num_threads(2)
def threads(): return numpys.num_threads
if threads() < 2: sys.exit(77)
"""

IMPORT = """
import gaitid, gaitid.local, gaitid.server.app, gaitid.encoders.learned, gaitid.cli.edge
print(threads())
"""

SERVE = """
from pathlib import Path
from gaitid.server.app import ServerSettings, running
with running(ServerSettings("127.0.0.1:0", data=Path(sys.argv[1]), encoder="gei")): print(threads())
print(threads())
"""

EMBED = """
from gaitid.encoders.learned import LearnedEncoder, shipped
encoder = shipped("strider")
forward, seen = encoder.architecture.numpy, []
def build(*given):
    inner = forward(*given)
    return lambda clip: (seen.append(threads()), inner(clip))[1]
encoder._forward = encoder._load_numpy(build)
from gaitid.records import GaitSequence
encoder(GaitSequence({"silhouette": np.ones((30, 64, 44), np.uint8)}, np.arange(30) / 25))
print(*set(seen))
print(threads())
"""


@pytest.mark.parametrize(
    ("code", "printed"),
    {"imports change nothing": (IMPORT, "2"), "serve": (SERVE, "1 2"), "an encoder": (EMBED, "1 2")}.values(),
    ids=["imports change nothing", "serve", "an encoder"],
)
def test_where_numpy_has_one_thread(code, printed, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SEEN + code, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip("numpy's BLAS has one thread on this machine")
    assert done.returncode == 0, done.stderr
    assert " ".join(done.stdout.split()) == printed
