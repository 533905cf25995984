"""The miniature trees have the published names, nesting and file formats."""

from __future__ import annotations

import json
import pickle

import cv2
import numpy as np
import pytest

from gaitid.errors import InputError, UnknownName
from gaitid.records import GaitSequence
from gaitid.synthetic.layouts import LAYOUTS, LayoutWalk, write_layout

MASKS = np.zeros((3, 90, 70), np.uint8)
MASKS[:, 10:80, 25:45] = 1
# Layout: (walk, training subjects, files below the root as published).
TREES = {
    "casia-b": (
        (1, "nm", 1, 0),
        (),
        ["001/nm-01/000/001-nm-01-000-001.png", "001/nm-01/000/001-nm-01-000-003.png"],
    ),
    "casia-b-pkl": ((1, "bg", 2, 18), (), ["001/bg-02/018/018.pkl"]),
    "casia-b-star": (
        (1, "bg", 2, 18),
        (),
        ["001/bg-02/018/018-aligned-sils.pkl", "001/bg-02/018/018-sils.pkl", "001/bg-02/018/018-ratios.pkl"],
    ),
    "ou-mvlp": ((2, "", 1, 270), (), ["Silhouette_270-01/00002/0001.png"]),
    "ou-mvlp-pkl": ((2, "", 0, 15), (), ["00002/00/015/015.pkl"]),
    "grew": ((7, "", 1, 0), (7,), ["train/00007/{video}/00001.png", "train/00007/{video}_gei.png"]),
    "grew-pkl": ((7, "", 2, 0), (), ["00007/02/{video}/{video}.pkl"]),
    "gait3d": ((5, "", 0, 3), (), ["0005/camid3_videoid2/seq0/human_crop_f9990.png", "Gait3D.json"]),
    "gait3d-pkl": ((5, "", 0, 3), (), ["0005/camid3_videoid2/seq0/seq0.pkl", "Gait3D.json"]),
    "sustech1k": (
        (5, "nm", 0, 45),
        (),
        [
            "0005/00-nm/045/06-045-Camera-Sils_aligned.pkl",
            "0005/00-nm/045/07-045-Camera-Sils_raw.pkl",
            "0005/00-nm/045/14-sync-045-Camera-Sils_aligned.pkl",
            "SUSTech1K.json",
        ],
    ),
    "ccpg": ((100, "U0_D0", 0, 1), (), ["100/U0_D0/01_0/01_0-aligned-sils.pkl"]),
    "ccpg-png": ((100, "U0_D0", 0, 1), (), ["100/U0_D0/01_0/00001.png"]),
    "folder": ((3, "cl", 1, 90), (), ["subject003/cl-01/090/0001.png"]),
}


def files(root):
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_every_layout_has_a_case():
    assert set(TREES) == set(LAYOUTS)


@pytest.mark.parametrize("layout", TREES)
def test_names(layout, tmp_path):
    walk, train, expected = TREES[layout]
    root = write_layout(layout, tmp_path / "a" / "b", [LayoutWalk(*walk, MASKS)], train=train)
    video = next((path.parent.name for path in root.rglob("*/*/*/*") if path.is_file()), "")
    assert {name.format(video=video) for name in expected} <= files(root)
    if layout.startswith("grew"):
        assert len(video) == 8
        assert video.isalnum()


@pytest.mark.parametrize("layout", TREES)
def test_without_walks_only_a_partition_is_written(layout, tmp_path):
    assert {name.rpartition(".")[2] for name in files(write_layout(layout, tmp_path, []))} <= {"json"}


def test_images_are_0_and_255(tmp_path):
    write_layout("casia-b", tmp_path, [LayoutWalk(1, "nm", 1, 0, MASKS)])
    image = cv2.imread(str(tmp_path / "001/nm-01/000/001-nm-01-000-002.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(image, MASKS[1] * 255)


# Pickle of a layout: shape and values as published.
ARRAYS = {
    ("casia-b-pkl", "018.pkl"): (3, 64, 64),
    ("casia-b-star", "018-aligned-sils.pkl"): (3, 64, 44),
    ("casia-b-star", "018-sils.pkl"): (3, 128, 128),
    ("sustech1k", "06-018-Camera-Sils_aligned.pkl"): (3, 64, 64),
    ("sustech1k", "14-sync-018-Camera-Sils_aligned.pkl"): (1, 64, 64),
    ("ccpg", "18_1-aligned-sils.pkl"): (3, 64, 64),
}


@pytest.mark.parametrize(("layout", "name"), ARRAYS)
def test_pickles_are_plain_arrays(layout, name, tmp_path):
    write_layout(layout, tmp_path, [LayoutWalk(1, "nm", 1, 18, MASKS)])
    (path,) = tmp_path.rglob(name)
    array = pickle.loads(path.read_bytes())  # noqa: S301
    assert type(array) is np.ndarray
    assert (array.shape, array.dtype) == (ARRAYS[layout, name], np.uint8)
    assert array.max() == 255


def test_aligned_silhouettes_are_written_unchanged(tmp_path):
    silhouettes = np.zeros((2, 64, 44), np.uint8)
    silhouettes[:, :, 12:30] = 1
    walk = LayoutWalk(1, "nm", 1, 0, GaitSequence({"silhouette": silhouettes}, np.array([0.0, 0.1])))
    write_layout("casia-b-pkl", tmp_path, [walk])
    array = pickle.loads((tmp_path / "001/nm-01/000/000.pkl").read_bytes())  # noqa: S301
    np.testing.assert_array_equal(array[:, :, 10:54], silhouettes * 255)
    write_layout("casia-b", tmp_path / "images", [walk])
    image = cv2.imread(str(next((tmp_path / "images").rglob("*.png"))), cv2.IMREAD_GRAYSCALE)
    assert image.shape == (128, 88)


def test_partition_lists(tmp_path):
    walks = [LayoutWalk(subject, "", number, 0, MASKS) for subject in (0, 7) for number in (0, 1)]
    write_layout("gait3d", tmp_path, walks, train=[0, 99])
    assert json.loads((tmp_path / "Gait3D.json").read_text()) == {
        "TRAIN_SET": ["0000"],
        "TEST_SET": ["0007"],
        "PROBE_SET": ["0007-camid0_videoid2-seq0"],
    }


def test_refusals(tmp_path):
    with pytest.raises(UnknownName, match="casia-b"):
        write_layout("casia", tmp_path, [])
    skeletons = GaitSequence({"skeleton": np.zeros((2, 17, 3), np.float32)}, np.array([0.0, 0.1]))
    for sequence in (skeletons, MASKS.astype(np.float32)):
        with pytest.raises(InputError, match="Walk has"):
            write_layout("casia-b", tmp_path, [LayoutWalk(1, "nm", 1, 0, sequence)])
