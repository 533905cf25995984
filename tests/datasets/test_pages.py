"""Each data set has its page, which names its protocols and its parts."""

from __future__ import annotations

from pathlib import Path

import pytest
from miniatures import SETS

from gaitid.datasets.base import Fault
from gaitid.datasets.opening import open_dataset

PAGES = Path(__file__).resolve().parents[2] / "docs" / "datasets"
HEADINGS = ("**Licence.**", "## Prepare and evaluate", "**Train.**", "## Verified, and not")


@pytest.mark.parametrize("name", SETS)
def test_page(name, miniature):
    page = (PAGES / f"{name.replace('-', '_')}.md").read_text(encoding="utf-8")
    dataset = open_dataset(name, miniature(name))
    index = (PAGES / "README.md").read_text(encoding="utf-8")
    for protocol in dataset.protocols():
        assert f"`{protocol}`" in page
        assert f"`{protocol}`" in index
    if any(dataset.published_sizes):
        train, test = (f"{size:,}" for size in dataset.published_sizes)
        assert f"| {train} / {test} |" in index
    for heading in HEADINGS:
        assert heading in page
    assert f"--dataset {name} " in page


def test_every_fault_is_explained():
    index = (PAGES / "README.md").read_text(encoding="utf-8")
    for fault in Fault:
        assert f"`{fault.value}`" in index
