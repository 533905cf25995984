"""Opens the networks that find people in ONNX Runtime."""

from __future__ import annotations

import onnxruntime

from gaitid.perception.networks import Network


def session(network: Network) -> onnxruntime.InferenceSession:
    """Open a network for use by one thread at a time.

    It runs on one thread: a camera's node has other cameras for its other cores.

    Raises:
        WeightsError: The file is missing or was changed.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    return onnxruntime.InferenceSession(network.content(), options, providers=["CPUExecutionProvider"])
