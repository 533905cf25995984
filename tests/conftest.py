"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Directory of the real inputs; skips the test if it is missing, fails in CI."""
    path = Path(os.environ.get("GAITID_TEST_DATA", ROOT.parent / "shared" / "data"))
    if path.is_dir():
        return path
    reason = f"real inputs are missing at {path}: set GAITID_TEST_DATA to their directory"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


# Tests in these directories and files train, film or render; `make test-fast` leaves them out.
_SLOW = (
    "benchmarks/",
    "training/",
    "encoders/test_shipped",
    "encoders/test_onnx",
    "encoders/test_reference",
    "encoders/test_learned",
    "encoders/test_import",
    "conformance/test_encoder",
    "synthetic/test_s",
    "cli/",
    "evaluation/test_ev",
    "evaluation/test_ex",
    "perception/test_pipeline",
    "perception/test_motion",
    "perception/test_precomputed",
    "perception/test_rcnn",
    "perception/test_yolo",
    "matcher/",
    "congruence/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark slow tests."""
    for item in items:
        if item.path.relative_to(ROOT / "tests").as_posix().startswith(_SLOW):
            item.add_marker(pytest.mark.slow)
