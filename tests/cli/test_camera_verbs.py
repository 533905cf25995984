"""``gaitid camera`` and what identify and verify say about profiles."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from gaitid.cli.camera.learn import _renumbered
from gaitid.records import npz


@pytest.fixture
def walks(halves, tmp_path):
    """Four recordings of one person each, as files in folders of their own."""
    files = []
    for name, path in halves.items():
        folder = tmp_path / name
        folder.mkdir()
        files.append(folder / path.name)
        files[-1].write_bytes(path.read_bytes())
    return files


@pytest.fixture
def gallery(gaitid, halves, target):
    """A gallery with one subject."""
    assert gaitid("enrol", "slim", halves["a1"], *target, "--create-gallery")[0] == 0
    return target


def test_a_camera_is_learned_shown_used_and_forgotten(gaitid, halves, walks, gallery):
    probe = [halves["a2"], *gallery, "--threshold", 0.1]
    status, out, _ = gaitid("identify", *probe)
    assert status == 0
    assert out.splitlines()[-1] == "  Camera gate has no profile yet (see 'gaitid camera learn')."
    status, out, _ = gaitid("camera", "learn", "--camera", "gate", *walks, *gallery)
    assert status == 0
    assert out.startswith("gate, direction right: profile version 1, shift 0.")
    assert float(out.split("of about ")[1].split()[0]) >= 4
    status, out, _ = gaitid("identify", *probe)
    assert out.splitlines()[-1] == "  camera gate: profile version 1"
    document = json.loads(gaitid("verify", "slim", *probe, "--json")[1])
    assert (document["outcome"], document["camera"], document["profile_version"]) == ("match", "gate", 1)
    assert document["candidates"][0]["subject"] == "slim"

    status, out, _ = gaitid("camera", "list", *gallery)
    assert [line.split()[:3] for line in out.splitlines()] == [
        ["camera", "direction", "version"],
        ["gate", "right", "1"],
    ]
    (listed,) = json.loads(gaitid("camera", "list", "--json", *gallery)[1])
    assert (listed["camera"], listed["direction"], listed["version"]) == ("gate", "right", 1)
    status, out, _ = gaitid("camera", "show", "--camera", "gate", *gallery)
    assert out.startswith("gate, direction right: profile version 1")
    assert json.loads(gaitid("camera", "show", "--camera", "gate", "--json", *gallery)[1]) == [listed]
    status, _, err = gaitid("camera", "show", "--camera", "gate-9", *gallery)
    assert (status, "a camera that it has seen (gate)" in err) == (2, True)

    status, out, _ = gaitid("camera", "forget", "--camera", "gate", *gallery)
    assert status == 0
    assert out == f"gate: 1 profile(s) from {listed['walks']} walk(s) forgotten in gallery main\n"
    status, out, _ = gaitid("camera", "forget", "--camera", "gate", *gallery)
    assert (status, out) == (0, "gate: gallery main has no profile of it, nothing was forgotten\n")
    assert len(gaitid("camera", "list", *gallery)[1].splitlines()) == 1
    trail = gaitid("audit", "list", *gallery)[1]
    done = [line.split()[2:4] for line in trail.splitlines() if "_camera" in line]
    assert ["gaitid", "learn_camera"] in done  # a new version
    assert [action for actor, action in done if actor != "gaitid"] == ["learn_camera", "forget_camera"]


@pytest.fixture
def place(gaitid, halves, tmp_path):
    """A local gallery with one subject, by an encoder that is fast to load."""
    target = ["--data", tmp_path / "data", "--encoder", "gei"]
    assert gaitid("enrol", "slim", halves["a1"], *target, "--create-gallery")[0] == 0
    return target


def test_profiles_are_switched_off_and_on(gaitid, halves, walks, place):
    learn = ["camera", "learn", "--camera", "gate", "--direction", "left"]
    assert gaitid(*learn, *walks, *place)[0] == 0
    status, out, _ = gaitid("gallery", "profiles", "off", *place)
    assert (status, out.startswith("main: camera profiles are off; ")) == (0, True)
    said = gaitid("identify", halves["a2"], *place, "--threshold", 0.1)[1]
    assert "amera" not in said
    assert "not in use" in gaitid("camera", "show", "--camera", "gate", *place)[1]
    status, _, err = gaitid(*learn, *walks, *place)
    assert (status, "does not use camera profiles" in err) == (2, True)
    assert gaitid("gallery", "profiles", "on", *place)[0] == 0
    assert "profile version" in gaitid("identify", halves["a2"], *place, "--threshold", 0.1)[1]
    assert gaitid("delete", "--all", *place)[0] == 0
    assert gaitid("enrol", "slim", halves["a1"], *place, "--create-gallery", "--no-profiles")[0] == 0
    assert "amera" not in gaitid("identify", halves["a2"], *place, "--threshold", 0.1)[1]


def test_a_walk_without_a_camera_says_so(gaitid, halves, place, tmp_path):
    walk = npz.load(halves["a2"])
    npz.save(tmp_path / "bare.npz", replace(walk, origin=replace(walk.origin, camera="")))
    said = gaitid("identify", tmp_path / "bare.npz", *place, "--threshold", 0.1)[1]
    assert said.splitlines()[-1] == "  The walk names no camera, so it has no camera profile."


def test_equal_tracks_are_one_person_only_within_a_recording(gaitid, halves, place, tmp_path):
    status, out, _ = gaitid("camera", "learn", "--camera", "one", *halves.values(), *place)
    assert (status, "about 2.0 people" in out) == (0, True)
    status, _, err = gaitid("camera", "learn", "--camera", "one", tmp_path / "none.npz", *place)
    assert (status, "none.npz" in err) == (2, True)


def test_each_recording_of_keypoints_is_one_by_itself(halves, tmp_path):
    walk = npz.load(halves["a1"])
    for name in ("monday.npz", "tuesday.npz"):
        np.savez(tmp_path / name, keypoints=np.zeros((3, 17, 3)))
    of_files = {_renumbered(walk, halves[name]).origin.track for name in ("a1", "b1")}
    of_recordings = {
        _renumbered(walk, tmp_path / name).origin.track for name in ("monday.npz", "tuesday.npz")
    }
    assert (len(of_files), len(of_recordings)) == (1, 2)


def test_the_camera_of_a_video_is_named_by_a_flag(gaitid, video, tmp_path):
    target = ["--data", tmp_path / "data", "--encoder", "gei"]
    track = [video, "--track", "1"]
    assert gaitid("enrol", "slim", *track, "--camera", "hall", *target, "--create-gallery")[0] == 0
    said = gaitid("identify", *track, "--camera", "yard", *target, "--threshold", 0.1)[1]
    assert said.splitlines()[-1].startswith("  Camera yard has no profile yet")
    assert [line.split()[0] for line in gaitid("camera", "list", *target)[1].splitlines()[1:]] == [
        "hall",
        "yard",
    ]
