"""Import of published checkpoints of the common academic framework as weight files.

Only names and shapes of tensors are used, which are facts; the networks are our own. Checkpoints are read
with `weights_only`, so nothing in them can run. Trained checkpoints carry the licence of their makers and of
the data they were trained on, mostly for academic use only: check it before any other use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gaitid.encoders import networks
from gaitid.encoders.architectures import find
from gaitid.encoders.base import PREPROCESSING
from gaitid.encoders.weights import GUESS, GUESSED, Card, Golden, Weights, save
from gaitid.errors import UnknownName, WeightsError
from gaitid.registry import nearest

LICENCE_WARNING = (
    "imported weights carry the licence of their makers and of their training data, mostly academic "
    "use only; the card says 'unknown'"
)


@dataclass(frozen=True, slots=True)
class Layout:
    """How published checkpoints of an architecture name their tensors.

    Attributes:
        rules: (pattern of their names, ours); the first full match wins.
        first_stage: Number of the first of our `stages` in their names.
        stages: Our names of the residual stages; empty for GaitSet, which has none.
    """

    rules: tuple[tuple[str, str], ...]
    first_stage: int = 0
    stages: tuple[str, ...] = ()


LAYOUTS: Mapping[str, Layout] = {
    "gaitset": Layout(
        (
            (r"set_block(\d)\.forward_block\.(\d)\.conv\.weight", r"frame\1.\2.weight"),
            (r"gl_block(\d)\.(\d)\.conv\.weight", r"global\1.\2.weight"),
            (r"Head\.fc_bin", r"head.weight"),
        ),
    ),
    "gaitbase": Layout(
        (
            (r"Backbone\.forward_block\.conv1\.conv\.weight", r"stem.0.weight"),
            (r"Backbone\.forward_block\.bn1\.(\w+)", r"stem.1.\1"),
            (r"Backbone\.forward_block\.layer(\d)\.(\d+)\.conv1\.weight", r"stages.\1.\2.first.weight"),
            (r"Backbone\.forward_block\.layer(\d)\.(\d+)\.bn1\.(\w+)", r"stages.\1.\2.first_norm.\3"),
            (r"Backbone\.forward_block\.layer(\d)\.(\d+)\.conv2\.weight", r"stages.\1.\2.second.weight"),
            (r"Backbone\.forward_block\.layer(\d)\.(\d+)\.bn2\.(\w+)", r"stages.\1.\2.second_norm.\3"),
            (
                r"Backbone\.forward_block\.layer(\d)\.(\d+)\.downsample\.(\d)\.(\w+)",
                r"stages.\1.\2.shortcut.\3.\4",
            ),
            (r"FCs\.fc_bin", r"head.weight"),
        ),
        first_stage=1,
        stages=("stages.0.", "stages.1.", "stages.2.", "stages.3."),
    ),
    "deepgaitv2": Layout(
        (
            (r"layer0\.forward_block\.(\d)\.(\w+)", r"stem.\1.\2"),
            (r"layer1\.forward_block\.(\d+)\.conv1\.weight", r"frame.\1.first.weight"),
            (r"layer1\.forward_block\.(\d+)\.bn1\.(\w+)", r"frame.\1.first_norm.\2"),
            (r"layer1\.forward_block\.(\d+)\.conv2\.weight", r"frame.\1.second.weight"),
            (r"layer1\.forward_block\.(\d+)\.bn2\.(\w+)", r"frame.\1.second_norm.\2"),
            (r"layer(\d)\.(\d+)\.conv1\.forward_block\.0\.weight", r"stages.\1.\2.first.weight"),
            (r"layer(\d)\.(\d+)\.conv1\.forward_block\.1\.(\w+)", r"stages.\1.\2.first_norm.\3"),
            (r"layer(\d)\.(\d+)\.conv2\.forward_block\.0\.weight", r"stages.\1.\2.second.weight"),
            (r"layer(\d)\.(\d+)\.conv2\.forward_block\.1\.(\w+)", r"stages.\1.\2.second_norm.\3"),
            (r"layer(\d)\.(\d+)\.shortcut3d\.weight", r"stages.\1.\2.time.weight"),
            (r"layer(\d)\.(\d+)\.sbn\.(\w+)", r"stages.\1.\2.time_norm.\3"),
            (r"layer(\d)\.(\d+)\.downsample\.(\d)\.(\w+)", r"stages.\1.\2.shortcut.\3.\4"),
            (r"FCs\.fc_bin", r"head.weight"),
        ),
        first_stage=2,
        stages=("frame.", "stages.0.", "stages.1.", "stages.2."),
    ),
}
_ROWS = 16
"""Rows of the last map of GaitBase and DeepGaitV2 for 64x44 silhouettes; strips are whole rows."""
_UNUSED = re.compile(r"(BNNecks|loss_aggregator)\..*")
"""Used in training only."""
_SHOWN = 20
"""Names that an error lists of each kind."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A network with the tensors of a checkpoint.

    Attributes:
        network: The network, in evaluation mode.
        arguments: Arguments of its constructor, read from the shapes.
        unused: Names in the checkpoint that are used in training only.
    """

    network: networks.Network
    arguments: dict[str, object]
    unused: tuple[str, ...]


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint by name; a state inside ``model`` or ``state_dict`` is found.

    Raises:
        WeightsError: It cannot be read safely, has no tensors, or has values that are not finite.
    """
    if not path.is_file():
        raise WeightsError(
            f"Path {path} is not a file", "a checkpoint written by torch.save", "Check the path"
        )
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds, some from modules that are not imported here
        raise WeightsError(
            f"File {path.name} cannot be read safely ({type(error).__name__})",
            "a checkpoint of tensors",
            "Save only the network's state_dict with torch.save",
        ) from error
    for key in ("model", "state_dict"):
        if isinstance(held, dict) and isinstance(held.get(key), dict):
            held = held[key]
    if not isinstance(held, dict) or not held or not all(_is_named_tensor(*item) for item in held.items()):
        raise WeightsError(
            f"File {path.name} has no named tensors",
            "a state_dict",
            "Save the network's state_dict with torch.save",
        )
    broken = [name for name, value in held.items() if not bool(value.isfinite().all())]
    if broken:
        raise WeightsError(
            f"The checkpoint has NaN or infinity in {len(broken)} tensors: {', '.join(broken[:_SHOWN])}",
            "finite numbers",
            "Use an earlier checkpoint of that training",
        )
    return {name.removeprefix("module."): value for name, value in held.items()}


def _is_named_tensor(name: object, value: object) -> bool:
    return (
        isinstance(name, str)
        and isinstance(value, Tensor)
        and value.layout == torch.strided
        and not value.is_complex()
    )


def save_imported(path: Path, name: str, architecture: str, imported: Imported, origin: str) -> Weights:
    """Write an imported network as a weight file.

    Args:
        path: The file.
        name: Name of the encoder.
        architecture: Name in `LAYOUTS`.
        imported: See `import_state`.
        origin: Source of the checkpoint, for the card.
    """
    kind, rng = find(architecture), np.random.default_rng(0)
    clip = (rng.random((12, *kind.clips.frame_shape)) > 0.5).astype(np.uint8)
    times = np.arange(12) / 25
    vector = networks.embed(imported.network, [clip], [times])[0]
    card = Card(
        name=name,
        architecture=architecture,
        arguments=imported.arguments,
        modalities=(kind.modality,),
        min_frames=10,
        rate_hz=kind.clips.rate_hz,
        dimension=len(vector),
        preprocessing=PREPROCESSING,
        threshold=GUESS,
        threshold_rule=GUESSED,
        licence="unknown: that of its makers and of its training data",
        training_data=f"unknown: imported from {origin}",
        date=datetime.now(timezone.utc).date().isoformat(),
        commit="",
        command="gaitid model import",
    )
    tensors = {key: value.numpy() for key, value in imported.network.state_dict().items()}
    return save(path, card, tensors, Golden(clip, times, vector))


def import_state(architecture: str, state: Mapping[str, Tensor]) -> Imported:
    """Build our network with the tensors of a published checkpoint.

    Raises:
        UnknownName: There are no rules for that architecture.
        WeightsError: Names are unknown or missing, or shapes do not fit.
    """
    if architecture not in LAYOUTS:
        raise UnknownName(
            f"Architecture {architecture!r} cannot be imported",
            f"one of {', '.join(LAYOUTS)}",
            nearest(architecture, LAYOUTS),
        )
    layout = LAYOUTS[architecture]
    theirs = {name: rename(layout, name) for name in state}
    unused = sorted(name for name, ours in theirs.items() if ours is None and _UNUSED.fullmatch(name))
    unknown = [name for name, ours in theirs.items() if ours is None and name not in unused]
    back = {ours: name for name, ours in theirs.items() if ours is not None}
    renamed = {ours: state[name] for ours, name in back.items()}
    arguments = _arguments(architecture, renamed, unknown)
    network = networks.build(architecture, arguments)
    wanted = network.state_dict()
    unfit = [
        f"{back[ours]} {tuple(renamed[ours].shape)} instead of {tuple(wanted[ours].shape)}"
        for ours in renamed
        if ours in wanted and wanted[ours].shape != renamed[ours].shape
    ]
    missing = [name for name in wanted if name not in renamed]
    surplus = [back[name] for name in renamed if name not in wanted]
    if unknown or missing or unfit or surplus:
        raise _misfit(architecture, unknown=unknown, missing=missing, unfit=unfit, surplus=surplus)
    network.load_state_dict(renamed)
    return Imported(network.eval(), arguments, tuple(unused))


def _misfit(architecture: str, **kinds: Sequence[str]) -> WeightsError:
    """The error that lists by kind what does not fit."""
    words = {
        "unknown": "unknown to the architecture",
        "missing": "missing (by our names)",
        "unfit": "of another shape",
        "surplus": "surplus",
    }
    listed = [
        f"{len(names)} {words[kind]}: {', '.join(names[:_SHOWN])}" + (" ..." if len(names) > _SHOWN else "")
        for kind, names in kinds.items()
        if names
    ]
    return WeightsError(
        "Tensors do not fit; " + "; ".join(listed),
        f"those of {architecture} as it is published",
        "Check the name and the configuration of the architecture, as docs/encoders.md describes",
    )


def rename(layout: Layout, name: str) -> str | None:
    """Our name for a published tensor; None if no rule matches."""
    for pattern, ours in layout.rules:
        found = re.fullmatch(pattern, name)
        if found:
            return _counted(found.expand(ours), layout.first_stage)
    return None


def _counted(name: str, first: int) -> str:
    """The name with stages counted from 0 instead of `first`."""
    return re.sub(r"stages\.(\d)", lambda found: f"stages.{int(found.group(1)) - first}", name)


def _arguments(architecture: str, state: Mapping[str, Tensor], unknown: Sequence[str]) -> dict[str, object]:
    """The constructor's arguments, read from the shapes.

    Raises:
        WeightsError: A tensor is missing, or the shapes do not fit the architecture.
    """
    try:
        head = state["head.weight"]
        parts, _, dimension = head.shape
        stages = LAYOUTS[architecture].stages
        if not stages:
            channels = [int(state[f"frame{i}.0.weight"].shape[0]) for i in (1, 2, 3)]
            return {"channels": channels, "part_dimension": int(dimension)}
        channels = [int(state[f"{stage}0.first.weight"].shape[0]) for stage in stages]
    except KeyError as error:
        raise _misfit(architecture, unknown=unknown, missing=[str(error.args[0])]) from error
    except (ValueError, IndexError) as error:
        shape = f"the head {tuple(head.shape)} or a layer; a head is (parts, channels, dimensions)"
        raise _misfit(architecture, unknown=unknown, unfit=[shape]) from error
    if _ROWS % parts:
        raise _misfit(architecture, unfit=[f"a head of {parts} parts, which do not divide {_ROWS} rows"])
    blocks = [
        len({name.removeprefix(stage).split(".")[0] for name in state if name.startswith(stage)})
        for stage in stages
    ]
    return {
        "channels": channels,
        "blocks": blocks,
        "parts": int(parts),
        "part_dimension": int(dimension),
    }
