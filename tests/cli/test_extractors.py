"""``--extractor`` and ``[perception]`` in the verbs that read video, with scripted extractors."""

from __future__ import annotations

import argparse
import json
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest

from gaitid import registry
from gaitid.cli import edge
from gaitid.errors import UnknownName
from gaitid.records import npz
from tests.scripted import FRAMES, SIZE, Blank, NoSettings, Scripted, together, walker


class Poses(Scripted):
    """Sees two people one after the other as keypoints."""

    given: ClassVar = {"mask": False}

    def __init__(self, settings: NoSettings) -> None:
        later = {i + FRAMES + 30: row for i, row in walker(1, **self.given).items()}
        super().__init__(together(walker(0, **self.given), later))


class Both(Poses):
    """The same people with masks too."""

    given: ClassVar = {}


class Boxes(Poses):
    """The same people as boxes."""

    given: ClassVar = {"mask": False, "keypoints": False}


class Notes(Poses):
    """Reads no video: a text file says how many frames there are."""

    @staticmethod
    def open_input(spec, settings, *, camera, fps):
        assert isinstance(settings, NoSettings)
        return Blank(int(Path(spec).read_text()), fps=fps, camera=camera)


class Fussy(Scripted):
    """Refuses its settings."""

    def __init__(self, settings: NoSettings) -> None:
        raise ValueError("no camera of that kind")


class Fragile(Poses):
    """Fails after the first person."""

    def __call__(self, frame):
        if frame.index == FRAMES + 20:
            raise ValueError("lost the model")
        return super().__call__(frame)


class Silent(Poses):
    """Returns nothing."""

    def __call__(self, frame):
        return None


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    points = [
        EntryPoint(kind.__name__.lower(), f"{__name__}:{kind.__name__}", "gaitid.extractors")
        for kind in (Poses, Both, Boxes, Notes, Fussy, Fragile, Silent)
    ]
    points.append(EntryPoint("gone", f"{__name__}:Gone", "gaitid.extractors"))
    monkeypatch.setattr(
        registry, "entry_points", lambda group: points if group == "gaitid.extractors" else []
    )


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A directory of blank images: scripted extractors do not look at them."""
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(2 * FRAMES + 60):
        cv2.imwrite(str(folder / f"{i:04d}.png"), np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    return folder


@pytest.mark.parametrize(("name", "streams"), [("poses", {"skeleton"}), ("both", {"silhouette", "skeleton"})])
def test_extract_writes_the_streams_that_the_extractor_brings(gaitid, pictures, tmp_path, name, streams):
    status, out, _ = gaitid("extract", pictures, "--fps", 25, "--out", tmp_path, "--extractor", name)
    assert status == 0
    assert "2 sequences" in out
    assert [set(npz.load(file).streams) for file in sorted(tmp_path.glob("*.npz"))] == [streams] * 2


def test_the_file_of_the_edge_chooses_and_a_flag_overrides(gaitid, pictures, tmp_path):
    config = tmp_path / "edge.toml"
    config.write_text('camera = "gate"\n[perception]\nextractor = "poses"\n[perception.poses]\n')
    status, out, _ = gaitid(
        "analyse", pictures, "--fps", 25, "--config", config, "--out", tmp_path / "pictures"
    )
    assert status == 0
    assert len(out.splitlines()) == 3
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 2
    status, out, _ = gaitid("analyse", pictures, "--fps", 25, "--config", config, "--extractor", "motion")
    assert (status, len(out.splitlines())) == (3, 1)


def test_every_verb_that_reads_video_takes_an_extractor_and_a_frame_rate(gaitid, pictures, tmp_path):
    flags = ["--extractor", "poses", "--fps", 25, "--data", tmp_path / "data", "--encoder", "stickman"]
    for subject, track in (("first", 1), ("second", 2)):
        enrol = ["enrol", subject, pictures, "--track", track, "--create-gallery", "--check", "off"]
        status, out, err = gaitid(*enrol, *flags)
        assert (status, "1 template(s)" in out) == (0, True), err
    status, out, _ = gaitid("identify", pictures, "--track", 2, *flags)
    assert (status, out.startswith("match: second")) == (0, True)
    assert gaitid("verify", "first", pictures, "--track", 1, *flags)[0] == 0
    status, out, _ = gaitid("analyse", pictures, "--extractor", "poses", "--fps", 12.5)
    assert [line.split()[3] for line in out.splitlines()[1:]] == ["12.5"] * 2


def test_an_extractor_may_read_something_else_than_video(gaitid, tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text(str(2 * FRAMES + 60))
    status, out, _ = gaitid("extract", notes, "--out", tmp_path / "out", "--extractor", "notes", "--fps", 20)
    assert (status, "2 sequences" in out) == (0, True)
    walk = npz.load(tmp_path / "out" / "track-0001.npz")
    assert np.diff(walk.times) == pytest.approx(1 / 20)
    flags = ["--extractor", "notes", "--encoder", "stickman", "--fps", 20]
    status, _, err = gaitid("demo", "--video", notes, "--out", tmp_path / "demo", *flags)
    assert status == 0, err
    status, _, err = gaitid("extract", notes, "--out", tmp_path / "none")
    assert (status, "is no readable video" in err) == (2, True)


def test_boxes_alone_make_no_sequence_and_say_why(gaitid, pictures, tmp_path, caplog):
    status, out, err = gaitid("extract", pictures, "--fps", 25, "--out", tmp_path, "--extractor", "boxes")
    assert status == 3
    assert "are boxes alone" in err
    assert "0 sequences" in out
    assert "without masks or keypoints" in caplog.text


@pytest.mark.parametrize(
    ("verb", "flags"),
    [("extract", ["x.avi"]), ("analyse", ["x.avi"]), ("demo", []), ("edge", ["--source", "x"])],
)
def test_an_unknown_extractor_is_refused_at_once(gaitid, verb, flags, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, err = gaitid(verb, *flags, "--extractor", "pose")
    assert status == 2
    assert "'pose'" in err
    assert "poses" in err
    assert not list(tmp_path.iterdir())


BROKEN = {
    "gone": "The extractor 'gone' is registered as",
    "fussy": "Extractor fussy cannot be made with NoSettings() (ValueError: no camera of that kind)",
    "fragile": "Extractor Fragile failed (ValueError: lost the model)",
    "silent": "Extractor Silent failed (TypeError",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_extractor_of_another_package_is_an_error_with_a_remedy(gaitid, pictures, tmp_path, name):
    status, _, err = gaitid("extract", pictures, "--fps", 25, "--out", tmp_path, "--extractor", name)
    assert status == 2
    assert BROKEN[name] in err
    assert "Report this to the authors" in err or "report this to the authors" in err
    assert "Traceback" not in err
    assert bool(list(tmp_path.glob("*.npz"))) == (name == "fragile")  # walks before the failure are kept


WEIGHTLESS = {
    "none": ("", "Extractor rcnn has no weights; expected mask_weights or keypoint_weights"),
    "a missing file": ('mask_weights = "none.pth"', "Weight file none.pth does not exist"),
}


@pytest.mark.parametrize(("line", "text"), WEIGHTLESS.values(), ids=WEIGHTLESS)
def test_missing_weights_are_one_sentence_whatever_the_inputs(gaitid, pictures, tmp_path, line, text):
    if line:
        pytest.importorskip("torchvision", reason="torchvision is not installed: pip install 'gaitid[rcnn]'")
    config = tmp_path / "edge.toml"
    config.write_text(f"[perception.rcnn]\n{line}\n")
    flags = ["--extractor", "rcnn", "--config", config, "--fps", 25]
    for verb in (["analyse", pictures, pictures], ["extract", pictures, "--out", tmp_path / "out"]):
        status, _, err = gaitid(*verb, *flags)
        assert (status, len(err.splitlines()), text in err) == (2, 1, True), err


def test_the_edge_has_the_extractor_of_its_file_or_flag(tmp_path):
    config = tmp_path / "edge.toml"
    config.write_text('source = "0"\n[perception]\nextractor = "both"\n')

    def chosen(*flags):
        parser = argparse.ArgumentParser()
        edge.arguments(parser)
        return edge._settings(parser.parse_args(["--config", str(config), *flags])).perception.extractor

    assert chosen() == "both"
    assert chosen("--extractor", "poses") == "poses"
    with pytest.raises(UnknownName):
        chosen("--extractor", "none")


def test_the_demo_shows_skeletons(gaitid, pictures, tmp_path):
    flags = ["--video", pictures, "--fps", 25, "--extractor", "poses", "--encoder", "stickman"]
    status, out, err = gaitid("demo", *flags, "--out", tmp_path)
    assert status == 0, err
    assert "2 walks" in out
    assert json.loads((tmp_path / "results.json").read_text())["summary"]["walks"] == 2
    assert cv2.imread(str(tmp_path / "silhouettes.png")).min() < 100
