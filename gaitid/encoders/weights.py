"""Weight files: tensors, a card that describes them, and a golden example, in one safe file.

The layout is that of safetensors: a length, a JSON header and raw little-endian numbers. Nothing in it can
run, and other tools can read it; it is written and read here with numpy alone. The header's metadata contains
the card. Loading checks the header and the SHA-256 of the card and of the tensors. The encoder that builds
the network checks the golden example. So a file that is damaged, changed or used with other code raises a
`WeightsError` and never returns a wrong score.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid import settings
from gaitid.errors import ConfigError, WeightsError

_KINDS = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "I64": "<i8", "I32": "<i4", "U8": "|u1"}
_NAMES = {np.dtype(kind): name for name, kind in _KINDS.items()}
_MAX_HEADER = 4 * 1024 * 1024
_MAX_BYTES = 2 * 1024**3
_GOLDEN = "golden."

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Figure:
    """A measured figure: what was measured, its value, and the protocol."""

    measure: str
    value: float
    protocol: str


_RATES = (0.999, 0.99, 0.95, *(k / 10 for k in range(9, 0, -1)), *np.geomspace(0.05, 1e-6, 48).tolist())
"""False match rates for which a card has the score; ten per decade in the tail."""
_PAIRS_A_RATE = 10
"""Fewest pairs above the score of a rate; smaller rates are left out."""


@dataclass(frozen=True)
class Impostors:
    """Scores of pairs of different subjects, for calibration.

    Attributes:
        mean: Mean of the scores.
        deviation: Standard deviation of the scores.
        pairs: Number of pairs.
        protocol: Description of the pairs, one walk each.
        fmr: False match rates, falling; empty in older cards.
        scores: Score that each of those rates reaches, rising.
        people: Number of subjects in the pairs; 0 in older cards.
        clustering: 0..1, share of independence between the scores of one walk; see `Calibration.clustering`.
    """

    mean: float
    deviation: float
    pairs: int
    protocol: str
    fmr: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()
    people: int = 0
    clustering: float = 1.0

    @classmethod
    def of(
        cls, scores: NDArray[np.floating], protocol: str, people: int = 0, clustering: float = 1.0
    ) -> Impostors:
        """Summarise the scores (N,) of pairs of different subjects; see the attributes."""
        rates = [rate for rate in _RATES if rate * len(scores) >= _PAIRS_A_RATE]
        reached = np.quantile(scores.astype(np.float64), 1 - np.array(rates))
        return cls(
            round(float(scores.mean()), 4),
            round(float(scores.std()), 4),
            len(scores),
            protocol,
            tuple(float(f"{rate:.4g}") for rate in rates),
            tuple(np.round(reached, 5).tolist()),
            people,
            round(clustering, 4),
        )


GUESS, GUESSED = 0.9, "a guess: calibrate the gallery before you rely on it"
"""Threshold of weights without measured scores, and the note about it on their card."""


@dataclass(frozen=True)
class Card:
    """Description of weights: what is needed to use them correctly and to judge them.

    Attributes:
        name: Name of the encoder.
        architecture: Name in `architectures.ARCHITECTURES`, or ``fused``.
        arguments: Arguments of the network's constructor.
        modalities: Streams that it reads.
        min_frames: Fewest frames that it accepts.
        rate_hz: Frames per second that the network sees.
        dimension: Dimensions of an embedding.
        preprocessing: Version of the steps before the network; see `base.PREPROCESSING`.
        threshold: Score threshold of the operating point of a new gallery.
        threshold_rule: How the threshold was found.
        licence: Licence of the weights.
        training_data: Data on which they were trained.
        date: Day on which they were made, ISO 8601.
        commit: Commit of the code that made them.
        command: Command that made them.
        metrics: Measured figures.
        impostors: Scores of different subjects, or None.
        corrected: The same of embeddings corrected by camera profiles (`gallery.scoring.profiles`), or None.
        parts: Number of equal blocks of an embedding, each a part of the body; see `base.parts_of`.
        gray: Whether the network was trained on gray silhouettes, so that it reads the stream
            ``silhouette_gray`` of sequences that have it.
    """

    name: str
    architecture: str
    modalities: tuple[str, ...]
    min_frames: int
    rate_hz: float
    dimension: int
    preprocessing: str
    threshold: float
    threshold_rule: str
    licence: str
    training_data: str
    date: str
    commit: str
    command: str
    arguments: dict = field(default_factory=dict)  # type: ignore[type-arg]
    metrics: tuple[Figure, ...] = ()
    impostors: Impostors | None = None
    corrected: Impostors | None = None
    parts: int = 1
    gray: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """An example that the network is checked with.

    Attributes:
        clip: (T, ...) frames of one stream.
        times: (T,) float64 seconds.
        vector: (D,) float32 embedding that the network must return.
    """

    clip: NDArray[Any]
    times: NDArray[np.float64]
    vector: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """The content of a weight file.

    Attributes:
        card: Their description.
        tensors: The network's state by name.
        golden: The example.
        sha256: SHA-256 of the tensors (names, kinds, shapes, values); part of the encoder's contract.
    """

    card: Card
    tensors: Tensors
    golden: Golden
    sha256: str


def digest(tensors: Tensors) -> str:
    """SHA-256 over the names, kinds, shapes and bytes of tensors, in order of name."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        array = tensors[name]
        total.update(f"{name}|{_kind(name, array)}|{list(array.shape)}|".encode())
        total.update(_bytes(array))
    return total.hexdigest()


def save(path: Path, card: Card, tensors: Tensors, golden: Golden) -> Weights:
    """Write a weight file, atomically.

    Raises:
        WeightsError: A tensor has a kind that the format does not have.
    """
    held = {name: np.asarray(array) for name, array in tensors.items()}
    example = {
        f"{_GOLDEN}clip": golden.clip,
        f"{_GOLDEN}times": golden.times,
        f"{_GOLDEN}vector": golden.vector,
    }
    text = json.dumps(dataclasses.asdict(card), sort_keys=True)
    sha = digest(held)
    metadata = {
        "card": text,
        "card_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "tensors_sha256": sha,
        "golden_sha256": digest(example),
    }
    header: dict[str, Any] = {"__metadata__": metadata}
    pieces, start = [], 0
    for name, array in sorted({**held, **example}.items()):
        piece = _bytes(array)
        header[name] = {
            "dtype": _kind(name, array),
            "shape": list(array.shape),
            "data_offsets": [start, start + len(piece)],
        }
        pieces.append(piece)
        start += len(piece)
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(len(head).to_bytes(8, "little") + head + b"".join(pieces))
    partial.replace(path)
    return Weights(card, held, golden, sha)


def load(path: Path) -> Weights:
    """Read and verify a weight file.

    Raises:
        WeightsError: It is missing, damaged, changed since it was made, or not a weight file of gaitid.
    """
    header, body = _split(path)
    metadata = header.pop("__metadata__", None)
    wanted = ("card", "card_sha256", "tensors_sha256", "golden_sha256")
    if not isinstance(metadata, dict) or not all(isinstance(metadata.get(key), str) for key in wanted):
        raise _damaged(path, "has no card", "a weight file made by gaitid")
    if hashlib.sha256(metadata["card"].encode()).hexdigest() != metadata["card_sha256"]:
        raise _damaged(path, "has a card that was changed", f"sha256 {metadata['card_sha256']}")
    arrays = {name: _tensor(path, name, entry, body) for name, entry in header.items()}
    tensors = {name: array for name, array in arrays.items() if not name.startswith(_GOLDEN)}
    example = {name: array for name, array in arrays.items() if name.startswith(_GOLDEN)}
    for held, key in ((tensors, "tensors_sha256"), (example, "golden_sha256")):
        if digest(held) != metadata[key]:
            raise _damaged(path, f"has sha256 {digest(held)}", f"{key} {metadata[key]}")
    if sorted(example) != [f"{_GOLDEN}{name}" for name in ("clip", "times", "vector")]:
        raise _damaged(path, "has no golden example", "clip, times and vector")
    golden = Golden(*(example[f"{_GOLDEN}{name}"] for name in ("clip", "times", "vector")))
    return Weights(_card(path, metadata["card"]), tensors, golden, metadata["tensors_sha256"])


def check_golden(vector: NDArray[np.float32], golden: NDArray[np.float32], tolerance: float) -> None:
    """Compare the embedding of the golden example with the one in the file.

    Raises:
        WeightsError: They differ by more than `tolerance`, or in length.
    """
    gap = float(np.abs(vector - golden).max()) if vector.shape == golden.shape else np.inf
    if not gap <= tolerance:
        raise WeightsError(
            f"The embedding of the golden example differs by {gap:.3g}",
            f"a difference of at most {tolerance:g}",
            "Use the version of gaitid that made the file",
        )


def _card(path: Path, text: str) -> Card:
    try:
        return settings.build(Card, json.loads(text), str(path))
    except (ConfigError, ValueError, TypeError) as error:
        raise _damaged(path, f"has a card that cannot be read ({error})", "a card of this version") from error


def _split(path: Path) -> tuple[dict[str, Any], memoryview]:
    """Header and body of the file."""
    try:
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise _damaged(path, f"has {size} bytes", f"at most {_MAX_BYTES}")
        data = memoryview(path.read_bytes())
    except OSError as error:
        raise WeightsError(
            f"File {path} cannot be read ({error})", "a weight file", "Check the path"
        ) from error
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 2 <= length <= min(_MAX_HEADER, len(data) - 8):
        raise _damaged(path, f"has {len(data)} bytes without a header", "a safetensors file")
    try:
        header = json.loads(bytes(data[8 : 8 + length]))
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "has a header that is not JSON", "a safetensors file") from error
    if not isinstance(header, dict):
        raise _damaged(path, "has a header that is not a JSON object", "a safetensors file")
    return header, data[8 + length :]


def _tensor(path: Path, name: str, entry: Any, body: memoryview) -> NDArray[Any]:
    try:
        kind = np.dtype(_KINDS[entry["dtype"]])
        shape = tuple(int(side) for side in entry["shape"])
        start, stop = (int(place) for place in entry["data_offsets"])
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(
            path, f"has a tensor {name!r} of an unknown form", f"one of {', '.join(_KINDS)}"
        ) from error
    if (
        min(shape, default=0) < 0
        or not 0 <= start <= stop <= len(body)
        or stop - start != math.prod(shape) * kind.itemsize
    ):
        raise _damaged(
            path, f"has a tensor {name!r} of {stop - start} bytes", f"shape {list(shape)} within the file"
        )
    array: NDArray[Any] = np.frombuffer(body[start:stop], kind).reshape(shape)
    return array


def _kind(name: str, array: NDArray[Any]) -> str:
    kind = _NAMES.get(array.dtype.newbyteorder("<"))
    if kind is None:
        raise WeightsError(
            f"Tensor {name!r} is {array.dtype}",
            f"one of {', '.join(_KINDS)}",
            "Convert the tensor to float32",
        )
    return kind


def _bytes(array: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _damaged(path: Path, got: str, expected: str) -> WeightsError:
    return WeightsError(f"File {path.name} {got}", expected, "Fetch or make the file again")


def misfit(card: Card, error: Exception) -> WeightsError:
    """The error for tensors that do not fit the architecture on their card."""
    return WeightsError(
        f"Tensors do not fit architecture {card.architecture} ({error})",
        "the network that the card names",
        "Use the version of gaitid that made the file",
    )
