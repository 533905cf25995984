"""A trained run as a weight file: the averaged weights, measured on people it never saw.

python -m training.pack RECIPE RUN TEST gaitid/encoders/weights/strider.safetensors --name strider
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gaitid import settings
from gaitid.encoders import weights
from gaitid.encoders.base import PREPROCESSING
from gaitid.encoders.gei import embed as gei_embed
from gaitid.encoders.networks import ARCHITECTURES, build, embed
from gaitid.records import SILHOUETTE
from gaitid.synthetic import VIEWS
from training.corpus import Corpus
from training.heldout import Embed, embedder, measure
from training.recipe import Recipe

FMR = 1e-3


def gei_embedder(corpus: Corpus) -> Embed:
    """The same for the gait energy image."""
    return lambda numbers: np.stack([gei_embed(corpus.silhouettes(i)) for i in numbers])


def impostor_scores(corpus: Corpus, embed_walks: Embed) -> NDArray[np.float32]:
    """Scores of different people of different sessions, any view and condition."""
    numbers = list(range(len(corpus)))
    vectors = np.concatenate([embed_walks(numbers[a : a + 32]) for a in range(0, len(numbers), 32)])
    subjects = np.array([label.subject for label in corpus.labels])
    gallery = np.array([label.session == "0" for label in corpus.labels])
    scores = vectors[~gallery] @ vectors[gallery].T
    return scores[subjects[~gallery][:, None] != subjects[gallery][None, :]]


def table(corpus: Corpus, rivals: dict[str, Embed]) -> dict[str, dict[str, float]]:
    """Rank-1 of each rival by the protocol of `heldout`, all eleven views."""
    return {name: measure(corpus, rival, VIEWS) for name, rival in rivals.items()}


def load_average(recipe: Recipe, folder: Path) -> tuple[torch.nn.Module, int]:
    """The averaged network of a run, and its step."""
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    network = build(recipe.network.name, recipe.network.arguments)
    network.load_state_dict(state["average"])
    return network.eval(), state["step"]


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return found.stdout.strip()


def main() -> None:
    """Measure a run and write its weight file."""
    parser = argparse.ArgumentParser(prog="python -m training.pack")
    for name in ("recipe", "run", "test", "target"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--training-data", required=True, help="one sentence for the card")
    parser.add_argument("--command", required=True, help="that trained it, for the card")
    options = parser.parse_args()
    torch.set_num_threads(1)
    recipe = settings.load(options.recipe, Recipe)
    network, step = load_average(recipe, options.run)
    architecture = recipe.network.name
    kind = ARCHITECTURES[architecture]
    test, validation = Corpus(options.test), Corpus(recipe.data.validation)
    rivals = {
        "gei": gei_embedder(test),
        "untrained": embedder(architecture, _settled(recipe, validation), test),
        options.name: embedder(architecture, network, test),
    }
    found = table(test, rivals)
    for name, row in found.items():
        print(f"{name:10s}", *(f"{key} {100 * value:.1f}" for key, value in row.items()))
    protocol = (
        f"synthetic, split test, {len(test.subjects)} people, gallery session 0 nm, probes session 1, "
        "11 views, one walk each, noise level 1"
    )
    figures = [
        weights.Figure(f"rank-1 {key} ({name})", value, protocol)
        for name, row in found.items()
        for key, value in row.items()
    ]
    scores = impostor_scores(validation, embedder(architecture, network, validation))
    pairs = (
        f"synthetic, split validation, {len(validation.subjects)} people, across sessions, views, conditions"
    )
    read = test.silhouettes if kind.modality == SILHOUETTE else test.skeletons
    clip, times = read(0), test.times(0)
    card = weights.Card(
        name=options.name,
        architecture=architecture,
        arguments=recipe.network.arguments,
        modalities=(kind.modality,),
        min_frames=8,
        rate_hz=kind.rate_hz,
        dimension=int(network.dimension),  # type: ignore[arg-type]
        preprocessing=PREPROCESSING,
        threshold=round(float(np.quantile(scores, 1 - FMR)), 4),
        threshold_rule=f"FMR {FMR} of these impostor scores",
        licence="Apache-2.0",
        training_data=options.training_data,
        date=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        commit=_commit(),
        command=options.command,
        metrics=(weights.Figure("training steps", float(step), "of the recipe"), *figures),
        impostors=weights.Impostors(
            round(float(scores.mean()), 4), round(float(scores.std()), 4), int(scores.size), pairs
        ),
    )
    tensors = {name: value.numpy() for name, value in network.state_dict().items()}
    golden = weights.Golden(clip, times, embed(architecture, network, [clip], [times])[0])
    options.target.parent.mkdir(parents=True, exist_ok=True)
    weights.save(options.target, card, tensors, golden)


def _settled(recipe: Recipe, corpus: Corpus) -> torch.nn.Module:
    """An untrained network whose normalisation layers have seen some walks: the fairer rival."""
    torch.manual_seed(recipe.seed)
    network = build(recipe.network.name, recipe.network.arguments)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.momentum = None  # the plain mean over batches
    walks = embedder(recipe.network.name, network.train(), corpus)
    for start in range(0, min(320, len(corpus) - 31), 32):
        walks(list(range(start, start + 32)))
    return network.eval()


if __name__ == "__main__":
    main()
