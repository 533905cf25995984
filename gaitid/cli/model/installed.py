"""The weight files that are installed with gaitid."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gaitid.encoders import weights as files
from gaitid.encoders.base import load_encoder
from gaitid.perception.networks import NETWORKS

ENCODERS = Path(files.__file__).parent / "weights"


@dataclass(frozen=True, slots=True)
class Installed:
    """A weight file.

    Attributes:
        name: Name of the encoder or network.
        what: What it does, in a few words.
        licence: SPDX name of its licence.
        origin: What it was made from.
        path: The file.
        check: Raises `WeightsError` if it is not the file that was released.
    """

    name: str
    what: str
    licence: str
    origin: str
    path: Path
    check: Callable[[], object]

    def digest(self) -> str:
        """SHA-256 of the file, hexadecimal."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


def weights() -> Iterator[Installed]:
    """Encoders by name, then the networks that find people."""
    for path in sorted(ENCODERS.glob("*.safetensors")):
        card = files.load(path).card
        what = f"encoder of {' and '.join(card.modalities)}"
        check = partial(load_encoder, path.stem)
        yield Installed(path.stem, what, card.licence, card.training_data, path, check)
    for one in NETWORKS:
        yield Installed(one.name, f"finds {one.finds}", one.licence, one.origin, one.path, one.content)
