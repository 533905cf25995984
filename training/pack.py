"""Weight files from trained runs: the averaged weights with a card of their measured accuracy.

`finish` ends every run and measures on the run's validation subjects. Shipped weights are measured on
subjects that the run never saw:

    python -m gaitid.training.pack RECIPE RUN TEST TARGET --name strider --training-data "..." --command "..."

TEST is a folder of shards made with the laboratory plan, of subjects in neither training nor validation.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
from gaitid.gallery.scoring.calibration import clustering
from gaitid.gallery.scoring.profiles import corrected
from gaitid.records import SILHOUETTE
from gaitid.synthetic import VIEWS, Population

from .checkpoint import CHECKPOINT, read_state
from .corpus import AnyCorpus, Corpus, DatasetCorpus, corpora
from .origin import FMR, threshold, today
from .recipe import Recipe
from .run import Run
from .validation import Embed, embedder, in_batches, measure, validate

PROTOCOL = (
    "synthetic, split test, {} people, gallery session 0 nm, probes session 1, "
    f"{len(VIEWS)} views, one walk each, noise level 1; mean over pairs of views"
)
_SETTLING_WALKS, _SETTLING_BATCH = 320, 32
"""Walks that settle the normalisation of an untrained network, and how many at a time."""


@dataclass(frozen=True)
class WeightOrigin:
    """What a card states about the origin of its weights.

    Attributes:
        name: Name of the encoder.
        training_data: Training data, in one sentence.
        command: Command that trained it.
        licence: Licence of the weights.
    """

    name: str
    training_data: str
    command: str
    licence: str = "Apache-2.0"


def pack(
    recipe: Recipe, run: Path, test: Corpus, target: Path, origin: WeightOrigin, share: float = 1.0
) -> weights.Weights:
    """Measure the averaged network of a run and write its weight file.

    Args:
        recipe: Settings of the run.
        run: Folder of the run.
        test: Walks of the test subjects.
        target: File to write.
        origin: What the card states about the origin.
        share: See `load_average`.
    """
    whole, step = load_average(recipe, run, share)
    recipe, network = shipped(recipe, whole)
    tensors = halved(network)
    validation = Corpus(recipe.data.validation)
    vectors = in_batches(embedder(network, validation), range(len(validation)))
    figures = (
        weights.Figure(
            "optimiser steps", float(step), f"{recipe.schedule.steps} in the recipe of the last part"
        ),
        *_figures(test, rivals(recipe, network, origin.name, validation, test)),
    )
    pairs = (
        f"synthetic, split validation, {len(validation.subjects)} people, "
        "across sessions, views and conditions"
    )
    strangers = different_people(validation, vectors, network.blocks, pairs)
    card = _card(recipe, network, origin, figures, strangers)
    golden = _golden(network, test.stream(0, network.architecture.modality), test.times(0))
    return weights.save(target, card, tensors, golden)


def finish(run: Run, folder: Path) -> Path:
    """Write the averaged network of a run into its folder as a weight file.

    The card has the results of the validation subjects. The file holds no recorded data.

    Returns:
        ``FOLDER/FOLDER.safetensors``.
    """
    recipe, network = shipped(run.recipe, run.average)
    modality = network.architecture.modality
    learned, validation = corpora(recipe)
    name = folder.resolve().name
    people = f"the {len(validation.subjects)} validation subjects of the run"
    figures = [weights.Figure("optimiser steps", float(run.step), f"{recipe.schedule.steps} in the recipe")]
    strangers = NO_IMPOSTORS
    if len(validation):
        vectors = in_batches(embedder(network, validation), range(len(validation)))
        results = validate(validation, vectors.__getitem__)
        figures += [weights.Figure(f"rank-1 ({n})", v, people) for n, v in results.items()]
        strangers = different_people(validation, vectors, network.blocks, people)
    card = _card(recipe, network, _origin(recipe, name, len(learned.subjects)), figures, strangers)
    walk = Population(1, "test").sequence(0, frames=50).sequence(modalities=(modality,))
    golden = _golden(network, walk.streams[modality], walk.times)
    tensors = {key: value.cpu().numpy() for key, value in network.state_dict().items()}
    target = folder / f"{name}.safetensors"
    weights.save(target, card, tensors, golden)
    return target


def shipped(recipe: Recipe, network: Network) -> tuple[Recipe, Network]:
    """The network to write, and a recipe that describes it; see `recipe.Network.part_lengths`.

    Raises:
        ConfigError: The network has no parts that could be written, or not as many as lengths.
    """
    lengths = recipe.network.part_lengths
    if not lengths:
        return recipe, network
    tensors = network.state_dict()
    parts = len(tensors.get("part_weights", ()))
    if len(lengths) != parts:
        raise ConfigError(
            f"Setting network.part_lengths has {len(lengths)} lengths for {parts} parts",
            "one length for each part of strider",
            "Change network.part_lengths, or leave it out",
        )
    arguments = {**recipe.network.arguments, "mix": 0, "projection": 0, "scaled": True}
    made = build(recipe.network.name, arguments)
    made.load_state_dict({**tensors, "part_scales": torch.tensor(lengths)}, strict=False)
    return replace(recipe, network=replace(recipe.network, arguments=arguments)), made.eval()


def load_average(recipe: Recipe, folder: Path, share: float = 1.0) -> tuple[Network, int]:
    """Load the averaged network of a run and its step.

    Args:
        recipe: Settings of the run.
        folder: Folder of the run.
        share: Share of the run in each weight; the rest is of the network that it started with. The result of
            the last training is best on its own data, and a mean of both is better elsewhere (Wortsman et al.
            2022, "Robust fine-tuning of zero-shot models", section 3).

    Raises:
        ConfigError: `share` is not 0 to 1, or the run did not start with the same network.
    """
    state = read_state(folder / CHECKPOINT)
    tensors = state["average"]
    if share != 1:
        tensors = _shared(recipe, tensors, share)
    network = build(recipe.network.name, recipe.network.arguments)
    network.load_state_dict(tensors)
    return network.eval(), state["step"]


def _shared(recipe: Recipe, last: Mapping[str, torch.Tensor], share: float) -> dict[str, torch.Tensor]:
    """Interpolate between the tensors that a run started with and its last ones."""
    if not 0 <= share <= 1:
        raise ConfigError(f"Argument share is {share}", "a number from 0 to 1", "Pass --share 0.7, say")
    if not recipe.start:
        raise ConfigError(
            "The recipe has no start", "a network whose weights can be shared", "Leave out --share"
        )
    first = read_state(Path(recipe.start))["average"]
    if {n: t.shape for n, t in first.items()} != {n: t.shape for n, t in last.items()}:
        raise ConfigError(
            f"File {recipe.start} holds another network", "the network of the run", "Leave out --share"
        )
    return {n: torch.lerp(first[n].to(t), t, share) if t.is_floating_point() else t for n, t in last.items()}


def halved(network: Network) -> dict[str, NDArray[Any]]:
    """Tensors of a weight file, with matrices in half precision.

    This halves the size of the file. The network gets the rounded values too, so all measurements are of the
    weights that ship.
    """
    tensors = {
        name: value.half() if value.dim() > 1 else value for name, value in network.state_dict().items()
    }
    network.load_state_dict(tensors)
    return {name: value.numpy() for name, value in tensors.items()}


@dataclass(frozen=True)
class Strangers:
    """What the scores of different people say on a card.

    Attributes:
        threshold: Score threshold of a new gallery.
        plain: Scores of embeddings as they are; None = not measured.
        corrected: Scores of embeddings corrected by camera profiles; None = not measured.
    """

    threshold: float = weights.GUESS
    plain: weights.Impostors | None = None
    corrected: weights.Impostors | None = None


NO_IMPOSTORS = Strangers()


def different_people(corpus: AnyCorpus, vectors: NDArray[np.float32], parts: int, pairs: str) -> Strangers:
    """Scores of different people, from vectors (N, D) of all walks; `pairs` says which people."""
    scores = impostor_scores(corpus, vectors.__getitem__)
    if not len(scores):
        return NO_IMPOSTORS
    plain = weights.Impostors.of(scores, pairs, len(corpus.subjects))
    found = corrected_scores(corpus, vectors, parts) if isinstance(corpus, Corpus) else None
    if found is None or not isinstance(corpus, Corpus):
        return Strangers(threshold(scores), plain)
    rows, clusters = found
    protocol = f"{pairs}; each view less the mean of {profile_people(corpus)} other people there"
    people = len(corpus.subjects)
    return Strangers(threshold(scores), plain, weights.Impostors.of(rows, protocol, people, clusters))


MOST_PROFILE_PEOPLE = 10
"""People in the profile of a camera, for the card: as many as a small site sees."""


def profile_people(corpus: Corpus) -> int:
    """How many people make the profiles of `corrected_scores`; at most a half of all."""
    return min(MOST_PROFILE_PEOPLE, len(corpus.subjects) // 2)


def corrected_scores(
    corpus: Corpus, vectors: NDArray[np.float32], parts: int
) -> tuple[NDArray[np.float32], float] | None:
    """Scores of different people after correction by camera profiles, and their clustering.

    Each view is a camera. Its profile is the mean of some people (`profile_people`) whose walks are then left
    out of the comparisons. This is done for each such group of people in turn.

    Args:
        corpus: Walks recorded by the laboratory plan.
        vectors: (W, D) their embeddings.
        parts: Equal blocks of an embedding.

    Returns:
        (N,) scores as of `non_mated_scores`, and the mean of their clustering; None with too few people.
    """
    subjects = np.array([label.subject for label in corpus.labels])
    views = np.array([label.view for label in corpus.labels])
    gallery = np.array([label.session == "0" for label in corpus.labels])
    size = profile_people(corpus)
    scores, clusters = [], []
    for start in range(0, len(corpus.subjects) - size + 1, size) if size else ():
        makers = np.isin(subjects, corpus.subjects[start : start + size])
        rows = _centred(vectors, views, makers, parts)
        among = rows[~gallery & ~makers] @ rows[gallery & ~makers].T
        same = subjects[~gallery & ~makers][:, None] == subjects[gallery & ~makers]
        scores.append(among[~same])
        clusters.append(clustering(np.where(same, -np.inf, among)))
    if not sum(map(len, scores)):
        return None
    return np.concatenate(scores), float(np.mean(clusters))


def _centred(
    vectors: NDArray[np.float32], views: NDArray[np.float64], makers: NDArray[np.bool_], parts: int
) -> NDArray[np.float32]:
    """Vectors (W, D) corrected by the mean that some of them (W,) have in each view (W,)."""
    means = np.zeros_like(vectors)
    for view in np.unique(views):
        if (makers & (views == view)).any():
            means[views == view] = vectors[makers & (views == view)].mean(0)
    return corrected(vectors, means, parts)


def impostor_scores(corpus: AnyCorpus, embed_walks: Embed) -> NDArray[np.float32]:
    """(N,) scores of different subjects, any view and condition; of synthetic subjects on different days."""
    vectors = in_batches(embed_walks, range(len(corpus)))
    subjects = np.array([label.subject for label in corpus.labels])
    if isinstance(corpus, DatasetCorpus):
        among: NDArray[np.float32] = (vectors @ vectors.T)[np.triu(subjects[:, None] != subjects)]
        return among
    return non_mated_scores(corpus, vectors, subjects)


def non_mated_scores(
    corpus: Corpus, vectors: NDArray[np.float32], subjects: NDArray[np.str_]
) -> NDArray[np.float32]:
    """(N,) scores of the walks of later sessions with those of session 0 of other subjects.

    Args:
        corpus: Walks recorded by the laboratory plan.
        vectors: (W, D) their embeddings.
        subjects: (W,) their subjects.
    """
    gallery = np.array([label.session == "0" for label in corpus.labels])
    scores = vectors[~gallery] @ vectors[gallery].T
    non_mated: NDArray[np.float32] = scores[subjects[~gallery][:, None] != subjects[gallery][None, :]]
    return non_mated


def gei_embedder(corpus: Corpus) -> Embed:
    """Bind the gait energy image to a corpus; see `validation.embedder`."""
    return lambda numbers: np.stack([gei_embed(corpus.silhouettes(i)) for i in numbers])


def rivals(recipe: Recipe, network: Network, name: str, validation: Corpus, test: Corpus) -> dict[str, Embed]:
    """The network, the same network untrained, and for silhouettes the gait energy image, by name."""
    found = {
        name: embedder(network, test),
        f"{name}, untrained": embedder(_untrained(recipe, validation), test),
    }
    if network.architecture.modality == SILHOUETTE:
        found["gei"] = gei_embedder(test)
    return found


def _untrained(recipe: Recipe, corpus: Corpus) -> Network:
    """An untrained network whose normalisation layers have seen some walks, which is the fairer rival."""
    torch.manual_seed(recipe.seed)
    network = build(recipe.network.name, recipe.network.arguments)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.momentum = None  # the plain mean over batches
    embed_walks = embedder(network.train(), corpus)
    for start in range(0, min(_SETTLING_WALKS, len(corpus) - _SETTLING_BATCH + 1), _SETTLING_BATCH):
        embed_walks(list(range(start, start + _SETTLING_BATCH)))
    return network.eval()


def _figures(test: Corpus, found: Mapping[str, Embed]) -> list[weights.Figure]:
    protocol = PROTOCOL.format(len(test.subjects))
    return [
        figure
        for name, embed_walks in found.items()
        for figure in figures_of(name, measure(test, embed_walks, VIEWS), protocol)
    ]


def figures_of(name: str, results: Mapping[str, float], protocol: str) -> list[weights.Figure]:
    """Figures of a card from results of `validation.measure`.

    Args:
        name: What was measured.
        results: Rank-1, 0..1, by names such as ``cross_nm``.
        protocol: How it was measured.
    """
    figures = []
    for measured, value in results.items():
        view, condition = measured.split("_")
        figures.append(weights.Figure(f"rank-1, {condition.upper()}, {view} view: {name}", value, protocol))
    return figures


def _golden(network: Network, clip: NDArray[Any], times: NDArray[np.float64]) -> weights.Golden:
    return weights.Golden(clip, times, embed(network, [clip], [times])[0])


def _origin(recipe: Recipe, name: str, people: int) -> WeightOrigin:
    """The origin of a run's weights, as far as the recipe states it."""
    dataset, start = recipe.data.dataset, Path(recipe.start).name
    return WeightOrigin(
        name,
        f"{people} {f'subjects of {dataset}' if dataset else 'synthetic walkers'}"
        + (f"; started from {start}" if start else ""),
        "gaitid train",
        (f"the terms of {dataset} apply" if dataset else "Apache-2.0")
        + (f", and those of {start}" if start else ""),
    )


def _card(
    recipe: Recipe,
    network: Network,
    origin: WeightOrigin,
    figures: Sequence[weights.Figure],
    impostors: Strangers,
) -> weights.Card:
    """The card of a network."""
    return weights.Card(
        name=origin.name,
        architecture=recipe.network.name,
        arguments=recipe.network.arguments,
        modalities=(network.architecture.modality,),
        min_frames=network.architecture.min_frames,
        rate_hz=network.architecture.clips.rate_hz,
        dimension=network.dimension,
        parts=network.blocks,
        preprocessing=PREPROCESSING,
        threshold=impostors.threshold,
        threshold_rule=weights.GUESSED if impostors.plain is None else THRESHOLD_RULE,
        licence=origin.licence,
        training_data=origin.training_data,
        date=today(),
        commit=provenance.commit() or f"gaitid {__version__}",
        command=origin.command,
        metrics=tuple(figures),
        gray=recipe.data.gray,
        impostors=impostors.plain,
        corrected=impostors.corrected,
    )


THRESHOLD_RULE = f"FMR {FMR:g} of the scores of different people below"
"""How `threshold` is set, for the card."""


def show(figures: Sequence[weights.Figure]) -> None:
    """Print figures, one per line."""
    for figure in figures:
        sys.stdout.write(f"{figure.value:8.4f}  {figure.measure}\n")


def main() -> None:
    """Measure a run and write its weight file."""
    parser = argparse.ArgumentParser(prog="python -m gaitid.training.pack")
    parser.add_argument("recipe", type=Path, help="recipe of the run")
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("test", type=Path, help="folder of shards of test subjects")
    parser.add_argument("target", type=Path, help="weight file to write, NAME.safetensors")
    parser.add_argument("--name", required=True, help="name of the encoder")
    parser.add_argument("--training-data", required=True, help="training data for the card, in one sentence")
    parser.add_argument("--command", required=True, help="training command for the card")
    parser.add_argument(
        "--share",
        type=float,
        default=1.0,
        help="share of the run in each weight; the rest is of the recipe's start (default: 1)",
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    origin = WeightOrigin(options.name, options.training_data, options.command)
    recipe = settings.load(options.recipe, Recipe)
    made = pack(recipe, options.run, Corpus(options.test), options.target, origin, options.share)
    show(made.card.metrics)


if __name__ == "__main__":
    main()
