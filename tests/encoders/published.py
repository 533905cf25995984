"""GaitSet, GaitBase and DeepGaitV2 a second time: random tensors by their published names, and the formulas.

The licence of the originals forbids copying them for comparison. So their formulas are computed here step by
step with plain torch functions, directly from the published tensors and their names.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F  # noqa: N812 - the usual name

State = dict[str, torch.Tensor]

WIDTHS = (6, 8, 10, 12)
"""Channels of the small networks of the tests; the published ones have 64, 128, 256, 512."""
DIMENSION = 7
"""Of a part; published 256."""


class Maker:
    """Random tensors by name."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self.state: State = {}

    def conv(self, name: str, outputs: int, inputs: int, *size: int) -> None:
        fan = inputs * int(torch.tensor(size).prod())
        self.state[name] = torch.randn(outputs, inputs, *size, generator=self._generator) * (2 / fan) ** 0.5

    def norm(self, name: str, width: int) -> None:
        for key in ("weight", "running_var"):
            self.state[f"{name}.{key}"] = torch.rand(width, generator=self._generator) + 0.5
        for key in ("bias", "running_mean"):
            self.state[f"{name}.{key}"] = torch.randn(width, generator=self._generator) * 0.1
        self.state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    def head(self, name: str, parts: int, inputs: int, outputs: int) -> None:
        self.state[name] = torch.randn(parts, inputs, outputs, generator=self._generator) * 0.3


def gaitset_state(seed: int = 3, *, channels: Sequence[int] = WIDTHS[:3], parts: int = 62) -> State:
    make = Maker(seed)
    before = 1
    for block, width in enumerate(channels, 1):
        size = 5 if block == 1 else 3
        make.conv(f"set_block{block}.forward_block.0.conv.weight", width, before, size, size)
        make.conv(f"set_block{block}.forward_block.2.conv.weight", width, width, 3, 3)
        if block > 1:
            make.conv(f"gl_block{block}.0.conv.weight", width, before, 3, 3)
            make.conv(f"gl_block{block}.2.conv.weight", width, width, 3, 3)
        before = width
    make.head("Head.fc_bin", parts, channels[-1], DIMENSION)
    return make.state


def gaitset(w: State, frames: torch.Tensor, bins: Sequence[int] = (16, 8, 4, 2, 1)) -> torch.Tensor:
    """(P, D') parts of (T, H, W) frames."""

    def two(x, name):
        for layer in (0, 2):
            weight = w[f"{name}.{layer}.conv.weight"]
            x = F.leaky_relu(F.conv2d(x, weight, padding=weight.shape[-1] // 2), 0.01)
        return x

    a = F.max_pool2d(two(frames[:, None], "set_block1.forward_block"), 2)
    b = F.max_pool2d(two(a, "set_block2.forward_block"), 2)
    c = two(b, "set_block3.forward_block").max(0, keepdim=True).values
    g = F.max_pool2d(two(a.max(0, keepdim=True).values, "gl_block2"), 2) + b.max(0, keepdim=True).values
    g = two(g, "gl_block3") + c
    columns = strips(c[0], bins) + strips(g[0], bins)
    return torch.stack([column @ w["Head.fc_bin"][p] for p, column in enumerate(columns)])


def strips(x: torch.Tensor, bins: Sequence[int]) -> list[torch.Tensor]:
    """Mean plus maximum of strips of a map (C, h, w): as many strips of equal size as each of `bins` says."""
    flat = x.flatten(1)
    pieces = [piece for number in bins for piece in flat.split(flat.shape[1] // number, dim=1)]
    return [piece.mean(1) + piece.max(1).values for piece in pieces]


def gaitbase_state(
    seed: int = 3,
    *,
    widths: Sequence[int] = WIDTHS,
    blocks: Sequence[int] = (1, 1, 1, 1),
    strides: Sequence[int] = (1, 2, 2, 1),
    parts: int = 16,
) -> State:
    make, root = Maker(seed), "Backbone.forward_block"
    make.conv(f"{root}.conv1.conv.weight", widths[0], 1, 3, 3)
    make.norm(f"{root}.bn1", widths[0])
    before = widths[0]
    for stage, width in enumerate(widths, 1):
        for block in range(blocks[stage - 1]):
            base = f"{root}.layer{stage}.{block}"
            make.conv(f"{base}.conv1.weight", width, before, 3, 3)
            make.norm(f"{base}.bn1", width)
            make.conv(f"{base}.conv2.weight", width, width, 3, 3)
            make.norm(f"{base}.bn2", width)
            if block == 0 and (strides[stage - 1] > 1 or before != width):
                make.conv(f"{base}.downsample.0.weight", width, before, 1, 1)
                make.norm(f"{base}.downsample.1", width)
            before = width
    make.head("FCs.fc_bin", parts, before, DIMENSION)
    make.head("BNNecks.fc_bin", parts, DIMENSION, 74)
    make.norm("BNNecks.bn1d", parts * DIMENSION)
    return make.state


def normed(w: State, name: str, x: torch.Tensor) -> torch.Tensor:
    """Batch normalisation of (C, ...) with the running statistics."""
    shape = [-1] + [1] * (x.ndim - 1)
    mean, var, scale, bias = (
        w[f"{name}.{key}"].view(shape) for key in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (var + 1e-5).sqrt() * scale + bias


def _frame_norm(w, name, x):
    """The same for (T, C, h, w)."""
    return F.batch_norm(
        x, w[f"{name}.running_mean"], w[f"{name}.running_var"], w[f"{name}.weight"], w[f"{name}.bias"]
    )


def gaitbase(
    w: State,
    frames: torch.Tensor,
    *,
    strides: Sequence[int] = (1, 2, 2, 1),
    maxpool: bool = False,
    bins: Sequence[int] = (16,),
    unit_head: bool = False,
) -> torch.Tensor:
    """(P, D') parts of (T, H, W) frames."""
    root = "Backbone.forward_block"
    x = F.conv2d(frames[:, None], w[f"{root}.conv1.conv.weight"], padding=1)
    x = F.relu(_frame_norm(w, f"{root}.bn1", x))
    if maxpool:
        x = F.max_pool2d(x, 3, stride=2, padding=1)
    for stage, first_stride in enumerate(strides, 1):
        block = 0
        while f"{root}.layer{stage}.{block}.conv1.weight" in w:
            base, stride = f"{root}.layer{stage}.{block}", first_stride if block == 0 else 1
            y = F.conv2d(x, w[f"{base}.conv1.weight"], stride=stride, padding=1)
            y = F.relu(_frame_norm(w, f"{base}.bn1", y))
            y = _frame_norm(w, f"{base}.bn2", F.conv2d(y, w[f"{base}.conv2.weight"], padding=1))
            if f"{base}.downsample.0.weight" in w:
                x = F.conv2d(x, w[f"{base}.downsample.0.weight"], stride=stride)
                x = _frame_norm(w, f"{base}.downsample.1", x)
            x = F.relu(x + y)
            block += 1
    head = w["FCs.fc_bin"]
    if unit_head:
        head = head / head.square().sum(1, keepdim=True).sqrt()
    columns = strips(x.max(0).values, bins)
    return torch.stack([column @ head[p] for p, column in enumerate(columns)])


def deepgaitv2_state(
    seed: int = 3, *, mode: str = "p3d", blocks: Sequence[int] = (1, 2, 1, 1), widths: Sequence[int] = WIDTHS
) -> State:
    make = Maker(seed)
    make.conv("layer0.forward_block.0.weight", widths[0], 1, 3, 3)
    make.norm("layer0.forward_block.1", widths[0])
    for block in range(blocks[0]):
        for part in (1, 2):
            make.conv(f"layer1.forward_block.{block}.conv{part}.weight", widths[0], widths[0], 3, 3)
            make.norm(f"layer1.forward_block.{block}.bn{part}", widths[0])
    before = widths[0]
    for layer, width in enumerate(widths[1:], 2):
        for block in range(blocks[layer - 1]):
            _deepgaitv2_block(make, mode, f"layer{layer}", block, before, width)
            before = width
    make.head("FCs.fc_bin", 16, before, DIMENSION)
    make.head("BNNecks.fc_bin", 16, DIMENSION, 74)
    make.norm("BNNecks.bn1d", 16 * DIMENSION)
    return make.state


def _deepgaitv2_block(make: Maker, mode: str, layer: str, block: int, before: int, width: int) -> None:
    base = f"{layer}.forward_block.{block}" if mode == "2d" else f"{layer}.{block}"
    size = {"2d": (3, 3), "p3d": (3, 3), "3d": (3, 3, 3)}[mode]
    for part, inputs in ((1, before), (2, width)):
        if mode == "p3d":
            make.conv(f"{base}.conv{part}.forward_block.0.weight", width, inputs, *size)
            make.norm(f"{base}.conv{part}.forward_block.1", width)
        else:
            make.conv(f"{base}.conv{part}.weight", width, inputs, *size)
            make.norm(f"{base}.bn{part}", width)
    if mode == "p3d":
        make.conv(f"{base}.shortcut3d.weight", width, width, 3, 1, 1)
        make.norm(f"{base}.sbn", width)
    if not block:
        make.conv(f"{base}.downsample.0.weight", width, before, *((1, 1) if mode == "2d" else (1, 1, 1)))
        make.norm(f"{base}.downsample.1", width)


def deepgaitv2(w: State, frames: torch.Tensor, *, neck: bool = False) -> torch.Tensor:
    """(P, D') parts of (T, H, W) frames; 3D convolutions throughout, in the order (C, T, h, w)."""

    def flat(x, name, stride=1):
        weight = w[name] if w[name].ndim == 5 else w[name][:, :, None]
        pads = [s // 2 for s in weight.shape[2:]]
        return F.conv3d(x[None], weight, stride=(1, stride, stride), padding=pads)[0]

    def norm(x, name):
        return normed(w, name, x)

    x = F.relu(norm(flat(frames[None], "layer0.forward_block.0.weight"), "layer0.forward_block.1"))
    block = 0
    while f"layer1.forward_block.{block}.bn1.weight" in w:
        base = f"layer1.forward_block.{block}"
        y = F.relu(norm(flat(x, f"{base}.conv1.weight"), f"{base}.bn1"))
        x = F.relu(x + norm(flat(y, f"{base}.conv2.weight"), f"{base}.bn2"))
        block += 1
    for layer, first_stride in ((2, 2), (3, 2), (4, 1)):
        block = 0
        while True:
            base, stride = f"layer{layer}.{block}", first_stride if block == 0 else 1
            if f"{base}.sbn.weight" in w:  # pseudo-3D
                first, second = f"{base}.conv1.forward_block", f"{base}.conv2.forward_block"
                y = F.relu(norm(flat(x, f"{first}.0.weight", stride), f"{first}.1"))
                y = F.relu(y + norm(flat(y, f"{base}.shortcut3d.weight"), f"{base}.sbn"))
                y = norm(flat(y, f"{second}.0.weight"), f"{second}.1")
            else:
                if f"{base}.conv1.weight" not in w:  # 2D: wrapped for frames
                    base = f"layer{layer}.forward_block.{block}"
                if f"{base}.conv1.weight" not in w:
                    break
                y = F.relu(norm(flat(x, f"{base}.conv1.weight", stride), f"{base}.bn1"))
                y = norm(flat(y, f"{base}.conv2.weight"), f"{base}.bn2")
            if f"{base}.downsample.0.weight" in w:
                x = norm(flat(x, f"{base}.downsample.0.weight", stride), f"{base}.downsample.1")
            x = F.relu(x + y)
            block += 1
    columns = strips(x.max(1).values, (16,))
    parts = torch.stack([column @ w["FCs.fc_bin"][p] for p, column in enumerate(columns)])
    return necked(w, parts) if neck else parts


def necked(w: State, parts: torch.Tensor) -> torch.Tensor:
    """(P, D') parts behind the neck: it normalises a vector in which the parts vary fastest."""
    vector = normed(w, "BNNecks.bn1d", parts.T.reshape(-1))
    behind = vector.reshape(parts.shape[1], parts.shape[0]).T
    return behind / behind.square().sum(1, keepdim=True).sqrt()
