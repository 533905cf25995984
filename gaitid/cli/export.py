"""``gaitid export``: the network of an encoder as an ONNX file."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gaitid.encoders.learned import LearnedEncoder

RANGES, PEOPLE = 48, 100
"""Synthetic walks that set the ranges of 8-bit numbers, and people on whom the loss is measured."""
_SEED = 4711


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("encoder", help="name of a shipped encoder, or a weight file")
    parser.add_argument("--onnx", type=Path, required=True, metavar="FILE", help="file to write")
    parser.add_argument("--int8", action="store_true", help="8-bit numbers; says what that costs")


def run(options: argparse.Namespace) -> int:
    """Write it, and say how near it is."""
    from gaitid.encoders import onnx
    from gaitid.encoders.learned import one_network

    encoder = one_network(options.encoder)
    options.onnx.parent.mkdir(parents=True, exist_ok=True)
    if options.int8:
        words = _quantised(encoder, options.onnx)
    else:
        words = f"largest difference to torch: {onnx.export(encoder, options.onnx):.2g}"
    frame = ", ".join(map(str, encoder.frame_shape))
    print(f"{options.onnx}: clips (n, t, {frame}) float32 at {encoder.card.rate_hz:g} Hz")
    print(f"-> vectors (n, {encoder.dimension}), unit length")
    print(words)
    return 0


def _quantised(encoder: LearnedEncoder, path: Path) -> str:
    """Write the file in 8 bits; says what it loses on people who had no part in it."""
    from gaitid.encoders import onnx

    gallery = _clips(encoder, range(PEOPLE), 0, 90.0)
    probes = _clips(encoder, range(PEOPLE), 1, 72.0)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.onnx"
        onnx.export(encoder, whole)
        onnx.quantise(whole, path, _clips(encoder, range(PEOPLE, PEOPLE + RANGES), 0, None))
        before = onnx.run(whole, gallery), onnx.run(whole, probes)
    after = onnx.run(path, gallery), onnx.run(path, probes)
    cosines = (before[1] * after[1]).sum(1)
    return (
        f"8 bits, on {PEOPLE} SYNTHETIC people of two days, 18 degrees apart: "
        f"rank-1 {_rank_1(*before):.2f} -> {_rank_1(*after):.2f}, "
        f"cosine to the whole network {np.median(cosines):.4f} (worst {cosines.min():.4f})"
    )


def _clips(encoder: LearnedEncoder, people: range, day: int, view: float | None) -> list[NDArray[Any]]:
    """A clip of each, as the network sees it; without a view, any."""
    from gaitid.encoders.architectures import clips_of
    from gaitid.synthetic import Population

    population = Population(_SEED, "test")
    clips = []
    for person in people:
        angle = 7.5 * person % 360 if view is None else view
        walk = population.sequence(person, day, view=angle, frames=50)
        sequence = walk.sequence(modalities=encoder.modalities)
        stream = sequence.streams[encoder.modalities[0]]
        clips.append(clips_of(encoder.card.architecture, stream, sequence.times)[0].astype(np.float32))
    return clips


def _rank_1(gallery: NDArray[np.float32], probes: NDArray[np.float32]) -> float:
    return float(((probes @ gallery.T).argmax(1) == np.arange(len(probes))).mean())
