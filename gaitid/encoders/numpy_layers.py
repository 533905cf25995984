"""Layers in numpy, from which encoders that run without torch are built.

They compute what a torch network in evaluation mode computes, one clip at a time, so nothing is padded.
Normalisation layers are folded into the layers before them. Convolutions are matrix products over maps with
channels last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Tensors = Mapping[str, NDArray[Any]]
Forward = Callable[[Floats], Floats]
"""Turns one clip (T, ...) into a unit vector (D,)."""

_SLOPE = np.float32(0.01)
_BATCH_NORM = 1e-5


def check_arguments(arguments: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Compare a card's arguments with those `found` from the tensors' shapes.

    Raises:
        ValueError: One is unknown or has another value.
    """
    for name, value in arguments.items():
        plain = list(value) if isinstance(value, (list, tuple)) else value
        if name not in found or found[name] != plain:
            raise ValueError(f"{name} is {found.get(name, 'unknown')}, not {value}")


def projection_size(tensors: Tensors) -> int:
    """Dimensions after the projection; 0 if there is none."""
    return len(tensors["projection.weight"]) if "projection.weight" in tensors else 0


class Window:
    """A 3x3 convolution with a border of zeros, (N, H, W, I) -> (N, H, W, O).

    One matrix product for each row of the window: placing three columns side by side needs a third of the
    copies that all nine places would.
    """

    def __init__(self, weight: NDArray[Any]) -> None:
        self.outputs, inputs = weight.shape[:2]
        self._rows = floats(weight.transpose(2, 3, 1, 0).reshape(3, 3 * inputs, self.outputs))

    def __call__(self, x: Floats) -> Floats:
        """(N, H, W, O) of (N, H, W, I)."""
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


class Tiles:
    """A 3x3 convolution for wide maps, with 16 products instead of 36 per tile of 2x2 outputs.

    It differs from `Window` by 1e-6 of the largest output in float32.

    Source: Lavin & Gray 2016, F(2x2, 3x3).
    """

    _KERNEL = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
    _LEAVE = np.kron(*[np.array([[1, 1, 1, 0], [0, 1, -1, -1]], np.float32)] * 2)

    def __init__(self, weight: NDArray[Any]) -> None:
        self.outputs, inputs = weight.shape[:2]
        spread = np.einsum("ay,bx,oiyx->abio", self._KERNEL, self._KERNEL, weight)
        self._matrices = floats(spread.reshape(16, inputs, self.outputs))

    def __call__(self, x: Floats) -> Floats:
        """(N, H, W, O) of (N, H, W, I)."""
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
    """Runs of four along the third axis, two apart, mixed as F(2, 3) requires, on a new first axis."""
    span = x.shape[2] - 2
    at = [x[:, :, k : k + span : 2] for k in range(4)]
    made = np.empty((4, *at[0].shape), np.float32)
    np.subtract(at[0], at[2], out=made[0])
    np.add(at[1], at[2], out=made[1])
    np.subtract(at[2], at[1], out=made[2])
    np.subtract(at[1], at[3], out=made[3])
    return made


class Layer:
    """A convolution, its normalisation and a leaky rectifier."""

    def __init__(self, tensors: Tensors, name: str, convolution: type[Window] | type[Tiles]) -> None:
        scale, self._shift = affine(tensors, f"{name}.1")
        self._convolve = convolution(floats(tensors[f"{name}.0.weight"]) * scale[:, None, None, None])
        self.outputs = self._convolve.outputs

    def __call__(self, x: Floats) -> Floats:
        """(N, H, W, O) of (N, H, W, I)."""
        return leaky(self._convolve(x) + self._shift)


def affine(tensors: Tensors, name: str) -> tuple[Floats, Floats]:
    """Scale and shift of a normalisation layer."""
    spread = np.sqrt(tensors[f"{name}.running_var"].astype(np.float64) + _BATCH_NORM)
    scale = tensors[f"{name}.weight"] / spread
    return floats(scale), floats(tensors[f"{name}.bias"] - tensors[f"{name}.running_mean"] * scale)


def finisher(tensors: Tensors) -> Forward:
    """The end of a network: normalisation, then what it has of dense pair, projection and scaled parts."""
    scale, shift = affine(tensors, "norm")
    lengths = floats(tensors["part_scales"])[:, None] if "part_scales" in tensors else None
    mix = _mix(tensors) if "mix.0.weight" in tensors else None
    projection = floats(tensors["projection.weight"]).T if "projection.weight" in tensors else None

    def finish(wide: Floats) -> Floats:
        parts = wide * scale + shift
        if mix is not None:
            parts = parts + mix(parts)
        if lengths is not None:
            blocks = parts.reshape(len(lengths), -1)
            parts = (lengths * blocks / np.linalg.norm(blocks, axis=1, keepdims=True).clip(1e-12)).ravel()
        vector = _unit(parts)
        return vector if projection is None else _unit(vector @ projection)

    return finish


def _mix(tensors: Tensors) -> Forward:
    """See `strider.network._mix`."""
    scale, shift = affine(tensors, "mix.1")
    enter = floats((tensors["mix.0.weight"] * scale[:, None]).T)
    leave = floats(tensors["mix.3.weight"].T)
    return lambda parts: leaky(parts @ enter + shift) @ leave


def leaky(x: Floats) -> Floats:
    """Leaky rectifier with slope 0.01, as in the torch networks."""
    return np.asarray(np.maximum(x, x * _SLOPE))


def _unit(x: Floats) -> Floats:
    return np.asarray(x / max(float(np.linalg.norm(x)), 1e-12), np.float32)


def floats(x: NDArray[Any]) -> Floats:
    """Contiguous float32."""
    return np.ascontiguousarray(x, np.float32)
