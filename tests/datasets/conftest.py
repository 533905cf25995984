"""Miniature trees of every layout."""

from __future__ import annotations

import shutil

import pytest
from miniatures import SETS, dataset_of

from gaitid.synthetic.layouts import LAYOUTS, write_layout


@pytest.fixture(scope="session")
def miniature(tmp_path_factory):
    """Layout name -> the root of a shared tree in that layout, which tests do not change."""
    folder = tmp_path_factory.mktemp("miniatures")

    def tree(layout):
        if not (folder / layout).exists():
            walks, train = SETS[dataset_of(layout)]
            write_layout(layout, folder / layout, walks, train=train)
        return folder / layout

    return tree


@pytest.fixture
def damaged(miniature, tmp_path):
    """Layout name -> a copy of its tree that a test may damage."""

    def copy(layout):
        return shutil.copytree(miniature(layout), tmp_path / layout)

    return copy


@pytest.fixture(params=LAYOUTS)
def layout(request):
    return request.param
