"""Masks and keypoints of other programs straight into the verbs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from gaitid.records import npz
from tests import drawn, recorded
from tests.recorded import SIZE

FLAGS = ["--extractor", "precomputed", "--fps", 25]


@pytest.fixture(scope="module")
def keypoints(tmp_path_factory):
    return recorded.openpose(tmp_path_factory.mktemp("recordings") / "keypoints", recorded.scene())


def test_analyse_and_extract_read_recordings(gaitid, keypoints, tmp_path):
    masks = recorded.mask_arrays(tmp_path / "masks.npz")
    status, out, err = gaitid("analyse", keypoints, masks, *FLAGS, "--out", tmp_path / "pictures")
    assert status == 0, err
    names = [line.split()[0] for line in out.splitlines()[1:]]
    assert names == ["keypoints-0001", "keypoints-0002", "masks-0001", "masks-0002"]
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 4
    status, out, err = gaitid("extract", masks, *FLAGS, "--out", tmp_path / "out")
    assert (status, "2 sequences" in out) == (0, True), err
    assert set(npz.load(tmp_path / "out" / "track-0001.npz").streams) == {"silhouette"}


def test_people_are_enrolled_and_identified_from_keypoints(gaitid, keypoints, tmp_path):
    data = ["--data", tmp_path / "data", "--encoder", "stickman"]
    for subject, track in (("first", 1), ("second", 2)):
        enrol = ["enrol", subject, keypoints, "--track", track, "--create-gallery", "--check", "off"]
        status, out, err = gaitid(*enrol, *data, *FLAGS)
        assert (status, "1 template(s)" in out) == (0, True), err
    text = recorded.yolo(tmp_path / "labels", recorded.scene())
    sized = [*FLAGS, "--size", f"{SIZE[0]}x{SIZE[1]}"]
    status, out, err = gaitid("identify", text, "--track", 2, *data, *sized)
    assert (status, out.startswith("match: second")) == (0, True), err
    assert gaitid("verify", "first", text, "--track", 1, *data, *sized)[0] == 0


def test_masks_with_keypoints_are_what_fused_needs(gaitid, tmp_path):
    (tmp_path / "walk").mkdir()
    recorded.coco(tmp_path / "walk" / "keypoints.json", recorded.scene(1))
    recorded.mask_video(tmp_path / "walk" / "masks.avi")
    data = ["--data", tmp_path / "data", "--encoder", "fused"]
    enrol = ["enrol", "a", tmp_path / "walk", "--extractor", "precomputed", "--track", 1, "--create-gallery"]
    status, out, err = gaitid(*enrol, *data)
    assert (status, "1 template(s)" in out) == (0, True), err


def test_a_walk_file_stays_one_beside_a_recording(gaitid, keypoints, tmp_path):
    gaitid("extract", keypoints, *FLAGS, "--out", tmp_path / "out")
    recorded.mask_arrays(tmp_path / "out" / "masks.npz")
    status, out, err = gaitid("analyse", tmp_path / "out", *FLAGS)
    assert status == 0, err
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["track-0001", "track-0002"]


@pytest.mark.parametrize("side", [64, 128])
def test_a_folder_of_aligned_silhouettes_is_a_walk(gaitid, tmp_path, side):
    cut = side * 10 // 64
    folder = tmp_path / "front"
    folder.mkdir()
    walk = drawn.walk(2.4)
    for i, silhouette in enumerate(walk.silhouettes):
        large = cv2.resize(
            silhouette * np.uint8(255), (side - 2 * cut, side), interpolation=cv2.INTER_NEAREST
        )
        cv2.imwrite(str(folder / f"{i}.png"), np.pad(large, ((0, 0), (cut, cut))))
    status, _, err = gaitid("analyse", folder)
    assert (status, "front has no times of its frames" in err) == (2, True)
    status, out, err = gaitid("analyse", folder, "--fps", 25)
    assert status == 0, err
    assert [line.split()[:2] for line in out.splitlines()[1:]] == [["front", str(len(walk))]]
    data = ["--data", tmp_path / "data", "--fps", 25]
    status, out, err = gaitid("enrol", "a", folder, *data, "--create-gallery")
    if side == 128:  # the shipped encoders read 64x44
        assert (status, "64x44" in err) == (2, True)
        return
    assert status == 0, err
    assert gaitid("identify", folder, *data)[1].startswith("match: a")


@pytest.mark.parametrize("name", ["a.json", "a.npz"])
def test_a_recording_without_its_extractor_is_an_error_that_names_it(gaitid, name, tmp_path):
    write = recorded.coco_results if name == "a.json" else recorded.arrays
    path = write(tmp_path / name, recorded.scene(1))
    for verb in (["analyse", path], ["identify", path, "--data", tmp_path / "data"]):
        status, _, err = gaitid(*verb)
        assert (status, "Pass --extractor precomputed" in err) == (2, True)


@pytest.mark.parametrize("size", ["800", "800x", "0x200", "800x-2", "axb"])
def test_a_size_is_a_width_and_a_height(gaitid, keypoints, size):
    status, _, err = gaitid("analyse", keypoints, *FLAGS, "--size", size)
    assert (status, "no WIDTHxHEIGHT" in err) == (2, True)


def test_the_frame_rate_is_asked_for_and_the_file_sets_the_size(gaitid, keypoints, tmp_path):
    status, _, err = gaitid("analyse", keypoints, "--extractor", "precomputed")
    assert (status, "Pass the true frames a second with --fps" in err) == (2, True)
    config = tmp_path / "edge.toml"
    own = f"[perception.precomputed]\nwidth = {SIZE[0]}\nheight = 170\n"
    config.write_text(f'[perception]\nextractor = "precomputed"\n{own}')
    status, out, _ = gaitid("analyse", keypoints, "--config", config, "--fps", 25)
    assert status == 0
    frames = [int(line.split()[1]) for line in out.splitlines()[1:]]
    status, out, _ = gaitid("analyse", keypoints, "--config", config, "--fps", 25, "--size", "150x200")
    assert sum(int(line.split()[1]) for line in out.splitlines()[1:]) < sum(frames)


def test_nobody_in_a_recording_is_said(gaitid, tmp_path):
    np.savez(tmp_path / "a.npz", keypoints=np.zeros((100, 17, 3)))
    status, _, err = gaitid("analyse", tmp_path / "a.npz", *FLAGS)
    assert (status, "shows nobody" in err) == (3, True)
