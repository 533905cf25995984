"""From the tensors of a published checkpoint to our network, and to a weight file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the usual name

from gaitid.encoders import networks
from gaitid.encoders.architectures import SILHOUETTE_SIZE, find
from gaitid.encoders.base import PREPROCESSING
from gaitid.encoders.foreign.checkpoint import SHOWN
from gaitid.encoders.foreign.configuration import Configuration
from gaitid.encoders.foreign.layouts import LAYOUTS, rename
from gaitid.encoders.foreign.telltales import recognise
from gaitid.encoders.weights import GUESS, GUESSED, Card, Golden, Weights, save
from gaitid.errors import UnknownName, WeightsError
from gaitid.registry import nearest

_UNUSED = re.compile(r"(BNNecks|loss_aggregator)\..*")
"""Used in training only, unless the embedding is taken behind the neck."""
_NECK = "BNNecks.bn1d."
_ROWS = 16
"""Rows of the last map of GaitBase and DeepGaitV2 as published; strips are whole rows."""

State = Mapping[str, Tensor]
Arguments = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Imported:
    """A network with the tensors of a checkpoint.

    Attributes:
        network: The network, in evaluation mode.
        arguments: Arguments of its constructor, from the shapes and the configuration.
        unused: Names in the checkpoint that are used in training only.
    """

    network: networks.Network
    arguments: Arguments
    unused: tuple[str, ...]


def save_imported(path: Path, name: str, architecture: str, imported: Imported, origin: str) -> Weights:
    """Write an imported network as a weight file.

    Args:
        path: The file.
        name: Name of the encoder.
        architecture: Name in `layouts.LAYOUTS`.
        imported: See `import_state`.
        origin: Source of the checkpoint, for the card.
    """
    kind, rng = find(architecture), np.random.default_rng(0)
    clip = (rng.integers(0, 256, (12, *kind.clips.frame_shape)) / 255).astype(np.float32)
    times = np.arange(12) / 25
    vector = networks.embed(imported.network, [clip], [times])[0]
    card = Card(
        name=name,
        architecture=architecture,
        arguments=imported.arguments,
        modalities=(kind.modality,),
        min_frames=kind.min_frames,
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
        gray=True,
    )
    tensors = {key: value.numpy() for key, value in imported.network.state_dict().items()}
    return save(path, card, tensors, Golden(clip, times, vector))


def import_state(architecture: str, state: State, configuration: Configuration | None = None) -> Imported:
    """Build our network with the tensors of a published checkpoint.

    Args:
        architecture: Name in `layouts.LAYOUTS`.
        state: Tensors by their published names.
        configuration: What the shapes do not show; None for the published settings.

    Raises:
        UnknownName: There are no rules for that architecture.
        WeightsError: Names are unknown or missing, or shapes do not fit the network or the configuration.
    """
    if architecture not in LAYOUTS:
        raise UnknownName(
            f"Architecture {architecture!r} cannot be imported",
            f"one of {', '.join(LAYOUTS)}",
            nearest(architecture, LAYOUTS),
        )
    theirs = _Theirs(architecture, state)
    arguments = _settled(theirs, theirs.arguments(), configuration)
    network = networks.build(architecture, arguments)
    ours = theirs.ours(arguments, unit_head=configuration is not None and configuration.unit_head)
    theirs.check(ours, network.state_dict())
    network.load_state_dict(ours)
    return Imported(network.eval(), arguments, theirs.unused(ours))


class _Theirs:
    """The tensors of a checkpoint, by their names and by ours."""

    def __init__(self, architecture: str, state: State) -> None:
        self.architecture, self.state = architecture, state
        self._layout = LAYOUTS[architecture]
        names = {name: rename(self._layout, name) for name in state}
        self._back = {ours: name for name, ours in names.items() if ours is not None}
        self._unknown = [n for n, ours in names.items() if ours is None and not _UNUSED.fullmatch(n)]

    def arguments(self) -> Arguments:
        """The constructor's arguments, read from the shapes.

        Raises:
            WeightsError: A tensor is missing, or the shapes do not fit the architecture.
        """
        stages = self._layout.stages
        try:
            head = self._named("head.weight")
            parts, _, dimension = head.shape
            if not stages:
                channels = [int(self._named(f"frame{i}.0.weight").shape[0]) for i in (1, 2, 3)]
                return {"channels": channels, "part_dimension": int(dimension)}
            firsts = [self._named(f"{stage}0.first.weight") for stage in stages]
            channels = [int(first.shape[0]) for first in firsts]
        except KeyError as error:
            raise self.misfit(missing=[str(error.args[0])]) from error
        except (ValueError, IndexError) as error:
            shape = f"the head {tuple(head.shape)} or a layer; a head is (parts, channels, dimensions)"
            raise self.misfit(unfit=[shape]) from error
        arguments = {
            "channels": channels,
            "blocks": [self._blocks(stage) for stage in stages],
            "parts": int(parts),
            "part_dimension": int(dimension),
        }
        return arguments | ({"mode": self._mode(firsts)} if self.architecture == "deepgaitv2" else {})

    def _named(self, ours: str) -> Tensor:
        """The tensor of our name; raises KeyError if there is none."""
        if ours not in self._back:
            raise KeyError(ours)
        return self.state[self._back[ours]]

    def _blocks(self, stage: str) -> int:
        return len({name.removeprefix(stage).split(".")[0] for name in self._back if name.startswith(stage)})

    def _mode(self, firsts: Sequence[Tensor]) -> str:
        if any(".time." in name for name in self._back):
            return "p3d"
        return "3d" if firsts[-1].ndim == 5 else "2d"

    def ours(self, arguments: Arguments, *, unit_head: bool) -> dict[str, Tensor]:
        """The tensors by our names, in our order of dimensions."""
        tensors = {ours: self.state[name] for ours, name in self._back.items()}
        if unit_head:
            tensors["head.weight"] = F.normalize(tensors["head.weight"], dim=1)
        if arguments.get("neck"):
            parts, dimension = arguments["parts"], arguments["part_dimension"]
            for name in [name for name in self.state if name.startswith(_NECK)]:
                key = f"neck.norm.{name.removeprefix(_NECK)}"
                tensors[key], self._back[key] = _part_by_part(self.state[name], parts, dimension), name
        return tensors

    def check(self, ours: State, wanted: State) -> None:
        """Raise `WeightsError` unless the tensors are those that the network wants."""
        back = self._back
        unfit = [
            f"{back[name]} {tuple(ours[name].shape)} instead of {tuple(wanted[name].shape)}"
            for name in ours
            if name in wanted and wanted[name].shape != ours[name].shape
        ]
        missing = [name for name in wanted if name not in ours]
        surplus = [back[name] for name in ours if name not in wanted]
        if self._unknown or missing or unfit or surplus:
            raise self.misfit(missing=missing, unfit=unfit, surplus=surplus)

    def unused(self, ours: State) -> tuple[str, ...]:
        """Names that the network does not use."""
        used = {self._back[name] for name in ours}
        return tuple(sorted(name for name in self.state if name not in used))

    def misfit(self, **kinds: Sequence[str]) -> WeightsError:
        """The error that lists by kind what does not fit, and names the network that it looks like."""
        words = {
            "unknown": "unknown to the architecture",
            "missing": "missing (by our names)",
            "unfit": "of another shape",
            "surplus": "surplus",
            "settings": "settings that the tensors contradict",
        }
        listed = [
            f"{len(names)} {words[kind]}: {', '.join(names[:SHOWN])}" + (" ..." if len(names) > SHOWN else "")
            for kind, names in {"unknown": self._unknown, **kinds}.items()
            if names
        ]
        return WeightsError(
            "Tensors do not fit; " + "; ".join(listed),
            f"those of {self.architecture} as it is published",
            self._advice(),
        )

    def _advice(self) -> str:
        likely = recognise(self.state)
        if likely is None or likely.architecture == self.architecture:
            return "Pass the configuration of the checkpoint with --config, as docs/encoders.md describes"
        if likely.architecture:
            return f"They look like {likely.network}: pass --architecture {likely.architecture}"
        return f"They look like {likely.network}, which cannot be imported"


def _part_by_part(values: Tensor, parts: int, dimension: int) -> Tensor:
    """Values per dimension of a neck; theirs go dimension by dimension, ours part by part."""
    if values.numel() != parts * dimension:  # a counter, or a misfit that `check` reports
        return values
    return values.reshape(dimension, parts).T.reshape(-1)


def _settled(theirs: _Theirs, seen: Arguments, configuration: Configuration | None) -> Arguments:
    """Arguments from the shapes and from the configuration, which must agree.

    Raises:
        WeightsError: They do not, or the strips do not fit the maps.
    """
    if configuration is None:
        if "parts" in seen and _ROWS % seen["parts"]:
            unfit = f"a head of {seen['parts']} parts, which do not divide {_ROWS} rows"
            raise theirs.misfit(unfit=[unfit])
        return seen
    said = configuration.arguments
    other = [f"{key} {said[key]}, not {seen[key]}" for key in said if key in seen and said[key] != seen[key]]
    if configuration.architecture != theirs.architecture:
        other = [f"{configuration.architecture}, not {theirs.architecture}"]
    arguments = {**seen, **said}
    if not other and "bins" in said:
        other = _unfit_strips(theirs, arguments)
    if other:
        raise theirs.misfit(settings=other)
    return arguments


def _unfit_strips(theirs: _Theirs, arguments: Arguments) -> list[str]:
    """What is wrong with the numbers of strips of a GaitSet or GaitBase."""
    bins, base = arguments["bins"], theirs.architecture == "gaitbase"
    parts = theirs.state["FCs.fc_bin" if base else "Head.fc_bin"].shape[0]
    if sum(bins) * (1 if base else 2) != parts:
        return [f"bin_num {bins}, not strips for {parts} parts"]
    steps = ([2] if arguments["maxpool"] else []) + arguments["strides"] if base else [2, 2]
    height, width = SILHOUETTE_SIZE
    for step in steps:
        height, width = -(-height // step), -(-width // step)
    return [f"bin_num {one}, not a divisor of {height}x{width}" for one in bins if height * width % one]
