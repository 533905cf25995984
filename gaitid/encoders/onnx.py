"""Export of a network as an ONNX file, for machines without torch.

The file takes clips as the network sees them, (N, T, ...) float32 at the card's rate, all of one length, and
returns (N, D) unit vectors; N and T are free. The caller cuts walks into clips (`Architecture.clips`, which
needs numpy only). The output is compared with torch before the file gets its name.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx  # noqa: F401 - torch and the quantisation need it
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from gaitid.encoders.architectures import ARCHITECTURES, Architecture
from gaitid.encoders.learned import LearnedEncoder
from gaitid.encoders.networks import Network
from gaitid.errors import InputError, WeightsError

TOLERANCE = 1e-4
"""Largest difference to torch."""
_SHAPES = ((1, 9), (3, 31))
"""Batch sizes and lengths that are compared with torch; both differ from the traced one."""


def export(encoder: LearnedEncoder, path: Path) -> float:
    """Write the network of an encoder.

    Returns:
        Largest difference to torch.

    Raises:
        InputError: The network is one of the reference networks.
        WeightsError: The file differs from torch by more than `TOLERANCE`.
    """
    _check_exportable(encoder.architecture)
    frame = encoder.architecture.clips.frame_shape
    partial = path.with_name(f"{path.stem}.part.onnx")
    try:
        network = encoder.network
        _write(network, frame, partial)
        session = onnxruntime.InferenceSession(partial, providers=["CPUExecutionProvider"])
        gap = max(_gap(network, session, shape, frame) for shape in _SHAPES)
        if not gap <= TOLERANCE:
            raise WeightsError(
                f"The ONNX file differs from torch by {gap:.3g}",
                f"at most {TOLERANCE}",
                "Report the versions of torch and onnx",
            )
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return gap


def quantise(source: Path, path: Path, clips: Sequence[NDArray[np.float32]]) -> None:
    """Write an exported file with 8-bit weights and activations.

    Args:
        source: File written by `export`.
        path: File to write.
        clips: (T, ...) float32 each, as the network sees them; a few dozen typical ones set the ranges.
    """
    partial = path.with_name(f"{path.stem}.part.onnx")
    prepared = path.with_name(f"{path.stem}.shapes.onnx")
    logging.disable(logging.WARNING)  # it warns about layers without channels
    try:
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(prepared, partial, _Clips(clips), per_channel=True)
        partial.replace(path)
    finally:
        logging.disable(logging.NOTSET)
        partial.unlink(missing_ok=True)
        prepared.unlink(missing_ok=True)


class _Clips(CalibrationDataReader):  # type: ignore[misc]
    """Inputs one by one, as the quantiser reads them."""

    def __init__(self, clips: Sequence[NDArray[np.float32]]) -> None:
        self._clips = iter(clips)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next input, None at the end."""
        clip = next(self._clips, None)
        return None if clip is None else {"clips": clip[None]}


def run(path: Path, clips: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """(N, D) vectors of clips, computed by ONNX Runtime one clip at a time."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"clips": clip[None]})[0] for clip in clips])


def _check_exportable(architecture: Architecture) -> None:
    """Refuse the reference networks: ONNX cannot express their loop over pieces of time."""
    exportable = [one.name for one in ARCHITECTURES.values() if one.numpy]
    if architecture.name not in exportable:
        raise InputError(
            f"Architecture {architecture.name} cannot be exported",
            f"one of {', '.join(exportable)}",
            "Run this encoder with torch",
        )


def _write(network: Network, frame: tuple[int, ...], path: Path) -> None:
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


def _gap(network: Network, session: Any, shape: tuple[int, int], frame: tuple[int, ...]) -> float:
    clips = torch.rand(*shape, *frame, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = network(clips).numpy()
    (found,) = session.run(None, {"clips": clips.numpy()})
    return float(np.abs(found - expected).max())
