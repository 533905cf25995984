"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Directory of the real inputs; skips when absent, fails when absent in CI."""
    path = Path(os.environ.get("GAITID_TEST_DATA", ROOT.parent / "shared" / "data"))
    if path.is_dir():
        return path
    reason = f"real inputs are not at {path}: set GAITID_TEST_DATA to their directory"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
