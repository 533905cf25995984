"""Checkpoints of a run, and new runs that start with the network of another."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the usual name

from gaitid.encoders import weights
from gaitid.errors import ConfigError

from .batches import BatchMaker
from .objective import necked
from .run import Run

log = logging.getLogger("training")

CHECKPOINT = "checkpoint.pt"
"""Name of the checkpoint in the folder of a run."""
_LAST = ("mix.", "projection.")
"""Layers that a network may lack which starts from another."""


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint atomically: a killed process leaves the old one or the new one."""
    partial = path.with_suffix(".part")
    torch.save(dict(state), partial)
    partial.replace(path)


def read_state(path: Path) -> dict[str, Any]:
    """Read the state of a run from a checkpoint, or the network alone, as ``average``, from a weight file.

    Raises:
        ConfigError: The file is not a checkpoint, or is damaged.
        WeightsError: The weight file is missing or damaged.
    """
    if path.suffix == ".safetensors":
        tensors = weights.load(path).tensors
        return {"average": {name: torch.from_numpy(np.array(array)) for name, array in tensors.items()}}
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        state["average"].keys()
    except Exception as error:  # torch raises many kinds
        raise ConfigError(
            f"File {path} is not a checkpoint of a run ({type(error).__name__})",
            "a checkpoint written by a run, or NAME.safetensors",
            "Correct start in the recipe, or delete a damaged checkpoint to train from the beginning",
        ) from error
    return state


def start_from(run: Run, path: Path) -> bool:
    """Give a new run the network of a checkpoint or weight file, and the classifier if it fits.

    Returns:
        Whether the classifier fitted.

    Raises:
        ConfigError: The file holds another network.
    """
    state = read_state(path)
    for network in (run.network, run.average):
        try:
            added = grow(network, state["average"])
        except (KeyError, ValueError) as error:
            raise ConfigError(
                f"File {path} holds another network ({error})",
                "the network of the recipe",
                "Correct network or start in the recipe",
            ) from error
    if added:
        log.info("not in %s: %s", path, ", ".join(added))
    classifier = state.get("classifier", {})
    fits = "weight" in classifier and classifier["weight"].shape == run.classifier.weight.shape
    if fits:
        run.classifier.load_state_dict(classifier)
    return fits


def grow(network: nn.Module, tensors: Mapping[str, Tensor]) -> list[str]:
    """Copy tensors into a network that may have more or wider layers; new parts keep their initial values.

    The last layers, `_LAST`, may be missing in the network.

    Returns:
        Names of the network's tensors that are new or wider.

    Raises:
        KeyError: The network lacks one of the other tensors.
        ValueError: A tensor does not fit into that of the network.
    """
    own = network.state_dict()
    added = sorted(own.keys() - tensors.keys())
    with torch.no_grad():
        for name, tensor in tensors.items():
            if name not in own and name.startswith(_LAST):
                continue
            target = own[name]
            if target.dim() != tensor.dim() or any(
                a < b for a, b in zip(target.shape, tensor.shape, strict=True)
            ):
                raise ValueError(f"{name} is {tuple(tensor.shape)}, not {tuple(target.shape)}")
            if target.shape != tensor.shape:
                added.append(name)
            target[tuple(slice(size) for size in tensor.shape)] = tensor
    return added


def imprint(run: Run, maker: BatchMaker) -> None:
    """Initialise each subject's direction in the classifier with the mean of a few of its walks.

    Random directions would first pull a trained network apart, and with thousands of subjects they take
    hundreds of steps to learn. Source: Qi et al. 2018, "Low-Shot Learning with Imprinted Weights", section 3.
    """
    count, device = len(maker.corpus.subjects), run.team.device
    run.network.eval()
    with torch.no_grad():
        for first in range(0, count, run.recipe.batch.subjects):
            chosen = range(first, min(first + run.recipe.batch.subjects, count))
            clips = maker(first, chosen).clips
            batch = torch.from_numpy(clips).to(device).float()
            wide = run.network.wide(batch, torch.full((len(batch),), batch.shape[1]))
            wide = necked(run.recipe.loss, wide)
            run.classifier.weight[chosen] = F.normalize(wide.reshape(len(chosen), -1, wide.shape[1]).mean(1))
    log.info("classifier initialised with the means of %d subjects", count)
