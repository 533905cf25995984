"""Checkpoints of the common academic framework as weight files of ours.

Only names and shapes of tensors are used, which are facts; the networks are our own. Checkpoints are
read with `weights_only`, so nothing in them can run. Trained checkpoints carry the licence of their
makers and of the data they were trained on, mostly for academic use only: see to it before you use
one for anything else.
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
from gaitid.encoders.architectures import SILHOUETTE_SIZE, find
from gaitid.encoders.base import PREPROCESSING
from gaitid.encoders.weights import GUESS, GUESSED, Card, Golden, Weights, save
from gaitid.errors import UnknownName, WeightsError
from gaitid.registry import nearest

LICENCE_WARNING = (
    "imported weights carry the licence of their makers and of their training data, mostly academic "
    "use only; the card says 'unknown' until you know better"
)

Rules = tuple[tuple[str, str], ...]

# (pattern of their names, ours); the first full match wins.
RULES: Mapping[str, Rules] = {
    "gaitset": (
        (r"set_block(\d)\.forward_block\.(\d)\.conv\.weight", r"frame\1.\2.weight"),
        (r"gl_block(\d)\.(\d)\.conv\.weight", r"global\1.\2.weight"),
        (r"Head\.fc_bin", r"head.weight"),
    ),
    "gaitbase": (
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
    "deepgaitv2": (
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
}
_FIRST_STAGE = {"gaitbase": 1, "deepgaitv2": 2}
"""Number by which they call the first of our `stages`."""
_STAGES = {"gaitset": 0, "gaitbase": 4, "deepgaitv2": 3}
_ROWS = 16
"""Of the last map of GaitBase and DeepGaitV2 of 64 x 44 silhouettes: strips are whole rows."""
_UNUSED = re.compile(r"(BNNecks|loss_aggregator)\..*")
"""Serves training only."""
_SHOWN = 20
"""Names that an error lists of each kind."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A network with the tensors of a checkpoint.

    Attributes:
        network: In evaluation mode.
        arguments: Of its constructor, read from the shapes.
        unused: Names in the checkpoint that serve training only.
    """

    network: networks.Network
    arguments: dict[str, object]
    unused: tuple[str, ...]


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors by name; a state inside ``model`` or ``state_dict`` is found.

    Raises:
        WeightsError: It cannot be read safely, or holds no tensors, or others than finite numbers.
    """
    if not path.is_file():
        raise WeightsError(f"{path} is no file", "a checkpoint, as torch.save writes it", "check the path")
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds, some of modules that we do not import
        raise WeightsError(
            f"{path.name} cannot be read safely ({type(error).__name__})",
            "a checkpoint of tensors",
            "save only the network's state_dict with torch.save",
        ) from error
    for key in ("model", "state_dict"):
        if isinstance(held, dict) and isinstance(held.get(key), dict):
            held = held[key]
    if not isinstance(held, dict) or not held or not all(_is_named_tensor(*item) for item in held.items()):
        raise WeightsError(f"{path.name} holds no tensors by name", "a state_dict", "save the state_dict")
    broken = [name for name, value in held.items() if not bool(value.isfinite().all())]
    if broken:
        raise WeightsError(
            f"{len(broken)} tensors hold NaN or infinity: {', '.join(broken[:_SHOWN])}",
            "finite numbers",
            "take an earlier checkpoint of that training",
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
        name: Of the encoder.
        architecture: Name in `RULES`.
        imported: See `import_state`.
        origin: Where the checkpoint came from, for the card.
    """
    kind, rng = find(architecture), np.random.default_rng(0)
    clip = (rng.random((12, *SILHOUETTE_SIZE)) > 0.5).astype(np.uint8)
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
    """Our network with their tensors.

    Raises:
        UnknownName: No rules for that architecture.
        WeightsError: Names that no rule knows, names that are missing, or shapes that do not fit.
    """
    if architecture not in RULES:
        raise UnknownName(
            f"no rules to import {architecture!r}",
            f"known are {', '.join(RULES)}",
            nearest(architecture, RULES),
        )
    theirs = {name: rename(architecture, name) for name in state}
    unused = sorted(name for name, ours in theirs.items() if ours is None and _UNUSED.fullmatch(name))
    unknown = [name for name, ours in theirs.items() if ours is None and name not in unused]
    back = {ours: name for name, ours in theirs.items() if ours is not None}
    renamed = {ours: state[name] for ours, name in back.items()}
    arguments = _arguments(architecture, renamed, unknown)
    network = networks.build(architecture, arguments)
    wanted = network.state_dict()
    unfit = [
        f"{back[ours]} {tuple(renamed[ours].shape)} and not {tuple(wanted[ours].shape)}"
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
    """The error that lists what does not fit, by kind."""
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
        "tensors do not fit; " + "; ".join(listed),
        f"those of {architecture} as it is published",
        "check the architecture's name and its configuration; see docs/encoders.md",
    )


def rename(architecture: str, name: str) -> str | None:
    """Our name of a tensor of theirs, or None."""
    for pattern, ours in RULES[architecture]:
        found = re.fullmatch(pattern, name)
        if found:
            return _counted(found.expand(ours), _FIRST_STAGE.get(architecture, 0))
    return None


def _counted(name: str, first: int) -> str:
    """The name with stages counted from 0 and not from `first`."""
    return re.sub(r"stages\.(\d)", lambda found: f"stages.{int(found.group(1)) - first}", name)


def _arguments(architecture: str, state: Mapping[str, Tensor], unknown: Sequence[str]) -> dict[str, object]:
    """The constructor's arguments, from the shapes.

    Raises:
        WeightsError: A tensor that tells them is missing, or they are no network of that architecture.
    """
    try:
        head = state["head.weight"]
        parts, _, numbers = head.shape
        if architecture == "gaitset":
            channels = [int(state[f"frame{i}.0.weight"].shape[0]) for i in (1, 2, 3)]
            return {"channels": channels, "part_dimension": int(numbers)}
        stages = [f"stages.{number}." for number in range(_STAGES[architecture])]
        if architecture == "deepgaitv2":
            stages.insert(0, "frame.")
        channels = [int(state[f"{stage}0.first.weight"].shape[0]) for stage in stages]
    except KeyError as error:
        raise _misfit(architecture, unknown=unknown, missing=[str(error.args[0])]) from error
    except (ValueError, IndexError) as error:
        shape = f"the head {tuple(head.shape)} or a layer; a head is (parts, channels, numbers)"
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
        "part_dimension": int(numbers),
    }
