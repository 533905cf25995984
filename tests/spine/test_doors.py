"""Imports of each entry point in a fresh interpreter, and the public names of the package."""

import subprocess
import sys

import pytest

import gaitid
from gaitid import registry
from gaitid.errors import ConfigError, MissingDependency, UnknownName

HEAVY = {
    *(
        "torch",
        "torchvision",
        "ultralytics",
        "cv2",
        "faiss",
        "scipy",
        "matplotlib",
        "grpc",
        "pymilvus",
        "psycopg",
    )
}

DOORS = {
    "import gaitid": set(),
    "import gaitid; gaitid.GaitSequence": set(),
    "import gaitid; gaitid.assess": set(),
    "import gaitid; gaitid.load_encoder('gei')": set(),
    "import gaitid; gaitid.RemoteMatcher": {"grpc"},
    "import gaitid.cli.footage": {"grpc"},
    "import gaitid.edge.node": {"cv2", "scipy"},
    "import gaitid.cli.edge": {"cv2", "scipy", "grpc"},
    "import gaitid.cli.serve": {"grpc"},
    "import gaitid; m = gaitid.connect('local:' + folder); m.close()": {"faiss"},
}


@pytest.mark.parametrize(("code", "allowed"), DOORS.items(), ids=DOORS)
def test_a_door_imports_only_what_it_needs(code, allowed, tmp_path):
    loaded = f"print(*({HEAVY!r} & set(sys.modules)))"
    check = f"import sys; folder = {str(tmp_path)!r}\n{code}\n{loaded}"
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) <= allowed


def test_public_names():
    assert len(gaitid.__all__) <= 16
    for name in gaitid.__all__:
        assert getattr(gaitid, name) is not None
    assert set(gaitid.__all__) <= set(dir(gaitid))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = gaitid.nonsense


@pytest.mark.parametrize("kind", ["encoders", "extractors", "indexes"])
def test_every_registered_name_resolves(kind):
    assert registry.names(kind)
    for name in registry.names(kind):
        assert callable(registry.resolve(kind, name))


def test_an_unknown_name_prints_the_nearest():
    with pytest.raises(UnknownName, match="Write 'gei'"):
        registry.resolve("encoders", "gie")
    with pytest.raises(UnknownName, match="expected one of fused, gei"):
        gaitid.load_encoder("")


def test_a_missing_package_names_its_extra():
    error = registry.missing(ModuleNotFoundError("no", name="faiss.swig"), "index faiss")
    assert isinstance(error, MissingDependency)
    assert str(error).startswith("Package faiss is not installed; expected this package for index faiss.")
    assert error.remedy == "Run pip install 'gaitid[server]'"


def test_connect_refuses_a_malformed_address():
    with pytest.raises(ConfigError, match="host:port"):
        gaitid.connect("nowhere")
