"""Every data set is read from its exact layout, and from damaged copies of it."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from miniatures import SETS, dataset_of, draw

from gaitid import registry
from gaitid.datasets.base import Dataset, Fault, labels_of, summary
from gaitid.datasets.grew import write_submission
from gaitid.datasets.opening import open_dataset
from gaitid.errors import DatasetError, UnknownName
from gaitid.records import GaitSequence, npz
from gaitid.synthetic.layouts import LayoutWalk, write_layout

# Layout: train and test sequences, and the faults of an intact miniature (it has few subjects).
COUNTS = {
    "casia-b": (110, 220),
    "ou-mvlp": (28, 56),
    "grew": (3, 6),
    "gait3d": (4, 8),
    "sustech1k": (48, 96),
    "ccpg": (28, 56),
    "folder": (0, 8),
}
# Protocol: (probes, gallery) of each group among the test entries, counted manually from conftest.SETS.
PICKED = {
    "casia-b/view-matrix": {"NM": (44, 88), "BG": (44, 88), "CL": (44, 88)},
    "casia-b/cross-view": {"NM": (22, 66), "BG": (22, 66), "CL": (22, 66)},
    "ou-mvlp/view-matrix": {"NM": (28, 28)},
    "grew/official": {"probe": (2, 4)},
    "grew/local": {"02 in 01": (2, 2)},
    "gait3d/official": {"all": (2, 6)},
    "sustech1k/view-matrix": {
        "Normal": (24, 24),
        "Bag": (24, 24),
        "Clothing": (24, 24),
        "Night": (24, 24),
        "Overall": (72, 24),
    },
    "ccpg/gait": {"CL": (16, 24), "UP": (8, 8), "DN": (8, 8), "BG": (8, 8)},
    "ccpg/reid": {"CL": (16, 24), "UP": (8, 8), "DN": (8, 8), "BG": (8, 8)},
    "folder/first-walk": {"all": (4, 4)},
    "folder/all": {"all": (8, 8)},
}


def faults(dataset):
    return {problem.fault: problem for problem in dataset.problems()}


def test_registry_names_every_set():
    assert set(registry.names("datasets")) == set(SETS)


def test_layout_is_read_completely(miniature, layout):
    name = dataset_of(layout)
    dataset = open_dataset(name, miniature(layout))
    assert isinstance(dataset, Dataset)
    assert (len(dataset.entries("train")), len(dataset.entries("test"))) == COUNTS[name]
    entries = dataset.entries("test")
    assert len({entry.key for entry in entries}) == len(entries)
    for entry in entries[:: max(len(entries) // 8, 1)]:
        sequence = dataset.load(entry)
        assert sequence.silhouettes.shape == (6, 64, 44)
        assert 0.1 < sequence.silhouettes.mean() < 0.6
        np.testing.assert_allclose(sequence.times, np.arange(6) / dataset.frame_rate)
    assert set(summary(dataset.problems())) <= {"missing_subject", "partition_size"}


def test_images_and_their_conversion_agree(miniature):
    pairs = [
        ("casia-b", "casia-b-pkl"),
        ("casia-b", "casia-b-star"),
        ("ou-mvlp", "ou-mvlp-pkl"),
        ("ccpg-png", "ccpg"),
    ]
    for images, pickles in [*pairs, ("gait3d", "gait3d-pkl"), ("grew", "grew-pkl")]:
        one, two = (open_dataset(dataset_of(layout), miniature(layout)) for layout in (images, pickles))
        for first, second in zip(one.entries("test")[::9], two.entries("test")[::9], strict=True):
            assert first.key == second.key
            np.testing.assert_array_equal(one.load(first).silhouettes, two.load(second).silhouettes)


@pytest.mark.parametrize("protocol", PICKED)
def test_protocol_picks(miniature, protocol):
    name = protocol.partition("/")[0]
    dataset = open_dataset(name, miniature(name))
    labels = labels_of(dataset.entries("test"))
    published = dataset.protocol(protocol)
    published.check(labels)
    assert published == dataset.protocol(protocol.partition("/")[2])
    picked = {
        group.name: tuple(int(mask.sum()) for mask in group.masks(labels)) for group in published.groups
    }
    assert picked == PICKED[protocol]
    as_peers = {g.name: tuple(int(m.sum()) for m in g.masks(labels, peers=True)) for g in published.groups}
    assert as_peers == PICKED[protocol]


@pytest.mark.parametrize("name", sorted(set(SETS) - {"folder"}))
def test_training_subjects_are_refused(miniature, name):
    dataset = open_dataset(name, miniature(name))
    with pytest.raises(DatasetError, match="training subjects"):
        dataset.protocol().check(labels_of(dataset.entries("train")))


def test_published_parts():
    sizes = {"casia-b": (74, 50), "ou-mvlp": (5153, 5154), "grew": (20000, 6000), "ccpg": (100, 100)}
    for name, (train, test) in sizes.items():
        kind = registry.resolve("datasets", name)
        partition = kind.default_partition(kind.__new__(kind))
        assert (len(partition.train), len(partition.test)) == (train, test) == kind.published_sizes
    mvlp = registry.resolve("datasets", "ou-mvlp")
    partition = mvlp.default_partition(mvlp.__new__(mvlp))
    assert {"00001", "10305"} <= partition.train
    assert {"00002", "10306", "10307"} <= partition.test


def test_sustech_conditions_are_words(tmp_path):
    """A walk 02-uf-nt is Uniform and Night; its number 02 alone makes it Overall for the peers."""
    walks = [
        LayoutWalk(subject, condition, number, 0, draw(subject, number, 0))
        for subject in (1, 2)
        for condition, number in (("nm", 0), ("nm", 1), ("uf-nt", 2))
    ]
    dataset = open_dataset("sustech1k", write_layout("sustech1k", tmp_path, walks, train=[2]))
    entries = dataset.entries("test")
    assert [(entry.sequence, entry.condition) for entry in entries] == [
        ("00-nm", "nm"),
        ("01-nm", "nm"),
        ("02-uf-nt", "uf+nt"),
    ]
    groups = {g.name: g.masks(labels_of(entries))[0].tolist() for g in dataset.protocol().groups}
    assert groups == {
        "Normal": [False, True, False],
        "Uniform": [False, False, True],
        "Night": [False, False, True],
        "Overall": [False, True, True],
    }


def test_ccpg_view_is_the_camera(miniature):
    entry = open_dataset("ccpg", miniature("ccpg")).entries("test")[0]
    assert (entry.view, entry.sequence, entry.condition) == ("01", "U0_D0-01_0", "U0_D0")


def test_grew_probes_are_hidden(miniature, tmp_path):
    dataset = open_dataset("grew", miniature("grew"))
    probes = [entry for entry in dataset.entries("test") if not entry.subject]
    assert {entry.sequence for entry in probes} == {"03"}
    assert not dataset.protocol("grew/official").groups[0].labelled
    videos = labels_of(probes).covariates["video"]
    gallery = [f"{number:05d}" for number in range(21, 0, -1)]
    write_submission(tmp_path / "submission.csv", {str(video): gallery for video in videos})
    header, *lines = (tmp_path / "submission.csv").read_text().splitlines()
    assert header.startswith("videoId,rank1,rank2,")
    assert header.endswith(",rank20")
    assert lines == [f"{video},{','.join(str(n) for n in range(21, 1, -1))}" for video in sorted(videos)]


@pytest.mark.parametrize("names", [[], ["00001"] * 19, ["00001train"] * 20, [""] * 20])
def test_submission_is_checked(tmp_path, names):
    with pytest.raises(DatasetError, match="Probe abc has"):
        write_submission(tmp_path / "submission.csv", {"abc": names})
    assert not (tmp_path / "submission.csv").exists()


def test_unknown_names(miniature):
    with pytest.raises(UnknownName, match="casia-b"):
        open_dataset("casiab", miniature("casia-b"))
    dataset = open_dataset("casia-b", miniature("casia-b"))
    with pytest.raises(UnknownName, match="view-matrix"):
        dataset.protocol("viewmatrix")
    with pytest.raises(DatasetError, match="train or test"):
        dataset.entries("val")


@pytest.mark.parametrize("name", SETS)
def test_wrong_root(name, tmp_path):
    with pytest.raises(DatasetError, match="is not a directory"):
        open_dataset(name, tmp_path / "nothing")
    partition = tmp_path / "part.json"
    partition.write_text(json.dumps({"TRAIN_SET": ["1"], "TEST_SET": ["2"], "PROBE_SET": ["2-a-b"]}))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="has no sequence"):
        open_dataset(name, tmp_path / "empty", partition=partition)


def test_missing_view_walk_and_subject(damaged):
    root = damaged("casia-b-pkl")
    shutil.rmtree(root / "075" / "nm-03" / "090")
    shutil.rmtree(root / "076" / "cl-02")
    dataset = open_dataset("casia-b", root)
    found = faults(dataset)
    assert found[Fault.MISSING_VIEW].where == "075/nm-03"
    assert found[Fault.MISSING_VIEW].detail == "090"
    assert (found[Fault.MISSING_SEQUENCE].where, found[Fault.MISSING_SEQUENCE].detail) == ("076", "cl-02")
    assert summary(dataset.problems())["missing_subject"] == 73 + 48
    assert len(dataset.entries("test")) == 220 - 1 - 11


def test_zero_byte_pickle_is_listed(damaged):
    root = damaged("ou-mvlp-pkl")
    (root / "00002" / "01" / "045" / "045.pkl").write_bytes(b"")
    dataset = open_dataset("ou-mvlp", root)
    found = faults(dataset)
    assert found[Fault.EMPTY_FILE].where == "00002/01/045/045.pkl"
    assert found[Fault.MISSING_VIEW].where == "00002/01"
    assert len(dataset.entries("test")) == 55


def test_damaged_images_leave_their_gap(damaged):
    root = damaged("ccpg-png")
    folder = root / "100" / "U0_D0" / "01_0"
    images = sorted(folder.iterdir())
    images[1].write_bytes(images[1].read_bytes()[:-30])
    images[3].write_bytes(b"")
    images[4].write_bytes(b"GIF89a" + bytes(40))
    dataset = open_dataset("ccpg", root)
    sequence = dataset.load(dataset.entries("test")[-1])
    assert len(sequence) == 6
    entry = next(e for e in dataset.entries("test") if e.path == folder)
    np.testing.assert_allclose(dataset.load(entry).times, np.array([0, 2, 5]) / 25)
    assert summary(dataset.problems())["damaged_file"] == 2
    assert faults(dataset)[Fault.EMPTY_FILE].where == "100/U0_D0/01_0/00004.png"
    dataset.load(entry)
    assert summary(dataset.problems())["damaged_file"] == 2, "reading again must not count again"


# Names of images: their times in frames.
NAMES = {
    "one": (["7.png"], [0]),
    "gap": (["a-001.png", "a-002.png", "a-005.png"], [0, 1, 4]),
    "past nine": (["f9.png", "f10.png", "f11.png"], [0, 1, 2]),
    "no numbers": (["a.png", "b.png"], [0, 1]),
    "same number": (["a1.png", "b1.png", "a2.png"], [0, 1, 2]),
    "time stamps": (["1657079573.500289000.png", "1657079573.600312000.png"], [0, 1]),
}


@pytest.mark.parametrize("case", NAMES)
def test_numbers_of_images_are_times(case, tmp_path):
    names, frames = NAMES[case]
    folder = tmp_path / "alice" / "nm-01" / "front"
    folder.mkdir(parents=True)
    for name in names:
        cv2.imwrite(str(folder / name), draw(1, 1, 0)[0] * 255)
    (entry,) = (dataset := open_dataset("folder", tmp_path)).entries("test")
    np.testing.assert_allclose(dataset.load(entry).times, np.array(frames) / 25)


def test_bytes_after_an_image_do_not_matter(damaged):
    root = damaged("folder")
    image = root / "subject001" / "nm-01" / "000" / "0001.png"
    image.write_bytes(image.read_bytes() + b"appended by some tool")
    dataset = open_dataset("folder", root)
    assert len(dataset.load(dataset.entries("test")[0])) == 6
    assert not dataset.problems()


def test_problems_name_no_path_outside_the_root(damaged):
    root = damaged("ou-mvlp-pkl")
    shutil.copytree(root / "00002" / "00" / "000", root / "Silhouette_000-00" / "00002")
    (root / "Silhouette_000-00" / "00002" / "000.pkl").rename(
        root / "Silhouette_000-00" / "00002" / "00002.pkl"
    )
    (root / "00004" / "00" / "000" / "000.pkl").write_bytes(b"no pickle")
    dataset = open_dataset("ou-mvlp", root)
    for entry in dataset.entries("test"):
        if entry.subject == "00004" and entry.view == "000" and entry.sequence == "00":
            with pytest.raises(DatasetError):
                dataset.load(entry)
    assert {Fault.DUPLICATE, Fault.DAMAGED_FILE} <= set(faults(dataset))
    for problem in dataset.problems():
        assert str(root) not in problem.where + problem.detail


def test_bomb_is_not_inflated(damaged):
    root = damaged("folder")
    image = root / "subject001" / "nm-01" / "000" / "0001.png"
    data = bytearray(image.read_bytes())
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    image.write_bytes(bytes(data))
    dataset = open_dataset("folder", root)
    assert len(dataset.load(dataset.entries("test")[0])) == 5
    assert faults(dataset)[Fault.DAMAGED_FILE].detail == "60000x60000 pixels"


def test_empty_frames_are_counted(damaged):
    root = damaged("ccpg-png")
    folder = root / "100" / "U0_D0" / "01_0"
    for image in sorted(folder.iterdir())[:2]:
        cv2.imwrite(str(image), np.zeros((120, 100), np.uint8))
    dataset = open_dataset("ccpg", root)
    sequence = dataset.load(next(e for e in dataset.entries("test") if e.path == folder))
    assert len(sequence) == 4
    assert sequence.dropped == {"too_small": 2}
    np.testing.assert_allclose(sequence.times, np.array([2, 3, 4, 5]) / 25)
    assert faults(dataset)[Fault.EMPTY_FRAME].count == 2


def test_sequence_of_empty_frames_is_an_error(damaged):
    root = damaged("ccpg-png")
    folder = root / "100" / "U0_D0" / "01_0"
    for image in folder.iterdir():
        cv2.imwrite(str(image), np.zeros((120, 100), np.uint8))
    dataset = open_dataset("ccpg", root)
    with pytest.raises(DatasetError, match="all 6 frames are empty"):
        dataset.load(next(e for e in dataset.entries("test") if e.path == folder))
    assert faults(dataset)[Fault.NO_FRAMES].where == "100/U0_D0/01_0"


MARK = Path(tempfile.gettempdir()) / f"gaitid-reader-ran-{os.getpid()}"


class Evil:
    def __reduce__(self):
        return os.system, (f"touch {MARK}",)


def _array(value):
    def write(path):
        path.write_bytes(pickle.dumps(value))

    return write


RNG = np.random.default_rng(7)
# Other contents of a leaf's pickle: (writer, fault reported).
CONTENTS = {
    "one byte": (lambda path: path.write_bytes(b"\x80"), Fault.DAMAGED_FILE),
    "half": (
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        Fault.DAMAGED_FILE,
    ),
    "malicious": (_array(Evil()), Fault.DAMAGED_FILE),
    "malicious, nested": (_array([np.zeros((1, 64, 64), np.uint8), {"a": Evil()}]), Fault.DAMAGED_FILE),
    "no frame": (_array(np.zeros((0, 64, 64), np.uint8)), Fault.NO_FRAMES),
    "all empty": (_array(np.zeros((3, 64, 64), np.uint8)), Fault.NO_FRAMES),
    "wrong size": (_array(np.ones((3, 60, 40), np.uint8)), Fault.WRONG_SIZE),
    "four axes": (_array(np.ones((3, 1, 64, 64), np.uint8)), Fault.WRONG_SIZE),
    "floats": (_array(np.ones((3, 64, 64), np.float32)), Fault.WRONG_SIZE),
    "two sizes": (_array([np.ones((64, 64), np.uint8), np.ones((64, 44), np.uint8)]), Fault.WRONG_SIZE),
    "a number": (_array(5), Fault.WRONG_SIZE),
    "large values": (_array(np.full((3, 64, 64), 999)), Fault.NOT_BINARY),
    "a photograph": (_array(RNG.integers(0, 256, (3, 64, 64)).astype(np.uint8)), Fault.NOT_BINARY),
    "too many frames": (_array(np.ones((10_001, 64, 44), np.uint8)), Fault.DAMAGED_FILE),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_bad_pickle_is_an_error_and_listed(case, damaged):
    root = damaged("casia-b-pkl")
    path = root / "075" / "nm-01" / "000" / "000.pkl"
    write, fault = CONTENTS[case]
    write(path)
    dataset = open_dataset("casia-b", root)
    with pytest.raises(DatasetError, match=r"000\.pkl"):
        dataset.load(next(entry for entry in dataset.entries("test") if entry.path == path))
    assert faults(dataset)[fault].where == "075/nm-01/000/000.pkl"
    assert not MARK.exists()


def test_gray_images_are_refused(damaged):
    root = damaged("ccpg-png")
    folder = root / "100" / "U0_D0" / "01_0"
    for image in folder.iterdir():
        cv2.imwrite(str(image), RNG.integers(0, 256, (120, 100)).astype(np.uint8))
    dataset = open_dataset("ccpg", root)
    with pytest.raises(DatasetError, match="of the pixels are gray"):
        dataset.load(next(entry for entry in dataset.entries("test") if entry.path == folder))
    assert Fault.NOT_BINARY in faults(dataset)


def test_masks_of_ones_are_masks(damaged):
    """0/1 images sum to far less than the convention's 10,000, but must not all count as empty."""
    root = damaged("ccpg-png")
    folder = root / "100" / "U0_D0" / "01_0"
    before = open_dataset("ccpg", root)
    entry = next(entry for entry in before.entries("test") if entry.path == folder)
    expected = before.load(entry).silhouettes
    for image in folder.iterdir():
        cv2.imwrite(str(image), cv2.imread(str(image), cv2.IMREAD_GRAYSCALE) // 255)
    np.testing.assert_array_equal(open_dataset("ccpg", root).load(entry).silhouettes, expected)


def test_duplicate_sequence_is_listed(damaged):
    root = damaged("casia-b-pkl")
    leaf = root / "075" / "nm-01" / "000"
    shutil.copy(leaf / "000.pkl", leaf / "000-aligned-sils.pkl")
    dataset = open_dataset("casia-b", root)
    assert faults(dataset)[Fault.DUPLICATE].where == "075/nm-01/000"
    assert len(dataset.entries("test")) == 220
    root = damaged("ou-mvlp")
    shutil.copytree(root / "Silhouette_000-00" / "00002", root / "00002" / "00" / "000")
    dataset = open_dataset("ou-mvlp", root)
    assert Fault.DUPLICATE in faults(dataset)
    assert len(dataset.entries("test")) == 56


def test_unknown_files_are_listed(damaged):
    root = damaged("casia-b-pkl")
    (root / "NM-01").mkdir()
    (root / "075" / "nm-01" / "091").mkdir()
    (root / "notes.txt").write_text("mine")
    (root / ".DS_Store").write_text("")
    (root / "075" / "nm-01" / "000" / "000.pkl").unlink()
    strangers = {p.where for p in open_dataset("casia-b", root).problems() if p.fault is Fault.UNKNOWN_NAME}
    assert strangers == {"NM-01", "075/nm-01/091", "notes.txt"}
    assert faults(open_dataset("casia-b", root))[Fault.NO_FRAMES].where == "075/nm-01/000"


PARTITIONS = {
    "no json": "hello",
    "a list": "[]",
    "other keys": '{"train": [], "test": []}',
    "no test set": '{"TRAIN_SET": ["075"]}',
    "empty test set": '{"TRAIN_SET": ["075"], "TEST_SET": []}',
    "numbers": '{"TRAIN_SET": [75], "TEST_SET": [76]}',
    "repeated": '{"TRAIN_SET": ["075", "075"], "TEST_SET": ["076"]}',
    "overlap": '{"TRAIN_SET": ["075"], "TEST_SET": ["075"]}',
    "another set's": '{"TRAIN_SET": ["00001"], "TEST_SET": ["00002"]}',
}


@pytest.mark.parametrize("case", PARTITIONS)
def test_wrong_partition(case, miniature, tmp_path):
    path = tmp_path / "partition.json"
    path.write_text(PARTITIONS[case])
    with pytest.raises(DatasetError, match=r"Partition|partition"):
        open_dataset("casia-b", miniature("casia-b-pkl"), partition=path)
    with pytest.raises(DatasetError, match="cannot be read"):
        open_dataset("casia-b", miniature("casia-b-pkl"), partition=tmp_path / "none.json")


def test_partition_changes_the_parts(miniature, tmp_path):
    path = tmp_path / "partition.json"
    path.write_text('{"TRAIN_SET": ["075"], "TEST_SET": ["076"]}')
    dataset = open_dataset("casia-b", miniature("casia-b-pkl"), partition=path)
    assert {entry.subject for entry in dataset.entries("train")} == {"075"}
    assert dataset.protocol().test == ("076",)
    found = faults(dataset)
    assert found[Fault.UNLISTED_SUBJECT].where == "001"
    assert found[Fault.PARTITION_SIZE].detail == "1 test subjects in partition.json, 50 published"


@pytest.mark.parametrize("name", ["gait3d", "sustech1k"])
def test_listed_parts_need_their_file(name, damaged, tmp_path):
    root = damaged(name)
    (sidecar,) = root.glob("*.json")
    shutil.move(sidecar, tmp_path / "kept")
    with pytest.raises(DatasetError, match=sidecar.name):
        open_dataset(name, root)
    shutil.move(tmp_path / "kept", root.parent / sidecar.name)
    assert open_dataset(name, root).entries("test")


def test_gait3d_probes_must_exist(damaged):
    root = damaged("gait3d-pkl")
    partition = json.loads((root / "Gait3D.json").read_text())
    gone = partition["PROBE_SET"][0]
    shutil.rmtree(root.joinpath(*gone.split("-")))
    assert faults(open_dataset("gait3d", root))[Fault.MISSING_SEQUENCE].where == gone
    del partition["PROBE_SET"]
    (root / "Gait3D.json").write_text(json.dumps(partition))
    with pytest.raises(DatasetError, match="lists no probes"):
        open_dataset("gait3d", root)


def test_poses_of_the_published_conversions(tmp_path):
    """17 and 18 joints, heat-map confidences above 1, doubles."""
    joints = RNG.uniform(0, 200, (4, 18, 3))
    joints[..., 2] = RNG.uniform(0.1, 1.02, (4, 18))
    for subject, array in (("00002", joints[:, :17]), ("00004", joints)):
        for walk in ("00", "01"):
            folder = tmp_path / subject / walk / "000"
            folder.mkdir(parents=True)
            (folder / "000.pkl").write_bytes(pickle.dumps(array))
    dataset = open_dataset("ou-mvlp", tmp_path)
    for entry in dataset.entries("test"):
        skeletons = dataset.load(entry).skeletons
        assert skeletons.shape == (4, 17, 3)
        assert skeletons[..., 2].max() <= 1.0
    np.testing.assert_allclose(
        dataset.load(dataset.entries("test")[0]).skeletons[..., :2], joints[:, :17, :2], rtol=1e-6
    )


def test_folder_reads_files_and_facts(tmp_path):
    silhouettes = np.zeros((5, 64, 44), np.uint8)
    silhouettes[:, 10:50, 10:30] = 1
    skeleton = RNG.uniform(0, 1, (5, 17, 3)).astype(np.float32)
    for subject in ("alice", "bob"):
        (tmp_path / subject / "nm-01").mkdir(parents=True)
    np.savez(
        tmp_path / "alice" / "nm-01" / "front.npz",
        silhouette=silhouettes,
        skeleton=skeleton,
        times=np.arange(5) / 8,
    )
    np.savez_compressed(tmp_path / "alice" / "nm-01" / "side.npz", skeleton=skeleton)
    np.save(tmp_path / "bob" / "nm-01" / "front.npy", np.pad(silhouettes * 255, ((0, 0), (0, 0), (10, 10))))
    (tmp_path / "bob" / "nm-01" / "side.npy").write_bytes(b"")
    (tmp_path / "subjects.csv").write_text("subject,sex,age\nalice,f,31\nbob,m,\n")
    dataset = open_dataset("folder", tmp_path)
    both, only, one = (dataset.load(entry) for entry in dataset.entries("test"))
    np.testing.assert_array_equal(both.times, np.arange(5) / 8)
    np.testing.assert_array_equal(both.skeletons, skeleton)
    assert set(only.streams) == {"skeleton"}
    np.testing.assert_array_equal(one.silhouettes, silhouettes)
    np.testing.assert_array_equal(both.silhouettes, silhouettes)
    labels = labels_of(dataset.entries("test"))
    assert labels.covariates["sex"].tolist() == ["f", "f", "m"]
    assert labels.condition.tolist() == ["nm"] * 3
    assert faults(dataset)[Fault.EMPTY_FILE].where == "bob/nm-01/side.npy"


def test_folder_reads_what_extract_writes(tmp_path):
    skeleton = RNG.uniform(0, 1, (3, 17, 3)).astype(np.float32)
    written = GaitSequence({"skeleton": skeleton}, np.array([5.0, 5.5, 7.0]), dropped={"cut_off": 2})
    (tmp_path / "alice" / "walk-1").mkdir(parents=True)
    npz.save(tmp_path / "alice" / "walk-1" / "door.npz", written)
    dataset = open_dataset("folder", tmp_path)
    (entry,) = dataset.entries("test")
    assert (entry.condition, entry.view) == ("walk", "door")
    sequence = dataset.load(entry)
    np.testing.assert_array_equal(sequence.skeletons, skeleton)
    np.testing.assert_array_equal(sequence.times, written.times)
    assert sequence.dropped == {"cut_off": 2}


FILES = {
    "no archive": lambda path: path.write_bytes(b"PK\x03\x04 no"),
    "unknown stream": lambda path: np.savez(path, mask=np.zeros((2, 64, 44), np.uint8)),
    "nothing": lambda path: np.savez(path),
    "objects": lambda path: np.savez(path, silhouette=np.array([Evil()], object)),
    "unequal": lambda path: np.savez(
        path, silhouette=np.ones((2, 64, 44), np.uint8), skeleton=np.zeros((3, 17, 3))
    ),
    "fewer times": lambda path: np.savez(path, silhouette=np.ones((3, 64, 44), np.uint8), times=np.zeros(2)),
    "more times": lambda path: np.savez(path, skeleton=np.zeros((3, 17, 3)), times=np.arange(4.0)),
    "no axes": lambda path: np.savez(path, skeleton=np.float32(1)),
    "text": lambda path: np.savez(path, skeleton=np.full((2, 17, 3), "x")),
    "photographs": lambda path: np.savez(
        path,
        silhouette=RNG.integers(0, 256, (2, 64, 44)).astype(np.uint8),
        skeleton=np.zeros((2, 17, 3)),
    ),
    "times backwards": lambda path: np.savez(path, skeleton=np.zeros((2, 17, 3)), times=np.array([1.0, 0.0])),
    "wrong joints": lambda path: np.savez(path, skeleton=np.zeros((2, 33, 3))),
    "NaN": lambda path: np.savez(path, skeleton=np.full((2, 17, 3), np.nan)),
}


@pytest.mark.parametrize("case", FILES)
def test_bad_file_of_own_data(case, tmp_path):
    path = tmp_path / "alice" / "nm-01" / "front.npz"
    path.parent.mkdir(parents=True)
    FILES[case](path)
    dataset = open_dataset("folder", tmp_path)
    with pytest.raises(DatasetError):
        dataset.load(dataset.entries("test")[0])
    assert {p.fault for p in dataset.problems()} & {Fault.DAMAGED_FILE, Fault.WRONG_SIZE, Fault.NOT_BINARY}


def test_folder_checks_its_facts(damaged):
    root = damaged("folder")
    (root / "subjects.csv").write_text("name,sex\nx,f\n")
    with pytest.raises(DatasetError, match="no column subject"):
        open_dataset("folder", root)
