import json

import numpy as np
import pytest

from gaitid.datasets.base import find_synthetic_mark
from gaitid.datasets.opening import open_dataset
from gaitid.records import npz
from gaitid.registry import names
from gaitid.synthetic.layouts import LAYOUTS
from gaitid.synthetic.miniatures import PLANS, plan_of

FRAMES = 6


def test_every_data_set_and_layout_has_a_plan():
    assert set(PLANS) == set(names("datasets"))
    for layout in LAYOUTS:
        assert plan_of(layout).shots


@pytest.mark.parametrize("dataset", PLANS)
def test_a_miniature_is_read_whole_by_its_reader(gaitid, dataset, tmp_path):
    layout = {"casia-b": "casia-b-pkl", "ou-mvlp": "ou-mvlp-pkl"}.get(dataset, dataset)
    status, out, _ = gaitid(
        "dataset", "synth", "--layout", layout, "--subjects", 2, "--frames", FRAMES, "--out", tmp_path / "set"
    )
    assert status == 0
    assert "synthetic subjects" in out
    partition = tmp_path / "set" / "part.json"
    if dataset == "grew":
        partition.write_text('{"TRAIN_SET": ["00001train"], "TEST_SET": ["00002"]}')
    data = open_dataset(dataset, tmp_path / "set", partition=partition if dataset == "grew" else None)
    entries = [*data.entries("train"), *data.entries("test")]
    assert len(entries) == 2 * len(PLANS[dataset].shots)
    sequence = data.load(entries[-1])
    assert 1 <= len(sequence) <= FRAMES
    assert sequence.silhouettes is not None
    for name in data.protocols():
        assert data.protocol(name).groups


def test_npz_is_own_data_with_both_streams_and_the_same_every_time(gaitid, tmp_path):
    files = []
    for folder in ("a", "b"):
        assert (
            gaitid("dataset", "synth", "--subjects", 1, "--frames", FRAMES, "--out", tmp_path / folder)[0]
            == 0
        )
        files.append(sorted((tmp_path / folder).rglob("*.npz")))
    assert len(files[0]) == len(PLANS["folder"].shots)
    for first, second in zip(*files, strict=True):
        one, two = npz.load(first), npz.load(second)
        assert set(one.streams) == {"silhouette", "skeleton"}
        for name in one.streams:
            assert np.array_equal(one.streams[name], two.streams[name])
    assert len(open_dataset("folder", tmp_path / "a").entries("test")) == len(files[0])


def test_results_on_synthetic_subjects_say_so(gaitid, tmp_path):
    gaitid(
        "dataset", "synth", "--layout", "folder", "--subjects", 4, "--frames", 24, "--out", tmp_path / "set"
    )
    flags = ["--dataset", "folder", "--out"]
    assert (
        gaitid("dataset", "prepare", "--root", tmp_path / "set", *flags, tmp_path / "ready", "--workers", 1)[
            0
        ]
        == 0
    )
    status, _, _ = gaitid(
        "evaluate", "--root", tmp_path / "ready", "--encoder", "gei", *flags, tmp_path / "r"
    )
    assert status == 0
    assert json.loads((tmp_path / "r" / "result.json").read_text())["what"]["synthetic"] is True
    assert "SYNTHETIC subjects" in (tmp_path / "r" / "report.html").read_text()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_root_of_a_layout_holds_the_layout_only(gaitid, tmp_path, layout):
    """Tools of the data sets take every entry of the root for a subject."""
    root = tmp_path / "set"
    flags = ["--layout", layout, "--subjects", 1, "--frames", FRAMES, "--out", root]
    assert gaitid("dataset", "synth", *flags)[0] == 0
    assert not list(root.rglob("*synthetic*"))
    assert json.loads((tmp_path / "set.synthetic.json").read_text())["split"] == "test"


def test_the_mark_is_found_beside_the_root_and_in_it(tmp_path, monkeypatch):
    root = tmp_path / "set"
    root.mkdir()
    assert find_synthetic_mark(root) is None
    (root / "synthetic.json").write_text("{}")
    assert find_synthetic_mark(root) == root / "synthetic.json"
    (tmp_path / "set.synthetic.json").write_text("{}")
    monkeypatch.chdir(root)
    assert find_synthetic_mark(".") == tmp_path / "set.synthetic.json"


BAD = {
    "no subjects": (["--subjects", 0], "--subjects is 0"),
    "no frames": (["--frames", 0], "frames"),
    "negative seed": (["--seed", -1], "seed"),
}


@pytest.mark.parametrize(("flags", "message"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("layout", ["npz", "casia-b"])
def test_bad_flags(gaitid, tmp_path, layout, flags, message):
    status, _, err = gaitid("dataset", "synth", "--layout", layout, *flags, "--out", tmp_path / "x")
    assert (status, message in err) == (2, True)


def test_a_directory_with_files_is_refused(gaitid, tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    status, _, err = gaitid("dataset", "synth", "--out", tmp_path)
    assert (status, "is not empty" in err) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
