"""The ``rcnn`` extractor: Mask R-CNN and Keypoint R-CNN of torchvision, for a moving or a static camera.

Source: He et al. 2017 (Mask R-CNN), as in torchvision (BSD-3-Clause). Weights are read from files that the
configuration names, and nothing is downloaded. Deviations: the confidence of a joint is the logistic of its
heat-map score over `RcnnSettings.joint_score`, because the network has no probability of a joint.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import ConfigError, MissingDependency, WeightsError
from gaitid.perception.pairing import joined
from gaitid.perception.weights import read_weights
from gaitid.records import Frame, Observation

_TABLE = "[perception.rcnn]"
_BACKBONES = ("resnet18", "resnet34", "resnet50", "resnet101")
_PERSON = 1
"""Class of people in torchvision's networks."""
_INSIDE = 0.5
"""Probability from which a pixel belongs to a mask."""
_EXACT = ("bf2d0c1e", "fc266e95")
"""Starts of the SHA-256 of torchvision's published weights that it runs with an epsilon of 0 in the norms."""
_CLASSES = "roi_heads.box_predictor.cls_score.weight"
_FIRST_VERSION = "roi_heads.box_head.fc6.weight"
"""A tensor of the first version of Mask R-CNN that the second one does not have."""

Tensors = dict[str, Any]


@dataclass(frozen=True)
class RcnnSettings:
    """Settings of the ``rcnn`` extractor; in TOML the table ``[perception.rcnn]``.

    Attributes:
        mask_weights: File of a Mask R-CNN, as torchvision's state_dict; None for no masks.
        mask_sha256: Its SHA-256.
        keypoint_weights: File of a Keypoint R-CNN, as torchvision's state_dict; None for no keypoints.
        keypoint_sha256: Its SHA-256.
        backbone: resnet18, resnet34, resnet50 or resnet101, as the weights were trained.
        side_px: Length to which the shorter side of a picture is scaled; 800 as published.
        confidence: Least confidence of a person, 0..1.
        max_detections: Most people and other objects that each network reports of a picture.
        joint_score: Heat-map score at which a joint has a confidence of one half.
        device: Where the networks run, such as cpu or cuda:0.

    Raises:
        ConfigError: A value is out of range.
    """

    mask_weights: Path | None = None
    mask_sha256: str = ""
    keypoint_weights: Path | None = None
    keypoint_sha256: str = ""
    backbone: str = "resnet50"
    side_px: int = 800
    confidence: float = 0.5
    max_detections: int = 100
    joint_score: float = 2.0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.backbone not in _BACKBONES:
            raise ConfigError(
                f"Backbone is {self.backbone!r}",
                f"one of {', '.join(_BACKBONES)}",
                f"Set it in the table {_TABLE}",
            )
        if not (32 <= self.side_px <= 4096 and 0 < self.confidence < 1 and self.max_detections > 0):
            raise ConfigError(
                f"Settings are side_px {self.side_px}, confidence {self.confidence} and "
                f"max_detections {self.max_detections}",
                "32 to 4096 pixels, a confidence between 0 and 1, and at least one detection",
                f"Change the table {_TABLE}",
            )


class RcnnExtractor:
    """Finds people with masks, keypoints or both; an `Extractor`.

    Args:
        settings: See `RcnnSettings`.

    Raises:
        ConfigError: No weights are named, or the device does not exist.
        WeightsError: A file is missing, is another one than named, or fits no network.
        MissingDependency: torch or torchvision is not installed.
    """

    settings: ClassVar[type[RcnnSettings]] = RcnnSettings

    def __init__(self, settings: RcnnSettings = RcnnSettings()) -> None:
        if settings.mask_weights is None and settings.keypoint_weights is None:
            raise ConfigError(
                "Extractor rcnn has no weights",
                f"mask_weights or keypoint_weights in the table {_TABLE}, each with its SHA-256",
                "Fetch torchvision's weights yourself and name them; docs/extractors.md shows how",
            )
        _require_torchvision()
        self._settings = settings
        self._masks = _network(settings, settings.mask_weights, settings.mask_sha256, keypoints=False)
        self._poses = _network(settings, settings.keypoint_weights, settings.keypoint_sha256, keypoints=True)

    def __call__(self, frame: Frame) -> list[Observation]:
        """Return the people in a frame; those that both networks see have a mask and keypoints."""
        posed = _people(self._poses, frame.image, self._settings) if self._poses else []
        masked = _people(self._masks, frame.image, self._settings) if self._masks else []
        return joined(masked, posed)

    def reset(self) -> None:
        """Frames are independent: nothing is kept."""


def _require_torchvision() -> None:
    try:
        import torchvision  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"Package {error.name} is not installed",
            "torch and torchvision for extractor rcnn",
            "Run pip install 'gaitid[rcnn]'",
        ) from error


def _network(settings: RcnnSettings, path: Path | None, sha256: str, *, keypoints: bool) -> Any:
    """Return a network with its weights, ready to run; None without a path."""
    if path is None:
        return None
    import torch

    tensors = _tensors(path, read_weights(path, sha256, _TABLE))
    model = build(
        settings.backbone,
        classes=len(tensors[_CLASSES]),
        keypoints=keypoints,
        second_version=_FIRST_VERSION not in tensors,
        exact=sha256.lower().startswith(_EXACT),
        min_size=settings.side_px,
        box_score_thresh=settings.confidence,
        box_detections_per_img=settings.max_detections,
    )
    _fill(model, tensors, path)
    try:
        return model.eval().to(torch.device(settings.device))
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"Device {settings.device!r} cannot be used ({str(error)[:100]})",
            "cpu, or a device of torch such as cuda:0",
            f"Change device in the table {_TABLE}",
        ) from error


def build(
    backbone: str,
    *,
    classes: int,
    keypoints: bool,
    second_version: bool = False,
    exact: bool = False,
    **arguments: Any,
) -> Any:
    """Make a network with random weights; nothing is downloaded.

    Args:
        backbone: Name of the ResNet.
        classes: Number of classes, background included.
        keypoints: Whether it is a Keypoint R-CNN, not a Mask R-CNN.
        second_version: Whether it is torchvision's second version of Mask R-CNN.
        exact: Whether its norms have an epsilon of 0.
        arguments: Other arguments of torchvision's class.
    """
    from torchvision.models.detection import KeypointRCNN, MaskRCNN, backbone_utils, maskrcnn_resnet50_fpn_v2
    from torchvision.ops import FrozenBatchNorm2d

    if second_version and not keypoints:
        return maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, num_classes=classes, **arguments)
    body = backbone_utils.resnet_fpn_backbone(backbone_name=backbone, weights=None, trainable_layers=5)
    kind = KeypointRCNN if keypoints else MaskRCNN
    model = kind(body, num_classes=classes, **arguments)
    for module in model.modules():
        if exact and isinstance(module, FrozenBatchNorm2d):
            module.eps = 0.0
    return model


def _tensors(path: Path, content: bytes) -> Tensors:
    """Return the tensors of a file by name, without running anything in it."""
    import torch

    try:
        held = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds
        raise WeightsError(
            f"Weight file {path} cannot be read safely ({type(error).__name__})",
            "a state_dict of tensors",
            "Save the network's state_dict with torch.save",
        ) from error
    if not isinstance(held, dict) or _CLASSES not in held:
        raise WeightsError(
            f"Weight file {path} has no {_CLASSES}",
            "the state_dict of an R-CNN of torchvision",
            "Name the file of such a network",
        )
    if not all(isinstance(value, torch.Tensor) and bool(value.isfinite().all()) for value in held.values()):
        raise WeightsError(
            f"Weight file {path} has values that are no finite numbers", "finite tensors", "Fetch it again"
        )
    return held


def _fill(model: Any, tensors: Tensors, path: Path) -> None:
    """Load tensors into a network that has exactly these."""
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        kind = type(model).__name__
        detail = str(error).replace("\n\t", " ")[:200]
        raise WeightsError(
            f"Weight file {path} does not fit {kind} ({detail})",
            f"the state_dict of a {kind} with the backbone that {_TABLE} names",
            "Check backbone, and that masks and keypoints are not exchanged",
        ) from error


def _people(model: Any, image: NDArray[np.uint8], settings: RcnnSettings) -> list[Observation]:
    """Return what one network sees in a picture, (H, W, 3) uint8 BGR."""
    import torch

    pixels = np.ascontiguousarray(image[:, :, ::-1].transpose(2, 0, 1), np.float32) / 255
    with torch.inference_mode():
        (seen,) = model([torch.from_numpy(pixels).to(settings.device)])
    answer = {name: value.cpu().numpy() for name, value in seen.items()}
    height, width = image.shape[:2]
    boxes = np.clip(answer["boxes"], 0, np.array([width, height, width, height])).astype(np.float32)
    kept = (answer["labels"] == _PERSON) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return [
        Observation(
            boxes[i],
            _cut(answer["masks"][i, 0], boxes[i]) if "masks" in answer else None,
            _joints(answer, int(i), settings.joint_score) if "keypoints" in answer else None,
            float(answer["scores"][i]),
        )
        for i in np.flatnonzero(kept)
    ]


def _cut(mask: NDArray[np.float32], box: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the pixels 0/1 of a mask (H, W) of probabilities in the box rounded outwards."""
    (x0, y0), (x1, y1) = np.floor(box[:2]).astype(int), np.ceil(box[2:]).astype(int)
    return np.asarray(mask[y0:y1, x0:x1] > _INSIDE, np.uint8)


def _joints(answer: dict[str, NDArray[np.float32]], i: int, middle: float) -> NDArray[np.float32]:
    """Return (17, 3) joints of a person."""
    scores = np.clip(answer["keypoints_scores"][i].astype(np.float64) - middle, -50, 50)
    places = answer["keypoints"][i, :, :2]
    return np.concatenate([places, 1 / (1 + np.exp(-scores[:, None]))], axis=1).astype(np.float32)
