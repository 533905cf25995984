"""A learned encoder's network as an ONNX file, for machines without torch.

The file takes clips as the network sees them, (N, T, ...) float32 at the card's rate, all of one length,
and gives (N, D) unit vectors; N and T are free. Bringing frames to the rate, and parting long walks,
stay with the caller (`clips.resample`, `clips.chunks` and `poses.prepare` need numpy only). The result is
compared with torch before the file gets its name.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

from gaitid.encoders.learned import LearnedEncoder
from gaitid.errors import InputError, WeightsError

TOLERANCE = 1e-4
_EXPORTED = ("strider", "stickman", "stickman3d")
"""The reference networks take the maximum over time in pieces, a loop that ONNX cannot hold."""
_SHAPES = ((1, 9), (3, 31))
"""Batch sizes and lengths that are compared with torch; none is the one that was traced."""


def export(encoder: LearnedEncoder, path: Path) -> float:
    """Write the network of an encoder; gives the largest difference to torch.

    Raises:
        InputError: The encoder is none of ours.
        WeightsError: The file gives other vectors than torch, by more than `TOLERANCE`.
    """
    if encoder.card.architecture not in _EXPORTED:
        raise InputError(
            f"architecture {encoder.card.architecture}", f"one of {', '.join(_EXPORTED)}", "run it with torch"
        )
    partial = path.with_name(f"{path.stem}.part.onnx")
    try:
        network = encoder.network
        _write(network, encoder.frame_shape, partial)
        session = onnxruntime.InferenceSession(partial, providers=["CPUExecutionProvider"])
        gap = max(_gap(network, session, shape, encoder.frame_shape) for shape in _SHAPES)
        if not gap <= TOLERANCE:
            raise WeightsError(
                f"the ONNX file differs by {gap:.3g}",
                f"at most {TOLERANCE}",
                "report the versions of torch and onnx",
            )
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return gap


def quantise(source: Path, path: Path, clips: Sequence[NDArray[np.float32]]) -> None:
    """An exported file with 8-bit weights and activations, their ranges taken from real inputs.

    Args:
        source: File written by `export`.
        path: File to write.
        clips: (T, ...) float32 each, as the network sees them; some dozens of usual ones.
    """
    partial = path.with_name(f"{path.stem}.part.onnx")
    prepared = path.with_name(f"{path.stem}.shapes.onnx")
    logging.disable(logging.WARNING)  # it warns of layers that have no channels to tell apart
    try:
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(prepared, partial, _Clips(clips), per_channel=True)
        partial.replace(path)
    finally:
        logging.disable(logging.NOTSET)
        partial.unlink(missing_ok=True)
        prepared.unlink(missing_ok=True)


class _Clips(CalibrationDataReader):  # type: ignore[misc]
    """Inputs one by one, as the quantiser wants them."""

    def __init__(self, clips: Sequence[NDArray[np.float32]]) -> None:
        self._clips = iter(clips)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next input, None at the end."""
        clip = next(self._clips, None)
        return None if clip is None else {"clips": clip[None]}


def run(path: Path, clips: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """(N, D) vectors that ONNX Runtime gives for clips, one at a time."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"clips": clip[None]})[0] for clip in clips])


def _write(network: nn.Module, frame: tuple[int, ...], path: Path) -> None:
    torch.onnx.export(
        network,
        (torch.rand(2, 16, *frame),),
        path,
        input_names=["clips"],
        output_names=["vectors"],
        dynamic_shapes=({0: torch.export.Dim("n"), 1: torch.export.Dim("t")},),
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def _gap(network: nn.Module, session: Any, shape: tuple[int, int], frame: tuple[int, ...]) -> float:
    clips = torch.rand(*shape, *frame, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = network(clips).numpy()
    (found,) = session.run(None, {"clips": clips.numpy()})
    return float(np.abs(found - expected).max())
