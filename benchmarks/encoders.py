"""What encoders cost and how far they carry over to real people, beside their rivals in the same run.

    python benchmarks/encoders.py [--video VIDEO] [--mocap NPZ] [--weights FILE ...] [--repeats 50]

Speed: CPU time of one thread, batch 1, 30 frames of 25 and of 10 fps (at 12.5 Hz that is 15 and 37 frames
for strider), quartiles; and batch 16. Reference networks see all 30 frames.
Video: every walk of 24 good frames or more is cut in the middle; first halves are the gallery, second
halves the probes; rank-1. Camera, clothes and minute are the same in both halves, so this only asks
whether an encoder survives real, rough silhouettes.
Motion capture: every trial is filmed from cameras at 0, 45 and 90 degrees to its walking direction;
each trial is compared with all other trials; rank-1 averaged over the subjects that have two trials or
more, all subjects in the gallery, at the same and at different views. A trial lasts seconds and all
trials of a subject are of one day. The rival is limb lengths: what a tape measure would give.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gaitid.encoders import networks
from gaitid.encoders.base import Encoder, load_encoder
from gaitid.encoders.learned import LearnedEncoder
from gaitid.errors import GaitIdError
from gaitid.modalities.skeleton import BONES
from gaitid.perception.pipeline import watch
from gaitid.perception.sources import open_source
from gaitid.records import SILHOUETTE, SKELETON, GaitSequence
from gaitid.synthetic.camera import Camera
from gaitid.synthetic.detect import detect, visible

ROOT = Path(__file__).resolve().parents[1]
HALF = 12
VIEWS = (0.0, 45.0, 90.0)

Embed = Callable[[GaitSequence], NDArray[np.float32]]


def encoders(files: Sequence[Path]) -> dict[str, Encoder]:
    """GEI, every shipped encoder, and those of weight files."""
    found: dict[str, Encoder] = {"gei": load_encoder("gei")}
    shipped = sorted((ROOT / "gaitid" / "encoders" / "weights").glob("*.safetensors"))
    for path in [*shipped, *files]:
        encoder = LearnedEncoder(path)
        found[encoder.name] = encoder
    return found


def untrained(encoder: Encoder, sequences: Sequence[GaitSequence]) -> Embed:
    """The same network with random weights, its normalisation settled on these sequences."""
    assert isinstance(encoder, LearnedEncoder)
    torch.manual_seed(0)
    network = networks.build(encoder.card.architecture, encoder.card.arguments)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.momentum = None
    stream = encoder.modalities[0]
    clips, times = [s.streams[stream] for s in sequences], [s.times for s in sequences]
    networks.embed(encoder.card.architecture, network.train(), clips, times)
    network.eval()
    return lambda s: networks.embed(encoder.card.architecture, network, [s.streams[stream]], [s.times])[0]


def speed(encoder: Encoder, repeats: int) -> dict[str, Any]:
    """CPU milliseconds a sequence, median and quartiles; and parameters."""
    rng = np.random.default_rng(0)
    result: dict[str, Any] = {}
    for fps in (25, 10):
        walk = _noise(rng, fps)
        spent = [_cpu(lambda walk=walk: encoder(walk)) for _ in range(repeats + 5)][5:]
        result[f"ms at {fps} fps"] = [round(1e3 * q, 2) for q in statistics.quantiles(spent, n=4)]
    walks = [_noise(rng, 25) for _ in range(16)]
    spent = [_cpu(lambda: encoder.batch(walks)) for _ in range(max(3, repeats // 10))]
    result["sequences a CPU-second, batch 16"] = round(16 / statistics.median(spent), 1)
    if isinstance(encoder, LearnedEncoder):
        network = networks.build(encoder.card.architecture, encoder.card.arguments)
        result["parameters"] = sum(p.numel() for p in network.parameters())
    return result


def reference_speed(architecture: str, repeats: int) -> dict[str, Any]:
    """CPU milliseconds of a reference network with random weights: 30 frames, batch 1."""
    network = networks.build(architecture, {}).eval()
    walk = _noise(np.random.default_rng(0), 25)
    clip, times = walk.streams[SILHOUETTE], walk.times
    call = lambda: networks.embed(architecture, network, [clip], [times])  # noqa: E731 - timed as it is
    spent = [_cpu(call) for _ in range(repeats + 2)][2:]
    parameters = sum(p.numel() for p in network.parameters())
    return {"ms": [round(1e3 * q, 1) for q in statistics.quantiles(spent, n=4)], "parameters": parameters}


def halves(video: str) -> tuple[list[GaitSequence], list[GaitSequence]]:
    """First and second halves of the good walks of a video."""
    walks = []
    with open_source(video) as source:
        for view in watch(source):
            walks += [walk.sequence for walk in view.walks if walk.sequence is not None]
    long = [walk for walk in walks if len(walk) >= 2 * HALF]
    middles = [len(walk) // 2 for walk in long]
    return (
        [walk.part(slice(0, m)) for walk, m in zip(long, middles, strict=True)],
        [walk.part(slice(m, None)) for walk, m in zip(long, middles, strict=True)],
    )


def half_track(embed: Embed, gallery: list[GaitSequence], probes: list[GaitSequence]) -> dict[str, float]:
    """Rank-1 and mean reciprocal rank of the second halves among the first."""
    scores = _vectors(embed, probes) @ _vectors(embed, gallery).T
    ranks = (scores >= scores.diagonal()[:, None]).sum(1)
    return {"rank-1": round(float((ranks == 1).mean()), 3), "mrr": round(float((1 / ranks).mean()), 3)}


def filmed(mocap: Path, level: float) -> list[tuple[str, int, float, GaitSequence]]:
    """(subject, trial, view, sequence) of every trial from every view, with keypoint noise."""
    data = np.load(mocap)
    found = []
    for trial, (start, length, subject) in enumerate(
        zip(data["start"], data["length"], data["subject"], strict=True)
    ):
        joints = data["xyz"][start : start + length].astype(np.float64)
        course = joints[-1, 11:13, :2].mean(0) - joints[0, 11:13, :2].mean(0)
        heading = float(np.rad2deg(np.arctan2(course[1], course[0])))
        centred = joints - np.append(joints[:, 11:13, :2].mean((0, 1)), joints[:, 15:17, 2].min())
        for view in VIEWS:
            rng = np.random.default_rng((trial, int(view)))
            camera = Camera.beside(heading + view, distance=6.0, height=1.4, focal=700.0)
            pixels, depth = camera.project(centred)
            scale = camera.focal / depth.mean(1)
            seen = visible(centred, pixels, depth, scale)
            poses = detect(pixels, seen, scale * 1.7, rng, level)
            found.append((str(subject), trial, view, GaitSequence({SKELETON: poses}, np.arange(length) / 30)))
    return found


def trials(embed: Embed, films: list[tuple[str, int, float, GaitSequence]]) -> dict[str, float]:
    """Rank-1 over trials, averaged over subjects, at equal and at different views."""
    subjects = np.array([film[0] for film in films])
    numbers, views = np.array([film[1] for film in films]), np.array([film[2] for film in films])
    vectors = _vectors(embed, [film[3] for film in films])
    scores = vectors @ vectors.T
    mates = {s for s in set(subjects.tolist()) if len(set(numbers[subjects == s].tolist())) > 1}
    result = {}
    for name, allowed in (("same", views[:, None] == views), ("cross", views[:, None] != views)):
        valid = allowed & (numbers[:, None] != numbers)
        best = np.where(valid, scores, -np.inf).argmax(1)
        right = subjects[best] == subjects
        result[f"{name} view"] = round(
            float(np.mean([right[subjects == s].mean() for s in sorted(mates)])), 3
        )
    return result


def limb_lengths(sequence: GaitSequence) -> NDArray[np.float32]:
    """Unit vector of segment lengths over their mean, centred on the usual body; a rival."""
    poses = sequence.streams[SKELETON]
    ends = np.array(BONES)
    lengths = np.quantile(
        np.linalg.norm(poses[:, ends[:, 0], :2] - poses[:, ends[:, 1], :2], axis=2), 0.9, axis=0
    )
    shares = lengths / lengths.sum()
    centred = shares - 1 / len(shares)
    return np.asarray(centred / np.linalg.norm(centred), np.float32)


def _vectors(embed: Embed, sequences: Sequence[GaitSequence]) -> NDArray[np.float32]:
    return np.stack([embed(sequence) for sequence in sequences])


def _noise(rng: np.random.Generator, fps: float) -> GaitSequence:
    poses = rng.uniform(0, 100, (30, 17, 3)).astype(np.float32)
    poses[..., 2] = 1
    masks = rng.integers(0, 2, (30, 64, 44), dtype=np.uint8)
    return GaitSequence({SILHOUETTE: masks, SKELETON: poses}, np.arange(30) / fps)


def _cpu(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def _rivals(found: dict[str, Encoder], stream: str, sequences: Sequence[GaitSequence]) -> dict[str, Embed]:
    rivals: dict[str, Embed] = {}
    for name, encoder in found.items():
        if encoder.modalities == (stream,):
            rivals[name] = lambda s, encoder=encoder: encoder(s).vector
            if isinstance(encoder, LearnedEncoder):
                rivals[f"{name}, untrained"] = untrained(encoder, sequences)
    return rivals


def main() -> None:
    """Measure, print, and write benchmarks/results."""
    parser = argparse.ArgumentParser(prog="benchmarks/encoders.py")
    parser.add_argument("--video")
    parser.add_argument("--mocap", type=Path)
    parser.add_argument("--weights", type=Path, nargs="*", default=[])
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--out", type=Path, help="JSON file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = encoders(options.weights)
    result: dict[str, Any] = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip(),
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "contracts": {name: encoder.contract for name, encoder in found.items()},
        "speed": {name: speed(encoder, options.repeats) for name, encoder in found.items()},
    }
    for name in ("gaitset", "gaitbase"):
        result["speed"][f"{name}, random weights"] = reference_speed(name, max(3, options.repeats // 10))
    if options.video:
        gallery, probes = halves(options.video)
        rivals = _rivals(found, SILHOUETTE, gallery)
        rows = {name: half_track(embed, gallery, probes) for name, embed in rivals.items()}
        result["half tracks"] = {"walks": len(gallery), **rows}
    if options.mocap:
        for level in (0.0, 1.0):
            films = filmed(options.mocap, level)
            rivals = {**_rivals(found, SKELETON, [film[3] for film in films]), "limb lengths": limb_lengths}
            result[f"motion capture, noise {level:g}"] = {
                name: trials(embed, films) for name, embed in rivals.items()
            }
    text = json.dumps(result, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    try:
        main()
    except GaitIdError as error:
        raise SystemExit(f"benchmarks/encoders.py: {error}") from error
