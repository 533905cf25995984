"""Strider by numpy alone: what `network.StriderNet` computes in evaluation mode, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gaitid.encoders.numpy_layers import (
    Floats,
    Forward,
    Layer,
    Tensors,
    Tiles,
    Window,
    affine,
    check_arguments,
    finisher,
    floats,
    leaky,
    projection_size,
)
from gaitid.encoders.strider import LAG, VARIANCE_FLOOR


def forward_pass(tensors: Tensors, arguments: Mapping[str, Any]) -> Forward:
    """Build the network: (T, 64, 44) frames -> (D,) unit vector.

    Raises:
        KeyError: A tensor is missing.
        ValueError: The tensors do not fit the arguments.
    """
    check_arguments(arguments, _arguments(tensors))
    stem = Window(tensors["stem.1.weight"])
    after = affine(tensors, "stem.3")
    frame = Layer(tensors, "frame", Window)
    later = [Layer(tensors, f"later.{i}", Window) for i in range(_later(tensors))]
    enter, middle, leave = (Layer(tensors, name, Tiles) for name in ("enter", "middle", "leave"))
    residual = middle.outputs == enter.outputs
    part_weights = floats(tensors["part_weights"])
    finish = finisher(tensors)

    def forward(clip: Floats) -> Floats:
        seen = leaky(_halved(stem(_unshuffled(clip))) * after[0] + after[1])
        seen = frame(seen)  # (T, 16, 11, C)
        for layer in later:
            seen = seen + layer(_exchanged(seen))
        x = enter(_statistics(seen)[None])
        x = x + middle(x) if residual else middle(x)
        x = leave(x)[0]
        rows = x.mean(1) + x.max(1)
        bands = rows.reshape(len(part_weights), -1, rows.shape[1]).mean(1)
        return finish(np.matmul(bands[:, None], part_weights).ravel())

    return forward


def _arguments(tensors: Tensors) -> dict[str, Any]:
    """Arguments of `network.StriderNet`, read from the shapes of its tensors."""
    wide = [tensors[f"{name}.0.weight"].shape[0] for name in ("enter", "middle", "leave")]
    parts, _, dimension = tensors["part_weights"].shape
    return {
        "stem": tensors["stem.1.weight"].shape[0],
        "frame": tensors["frame.0.weight"].shape[0],
        "later": _later(tensors),
        "trunk": wide,
        "parts": parts,
        "part_dimension": dimension,
        "mix": tensors["mix.0.weight"].shape[0] if "mix.0.weight" in tensors else 0,
        "projection": projection_size(tensors),
        "scaled": "part_scales" in tensors,
    }


def _later(tensors: Tensors) -> int:
    return len({name.split(".")[1] for name in tensors if name.startswith("later.")})


def _exchanged(x: Floats) -> Floats:
    """See `network._exchange`; channels last."""
    quarter = x.shape[3] // 4
    made = x.copy()
    made[1:, ..., :quarter], made[0, ..., :quarter] = x[:-1, ..., :quarter], 0
    both = slice(quarter, 2 * quarter)
    made[:-1, ..., both], made[-1, ..., both] = x[1:, ..., both], 0
    return made


def _unshuffled(clip: Floats) -> Floats:
    """(T, H, W) -> (T, H/2, W/2, 4): blocks of 2x2 pixels as channels."""
    frames, height, width = clip.shape
    blocks = clip.reshape(frames, height // 2, 2, width // 2, 2)
    return floats(blocks.transpose(0, 1, 3, 2, 4).reshape(frames, height // 2, width // 2, 4))


def _halved(x: Floats) -> Floats:
    """Maximum of each 2x2 block."""
    tall = np.maximum(x[:, 0::2], x[:, 1::2])
    return np.maximum(tall[:, :, 0::2], tall[:, :, 1::2])


def _statistics(x: Floats) -> Floats:
    """See `network._pool`: (T, H, W, C) -> (H, W, 5 C)."""
    mean = x.mean(0)
    spread = np.sqrt((np.square(x).mean(0) - np.square(mean)).clip(0) + np.float32(VARIANCE_FLOOR))
    motion = np.abs(x[LAG:] - x[:-LAG]) if len(x) > LAG else np.zeros_like(x[:1])
    return np.concatenate([x.max(0), mean, spread, motion.max(0), motion.mean(0)], axis=2)
