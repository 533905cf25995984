"""Networks with random weights that see people anywhere, or nowhere: the real code, without a download."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gaitid.perception.rcnn import RcnnSettings, build

ANYWHERE, NOWHERE = 8.0, -50.0
"""What is added to the logit of the class of people."""
SMALL = {"backbone": "resnet18", "side_px": 64, "max_detections": 3}


_NO_NETWORK = """
import socket, sys
def note(event, arguments):
    if event.startswith("socket."):
        print(event, arguments)
sys.addaudithook(note)
"""


def without_network(code: str, **environment: str) -> str:
    """Run code in a fresh interpreter; return the events of sockets in it, nothing if it opens none."""
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
