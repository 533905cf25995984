"""A trained run as a weight file: the averaged weights, and what they are worth.

`finish` ends every run, with the people it watched. What ships is measured on people it never saw:

    python -m gaitid.training.pack RECIPE RUN TEST TARGET --name strider --training-data "..." --command "..."

TEST is a folder of shards by the laboratory plan, of people in neither training nor validation.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gaitid import __version__, settings
from gaitid.encoders import weights
from gaitid.encoders.base import PREPROCESSING
from gaitid.encoders.gei import embed as gei_embed
from gaitid.encoders.networks import Network, build, embed
from gaitid.errors import ConfigError
from gaitid.evaluation import provenance
from gaitid.records import SILHOUETTE
from gaitid.synthetic import VIEWS, Population

from .corpus import Corpus, Recorded
from .heldout import Embed, embedder, in_batches, measure
from .recipe import Recipe
from .train import Run, corpora, judge, state_of

FMR = 1e-3
PROTOCOL = (
    "synthetic, split test, {} people, gallery session 0 nm, probes session 1, "
    f"{len(VIEWS)} views, one walk each, noise level 1; mean over pairs of views"
)


def gei_embedder(corpus: Corpus) -> Embed:
    """The same for the gait energy image."""
    return lambda numbers: np.stack([gei_embed(corpus.silhouettes(i)) for i in numbers])


def impostor_scores(corpus: Corpus | Recorded, embed_walks: Embed) -> NDArray[np.float32]:
    """Scores of different people, any view and condition; of synthetic ones on different days."""
    vectors = in_batches(embed_walks, range(len(corpus)))
    subjects = np.array([label.subject for label in corpus.labels])
    if isinstance(corpus, Recorded):
        return (vectors @ vectors.T)[np.triu(subjects[:, None] != subjects)]
    gallery = np.array([label.session == "0" for label in corpus.labels])
    scores = vectors[~gallery] @ vectors[gallery].T
    return scores[subjects[~gallery][:, None] != subjects[gallery][None, :]]


def load_average(recipe: Recipe, folder: Path, share: float = 1.0) -> tuple[Network, int]:
    """The averaged network of a run, and its step.

    Args:
        recipe: Of the run.
        folder: Of the run.
        share: Of the run in each weight; the rest is of the network that it started with. What was learned
            last serves best where it was learned, and a mean of both elsewhere, too (Wortsman et al. 2022,
            "Robust fine-tuning of zero-shot models", section 3).

    Raises:
        ConfigError: `share` is not 0 to 1, or the run did not start with the same network.
    """
    state = state_of(folder / "checkpoint.pt")
    tensors = state["average"]
    if share != 1:
        tensors = _shared(recipe, tensors, share)
    network = build(recipe.network.name, recipe.network.arguments)
    network.load_state_dict(tensors)
    return network.eval(), state["step"]


def _shared(recipe: Recipe, last: Mapping[str, torch.Tensor], share: float) -> dict[str, torch.Tensor]:
    """That share of a run's last tensors, and the rest of those it started with."""
    if not 0 <= share <= 1:
        raise ConfigError(f"share {share}", "0 to 1", "correct --share")
    if not recipe.start:
        raise ConfigError("the recipe has no start", "one whose weights can be shared", "leave out --share")
    first = state_of(Path(recipe.start))["average"]
    if {n: t.shape for n, t in first.items()} != {n: t.shape for n, t in last.items()}:
        raise ConfigError(f"{recipe.start} is another network", "that of the run", "leave out --share")
    return {n: torch.lerp(first[n].to(t), t, share) if t.is_floating_point() else t for n, t in last.items()}


def halved(network: Network) -> dict[str, NDArray[Any]]:
    """The tensors that ship, matrices in half precision; the network gets the rounded numbers.

    Half the size, and everything that is measured afterwards is measured with what ships.
    """
    tensors = {
        name: value.half() if value.dim() > 1 else value for name, value in network.state_dict().items()
    }
    network.load_state_dict(tensors)
    return {name: value.numpy() for name, value in tensors.items()}


@dataclass(frozen=True)
class Story:
    """What a card says that cannot be measured; the training data in a sentence."""

    name: str
    training_data: str
    command: str
    licence: str = "Apache-2.0"


def pack(
    recipe: Recipe, run: Path, test: Corpus, target: Path, story: Story, share: float = 1.0
) -> weights.Weights:
    """Measure the averaged network of a run, and write its weight file; `share` as in `load_average`."""
    network, step = load_average(recipe, run, share)
    tensors = halved(network)
    validation = Corpus(recipe.data.validation)
    scores = impostor_scores(validation, embedder(network, validation))
    people = f"synthetic, split validation, {len(validation.subjects)} people"
    strangers = f"{people}, across sessions, views and conditions"
    figures = (
        weights.Figure(
            "optimiser steps", float(step), f"{recipe.schedule.steps} in the recipe of the last part"
        ),
        *_figures(test, rivals(recipe, network, story.name, validation, test)),
    )
    card = _card(recipe, network, story, figures, scores, strangers)
    golden = _golden(network, test.reader(network.architecture.modality)(0), test.times(0))
    return weights.save(target, card, tensors, golden)


def finish(run: Run, folder: Path) -> Path:
    """Write a run's averaged network into its folder, so that all that takes an encoder takes it.

    The card says what the watched people tell; nothing recorded of anybody is in the file.

    Returns:
        ``FOLDER/FOLDER.safetensors``.
    """
    recipe, network = run.recipe, run.average
    modality = network.architecture.modality
    learned, watched = corpora(recipe)
    name = folder.resolve().name
    people = f"the {len(watched.subjects)} people whom the training watched"
    figures = [weights.Figure("optimiser steps", float(run.step), f"{recipe.schedule.steps} in the recipe")]
    scores = np.empty(0, np.float32)
    if len(watched):
        vectors = in_batches(embedder(network, watched), range(len(watched)))
        known = vectors.__getitem__
        figures += [weights.Figure(f"rank-1 ({n})", v, people) for n, v in judge(watched, known).items()]
        scores = impostor_scores(watched, known)
    card = _card(recipe, network, _story(recipe, name, len(learned.subjects)), figures, scores, people)
    walk = Population(1, "test").sequence(0, frames=50).sequence(modalities=(modality,))
    golden = _golden(network, walk.streams[modality], walk.times)
    tensors = {key: value.cpu().numpy() for key, value in network.state_dict().items()}
    target = folder / f"{name}.safetensors"
    weights.save(target, card, tensors, golden)
    return target


def _golden(network: Network, clip: NDArray[Any], times: NDArray[np.float64]) -> weights.Golden:
    return weights.Golden(clip, times, embed(network, [clip], [times])[0])


def _story(recipe: Recipe, name: str, people: int) -> Story:
    """Of a run whose people and beginning the recipe names."""
    dataset, began = recipe.data.dataset, Path(recipe.start).name
    return Story(
        name,
        f"{people} {f'people of {dataset}' if dataset else 'synthetic walkers'}"
        + (f"; begun with {began}" if began else ""),
        "gaitid train",
        (f"the terms of {dataset} apply" if dataset else "Apache-2.0")
        + (f", and those of {began}" if began else ""),
    )


def _card(
    recipe: Recipe,
    network: Network,
    story: Story,
    figures: Sequence[weights.Figure],
    scores: NDArray[np.floating],
    strangers: str,
) -> weights.Card:
    """The card of a network, with the scores (N,) of different people, `strangers`, where there are any."""
    kind, known = network.architecture, len(scores) > 0
    rule = f"FMR {FMR:g} of the scores of different people below"
    return weights.Card(
        name=story.name,
        architecture=recipe.network.name,
        arguments=recipe.network.arguments,
        modalities=(kind.modality,),
        min_frames=8,
        rate_hz=kind.clips.rate_hz,
        dimension=network.dimension,
        preprocessing=PREPROCESSING,
        threshold=round(float(np.quantile(scores, 1 - FMR)), 4) if known else weights.GUESS,
        threshold_rule=rule if known else weights.GUESSED,
        licence=story.licence,
        training_data=story.training_data,
        date=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        commit=provenance.commit() or f"gaitid {__version__}",
        command=story.command,
        metrics=tuple(figures),
        impostors=weights.Impostors.of(scores, strangers) if known else None,
    )


def rivals(recipe: Recipe, network: Network, name: str, validation: Corpus, test: Corpus) -> dict[str, Embed]:
    """The network, the same one untrained, and for silhouettes the gait energy image."""
    found = {
        name: embedder(network, test),
        f"{name}, untrained": embedder(_settled(recipe, validation), test),
    }
    if network.architecture.modality == SILHOUETTE:
        found["gei"] = gei_embedder(test)
    return found


def _figures(test: Corpus, found: dict[str, Embed]) -> list[weights.Figure]:
    protocol = PROTOCOL.format(len(test.subjects))
    figures = []
    for name, embed_walks in found.items():
        for measure_name, value in measure(test, embed_walks, VIEWS).items():
            view, condition = measure_name.split("_")
            words = f"rank-1, {condition.upper()}, {view} view: {name}"
            figures.append(weights.Figure(words, value, protocol))
    return figures


def main() -> None:
    """Measure a run and write its weight file."""
    parser = argparse.ArgumentParser(prog="python -m gaitid.training.pack")
    for name in ("recipe", "run", "test", "target"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--training-data", required=True, help="one sentence for the card")
    parser.add_argument("--command", required=True, help="that trained it, for the card")
    parser.add_argument(
        "--share", type=float, default=1.0, help="of the run in each weight; the rest is of start"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    story = Story(options.name, options.training_data, options.command)
    recipe = settings.load(options.recipe, Recipe)
    made = pack(recipe, options.run, Corpus(options.test), options.target, story, options.share)
    for figure in made.card.metrics:
        sys.stdout.write(f"{figure.value:8.4f}  {figure.measure}\n")


def _settled(recipe: Recipe, corpus: Corpus) -> Network:
    """An untrained network whose normalisation layers have seen some walks: the fairer rival."""
    torch.manual_seed(recipe.seed)
    network = build(recipe.network.name, recipe.network.arguments)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.momentum = None  # the plain mean over batches
    walks = embedder(network.train(), corpus)
    for start in range(0, min(320, len(corpus) - 31), 32):
        walks(list(range(start, start + 32)))
    return network.eval()


if __name__ == "__main__":
    main()
