"""``gaitid model export``: the network of an encoder as an ONNX file."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gaitid.cli.files import make_folder

if TYPE_CHECKING:
    from gaitid.encoders.learned import LearnedEncoder

RANGES, SUBJECTS = 48, 100
"""Synthetic walks that set the ranges of 8-bit values, and subjects on whom the loss is measured."""
_SEED = 4711


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid model export``."""
    parser.add_argument("encoder", help="name of a shipped encoder, or a weight file")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="ONNX file to write")
    parser.add_argument(
        "--int8", action="store_true", help="quantise to 8 bits and print the accuracy that costs"
    )


def run(options: argparse.Namespace) -> int:
    """Write the file and print how close its embeddings are to torch's."""
    from gaitid.encoders import onnx
    from gaitid.encoders.learned import one_network

    encoder = one_network(options.encoder)
    make_folder(options.out.parent)
    if options.int8:
        words = _quantised(encoder, options.out)
    else:
        words = f"largest difference to torch: {onnx.export(encoder, options.out):.2g}"
    frame = ", ".join(map(str, encoder.architecture.clips.frame_shape))
    print(f"{options.out}: clips (n, t, {frame}) float32 at {encoder.card.rate_hz:g} Hz")
    print(f"-> vectors (n, {encoder.dimension}), unit length")
    print(words)
    return 0


def _quantised(encoder: LearnedEncoder, path: Path) -> str:
    """Write the file in 8 bits; describes the loss on subjects that did not set the ranges."""
    from gaitid.encoders import onnx

    gallery = _clips(encoder, range(SUBJECTS), 0, 90.0)
    probes = _clips(encoder, range(SUBJECTS), 1, 72.0)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.onnx"
        onnx.export(encoder, whole)
        onnx.quantise(whole, path, _clips(encoder, range(SUBJECTS, SUBJECTS + RANGES), 0, None))
        before = onnx.run(whole, gallery), onnx.run(whole, probes)
    after = onnx.run(path, gallery), onnx.run(path, probes)
    cosines = (before[1] * after[1]).sum(1)
    return (
        f"8 bits, on {SUBJECTS} SYNTHETIC subjects, two days and 18 degrees apart: "
        f"rank-1 {_rank_1(*before):.2f} -> {_rank_1(*after):.2f}, "
        f"cosine to the full network {np.median(cosines):.4f} (worst {cosines.min():.4f})"
    )


def _clips(encoder: LearnedEncoder, subjects: range, day: int, view: float | None) -> list[NDArray[Any]]:
    """One clip per subject, as the network takes it; without a view, of views all around."""
    from gaitid.synthetic import Population

    population = Population(_SEED, "test")
    clips = []
    for subject in subjects:
        angle = 7.5 * subject % 360 if view is None else view
        walk = population.sequence(subject, day, view=angle, frames=50)
        sequence = walk.sequence(modalities=encoder.modalities)
        stream = sequence.streams[encoder.modalities[0]]
        clips.append(encoder.architecture.clips(stream, sequence.times)[0].astype(np.float32))
    return clips


def _rank_1(gallery: NDArray[np.float32], probes: NDArray[np.float32]) -> float:
    return float(((probes @ gallery.T).argmax(1) == np.arange(len(probes))).mean())
