"""Networks with random weights that see people anywhere, or nowhere: the real code, without a download."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gaitid.perception import yolo as yolo_extractor
from gaitid.perception.rcnn import RcnnSettings, build
from gaitid.perception.yolo import YoloSettings

ANYWHERE, NOWHERE = 8.0, -50.0
"""What is added to the logit of the class of people."""
SMALL = {"backbone": "resnet18", "side_px": 64, "max_detections": 3}


_NO_NETWORK = """
import socket, sys
def note(event, arguments):
    if event.startswith("socket.") or (event == "subprocess.Popen" and "install" in str(arguments)):
        print(event, arguments)
sys.addaudithook(note)
"""


def without_network(code: str, **environment: str) -> str:
    """Run code in a fresh interpreter; return its uses of sockets and of installers, nothing if none."""
    done = subprocess.run(
        [sys.executable, "-c", _NO_NETWORK + code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rcnn_weights(path: Path, *, keypoints: bool, people: float = ANYWHERE, **arguments) -> Path:
    """Save a random Mask R-CNN of the 91 classes of COCO, or a Keypoint R-CNN of people."""
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gaitid[rcnn]'")
    pytest.importorskip("torchvision", reason="torchvision is not installed: pip install 'gaitid[rcnn]'")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = build(
            arguments.pop("backbone", "resnet18"),
            classes=2 if keypoints else 91,
            keypoints=keypoints,
            **arguments,
        )
    state = model.state_dict()
    state["roi_heads.box_predictor.cls_score.bias"][1] += people
    torch.save(state, path)
    return path


def rcnn(folder: Path, people: float = ANYWHERE) -> RcnnSettings:
    """Settings of both networks."""
    masks = rcnn_weights(folder / "masks.pth", keypoints=False, people=people)
    poses = rcnn_weights(folder / "poses.pth", keypoints=True, people=people)
    return RcnnSettings(masks, sha256(masks), poses, sha256(poses), **SMALL)


def ultralytics():
    """The package as the extractor imports it; skips the test where it is not installed, as in CI."""
    if not (importlib.util.find_spec("ultralytics") and importlib.util.find_spec("lap")):
        pytest.skip("ultralytics (AGPL-3.0) is not installed: run make test-yolo")
    return yolo_extractor._ultralytics()


def yolo_weights(path: Path, task: str, people: float = 1.0, base: Path | None = None) -> Path:
    """Save a random network of the smallest size, whose people have the given logit."""
    package = ultralytics()
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = package.YOLO(str(base or f"yolo11n-{task}.yaml"))
    for classes, coefficients in zip(model.model.model[-1].cv3, model.model.model[-1].cv4, strict=True):
        classes[-1].bias.data[0] = people
        if (
            task == "seg"
        ):  # the sum of all prototypes, which is above 0 in most places: empty masks are dropped
            coefficients[-1].weight.data[:] = 0.0
            coefficients[-1].bias.data[:] = 1.0
    model.save(path)
    return path


def yolo(folder: Path, people: float = 1.0, **own) -> YoloSettings:
    """Settings of both networks."""
    masks = yolo_weights(folder / "masks.pt", "seg", people)
    poses = yolo_weights(folder / "poses.pt", "pose", people)
    small = {"side_px": 96, "max_people": 5, **own}
    return YoloSettings(masks, sha256(masks), poses, sha256(poses), **small)
