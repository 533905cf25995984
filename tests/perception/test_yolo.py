"""Networks of ultralytics run for real, with random weights; CI does not install it and checks the rest."""

from __future__ import annotations

import ast
import dataclasses
import logging
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from gaitid.errors import ConfigError, MissingDependency, WeightsError
from gaitid.perception import yolo
from gaitid.perception.extractor import load_extractor
from gaitid.perception.yolo import YoloExtractor, YoloSettings
from gaitid.records import Frame
from tests.perception import networks
from tests.perception.test_rcnn import Bomb

ROOT = Path(__file__).resolve().parents[2]
ASIDE = (400, 120)
"""A wide picture, whose letterbox has another shape than the picture."""


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return networks.yolo(tmp_path_factory.mktemp("yolo"))


@pytest.fixture(scope="module")
def extractor(both):
    return YoloExtractor(both)


def frame(size=ASIDE, seed=0):
    return Frame(np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3)).astype(np.uint8), 0.0)


def only(settings, what):
    other = "keypoint" if what == "mask" else "mask"
    return dataclasses.replace(settings, **{f"{other}_weights": None, f"{other}_sha256": ""})


# Without ultralytics.


def test_one_file_imports_ultralytics():
    found = set()
    for folder in ("gaitid", "training", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                if any(name.partition(".")[0] == "ultralytics" for name in names):
                    found.add(path.relative_to(ROOT).as_posix())
    assert found == {"gaitid/perception/yolo.py"}


@pytest.mark.parametrize(
    "wrong",
    [{"side_px": 8}, {"confidence": 0.0}, {"confidence": 1.0}, {"max_people": 0}, {"tracker": "sort"}],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ConfigError):
        YoloSettings(**wrong)


def test_without_weights_or_packages_one_sentence_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    monkeypatch.setattr(yolo, "_ours", {})
    with pytest.raises(ConfigError, match="Extractor yolo has no weights"):
        load_extractor("yolo")
    with pytest.raises(MissingDependency, match=r"gaitid\[yolo\]"):
        YoloExtractor(YoloSettings(mask_weights=Path("any.pt")))


SWITCHED_ON = {
    "ONLINE": (True, "tests of the connection"),
    "AUTOINSTALL": (True, "installation of packages"),
    "SAFE_LOAD": (False, "a loader that runs code in weights"),
}


@pytest.mark.parametrize("name", SWITCHED_ON)
def test_an_earlier_import_that_turned_something_on_is_refused(name):
    pytest.importorskip("torch", reason="torch is not installed: pip install 'gaitid[torch]'")
    off = {"ONLINE": False, "AUTOINSTALL": False, "SAFE_LOAD": True}
    yolo._check_switches(SimpleNamespace(**off))
    value, text = SWITCHED_ON[name]
    with pytest.raises(ConfigError, match=text):
        yolo._check_switches(SimpleNamespace(**{**off, name: value}))


# With it.


@pytest.mark.parametrize("size", [ASIDE, (90, 120), (1, 1), (3, 200)])
def test_people_have_boxes_masks_and_keypoints_in_the_picture(extractor, size):
    found = extractor(frame(size))
    assert any(one.mask is not None for one in found)
    assert any(one.keypoints is not None for one in found)
    for one in found:
        assert (one.box >= 0).all()
        assert (one.box[2:] <= size).all()
        assert one.track is None
        assert 0 < one.confidence <= 1
        if one.mask is not None:
            low, high = np.floor(one.box[:2]), np.ceil(one.box[2:])
            assert one.mask.shape == (high[1] - low[1], high[0] - low[0])
        if one.keypoints is not None:
            assert one.keypoints.shape == (17, 3)
            assert 0 <= one.keypoints[:, 2].min() <= one.keypoints[:, 2].max() <= 1


def test_masks_have_the_size_of_the_picture_not_of_its_letterbox(extractor, both):
    picture = frame().image
    arguments = {
        "imgsz": both.side_px,
        "conf": both.confidence,
        "max_det": 5,
        "classes": [0],
        "verbose": False,
    }
    (boxed,) = extractor._masks.predict(picture, retina_masks=False, **arguments)
    assert boxed.masks.data.shape[1:] != picture.shape[:2]
    (whole,) = extractor._masks.predict(picture, retina_masks=True, **arguments)
    found = [one for one in extractor(frame()) if one.mask is not None]
    assert len(found) == len(whole.boxes)
    for one, box, mask in zip(found, whole.boxes.xyxy.numpy(), whole.masks.data.numpy(), strict=True):
        np.testing.assert_allclose(one.box, box, atol=1e-3)
        (x0, y0), (x1, y1) = np.floor(one.box[:2]).astype(int), np.ceil(one.box[2:]).astype(int)
        np.testing.assert_array_equal(one.mask, mask[y0:y1, x0:x1])
        assert one.mask.sum() == (mask > 0).sum()  # nothing of it is outside the box


def test_one_network_alone_brings_its_stream(both):
    masks = YoloExtractor(only(both, "mask"))(frame())
    assert masks
    assert all(one.mask is not None and one.keypoints is None for one in masks)
    poses = YoloExtractor(only(both, "keypoint"))(frame())
    assert poses
    assert all(one.mask is None and one.keypoints is not None for one in poses)


@pytest.mark.parametrize("tracker", ["", "bytetrack", "botsort"])
def test_nobody_is_an_empty_list(tracker, tmp_path):
    extractor = YoloExtractor(networks.yolo(tmp_path, people=-50.0, tracker=tracker))
    assert extractor(frame()) == []
    assert extractor(frame((1, 1))) == []
    extractor.reset()


@pytest.mark.parametrize("tracker", ["bytetrack", "botsort"])
@pytest.mark.parametrize("what", ["both", "keypoint"])
def test_ids_of_its_tracker_stay_until_a_reset(both, tracker, what):
    settings = dataclasses.replace(both, tracker=tracker)
    extractor = YoloExtractor(settings if what == "both" else only(settings, what))
    first, second = extractor(frame()), extractor(frame())
    ids = [one.track for one in first]
    assert len(set(ids)) == len(ids) > 0
    assert [one.track for one in second] == ids
    extractor.reset()
    assert extractor(frame())


def test_people_without_an_id_of_the_tracker_are_left_out(tmp_path):
    """Their confidence of 0.07 is below what the tracker links, so that it gives no id."""
    settings = networks.yolo(tmp_path, people=-2.6, confidence=0.01)
    extractor = YoloExtractor(settings)
    (seen,) = extractor._masks.track(
        frame().image, persist=True, tracker="bytetrack.yaml", **extractor._arguments
    )
    assert len(seen.boxes) > 0
    assert seen.boxes.id is None
    assert [one.track for one in extractor(frame())] == [None] * len(extractor(frame()))
    assert extractor(frame())
    assert YoloExtractor(dataclasses.replace(settings, tracker="bytetrack"))(frame()) == []


@pytest.mark.filterwarnings("ignore")  # of the exporter
def test_an_exported_network_is_read(both, tmp_path):
    package = networks.ultralytics()
    copy = tmp_path / "masks.pt"
    copy.write_bytes(both.mask_weights.read_bytes())
    path = Path(package.YOLO(copy).export(format="onnx", imgsz=96, simplify=False, verbose=False))
    settings = dataclasses.replace(only(both, "mask"), mask_weights=path, mask_sha256=networks.sha256(path))
    found = YoloExtractor(settings)(frame((96, 96)))
    expected = YoloExtractor(only(both, "mask"))(frame((96, 96)))
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.box, other.box, atol=0.1)


def text(folder):
    (folder / "a.pt").write_text("no weights")
    return folder / "a.pt"


def code(folder):
    import torch

    torch.save({"model": Bomb(folder / "made")}, folder / "a.pt")
    return folder / "a.pt"


def another_kind(folder):
    (folder / "a.engine").write_text("no weights")
    return folder / "a.engine"


def five_joints(folder):
    from ultralytics.utils import ROOT as PACKAGE

    shipped = next(PACKAGE.rglob("yolo11-pose.yaml")).read_text()
    (folder / "yolo11n-five.yaml").write_text(shipped.replace("[17, 3]", "[5, 3]"))
    return networks.yolo_weights(folder / "a.pt", "pose", base=folder / "yolo11n-five.yaml")


BAD = {
    "text": (text, "cannot be used"),
    "code": (code, "types outside the supported"),
    "a network of the other task": (
        lambda folder: networks.yolo_weights(folder / "a.pt", "seg"),
        "its task is segment",
    ),
    "another kind of file": (another_kind, "is of another kind"),
    "five joints": (five_joints, r"keypoints of shape \(5, 3\)"),
}


@pytest.mark.parametrize(("write", "words"), BAD.values(), ids=BAD)
def test_a_file_that_is_no_such_network_is_refused_and_runs_nothing(write, words, tmp_path):
    networks.ultralytics()
    path = write(tmp_path)
    with pytest.raises(WeightsError, match=words):
        YoloExtractor(YoloSettings(keypoint_weights=path, keypoint_sha256=networks.sha256(path), side_px=96))
    assert not (tmp_path / "made").exists()


def test_a_device_that_does_not_exist_is_refused(both):
    with pytest.raises(WeightsError, match="Check the file, side_px and device"):
        YoloExtractor(dataclasses.replace(only(both, "mask"), device="cuda:77"))


def test_weights_are_named_there_and_pinned(tmp_path):
    networks.ultralytics()
    path = text(tmp_path)
    with pytest.raises(WeightsError, match="gaitid downloads nothing"):
        YoloExtractor(YoloSettings(mask_weights=tmp_path / "yolo11n-seg.pt"))
    with pytest.raises(ConfigError, match=r"Compare [0-9a-f]{64} with its publisher"):
        YoloExtractor(YoloSettings(mask_weights=path))
    with pytest.raises(WeightsError, match=f"{'0' * 64}, as the table"):
        YoloExtractor(YoloSettings(mask_weights=path, mask_sha256="0" * 64))


def test_its_licence_is_said_when_it_is_loaded(both, monkeypatch, caplog):
    monkeypatch.setattr(yolo, "_ours", {})
    with caplog.at_level(logging.WARNING):
        YoloExtractor(only(both, "mask"))
        YoloExtractor(only(both, "mask"))
    assert caplog.text.count("AGPL-3.0") == 1


def test_no_socket_is_opened_nothing_installed_and_no_file_left(both, tmp_path):
    (tmp_path / "home").mkdir()
    code = f"""
import os
import numpy as np
from pathlib import Path, PosixPath, WindowsPath
from gaitid.perception.yolo import YoloExtractor, YoloSettings
from gaitid.records import Frame
os.chdir({str(tmp_path)!r})
extractor = YoloExtractor({dataclasses.replace(both, tracker="bytetrack")!r})
for _ in range(3):
    assert extractor(Frame(np.random.default_rng(0).integers(0, 255, (120, 400, 3)).astype(np.uint8), 0.0))
from ultralytics.utils import SETTINGS, events
assert not SETTINGS["sync"]
assert not events.events.enabled
"""
    clean = {
        "HOME": str(tmp_path / "home"),
        "YOLO_CONFIG_DIR": "",
        "YOLO_OFFLINE": "",
        "YOLO_AUTOINSTALL": "1",
    }
    clean |= {
        "PYTHONPATH": str(ROOT),
        "XDG_CONFIG_HOME": "",
        "TMPDIR": str(tmp_path),
        "ULTRALYTICS_SAFE_LOAD": "",
    }
    assert networks.without_network(code, **clean) == ""
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["home"]
