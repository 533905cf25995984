"""Mask R-CNN and Keypoint R-CNN run for real, with random weights."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from gaitid.errors import ConfigError, MissingDependency, WeightsError
from gaitid.perception.extractor import load_extractor
from gaitid.perception.pairing import joined
from gaitid.perception.rcnn import RcnnExtractor, RcnnSettings, build
from gaitid.records import Frame, Observation
from tests.perception import networks
from tests.perception.perception_scenes import noisy, wall


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return networks.rcnn(tmp_path_factory.mktemp("rcnn"))


@pytest.fixture(scope="module")
def extractor(both):
    return RcnnExtractor(both)


def frame(size=(120, 90)):
    return Frame(np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3)).astype(np.uint8), 0.0)


def only(settings, what):
    other = "keypoint" if what == "mask" else "mask"
    return dataclasses.replace(settings, **{f"{other}_weights": None, f"{other}_sha256": ""})


@pytest.mark.parametrize("size", [(120, 90), (90, 120), (1, 1), (3, 200), (500, 40)])
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
            assert 0 <= one.keypoints[:, 2].min() <= one.keypoints[:, 2].max() <= 1


def test_the_networks_see_red_first_and_values_up_to_1(extractor):
    import torch

    picture = noisy(wall(3, (120, 90)), 0)
    pixels = torch.from_numpy(picture[:, :, [2, 1, 0]].transpose(2, 0, 1).astype(np.float32) / 255)
    with torch.inference_mode():
        (expected,) = extractor._masks([pixels])
    found = [one for one in extractor(Frame(picture, 0.0)) if one.mask is not None]
    of_people = expected["boxes"][expected["labels"] == 1]
    np.testing.assert_allclose([one.box for one in found], of_people, atol=1e-3)
    masks = expected["masks"][expected["labels"] == 1, 0].numpy() > 0.5
    for one, mask in zip(found, masks, strict=True):
        x, y = np.floor(one.box[:2]).astype(int)
        np.testing.assert_array_equal(one.mask, mask[y : y + one.mask.shape[0], x : x + one.mask.shape[1]])


def test_one_network_alone_brings_its_stream(both):
    masks = RcnnExtractor(only(both, "mask"))(frame())
    assert masks
    assert all(one.mask is not None and one.keypoints is None for one in masks)
    poses = RcnnExtractor(only(both, "keypoint"))(frame())
    assert poses
    assert all(one.mask is None and one.keypoints is not None for one in poses)


def test_nobody_is_an_empty_list(tmp_path):
    extractor = RcnnExtractor(networks.rcnn(tmp_path, networks.NOWHERE))
    assert extractor(frame()) == []
    assert extractor(frame((1, 1))) == []


def test_the_same_person_of_both_networks_is_one():
    def seen(x, **streams):
        return Observation(np.array([x, 0, x + 40, 100], np.float32), confidence=0.9, **streams)

    joints = np.ones((17, 3), np.float32)
    masks = [seen(0, mask=np.ones((100, 40), np.uint8)), seen(100, mask=np.ones((100, 40), np.uint8))]
    poses = [seen(103, keypoints=joints), seen(300, keypoints=joints)]
    found = joined(masks, poses)
    assert [(one.mask is not None, one.keypoints is not None) for one in found] == [
        (True, False),
        (True, True),
        (False, True),
    ]
    assert joined([], poses) == poses
    assert joined(masks, []) == masks


OLD_NAMES = (
    (r"rpn\.head\.conv\.0\.0\.", "rpn.head.conv."),
    (r"fpn\.(inner|layer)_blocks\.(\d)\.0\.", r"fpn.\1_blocks.\2."),
    (r"mask_head\.(\d)\.0\.", lambda found: f"mask_head.mask_fcn{int(found[1]) + 1}."),
)
"""Names of tensors in the files that torchvision published first."""


def test_files_with_the_names_of_earlier_versions_are_read(both, tmp_path):
    import torch

    state = torch.load(both.mask_weights, weights_only=True)
    old = {}
    for name, tensor in state.items():
        for pattern, replacement in OLD_NAMES:
            name = re.sub(pattern, replacement, name)
        old[name] = tensor
    assert len(old.keys() - state.keys()) > 20
    torch.save(old, tmp_path / "old.pth")
    settings = only(both, "mask")
    named = {"mask_weights": tmp_path / "old.pth", "mask_sha256": networks.sha256(tmp_path / "old.pth")}
    found = RcnnExtractor(dataclasses.replace(settings, **named))(frame())
    expected = RcnnExtractor(settings)(frame())
    assert len(found) == len(expected) > 0
    np.testing.assert_array_equal([one.box for one in found], [one.box for one in expected])


@pytest.mark.parametrize("keypoints", [False, True])
def test_the_tensors_are_those_of_torchvision(keypoints):
    detection = pytest.importorskip(
        "torchvision.models.detection", reason="torchvision is not installed: pip install 'gaitid[rcnn]'"
    )
    published = detection.keypointrcnn_resnet50_fpn if keypoints else detection.maskrcnn_resnet50_fpn
    theirs = published(weights=None, weights_backbone=None).state_dict()
    ours = build("resnet50", classes=2 if keypoints else 91, keypoints=keypoints).state_dict()
    counters = {name for name in theirs if name.endswith("num_batches_tracked")}  # of norms that learn
    assert {name: tensor.shape for name, tensor in ours.items()} == {
        name: tensor.shape for name, tensor in theirs.items() if name not in counters
    }


@pytest.mark.slow
def test_the_second_version_of_mask_rcnn_is_known_by_its_tensors(tmp_path):
    path = networks.rcnn_weights(tmp_path / "v2.pth", keypoints=False, second_version=True)
    settings = RcnnSettings(path, networks.sha256(path), side_px=64, max_detections=2)
    assert all(one.mask is not None for one in RcnnExtractor(settings)(frame()))


def test_published_weights_have_norms_without_epsilon():
    pytest.importorskip("torchvision", reason="torchvision is not installed: pip install 'gaitid[rcnn]'")
    for exact, epsilon in ((True, 0.0), (False, 1e-5)):
        model = build("resnet18", classes=2, keypoints=True, exact=exact)
        assert {m.eps for m in model.modules() if type(m).__name__ == "FrozenBatchNorm2d"} == {epsilon}


class Bomb:
    """Would make a folder when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def saved(content):
    def write(folder):
        import torch

        path = folder / "a.pth"
        torch.save(content(folder), path)
        return path

    return write


def spoilt(folder):
    import torch

    path = networks.rcnn_weights(folder / "a.pth", keypoints=False)
    state = torch.load(path, weights_only=True)
    state["roi_heads.box_predictor.cls_score.bias"][0] = float("nan")
    torch.save(state, path)
    return path


def text(folder):
    path = folder / "a.pth"
    path.write_text("no weights")
    return path


BAD = {
    "text": (text, "cannot be read safely"),
    "code": (saved(lambda folder: Bomb(folder / "made")), "cannot be read safely"),
    "another network": (saved(lambda folder: {"conv.weight": np.zeros(3)}), "cannot be read safely"),
    "no network": (saved(lambda folder: {}), "has no roi_heads"),
    "keypoints": (
        lambda folder: networks.rcnn_weights(folder / "a.pth", keypoints=True),
        "does not fit MaskRCNN",
    ),
    "not finite": (spoilt, "no finite numbers"),
}


@pytest.mark.parametrize(("write", "words"), BAD.values(), ids=BAD)
def test_a_file_that_is_no_such_network_is_refused_and_runs_nothing(write, words, tmp_path):
    pytest.importorskip("torchvision", reason="torchvision is not installed: pip install 'gaitid[rcnn]'")
    path = write(tmp_path)
    with pytest.raises(WeightsError, match=words):
        RcnnExtractor(RcnnSettings(path, networks.sha256(path), **networks.SMALL))
    assert not (tmp_path / "made").exists()


def test_weights_of_another_backbone_or_device_are_refused(both):
    with pytest.raises(WeightsError, match="does not fit"):
        RcnnExtractor(dataclasses.replace(only(both, "mask"), backbone="resnet50"))
    for device in ("nonsense", "cuda:77"):
        with pytest.raises(ConfigError, match="cannot be used"):
            RcnnExtractor(dataclasses.replace(only(both, "mask"), device=device))


def named(path, sha256=""):
    return RcnnSettings(mask_weights=path, mask_sha256=sha256)


def test_weights_are_named_there_and_pinned(tmp_path):
    pytest.importorskip("torchvision", reason="torchvision is not installed: pip install 'gaitid[rcnn]'")
    path = text(tmp_path)
    with pytest.raises(WeightsError, match="gaitid downloads nothing"):
        RcnnExtractor(named(tmp_path / "none.pth"))
    with pytest.raises(ConfigError, match=f"Compare {networks.sha256(path)} with its publisher"):
        RcnnExtractor(named(path))
    with pytest.raises(WeightsError, match=f"{'0' * 64}, as the table"):
        RcnnExtractor(named(path, "0" * 64))


@pytest.mark.parametrize(
    "wrong",
    [{"backbone": "vgg"}, {"side_px": 8}, {"confidence": 1.5}, {"confidence": 0.0}, {"max_detections": 0}],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ConfigError):
        RcnnSettings(**wrong)


def test_without_weights_or_packages_one_sentence_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ConfigError, match="Extractor rcnn has no weights"):
        load_extractor("rcnn")
    with pytest.raises(MissingDependency, match=r"gaitid\[rcnn\]"):
        RcnnExtractor(named(Path("any.pth")))


def test_no_socket_is_opened(both):
    code = f"""
import numpy as np
from pathlib import Path, PosixPath, WindowsPath
from gaitid.perception.rcnn import RcnnExtractor, RcnnSettings
from gaitid.records import Frame
assert RcnnExtractor({both!r})(Frame(np.full((90, 120, 3), 90, np.uint8), 0.0))
"""
    assert networks.without_network(code) == ""
    assert "socket.__new__" in networks.without_network("socket.socket()")
