"""``gaitid export``: the network of an encoder as an ONNX file."""

from __future__ import annotations

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("encoder", help="name of a shipped encoder, or a weight file")
    parser.add_argument("--onnx", type=Path, required=True, metavar="FILE", help="file to write")


def run(options: argparse.Namespace) -> int:
    """Write it, and say how near it is."""
    from gaitid.encoders import onnx
    from gaitid.encoders.learned import one_network

    encoder = one_network(options.encoder)
    gap = onnx.export(encoder, options.onnx)
    frame = ", ".join(map(str, encoder.frame_shape))
    print(f"{options.onnx}: clips (n, t, {frame}) float32 at {encoder.card.rate_hz:g} Hz")
    print(f"-> vectors (n, {encoder.dimension}), unit length")
    print(f"largest difference to torch: {gap:.2g}")
    return 0
