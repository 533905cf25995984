"""The generated code is up to date and imports without warnings; the protos pass the linter."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (ROOT / "gaitid" / "v1").glob("*_pb2*.py"))


def run(*command, cwd=ROOT):
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_generated_modules_import_without_a_warning():
    assert len(MODULES) == 12
    lines = "; ".join(f"import gaitid.v1.{name}" for name in MODULES)
    done = run(sys.executable, "-W", "error", "-c", lines)
    assert done.returncode == 0, done.stderr


def test_generated_code_is_fresh():
    try:
        installed = version("grpcio-tools")
    except PackageNotFoundError:
        installed = "not installed"
    if installed != "1.76.0":
        pytest.skip(f"grpcio-tools is {installed}; `make protos` compares with 1.76.0 in its own environment")
    done = run(sys.executable, "protos/generate.py", "--check")
    assert done.returncode == 0, done.stderr


def test_protos_keep_their_style():
    buf = shutil.which("buf", path=str(Path(sys.executable).parent)) or shutil.which("buf")
    if buf is None:
        pytest.skip("buf is not installed (package buf-bin)")
    for arguments in (["lint"], ["format", "--diff", "--exit-code"]):
        done = run(buf, *arguments, cwd=ROOT / "protos")
        assert done.returncode == 0, done.stdout + done.stderr
