"""One run over the real video, shared by all tests that look at it."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from gaitid.perception.pipeline import Walk, watch
from gaitid.perception.sources import open_source


@pytest.fixture(scope="session")
def vtest(real_data: Path) -> list[Walk]:
    """All walks of vtest.avi; one run for the whole session."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with open_source(str(real_data / "vtest.avi"), camera="street") as source:
            return [walk for view in watch(source) for walk in view.walks]
    finally:
        cv2.setNumThreads(threads)
