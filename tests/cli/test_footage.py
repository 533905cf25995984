"""Names of walks: as many files and pictures as walks, and each walk can be chosen."""

from __future__ import annotations

import csv
import re

import cv2
import numpy as np
import pytest

from gaitid.cli.footage import Names
from gaitid.records import npz


@pytest.fixture
def split(extracted, monkeypatch):
    """A video whose track is split into three walks, and one more walk of another track."""
    walk, other = (npz.load(path) for path in extracted)
    parts = [walk, walk.part(slice(0, 20)), walk.part(slice(20, None)), other]
    monkeypatch.setattr("gaitid.cli.footage.walks", lambda *_, **__: iter(parts))
    first, second = (walk.origin.track, other.origin.track)
    return [f"{first:04d}", f"{first:04d}-2", f"{first:04d}-3", f"{second:04d}"], parts


def table(folder):
    with (folder / "tracks.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_track_of_several_walks_has_a_file_and_a_picture_for_each(gaitid, split, tmp_path):
    names, parts = split
    status, out, _ = gaitid("extract", "a.avi", "--out", tmp_path)
    assert (status, "4 sequences" in out) == (0, True)
    assert [row["file"] for row in table(tmp_path)] == [f"track-{name}.npz" for name in names]
    assert [len(npz.load(tmp_path / f"track-{name}.npz")) for name in names] == [len(part) for part in parts]
    assert len(list(tmp_path.glob("*.npz"))) == 4
    assert gaitid("analyse", "a.avi", "--out", tmp_path)[0] == 0
    assert sorted(path.stem for path in tmp_path.glob("*.png")) == sorted(f"a-{name}" for name in names)


def test_a_second_run_neither_overwrites_nor_mixes(gaitid, split, extracted, tmp_path, monkeypatch):
    gaitid("extract", "a.avi", "--out", tmp_path)
    (tmp_path / "own.npz").write_bytes(b"not ours")
    before = sorted(path.name for path in tmp_path.iterdir())
    status, _, err = gaitid("extract", "b.avi", "--out", tmp_path)
    assert (status, "--overwrite" in err) == (2, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    monkeypatch.setattr("gaitid.cli.footage.walks", lambda *_, **__: iter([npz.load(extracted[0])]))
    assert gaitid("extract", "b.avi", "--out", tmp_path, "--overwrite")[0] == 0
    listed = [row["file"] for row in table(tmp_path)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*listed, "own.npz", "tracks.csv"])
    assert len(listed) == 1


def test_pictures_of_equal_names_from_two_folders_are_kept(gaitid, extracted, tmp_path):
    walk = npz.load(extracted[0])
    for folder, count in (("monday", 30), ("tuesday", 40)):
        (tmp_path / folder).mkdir()
        npz.save(tmp_path / folder / "track-0001.npz", walk.part(slice(0, count)))
    folders = [tmp_path / "monday", tmp_path / "tuesday"]
    status, out, _ = gaitid("analyse", *folders, "--out", tmp_path / "pictures")
    assert status == 0
    found = [line.split()[:2] for line in out.splitlines()[1:]]
    assert found == [["track-0001", "30"], ["tuesday-track-0001", "40"]]
    assert sorted(path.stem for path in (tmp_path / "pictures").iterdir()) == [name for name, _ in found]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ([], []),
        ([("a", "")], ["a"]),
        ([("a", "x"), ("a", "y")], ["a", "y-a"]),
        ([("a", "x"), ("a", "y"), ("a", "y"), ("a", "")], ["a", "y-a", "y-a-2", "a-2"]),
        ([("a-2", ""), ("a", ""), ("a", "")], ["a-2", "a", "a-3"]),
    ],
)
def test_a_name_is_given_once(given, names):
    unique = Names()
    assert [unique(name, folder) for name, folder in given] == names


def test_a_video_of_several_people_needs_a_track(gaitid, video, tmp_path):
    enrol = ["enrol", "somebody", video, "--data", tmp_path / "data", "--create-gallery"]
    status, _, err = gaitid(*enrol)
    assert status == 2
    assert "shows 2 usable walks" in err
    track = re.search(r"one of \d+, (\d+)", err)[1]
    status, out, _ = gaitid(*enrol, "--track", track)
    assert (status, "1 template(s)" in out) == (0, True)


def test_an_unknown_track_is_refused(gaitid, video, tmp_path):
    status, _, err = gaitid("identify", video, "--data", tmp_path / "data", "--track", 999)
    assert (status, "has no walk 999" in err) == (2, True)


@pytest.mark.parametrize(
    ("wanted", "frames"), [("{0}-2", 1), ("{0}-3", 2), ("{1}", 3), ("000{0}-2", 1), ("{0},{1}", None)]
)
def test_each_walk_of_a_track_can_be_chosen(gaitid, split, tmp_path, wanted, frames):
    names, parts = split
    track = wanted.format(*(name.lstrip("0") for name in (names[0], names[3])))
    data = ["--data", tmp_path / "data", "--create-gallery", "--check", "off"]
    status, out, err = gaitid("enrol", "x", "a.avi", "--track", track, *data)
    if frames is None:
        assert (status, "2 template(s)" in out) == (0, True)
    elif len(parts[frames]) < 30:
        assert (status, "too_short" in err or "too_few_cycles" in err) == (1, True)
    else:
        assert (status, "1 template(s)" in out) == (0, True)


def test_several_passes_are_enrolled_together_and_one_probe_is_one_walk(gaitid, split, tmp_path):
    data = ["--data", tmp_path / "data"]
    enrol = ["enrol", "x", "a.avi", *data, "--create-gallery", "--check", "off"]
    status, _, err = gaitid(*enrol)
    assert (status, "or with all to take all of them" in err) == (2, True)
    usable = len(re.search(r"one of ([^;]*), or with all", err)[1].split(","))
    assert usable >= 2
    status, out, _ = gaitid(*enrol, "--track", "all")
    assert (status, f"{usable} template(s)" in out) == (0, True)
    status, _, err = gaitid("identify", "a.avi", *data, "--track", "all")
    assert (status, f"names {usable} walks; expected one" in err) == (2, True)


@pytest.fixture
def frozen(tmp_path):
    """Six seconds of a wall: nothing moves."""
    path = tmp_path / "frozen.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    for _ in range(60):
        writer.write(np.random.default_rng(0).integers(60, 200, (48, 64, 3)).astype(np.uint8))
    writer.release()
    return path


def test_nothing_usable_is_an_exit_status_and_a_sentence(gaitid, frozen, tmp_path):
    data = ["--data", tmp_path / "data"]
    sentence = f"gaitid: Nothing moves in the 6 s of Video {frozen}; expected a person who walks"
    status, out, err = gaitid("extract", frozen, "--out", tmp_path / "out")
    assert (status, "0 sequences" in out, err.startswith(sentence)) == (3, True, True)
    status, _, err = gaitid("analyse", frozen)
    assert (status, err.startswith(sentence)) == (3, True)
    status, _, err = gaitid("identify", frozen, *data)
    assert (status, err.startswith(sentence)) == (2, True)
    status, _, err = gaitid("demo", "--video", frozen, "--out", tmp_path / "demo")
    assert (status, sentence in err) == (2, True)


def test_one_bad_file_does_not_stop_the_rest(gaitid, extracted, frozen, tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"PK not a file")
    status, out, err = gaitid("analyse", tmp_path / "bad.npz", tmp_path / "none.avi", frozen, extracted[0])
    assert status == 2
    assert [line.split()[0] for line in out.splitlines()[1:]] == [extracted[0].stem]
    assert [name in err for name in ("bad.npz", "none.avi", "Nothing moves")] == [True] * 3
    assert gaitid("analyse", extracted[0])[0] == 0
    npz.save(tmp_path / "short.npz", npz.load(extracted[0]).part(slice(0, 9)))
    assert gaitid("analyse", tmp_path / "short.npz")[0] == 3


def test_a_file_of_streams_as_a_data_set_has_them_is_read(gaitid, extracted, tmp_path):
    walk = npz.load(extracted[0])
    for name, times in (("timed", {"times": walk.times}), ("bare", {})):
        np.savez(tmp_path / f"{name}.npz", silhouette=walk.silhouettes * 255, **times)
    np.savez(tmp_path / "odd.npz", weights=np.zeros(3))
    status, out, err = gaitid("analyse", tmp_path / "timed.npz", tmp_path / "bare.npz", tmp_path / "odd.npz")
    assert status == 2
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [["timed", str(len(walk))]]
    assert "bare.npz has no times of its frames" in err
    assert "odd.npz is no gait sequence" in err
