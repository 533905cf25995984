"""Gray silhouettes of data sets: exactly what published loaders pass to their networks."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from miniatures import dataset_of

from gaitid.cli import main
from gaitid.datasets.conversion import prepare
from gaitid.datasets.opening import open_dataset
from gaitid.errors import DatasetError, SequenceError
from gaitid.records import SILHOUETTE, SILHOUETTE_GRAY, GaitSequence
from gaitid.selection import check_probe
from gaitid.wire import pack_sequence

PAIRS = [
    ("casia-b", "casia-b-pkl"),
    ("ou-mvlp", "ou-mvlp-pkl"),
    ("gait3d", "gait3d-pkl"),
    ("ccpg-png", "ccpg"),
]


def test_every_layout_has_gray_on_demand(miniature, layout):
    name = dataset_of(layout)
    plain, gray = (open_dataset(name, miniature(layout), gray=flag) for flag in (False, True))
    assert (plain.gray, gray.gray) == (False, True)
    for entry in gray.entries("test")[::11]:
        one, two = plain.load(entry), gray.load(entry)
        assert set(one.streams) == set(two.streams) - {SILHOUETTE_GRAY}
        np.testing.assert_array_equal(one.silhouettes, two.silhouettes)
        np.testing.assert_array_equal(two.silhouettes, two.streams[SILHOUETTE_GRAY] > 127)


def test_gray_is_what_published_loaders_cut_from_their_pickles(miniature):
    dataset = open_dataset("casia-b", miniature("casia-b-pkl"), gray=True)
    for entry in dataset.entries("test")[::40]:
        with entry.path.open("rb") as file:
            theirs = pickle.load(file)[:, :, 10:54]  # noqa: S301 - written by this test's generator
        np.testing.assert_array_equal(dataset.load(entry).streams[SILHOUETTE_GRAY], theirs)


@pytest.mark.parametrize(("images", "pickles"), PAIRS)
def test_images_and_their_conversion_have_the_same_gray(miniature, images, pickles):
    one, two = (
        open_dataset(dataset_of(layout), miniature(layout), gray=True) for layout in (images, pickles)
    )
    seen = 0
    for first, second in zip(one.entries("test")[::9], two.entries("test")[::9], strict=True):
        gray = one.load(first).streams[SILHOUETTE_GRAY]
        np.testing.assert_array_equal(gray, two.load(second).streams[SILHOUETTE_GRAY])
        seen += int(((gray > 0) & (gray < 255)).sum())
    assert seen > 200  # resized edges


@pytest.mark.parametrize("layout", ["casia-b", "sustech1k", "folder"])
def test_a_set_prepared_with_gray_equals_its_original(miniature, tmp_path, layout):
    original = open_dataset(dataset_of(layout), miniature(layout), gray=True)
    prepared = prepare(original, tmp_path / "out")
    assert prepared.gray
    assert prepare(original, tmp_path / "out").gray  # a second run only verifies
    for entry, other in zip(prepared.entries("test")[::7], original.entries("test")[::7], strict=True):
        one, two = prepared.load(entry), original.load(other)
        assert set(one.streams) == set(two.streams)
        for name, array in one.streams.items():
            np.testing.assert_array_equal(array, two.streams[name])


def test_a_directory_without_gray_is_not_continued_with_it(miniature, tmp_path, capsys):
    line = ["dataset", "prepare", "--dataset", "gait3d", "--root", str(miniature("gait3d"))]
    line += ["--out", str(tmp_path / "out"), "--workers", "1"]
    assert main(line) == 0
    assert not open_dataset("gait3d", tmp_path / "out").gray
    assert main([*line, "--gray"]) == 2
    assert "expected gait3d of 12 sequences, gray" in capsys.readouterr().err
    with pytest.raises(DatasetError, match="has gait3d of 12 sequences;"):
        prepare(open_dataset("gait3d", miniature("gait3d"), gray=True), tmp_path / "out")


def test_matchers_and_messages_refuse_gray(miniature):
    dataset = open_dataset("gait3d", miniature("gait3d"), gray=True)
    walk = dataset.load(dataset.entries("test")[0])
    with pytest.raises(SequenceError, match="has the stream silhouette_gray; expected streams that cameras"):
        check_probe(walk, (GaitSequence,))
    with pytest.raises(SequenceError, match="has the stream silhouette_gray; expected streams that cameras"):
        pack_sequence(walk)
    pack_sequence(GaitSequence({SILHOUETTE: walk.silhouettes}, walk.times))
