"""A prepared data set equals its original, survives a kill, and detects damage."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from miniatures import dataset_of

from gaitid.cli import main, progress
from gaitid.datasets import pickles
from gaitid.datasets.base import PREPARED, Dataset, Fault, labels_of, summary
from gaitid.datasets.conversion import prepare
from gaitid.datasets.opening import open_dataset
from gaitid.datasets.prepared import Prepared
from gaitid.errors import DatasetError, UnknownName


def equal(one, two):
    for name in one.streams:
        np.testing.assert_array_equal(one.streams[name], two.streams[name])
    np.testing.assert_array_equal(one.times, two.times)
    assert set(one.streams) == set(two.streams)
    assert dict(one.dropped) == dict(two.dropped)


@pytest.mark.parametrize("layout", ["ou-mvlp", "grew-pkl", "gait3d", "sustech1k", "ccpg", "folder"])
def test_equals_its_original(layout, miniature, tmp_path):
    name = dataset_of(layout)
    original = open_dataset(name, miniature(layout))
    prepared = prepare(original, tmp_path / "out")
    assert isinstance(prepared, Dataset)
    for part in ("train", "test"):
        theirs, ours = original.entries(part), prepared.entries(part)
        assert [entry.key for entry in ours] == [entry.key for entry in theirs]
        assert [entry.condition for entry in ours] == [entry.condition for entry in theirs]
        for first, second in zip(theirs[::7], ours[::7], strict=True):
            equal(prepared.load(second), original.load(first))
    assert prepared.protocols() == original.protocols()
    for protocol in original.protocols():
        assert prepared.protocol(protocol) == original.protocol(protocol)
    masks = [
        [group.masks(labels_of(dataset.entries("test"))) for group in dataset.protocol().groups]
        for dataset in (original, prepared)
    ]
    np.testing.assert_array_equal(masks[0], masks[1])
    assert set(summary(original.problems())) <= set(summary(prepared.problems()))
    assert open_dataset(name, tmp_path / "out").entries("test") == prepared.entries("test")
    assert prepared.load(prepared.entries("test")[0]).silhouettes.flags.writeable is False


def test_one_bit_per_pixel(miniature, tmp_path):
    prepared = prepare(open_dataset("folder", miniature("folder")), tmp_path / "out")
    count = len(prepared.entries("test"))
    assert (tmp_path / "out" / "frames.bin").stat().st_size == count * 6 * (64 * 44 // 8 + 8)


def test_skeletons_times_and_facts(tmp_path):
    root = tmp_path / "in"
    (root / "alice" / "nm-01").mkdir(parents=True)
    rng = np.random.default_rng(1)
    streams = {
        "silhouette": (rng.random((4, 128, 88)) > 0.5).astype(np.uint8),
        "skeleton": rng.random((4, 17, 3)).astype(np.float32),
        "skeleton3d": rng.random((4, 17, 4)).astype(np.float32),
        "times": np.array([0.0, 0.1, 0.7, 0.9]),
    }
    np.savez(root / "alice" / "nm-01" / "front.npz", **streams)
    np.savez(root / "alice" / "nm-01" / "side.npz", skeleton=streams["skeleton"])
    np.savez(root / "alice" / "nm-01" / "space.npz", skeleton3d=streams["skeleton3d"])
    (root / "subjects.csv").write_text("subject,sex\nalice,f\n")
    original = open_dataset("folder", root)
    prepared = prepare(original, tmp_path / "out")
    for first, second in zip(original.entries("test"), prepared.entries("test"), strict=True):
        equal(prepared.load(second), original.load(first))
        assert second.covariates == (("sex", "f"),)


def test_workers_write_the_same(miniature, tmp_path):
    for workers in (1, 2):
        prepare(open_dataset("folder", miniature("folder")), tmp_path / str(workers), workers=workers)
    for name in ("frames.bin", "sequences.jsonl", PREPARED):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_problems_are_stored(damaged, tmp_path):
    root = damaged("gait3d-pkl")
    leaves = sorted(root.rglob("*.pkl"))
    leaves[4].write_bytes(b"")
    leaves[5].write_bytes(pickle.dumps(os.system))
    array = pickles.load(leaves[6]).copy()
    array[2] = 0
    leaves[6].write_bytes(pickle.dumps(array))
    shutil.copy(leaves[8], leaves[9])
    prepared = prepare(open_dataset("gait3d", root), tmp_path / "out")
    found = {problem.fault: problem for problem in prepared.problems()}
    assert len(prepared.entries("test")) == 8 - 2
    assert found[Fault.EMPTY_FILE].where == str(leaves[4].relative_to(root))
    assert found[Fault.DAMAGED_FILE].where == str(leaves[5].relative_to(root))
    assert "system" in found[Fault.DAMAGED_FILE].detail
    assert found[Fault.EMPTY_FRAME].count == 1
    copies = {p.where: p.detail for p in prepared.problems() if p.fault is Fault.DUPLICATE}
    same = "the same frames as 0002/camid0_videoid2-seq0/camid0; kept"
    assert copies["0002/camid0_videoid2-seq1/camid0"] == same
    dropped = [dict(prepared.load(entry).dropped) for entry in prepared.entries("test")]
    assert dropped.count({"too_small": 1}) == 1


# States that an interrupted run may leave: changes to an unfinished directory.
def _torn_line(folder):
    lines = folder / "sequences.jsonl"
    lines.write_bytes(lines.read_bytes()[:-20])


def _extra_frames(folder):
    with (folder / "frames.bin").open("ab") as file:
        file.write(b"half a sequence")


def _lost_frames(folder):
    os.truncate(folder / "frames.bin", 1000)


def _nothing_yet(folder):
    for name in ("frames.bin", "sequences.jsonl"):
        (folder / name).unlink()


def _all_but_manifest(folder):
    (folder / "prepared.json.new").write_text("{")


CUTS = [_torn_line, _extra_frames, _lost_frames, _nothing_yet, _all_but_manifest]


@pytest.mark.parametrize("cut", CUTS)
def test_continues_after_a_cut(cut, miniature, tmp_path):
    dataset = open_dataset("gait3d", miniature("gait3d-pkl"))
    whole, out = tmp_path / "whole", tmp_path / "out"
    prepare(dataset, whole)
    shutil.copytree(whole, out)
    (out / PREPARED).unlink()
    cut(out)
    with pytest.raises(DatasetError, match="not prepared to the end"):
        Prepared(out)
    seen = []
    prepare(
        open_dataset("gait3d", miniature("gait3d-pkl")), out, progress=lambda *counts: seen.append(counts)
    )
    assert seen[-1] == (12, 12)
    for name in ("frames.bin", "sequences.jsonl", PREPARED):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.slow
def test_continues_after_kill_9(miniature, tmp_path):
    """A real process is killed while it writes; the next run does not start from the beginning."""
    root, out = miniature("casia-b-pkl"), tmp_path / "out"
    code = (
        "import sys, time\n"
        "from gaitid.datasets import conversion\n"
        "from gaitid.datasets.opening import open_dataset\n"
        "conversion._BATCH = 4\n"
        "dataset = open_dataset('casia-b', sys.argv[1])\n"
        "conversion.prepare(dataset, sys.argv[2], progress=lambda *_: time.sleep(0.01))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(root), str(out)])
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and process.poll() is None:
            if (out / "sequences.jsonl").exists() and (out / "sequences.jsonl").stat().st_size > 2000:
                break
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert process.returncode == -signal.SIGKILL
    assert not (out / PREPARED).exists()
    seen = []
    prepared = prepare(open_dataset("casia-b", root), out, progress=lambda *counts: seen.append(counts))
    assert 4 <= seen[0][0] < 330
    assert seen[-1] == (330, 330)
    whole = prepare(open_dataset("casia-b", root), tmp_path / "whole")
    assert (out / "frames.bin").read_bytes() == (tmp_path / "whole" / "frames.bin").read_bytes()
    assert prepared.entries("test")[5].key == whole.entries("test")[5].key


@pytest.fixture
def folder(miniature, tmp_path):
    prepare(open_dataset("folder", miniature("folder")), tmp_path / "out")
    return tmp_path / "out"


def test_flipped_bit_is_detected(folder, miniature):
    data = bytearray((folder / "frames.bin").read_bytes())
    data[700] ^= 4
    (folder / "frames.bin").write_bytes(bytes(data))
    prepared = Prepared(folder)
    with pytest.raises(DatasetError, match="checksum"):
        prepared.load(prepared.entries("test")[0])
    prepared.load(prepared.entries("test")[-1])
    with pytest.raises(DatasetError, match="checksum"):
        prepare(open_dataset("folder", miniature("folder")), folder)


def test_a_bit_flipped_before_the_end_leaves_it_unfinished(folder, miniature):
    (folder / PREPARED).unlink()
    data = bytearray((folder / "frames.bin").read_bytes())
    data[700] ^= 4
    (folder / "frames.bin").write_bytes(bytes(data))
    with pytest.raises(DatasetError, match="checksum of subject001/nm-01/000"):
        prepare(open_dataset("folder", miniature("folder")), folder)
    assert not (folder / PREPARED).exists()


def test_changed_lines_are_detected(folder):
    lines = folder / "sequences.jsonl"
    lines.write_bytes(lines.read_bytes().replace(b"subject001", b"subject002", 1))
    with pytest.raises(DatasetError, match="SHA-256"):
        Prepared(folder)


def test_cut_frames_are_detected(folder):
    os.truncate(folder / "frames.bin", 100)
    with pytest.raises(DatasetError, match="100 bytes"):
        Prepared(folder)


@pytest.mark.parametrize(
    ("text", "says"), [("{", "damaged"), ("[]", "format None"), ('{"format": 9}', "format 9")]
)
def test_bad_manifest(folder, text, says):
    (folder / PREPARED).write_text(text)
    with pytest.raises(DatasetError, match=says):
        Prepared(folder)


def test_refusals(folder, miniature, tmp_path):
    with pytest.raises(DatasetError, match="is not a prepared data set"):
        Prepared(miniature("folder"))
    with pytest.raises(DatasetError, match="contains folder; expected ccpg"):
        open_dataset("ccpg", folder)
    with pytest.raises(DatasetError, match="has folder of 8 sequences; expected ccpg"):
        prepare(open_dataset("ccpg", miniature("ccpg")), folder)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not touch")
    with pytest.raises(DatasetError, match="is not empty"):
        prepare(open_dataset("folder", miniature("folder")), tmp_path / "mine")
    prepared = Prepared(folder)
    with pytest.raises(DatasetError, match="train or test"):
        prepared.entries("all")
    with pytest.raises(UnknownName, match="folder/all"):
        prepared.protocol("folder/al")
    stranger = open_dataset("ccpg", miniature("ccpg")).entries("test")[0]
    with pytest.raises(DatasetError, match="is not in"):
        prepared.load(stranger)


def test_can_be_sent_to_other_processes(folder):
    prepared = Prepared(folder)
    data = pickle.dumps(prepared)
    assert len(data) < 500
    copy = pickle.loads(data)  # noqa: S301
    equal(copy.load(copy.entries("test")[3]), prepared.load(prepared.entries("test")[3]))


def test_command(damaged, tmp_path, capsys):
    root = damaged("folder")
    (root / "stranger.txt").write_text("")
    words = ["dataset", "prepare", "--dataset", "folder", "--root", str(root), "--out", str(tmp_path / "out")]
    assert main([*words, "--workers", "1"]) == 0
    out, err = capsys.readouterr()
    assert "test: 8 sequences of 2 subjects" in out
    assert "folder/first-walk, folder/all" in out
    assert "unknown_name: stranger.txt" in out
    assert re.search(r"\[#{30}\] 8/8 \d+ seq/s in 0:00", err)
    assert main(words) == 0, "a second run only verifies"
    assert "verified" in capsys.readouterr().out


def test_command_shows_ten_problems_or_all(damaged, tmp_path, capsys):
    root = damaged("folder")
    for number in range(12):
        (root / f"stranger{number}.txt").write_text("")
    words = ["dataset", "prepare", "--dataset", "folder", "--root", str(root), "--out", str(tmp_path / "out")]
    assert main([*words, "--workers", "1"]) == 0
    out = capsys.readouterr().out
    assert out.count("stranger") == 10
    assert "and 2 more" in out
    assert main([*words, "--all-problems"]) == 0
    assert capsys.readouterr().out.count("stranger") == 12


def test_command_refuses(tmp_path, capsys):
    words = [
        "dataset",
        "prepare",
        "--root",
        str(tmp_path / "no"),
        "--out",
        str(tmp_path / "out"),
        "--dataset",
    ]
    assert main([*words, "casia-b"]) == 2
    assert "is not a directory" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*words, "casia-c"])
    assert "casia-b" in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_bar_shows_the_time_left(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    stream = Terminal()
    bar = progress.Bar(stream)
    bar(100, 1000)
    now[0] = 110.0
    bar(200, 1000)
    now[0] = 4110.0
    bar(1000, 1000)
    shown = [line.strip() for line in stream.getvalue().replace("\n", "").split("\r")[1:]]
    assert shown[0].startswith("[###                           ] 100/1000 0 seq/s")
    assert shown[1] == "[######                        ] 200/1000 10 seq/s 1:20 left"
    assert shown[2].endswith("1000/1000 0 seq/s in 1:06:50")


def test_manifest_names_no_path_of_this_machine(folder):
    facts = json.loads((folder / PREPARED).read_text())
    text = json.dumps(facts) + (folder / "sequences.jsonl").read_text()
    assert str(folder.parent) not in text
