"""Our networks by numpy alone: what a machine that only recognises needs, without torch.

The same arithmetic as `strider.StriderNet` and `stickman.StickmanNet` in evaluation mode, one clip at a time,
so nothing is padded; normalisation layers are folded into the layers before them. Convolutions are matrix
products over maps with channels last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid.records import JOINTS

Floats = NDArray[np.float32]
Tensors = Mapping[str, NDArray[Any]]
Forward = Callable[[Floats], Floats]

_SLOPE = np.float32(0.01)
_BATCH_NORM = 1e-5
_SPREAD = 1e-4
"""Added to variances, as both networks do."""
LAG = 2
"""Frames between the two pictures whose difference is a motion channel: 0.16 s, a sixth of a stride."""
DILATIONS = (1, 2, 4, 8)
"""Of stickman's layers."""


def strider(tensors: Tensors, arguments: Mapping[str, Any]) -> Forward:
    """(T, 64, 44) frames -> (D,) unit vector.

    Raises:
        KeyError: A tensor is missing.
        ValueError: The tensors are not those of these arguments.
    """
    _check(arguments, _strider_arguments(tensors))
    stem = _Window(tensors["stem.1.weight"])
    after = _affine(tensors, "stem.3")
    frame = _Layer(tensors, "frame", _Window)
    later = [_Layer(tensors, f"later.{i}", _Window) for i in range(_later(tensors))]
    enter, middle, leave = (_Layer(tensors, name, _Tiles) for name in ("enter", "middle", "leave"))
    residual = middle.outputs == enter.outputs
    part_weights = _floats(tensors["part_weights"])
    finish = _finish(tensors)

    def forward(clip: Floats) -> Floats:
        seen = _leaky(_halved(stem(_unshuffled(clip))) * after[0] + after[1])
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


def stickman(tensors: Tensors, arguments: Mapping[str, Any]) -> Forward:
    """(T, 17, F) features -> (D,) unit vector; raises as `strider` does."""
    _check(arguments, _stickman_arguments(tensors, arguments))
    enter = _taps(tensors, "enter")
    dilations = arguments.get("dilations", DILATIONS)
    layers = [_taps(tensors, f"layers.{place}") for place in range(len(dilations))]
    pooled = _floats(tensors["pooled.weight"]).T
    finish = _finish(tensors)

    def forward(clip: Floats) -> Floats:
        x = _in_time(clip.reshape(len(clip), -1), *enter, 1)
        for layer, dilation in zip(layers, dilations, strict=True):
            x = x + _in_time(x, *layer, dilation)
        mean = x.mean(0)
        spread = np.sqrt(np.square(x - mean).mean(0) + np.float32(_SPREAD))
        return finish(np.concatenate([mean, spread, x.max(0), x.min(0)]) @ pooled)

    return forward


NETWORKS: Mapping[str, Callable[[Tensors, Mapping[str, Any]], Forward]] = {
    "strider": strider,
    "stickman": stickman,
    "stickman3d": stickman,
}
"""Makes the forward pass of an architecture from its tensors and the card's arguments."""


def _strider_arguments(tensors: Tensors) -> dict[str, Any]:
    """What `strider.StriderNet` was built with, as its tensors tell."""
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
        "projection": _projection(tensors),
    }


def _stickman_arguments(tensors: Tensors, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What `stickman.StickmanNet` was built with, as its tensors tell; they do not tell dilations."""
    width, inputs, _ = tensors["enter.0.weight"].shape
    return {
        "width": width,
        "dilations": list(arguments.get("dilations", DILATIONS)),
        "hidden": tensors["pooled.weight"].shape[0],
        "projection": _projection(tensors),
        "features": inputs // JOINTS,
    }


def _check(arguments: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    for name, value in arguments.items():
        told = list(value) if isinstance(value, (list, tuple)) else value
        if name not in found or found[name] != told:
            raise ValueError(f"{name} is {found.get(name, 'unknown')}, not {value}")


def _projection(tensors: Tensors) -> int:
    return len(tensors["projection.weight"]) if "projection.weight" in tensors else 0


def _later(tensors: Tensors) -> int:
    return len({name.split(".")[1] for name in tensors if name.startswith("later.")})


class _Window:
    """A 3x3 convolution with a border of zeros, (N, H, W, I) -> (N, H, W, O).

    One matrix product for each row of the window: three columns side by side take a third of the copies of
    all nine places.
    """

    def __init__(self, weight: NDArray[Any]) -> None:
        self.outputs, inputs = weight.shape[:2]
        self._rows = _floats(weight.transpose(2, 3, 1, 0).reshape(3, 3 * inputs, self.outputs))

    def __call__(self, x: Floats) -> Floats:
        count, height, width, channels = x.shape
        sides = np.zeros((count, height + 2, width, 3, channels), np.float32)
        sides[:, 1:-1, 1:, 0] = x[:, :, :-1]
        sides[:, 1:-1, :, 1] = x
        sides[:, 1:-1, :-1, 2] = x[:, :, 1:]
        flat = sides.reshape(count, (height + 2) * width, 3 * channels)
        size = height * width
        made: Floats = flat[:, :size] @ self._rows[0]
        for row in (1, 2):
            made += flat[:, row * width : row * width + size] @ self._rows[row]
        return made.reshape(count, height, width, self.outputs)


class _Tiles:
    """The same for wide maps: F(2x2, 3x3) of Lavin & Gray 2016, 16 products where there were 36.

    Only exact in exact arithmetic; float32 differs by 1e-6 of the largest output.
    """

    _KERNEL = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
    _LEAVE = np.kron(*[np.array([[1, 1, 1, 0], [0, 1, -1, -1]], np.float32)] * 2)

    def __init__(self, weight: NDArray[Any]) -> None:
        self.outputs, inputs = weight.shape[:2]
        spread = np.einsum("ay,bx,oiyx->abio", self._KERNEL, self._KERNEL, weight)
        self._matrices = _floats(spread.reshape(16, inputs, self.outputs))

    def __call__(self, x: Floats) -> Floats:
        count, height, width, channels = x.shape
        high, wide = -(-height // 2), -(-width // 2)
        padded = np.zeros((count, 2 * high + 2, 2 * wide + 2, channels), np.float32)
        padded[:, 1 : height + 1, 1 : width + 1] = x
        tiles = _four(_four(padded))  # (4 of y, 4 of x, N, H/2, W/2, I)
        made = tiles.reshape(16, -1, channels) @ self._matrices
        corners = (self._LEAVE @ made.reshape(16, -1)).reshape(2, 2, count, high, wide, self.outputs)
        whole = corners.transpose(2, 3, 0, 4, 1, 5).reshape(count, 2 * high, 2 * wide, self.outputs)
        return whole[:, :height, :width]


def _four(x: Floats) -> Floats:
    """Every second run of four along the third axis, mixed as F(2, 3) asks, on a new first axis of four."""
    span = x.shape[2] - 2
    at = [x[:, :, k : k + span : 2] for k in range(4)]
    made = np.empty((4, *at[0].shape), np.float32)
    np.subtract(at[0], at[2], out=made[0])
    np.add(at[1], at[2], out=made[1])
    np.subtract(at[2], at[1], out=made[2])
    np.subtract(at[1], at[3], out=made[3])
    return made


class _Layer:
    """Convolution, normalisation and leaky rectifier."""

    def __init__(self, tensors: Tensors, name: str, convolution: type[_Window] | type[_Tiles]) -> None:
        scale, self._shift = _affine(tensors, f"{name}.1")
        self._convolve = convolution(_floats(tensors[f"{name}.0.weight"]) * scale[:, None, None, None])
        self.outputs = self._convolve.outputs

    def __call__(self, x: Floats) -> Floats:
        return _leaky(self._convolve(x) + self._shift)


def _affine(tensors: Tensors, name: str) -> tuple[Floats, Floats]:
    """A normalisation layer as scale and shift."""
    spread = np.sqrt(tensors[f"{name}.running_var"].astype(np.float64) + _BATCH_NORM)
    scale = tensors[f"{name}.weight"] / spread
    return _floats(scale), _floats(tensors[f"{name}.bias"] - tensors[f"{name}.running_mean"] * scale)


def _finish(tensors: Tensors) -> Forward:
    """Normalisation, the dense pair and the projection where there is one, unit length."""
    scale, shift = _affine(tensors, "norm")
    mix = _mix(tensors) if "mix.0.weight" in tensors else None
    projection = _floats(tensors["projection.weight"]).T if "projection.weight" in tensors else None

    def finish(wide: Floats) -> Floats:
        parts = wide * scale + shift
        vector = _unit(parts if mix is None else parts + mix(parts))
        return vector if projection is None else _unit(vector @ projection)

    return finish


def _mix(tensors: Tensors) -> Forward:
    """See `strider._mix`."""
    scale, shift = _affine(tensors, "mix.1")
    enter = _floats((tensors["mix.0.weight"] * scale[:, None]).T)
    leave = _floats(tensors["mix.3.weight"].T)
    return lambda parts: _leaky(parts @ enter + shift) @ leave


def _exchanged(x: Floats) -> Floats:
    """See `strider._exchange`; channels last."""
    quarter = x.shape[3] // 4
    made = x.copy()
    made[1:, ..., :quarter], made[0, ..., :quarter] = x[:-1, ..., :quarter], 0
    both = slice(quarter, 2 * quarter)
    made[:-1, ..., both], made[-1, ..., both] = x[1:, ..., both], 0
    return made


def _taps(tensors: Tensors, name: str) -> tuple[Floats, Floats]:
    """A layer of three taps over time, as a (3 I, O) matrix and its shift."""
    scale, shift = _affine(tensors, f"{name}.1")
    weight = _floats(tensors[f"{name}.0.weight"]) * scale[:, None, None]  # (O, I, 3)
    return np.ascontiguousarray(weight.transpose(2, 1, 0).reshape(-1, len(weight))), shift


def _in_time(x: Floats, matrix: Floats, shift: Floats, dilation: int) -> Floats:
    """Three frames `dilation` apart, zeros outside. (T, I) -> (T, O)."""
    frames, inputs = x.shape
    padded = np.zeros((frames + 2 * dilation, inputs), np.float32)
    padded[dilation : dilation + frames] = x
    around = np.concatenate([padded[k * dilation : k * dilation + frames] for k in range(3)], axis=1)
    return _leaky(around @ matrix + shift)


def _unshuffled(clip: Floats) -> Floats:
    """(T, H, W) -> (T, H/2, W/2, 4): blocks of 2x2 pixels as channels."""
    frames, height, width = clip.shape
    blocks = clip.reshape(frames, height // 2, 2, width // 2, 2)
    return _floats(blocks.transpose(0, 1, 3, 2, 4).reshape(frames, height // 2, width // 2, 4))


def _halved(x: Floats) -> Floats:
    """Largest of 2x2."""
    tall = np.maximum(x[:, 0::2], x[:, 1::2])
    return np.maximum(tall[:, :, 0::2], tall[:, :, 1::2])


def _statistics(x: Floats) -> Floats:
    """See `strider._pool`: (T, H, W, C) -> (H, W, 5 C)."""
    mean = x.mean(0)
    spread = np.sqrt((np.square(x).mean(0) - np.square(mean)).clip(0) + np.float32(_SPREAD))
    motion = np.abs(x[LAG:] - x[:-LAG]) if len(x) > LAG else np.zeros_like(x[:1])
    return np.concatenate([x.max(0), mean, spread, motion.max(0), motion.mean(0)], axis=2)


def _leaky(x: Floats) -> Floats:
    return np.asarray(np.maximum(x, x * _SLOPE))


def _unit(x: Floats) -> Floats:
    return np.asarray(x / max(float(np.linalg.norm(x)), 1e-12), np.float32)


def _floats(x: NDArray[Any]) -> Floats:
    return np.ascontiguousarray(x, np.float32)
