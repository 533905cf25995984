"""Reading the tensors of a checkpoint without running anything in it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from gaitid.errors import WeightsError

SHOWN = 20
"""Names that an error lists of each kind."""


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
            f"The checkpoint has NaN or infinity in {len(broken)} tensors: {', '.join(broken[:SHOWN])}",
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
