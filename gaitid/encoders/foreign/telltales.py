"""Which published network a checkpoint is of, from names and shapes of its tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Likely:
    """A published network.

    Attributes:
        network: Its published name.
        architecture: Our name; empty if it cannot be imported.
    """

    network: str
    architecture: str = ""


@dataclass(frozen=True, slots=True)
class _Telltale:
    """Names that only one network has.

    Attributes:
        network: See `Likely`.
        names: Patterns that each must match the begin of a tensor's name.
        architecture: See `Likely`.
        inputs: Input channels of the tensor that the last pattern matches; 0 for any.
    """

    network: str
    names: tuple[str, ...]
    architecture: str = ""
    inputs: int = 0


_FIRST = r"layer0\.forward_block\.0\.weight"
_BACKBONE = r"Backbone\.forward_block\."
_TELLTALES = (
    # Networks that have the tensors of another one, and more, come first.
    _Telltale("GaitEdge", (r"GLConvA0\.", r"Backbone\.")),
    _Telltale("GaitGL", (r"GLConvA0\.",)),
    _Telltale("GaitPart", (r"TFA\.",)),
    _Telltale("GLN", (r"lateral_layer1\.",)),
    _Telltale("GaitSSB", (r"projector\.",)),
    _Telltale("ParsingGait", (r"gcn_(fine|coarse)\.",)),
    _Telltale("SMPLGait", (_BACKBONE, r"fc3\.weight")),
    _Telltale("BigGait", (r"(Mask|Appearance|Denoising)_Branch\.",)),
    _Telltale("SwinGait", (r"transformer\.",)),
    _Telltale("SkeletonGait++", (r"map_layer0\.",)),
    _Telltale("MultiGait++", (r"part1_layer0\.",)),
    _Telltale("GaitGraph2", (r"ResGCN\.head\.2\.",)),
    _Telltale("GaitGraph", (r"ResGCN\.",)),
    _Telltale("GaitTR", (r"backbone\.\d+\.(tcn|st)\.",)),
    _Telltale("the first release of GaitSet (2019)", (r"set_layer1\.",)),
    _Telltale("SkeletonGait", (_FIRST,), inputs=2),
    _Telltale("LidarGait, or GaitBase on three channels", (_BACKBONE + r"conv1\.conv\.weight",), inputs=3),
    _Telltale("the framework's baseline on a plain backbone", (_BACKBONE + r"feature\.",)),
    _Telltale("GaitSet", (r"set_block1\.forward_block\.",), "gaitset"),
    _Telltale("GaitBase", (_BACKBONE + r"layer1\.0\.conv1\.",), "gaitbase"),
    _Telltale("DeepGaitV2 (P3D)", (r"layer2\.0\.shortcut3d\.", _FIRST), "deepgaitv2", 1),
    _Telltale("DeepGaitV2 (2D)", (r"layer2\.forward_block\.0\.conv1\.weight", _FIRST), "deepgaitv2", 1),
    _Telltale("DeepGaitV2 (3D)", (r"layer2\.0\.conv1\.weight", _FIRST), "deepgaitv2", 1),
)


def recognise(state: Mapping[str, Tensor]) -> Likely | None:
    """The published network that has such tensors; None if none is known."""
    for one in _TELLTALES:
        hits = [next((name for name in state if re.match(p, name)), None) for p in one.names]
        if None in hits:
            continue
        last = state[str(hits[-1])]
        if one.inputs in (0, last.shape[1] if last.ndim > 1 else 0):
            return Likely(one.network, one.architecture)
    return None
