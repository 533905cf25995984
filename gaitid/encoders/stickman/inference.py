"""Stickman by numpy alone: what `network.StickmanNet` computes in evaluation mode, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gaitid.encoders.numpy_layers import (
    Floats,
    Forward,
    Tensors,
    affine,
    check_arguments,
    finisher,
    floats,
    leaky,
    projection_size,
)
from gaitid.encoders.stickman import DILATIONS, VARIANCE_FLOOR
from gaitid.records import JOINTS


def forward_pass(tensors: Tensors, arguments: Mapping[str, Any]) -> Forward:
    """Build the network: (T, 17, F) features -> (D,) unit vector.

    Raises:
        KeyError: A tensor is missing.
        ValueError: The tensors do not fit the arguments.
    """
    check_arguments(arguments, _arguments(tensors, arguments))
    enter = _taps(tensors, "enter")
    dilations = arguments.get("dilations", DILATIONS)
    layers = [_taps(tensors, f"layers.{place}") for place in range(len(dilations))]
    pooled = floats(tensors["pooled.weight"]).T
    finish = finisher(tensors)

    def forward(clip: Floats) -> Floats:
        x = _in_time(clip.reshape(len(clip), -1), *enter, 1)
        for layer, dilation in zip(layers, dilations, strict=True):
            x = x + _in_time(x, *layer, dilation)
        mean = x.mean(0)
        spread = np.sqrt(np.square(x - mean).mean(0) + np.float32(VARIANCE_FLOOR))
        return finish(np.concatenate([mean, spread, x.max(0), x.min(0)]) @ pooled)

    return forward


def _arguments(tensors: Tensors, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `network.StickmanNet`, read from the shapes; dilations leave no trace in them."""
    width, inputs, _ = tensors["enter.0.weight"].shape
    return {
        "width": width,
        "dilations": list(arguments.get("dilations", DILATIONS)),
        "hidden": tensors["pooled.weight"].shape[0],
        "projection": projection_size(tensors),
        "features": inputs // JOINTS,
    }


def _taps(tensors: Tensors, name: str) -> tuple[Floats, Floats]:
    """Matrix (3 I, O) and shift of a layer of three taps over time."""
    scale, shift = affine(tensors, f"{name}.1")
    weight = floats(tensors[f"{name}.0.weight"]) * scale[:, None, None]  # (O, I, 3)
    return np.ascontiguousarray(weight.transpose(2, 1, 0).reshape(-1, len(weight))), shift


def _in_time(x: Floats, matrix: Floats, shift: Floats, dilation: int) -> Floats:
    """Apply a layer to three frames `dilation` apart, with zeros outside: (T, I) -> (T, O)."""
    frames, inputs = x.shape
    padded = np.zeros((frames + 2 * dilation, inputs), np.float32)
    padded[dilation : dilation + frames] = x
    around = np.concatenate([padded[k * dilation : k * dilation + frames] for k in range(3)], axis=1)
    return leaky(around @ matrix + shift)
