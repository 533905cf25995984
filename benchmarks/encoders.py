"""What encoders cost and how well they transfer to real subjects, beside their rivals in the same run.

    OMP_NUM_THREADS=1 python -m benchmarks.encoders [--video VIDEO] [--mocap NPZ] [--weights FILE ...]

Speed: CPU time of one thread, batch 1, 30 frames of 25 and of 10 fps (at 12.5 Hz that is 15 and 37 frames
for strider), quartiles; batch 16; the same network by ONNX Runtime; parameters; and 1e9 operations (a
multiplication with addition counts as two) for 30 frames of 25 fps. Reference networks see all 30 frames.

Video: every walk of 24 good frames or more is cut in the middle; first halves are the gallery, second
halves the probes; rank-1. Camera, clothes and minute are the same in both halves, so this only shows
whether an encoder works on real, rough silhouettes.

Motion capture: every trial is filmed from cameras at 0, 45 and 90 degrees to its walking direction. Each
trial is compared with all other trials; rank-1 is averaged over the subjects with two trials or more, all
subjects in the gallery, at the same and at different views. A trial lasts seconds, and all trials of a
subject are of one day. The rival is limb lengths: what a tape measure would give. The same trials are
also measured by sensors in space, exactly and with the usual errors, for encoders of such skeletons.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import harness
from gaitid import registry
from gaitid.encoders import networks
from gaitid.encoders.base import Encoder, load_encoder
from gaitid.encoders.learned import LearnedEncoder
from gaitid.encoders.onnx import export
from gaitid.errors import GaitIdError
from gaitid.modalities.skeleton import BONES
from gaitid.perception.pipeline import watch
from gaitid.perception.sources import open_source
from gaitid.records import SILHOUETTE, SKELETON, SKELETON_3D, GaitSequence
from gaitid.synthetic import Population
from gaitid.synthetic.camera import Camera
from gaitid.synthetic.depth import Sensor
from gaitid.synthetic.detect import detect, visible

STREAMS = (SILHOUETTE, SKELETON, SKELETON_3D)
HALF, WINDOW = 12, 14
VIEWS = (0.0, 45.0, 90.0)

Embed = Callable[[GaitSequence], NDArray[np.float32]]
Film = tuple[str, int, float, GaitSequence]
"""Subject, trial, view in degrees, sequence."""


def encoders(files: Sequence[Path]) -> dict[str, Encoder]:
    """Every shipped encoder, and those of weight files."""
    loaded = [load_encoder(name) for name in (*registry.ENCODERS, *map(str, files))]
    return {encoder.name: encoder for encoder in loaded}


def untrained(encoder: Encoder, sequences: Sequence[GaitSequence]) -> Embed:
    """The same network with random weights, its normalisation estimated on these sequences."""
    assert isinstance(encoder, LearnedEncoder)
    torch.manual_seed(0)
    network = networks.build(encoder.card.architecture, encoder.card.arguments)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.momentum = None
    stream = encoder.modalities[0]
    clips, times = [s.streams[stream] for s in sequences], [s.times for s in sequences]
    networks.embed(network.train(), clips, times)
    network.eval()
    return lambda s: networks.embed(network, [s.streams[stream]], [s.times])[0]


def speed(encoder: Encoder, repeats: int) -> dict[str, Any]:
    """CPU milliseconds per sequence in quartiles, throughput of a batch, parameters, operations."""
    result: dict[str, Any] = {}
    for fps in (25, 10):
        walk = _walk(0, fps)
        result[f"ms at {fps} fps"] = _quartiles_ms(lambda walk=walk: encoder(walk), repeats)
    walks = [_walk(person, 25) for person in range(16)]
    spent = [harness.cpu_s(lambda: encoder.batch(walks)) for _ in range(max(3, repeats // 10))]
    result["sequences a CPU-second, batch 16"] = round(16 / statistics.median(spent), 1)
    if isinstance(encoder, LearnedEncoder):
        network = networks.build(encoder.card.architecture, encoder.card.arguments)
        result["parameters"] = sum(p.numel() for p in network.parameters())
        walk, stream = _walk(0, 25), encoder.modalities[0]
        one = ([walk.streams[stream]], [walk.times])
        result["GFLOP"] = _operations(lambda: networks.embed(encoder.network, *one))
        result["ms at 25 fps, ONNX Runtime"] = _onnx(encoder, repeats)
    return result


def _quartiles_ms(
    call: Callable[[], object], repeats: int, *, warm_up: int = 5, digits: int = 2
) -> list[float]:
    """Quartiles of the CPU milliseconds of a call."""
    spent = [harness.cpu_s(call) for _ in range(repeats + warm_up)][warm_up:]
    return [round(1e3 * quartile, digits) for quartile in statistics.quantiles(spent, n=4)]


def _operations(call: Callable[[], object]) -> float:
    """1e9 floating-point operations of a call."""
    with FlopCounterMode(display=False) as counter:
        call()
    return round(counter.get_total_flops() / 1e9, 3)


def _onnx(encoder: LearnedEncoder, repeats: int) -> list[float]:
    """Quartiles of CPU milliseconds, including the preparation of the walk."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    walk = _walk(0, 25)
    stream = walk.streams[encoder.modalities[0]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        export(encoder, path)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def call() -> None:
        clips = encoder.architecture.clips(stream, walk.times)
        session.run(None, {"clips": np.stack(clips).astype(np.float32)})

    return _quartiles_ms(call, repeats)


def reference_speed(
    architecture: str, repeats: int, layout: torch.memory_format = torch.contiguous_format
) -> dict[str, Any]:
    """CPU milliseconds of a reference network with random weights: 30 frames, batch 1."""
    network = networks.build(architecture, {}).eval().to(memory_format=layout)
    walk = _walk(0, 25)
    clip, times = walk.streams[SILHOUETTE], walk.times
    call = lambda: networks.embed(network, [clip], [times])  # noqa: E731 - measured without a wrapper
    return {
        "ms": _quartiles_ms(call, repeats, warm_up=2, digits=1),
        "parameters": sum(p.numel() for p in network.parameters()),
        "GFLOP": _operations(call),
    }


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


def windows(embed: Embed, gallery: list[GaitSequence], probes: list[GaitSequence]) -> dict[str, float]:
    """A finer measure of the same halves, cut into windows: each against a window of the other half.

    ``rank-1``: how often that is nearer than one window of each other walk, drawn at random; ``impostors
    nearer``: the share of windows of other walks that are nearer.
    """
    cut = [[_vectors(embed, _windows(half)) for half in pair] for pair in zip(gallery, probes, strict=True)]
    first, nearer = [], []
    for walk, pair in enumerate(cut):
        others = [np.concatenate(other) for number, other in enumerate(cut) if number != walk]
        for probe, own in (pair, pair[::-1]):
            score = probe @ own.T
            shares = np.array([((probe @ o.T)[:, None] >= score[..., None]).mean(2) for o in others])
            first += (1 - shares).prod(0).ravel().tolist()
            nearer += shares.mean(0).ravel().tolist()
    return {
        "rank-1": round(float(np.mean(first)), 3),
        "impostors nearer": round(float(np.mean(nearer)), 3),
        "windows": sum(len(half) for pair in cut for half in pair),
    }


def _windows(half: GaitSequence) -> list[GaitSequence]:
    starts = range(0, max(1, len(half) - WINDOW + 1), WINDOW // 2)
    return [half.part(slice(start, start + WINDOW)) for start in starts]


def filmed(mocap: Path, level: float) -> list[Film]:
    """Every trial from every view, with keypoint noise."""
    found = []
    for trial, subject, joints, times in _recorded(mocap):
        course = joints[-1, 11:13, :2].mean(0) - joints[0, 11:13, :2].mean(0)
        heading = float(np.rad2deg(np.arctan2(course[1], course[0])))
        centred = joints - np.append(joints[:, 11:13, :2].mean((0, 1)), joints[:, 15:17, 2].min())
        for view in VIEWS:
            rng = np.random.default_rng((trial, int(view)))
            camera = Camera.beside(heading + view, distance=6.0, height=1.4, focal=700.0)
            pixels, depth = camera.project(centred)
            scale = camera.focal / depth.mean(1)
            seen = visible(pixels, depth, scale)
            poses = detect(pixels, seen, scale * 1.7, rng, level)
            found.append((subject, trial, view, GaitSequence({SKELETON: poses}, times)))
    return found


def measured(mocap: Path, sensor: Sensor) -> list[Film]:
    """The same trials measured by a sensor in space; the course does not matter, so there is one view."""
    return [
        (subject, trial, 0.0, GaitSequence({SKELETON_3D: _bodies(sensor, joints, trial)}, times))
        for trial, subject, joints, times in _recorded(mocap)
    ]


def _bodies(sensor: Sensor, joints: NDArray[np.float64], trial: int) -> NDArray[np.float32]:
    return sensor.measure(joints, np.random.default_rng(trial))


def _recorded(mocap: Path) -> Iterator[tuple[int, str, NDArray[np.float64], NDArray[np.float64]]]:
    """Trial, subject, (T, 17, 3) metres and (T,) seconds of every trial at 30 Hz."""
    data = np.load(mocap)
    rows = zip(data["start"], data["length"], data["subject"], strict=True)
    for trial, (start, length, subject) in enumerate(rows):
        joints = data["xyz"][start : start + length].astype(np.float64)
        yield trial, str(subject), joints, np.arange(length) / 30


def trials(embed: Embed, films: list[Film]) -> dict[str, float]:
    """Rank-1 over trials, averaged over subjects, at equal and at different views."""
    subjects = np.array([film[0] for film in films])
    numbers, views = np.array([film[1] for film in films]), np.array([film[2] for film in films])
    vectors = _vectors(embed, [film[3] for film in films])
    scores = 2 * vectors @ vectors.T - np.square(vectors).sum(1)  # orders by distance; the cosine for units
    mates = {s for s in set(subjects.tolist()) if len(set(numbers[subjects == s].tolist())) > 1}
    result = {}
    for name, allowed in (("same", views[:, None] == views), ("cross", views[:, None] != views)):
        valid = allowed & (numbers[:, None] != numbers)
        if not valid.any():
            continue
        best = np.where(valid, scores, -np.inf).argmax(1)
        right = subjects[best] == subjects
        result[f"{name} view"] = round(
            float(np.mean([right[subjects == s].mean() for s in sorted(mates)])), 3
        )
    return result


def limb_lengths(sequence: GaitSequence) -> NDArray[np.float32]:
    """Unit vector of segment lengths over their mean, centred on the average body; a rival.

    In space they are metres and not a unit vector, because body height counts too.
    """
    ends = np.array(BONES)
    if SKELETON_3D in sequence.streams:
        return _lengths_in_space(sequence.streams[SKELETON_3D], ends)
    poses = sequence.streams[SKELETON]
    lengths = np.quantile(
        np.linalg.norm(poses[:, ends[:, 0], :2] - poses[:, ends[:, 1], :2], axis=2), 0.9, axis=0
    )
    shares = lengths / lengths.sum()
    centred = shares - 1 / len(shares)
    return np.asarray(centred / np.linalg.norm(centred), np.float32)


def _lengths_in_space(bodies: NDArray[np.float32], ends: NDArray[np.intp]) -> NDArray[np.float32]:
    """(bones,) metres."""
    gaps = np.linalg.norm(bodies[:, ends[:, 0], :3] - bodies[:, ends[:, 1], :3], axis=2)
    seen = (bodies[:, ends[:, 0], 3] > 0) & (bodies[:, ends[:, 1], 3] > 0)
    lengths = np.ma.median(np.ma.array(gaps, mask=~seen), axis=0).filled(0.0)
    return np.asarray(lengths, np.float32)


def _vectors(embed: Embed, sequences: Sequence[GaitSequence]) -> NDArray[np.float32]:
    return np.stack([embed(sequence) for sequence in sequences])


def _walk(person: int, fps: float) -> GaitSequence:
    """30 frames, every stream."""
    return Population(7, "test").sequence(person, frames=30, fps=fps).sequence(modalities=STREAMS)


def _rivals(found: dict[str, Encoder], stream: str, sequences: Sequence[GaitSequence]) -> dict[str, Embed]:
    rivals: dict[str, Embed] = {}
    for name, encoder in found.items():
        if encoder.modalities == (stream,):
            rivals[name] = lambda s, encoder=encoder: encoder(s).vector
            if isinstance(encoder, LearnedEncoder):
                rivals[f"{name}, untrained"] = untrained(encoder, sequences)
    return rivals


def reference_speeds(repeats: int) -> dict[str, Any]:
    """Speed of the reference networks, also with channels last where the layers allow it."""
    speeds: dict[str, Any] = {}
    for name in ("gaitset", "gaitbase", "deepgaitv2"):
        speeds[f"{name}, random weights"] = reference_speed(name, repeats)
        if name != "deepgaitv2":  # its layers over time have no such layout
            speeds[f"{name}, channels last"] = reference_speed(name, repeats, torch.channels_last)
    return speeds


def on_video(video: str, found: dict[str, Encoder]) -> dict[str, Any]:
    """Half tracks and windows of half tracks by every encoder of silhouettes."""
    gallery, probes = halves(video)
    rivals = _rivals(found, SILHOUETTE, gallery)
    rows = {name: half_track(embed, gallery, probes) for name, embed in rivals.items()}
    cut = {name: windows(embed, gallery, probes) for name, embed in rivals.items()}
    return {"half tracks": {"walks": len(gallery), **rows}, "windows of half tracks": cut}


def on_mocap(mocap: Path, found: dict[str, Encoder]) -> dict[str, Any]:
    """Trials of motion capture by every encoder of skeletons, in the picture and in space."""
    result: dict[str, Any] = {}
    for level in (0.0, 1.0):
        result[f"motion capture, noise {level:g}"] = _rows(found, SKELETON, filmed(mocap, level))
    for words, sensor in (("exact", Sensor.exact()), ("usual", Sensor.usual())):
        films = measured(mocap, sensor)
        result[f"motion capture in space, {words} sensor"] = _rows(found, SKELETON_3D, films)
    return result


def _rows(found: dict[str, Encoder], stream: str, films: list[Film]) -> dict[str, dict[str, float]]:
    rivals = {**_rivals(found, stream, [film[3] for film in films]), "limb lengths": limb_lengths}
    return {name: trials(embed, films) for name, embed in rivals.items()}


def main() -> None:
    """Measure, print and save."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("--video", help="video of subjects who walk")
    parser.add_argument("--mocap", type=Path, help="NPZ file of motion capture in COCO's 17 joints")
    parser.add_argument("--weights", type=Path, nargs="*", default=[], help="more encoders")
    parser.add_argument("--repeats", type=int, default=50)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = encoders(options.weights)
    result: dict[str, Any] = {
        **harness.facts(__file__),
        "torch": torch.__version__,
        "contracts": {name: encoder.contract for name, encoder in found.items()},
        "speed": {name: speed(encoder, options.repeats) for name, encoder in found.items()},
    }
    result["speed"] |= reference_speeds(max(3, options.repeats // 10))
    if options.video:
        result |= on_video(options.video, found)
    if options.mocap:
        result |= on_mocap(options.mocap, found)
    harness.save(result, options.out)


if __name__ == "__main__":
    try:
        main()
    except GaitIdError as error:
        raise SystemExit(f"benchmarks.encoders: {error}") from error
