"""Fit measures of body and stride to a trained network of skeletons in space; see `gaitid.encoders.measured`.

    python -m gaitid.training.measures NETWORK VALIDATION TEST TARGET

NETWORK is a weight file of stickman3d. The coordinates of the measures are computed in closed form from
restless synthetic subjects of the split ``train``, two walks on each of two days, measured by sensors as
rough as a Kinect of the first generation. VALIDATION and TEST are shards of the laboratory plan; they give
the threshold and the figures of the card. Takes five minutes on one core.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gaitid.encoders import weights
from gaitid.encoders.base import Encoder
from gaitid.encoders.learned import LearnedEncoder, open_weights
from gaitid.encoders.measured import PREFIX, MeasureBlocks, measured
from gaitid.encoders.measures import LENGTHS, MEASURES
from gaitid.errors import InputError
from gaitid.records import SKELETON_3D, GaitSequence
from gaitid.synthetic import VIEWS, Population
from gaitid.synthetic.depth import Sensor

from .corpus import Corpus
from .origin import today
from .pack import PROTOCOL, THRESHOLD_RULE, different_people, figures_of, show
from .validation import Embed, in_batches, measure

log = logging.getLogger("training")

Doubles = NDArray[np.float64]

SEED, PEOPLE, DAYS, WALKS, FRAMES, FPS = 5, 600, 2, 2, 120, 30
RESTLESS = 1.2
PEOPLE_A_SENSOR = 15
"""Subjects whom one sensor measures; what it adds to all of them is no difference between people."""
SENSOR_SHARE = 0.1
"""Share of the variance between sensors that counts as variance of a person, for searches across sensors."""
RIDGES = (0.1, 0.3)
"""Added to the variances within a person, as shares of their mean: lengths, waves."""
POWER = 0.25
"""Exponent of a wave's reliability. At 1 the waves are those in which synthetic people differ most, at 0 all
count alike; real walkers of motion capture are found best in between."""
STRENGTHS = (1.0, 0.35, 0.5)
"""Strength of network, lengths and waves: deviations that each adds to the score of different people."""
PAIRS = "synthetic, split validation, {} people, across sessions, views and conditions"
_FACE = (1, 2, 3, 4)


@dataclass(frozen=True, eq=False)
class Measured:
    """Walks of synthetic subjects, as sensors measure them.

    Attributes:
        measures: (N, M) float64.
        vectors: (N, E) float32, of the network.
        subjects: (N,) numbers.
    """

    measures: Doubles
    vectors: NDArray[np.float32]
    subjects: NDArray[np.intp]

    @property
    def sensors(self) -> NDArray[np.intp]:
        """(N,) number of the sensor of each walk."""
        return np.asarray(self.subjects // PEOPLE_A_SENSOR)

    @classmethod
    def of(cls, network: Encoder, people: int) -> Measured:
        """Measure all walks of so many subjects, and embed them by the network."""
        found, vectors, subjects = [], [], []
        for subject, walk in _walks(people):
            found.append(measured(walk.streams[SKELETON_3D], walk.times)[0])
            vectors.append(network(walk).vector)
            subjects.append(subject)
        whole = ~np.isnan(found).any(1)
        return cls(np.array(found)[whole], np.array(vectors)[whole], np.array(subjects)[whole])


def sensor(rng: np.random.Generator) -> Sensor:
    """Draw a sensor like a Kinect of the first generation, from good to poor."""
    drawn, level = Sensor.draw(rng), float(rng.uniform(0.2, 1.0))
    return replace(
        drawn,
        hidden=_FACE,
        white=level * float(rng.uniform(0.008, 0.02)),
        slow=level * float(rng.uniform(0.015, 0.035)),
        bias=level * float(rng.uniform(0.008, 0.022)),
        swaps=float(rng.uniform(0, 0.5)),
        far=float(rng.uniform(1, 3)),
    )


def _walks(people: int) -> Iterator[tuple[int, GaitSequence]]:
    population = Population(SEED, "train", restless=RESTLESS)
    times = np.arange(FRAMES) / FPS
    for subject in range(people):
        its_sensor = sensor(np.random.default_rng((SEED, subject // PEOPLE_A_SENSOR)))
        for number in range(DAYS * WALKS):
            actor = population.actor(subject, *divmod(number, WALKS), frames=FRAMES, fps=FPS)
            noise = np.random.default_rng((SEED, subject, number))
            yield (
                subject,
                GaitSequence({SKELETON_3D: its_sensor.measure(actor.keypoints[:, :17], noise)}, times),
            )
        if (subject + 1) % 50 == 0:
            log.info("%d of %d subjects measured", subject + 1, people)


def fit(data: Measured) -> MeasureBlocks:
    """Coordinates of the measures and shares of the blocks, in closed form.

    Raises:
        InputError: There are fewer walks than ten for each measure.
    """
    if len(data.measures) < 10 * MEASURES:
        raise InputError(
            f"The training data have {len(data.measures)} walks",
            f"at least {10 * MEASURES}",
            "Pass more people",
        )
    centre, scale = data.measures.mean(0), data.measures.std(0)
    scaled = (data.measures - centre) / scale
    within, between = _scatter(scaled, data.subjects, data.sensors)
    split, every = len(LENGTHS), np.arange(MEASURES)
    lengths, waves = (
        _axes(within[np.ix_(some, some)], between[np.ix_(some, some)], ridge, power)
        for some, ridge, power in zip((every[:split], every[split:]), RIDGES, (0.0, POWER), strict=True)
    )
    correlation = np.corrcoef(scaled.T) + 1e-3 * np.eye(MEASURES)
    blocks = MeasureBlocks(centre, scale, correlation, lengths, waves, np.full(3, 1 / 3))
    return replace(blocks, shares=_shares(blocks, data))


def _scatter(
    scaled: Doubles, subjects: NDArray[np.intp], sensors: NDArray[np.intp]
) -> tuple[Doubles, Doubles]:
    """(M, M) covariance within subjects, and between those whom one sensor measured."""
    names, rows, counts = np.unique(subjects, return_inverse=True, return_counts=True)
    means = _means(scaled, rows, len(names))
    rest = scaled - means[rows]
    within = rest.T @ rest / (len(scaled) - len(names))
    places = np.unique(sensors[np.unique(subjects, return_index=True)[1]], return_inverse=True)[1]
    by_sensor = _means(means, places, places.max() + 1)
    apart = means - by_sensor[places]
    between = apart.T @ apart / (len(names) - len(by_sensor)) - within / counts.mean()
    return within + SENSOR_SHARE * np.cov(by_sensor.T), between


def _means(values: Doubles, rows: NDArray[np.intp], count: int) -> Doubles:
    total = np.zeros((count, values.shape[1]))
    np.add.at(total, rows, values)
    return np.asarray(total / np.bincount(rows, minlength=count)[:, None])


def _axes(within: Doubles, between: Doubles, ridge: float, power: float) -> Doubles:
    """(S, S) axes along which a person varies by 1, and people independently; times reliability^power."""
    steady = within + ridge * np.trace(within) / len(within) * np.eye(len(within))
    whitening = np.linalg.cholesky(np.linalg.inv(steady))
    variances, turns = np.linalg.eigh(whitening.T @ between @ whitening)
    variances = np.maximum(variances[::-1], 1e-6)
    return np.asarray(whitening @ turns[:, ::-1] * (variances / (1 + variances)) ** power)


def _shares(blocks: MeasureBlocks, data: Measured) -> Doubles:
    """(3,) shares with which the scores of different people deviate as `STRENGTHS` says."""
    first = np.unique(data.subjects, return_index=True)[1]
    size, sensors = data.vectors.shape[1], data.sensors[first]
    joined = np.stack([blocks.join(data.vectors[row], data.measures[row]) for row in first]) * np.sqrt(3.0)
    ends = np.cumsum([size, 2 * len(blocks.lengths)])
    others = (sensors[:, None] == sensors) & ~np.eye(len(first), dtype=bool)
    deviations = [float((part @ part.T)[others].std()) for part in np.split(joined, ends, axis=1)]
    shares = np.array(STRENGTHS) / deviations
    return np.asarray(shares / shares.sum())


def tensors_of(network: LearnedEncoder, blocks: MeasureBlocks) -> dict[str, NDArray[np.generic]]:
    """Tensors of the network and, under names with `measured.PREFIX`, of the blocks."""
    held = weights.load(network.path).tensors
    made = {f"{PREFIX}{name}": getattr(blocks, name).astype(np.float32) for name in MeasureBlocks.__slots__}
    return {**held, **made}


def save(
    network: LearnedEncoder, blocks: MeasureBlocks, validation: Corpus, test: Corpus, target: Path
) -> weights.Weights:
    """Write the weight file with figures of the network and of the whole encoder."""
    content = weights.load(network.path)
    tensors = tensors_of(network, blocks)
    card = replace(
        content.card,
        name=target.stem,
        dimension=network.dimension + 2 * len(blocks.lengths) + len(blocks.waves),
        threshold=weights.GUESS,
        date=today(),
        training_data=f"{content.card.training_data}; measures of {PEOPLE:,} other synthetic subjects",
        command=f"{content.card.command}; then python -m gaitid.training.measures",
    )
    example = content.golden
    walk = GaitSequence({SKELETON_3D: example.clip}, example.times)
    vector = blocks.join(network(walk).vector, *measured(example.clip, example.times))
    golden = replace(example, vector=vector)
    weights.save(target, card, tensors, golden)
    encoder = open_weights(target)
    vectors = in_batches(_embedder(encoder, validation), range(len(validation)))
    found = different_people(validation, vectors, 1, PAIRS.format(len(validation.subjects)))
    card = replace(
        card,
        threshold=found.threshold,
        threshold_rule=THRESHOLD_RULE,
        metrics=(*_figures(card.name, encoder, test), *_of_network(content.card, target.stem)),
        impostors=found.plain,
        corrected=found.corrected,
    )
    return weights.save(target, card, tensors, golden)


def _embedder(encoder: Encoder, corpus: Corpus) -> Embed:
    def embed(numbers: list[int]) -> NDArray[np.float32]:
        walks = [GaitSequence({SKELETON_3D: corpus.skeletons_3d(i)}, corpus.times(i)) for i in numbers]
        return np.stack([one.vector for one in encoder.batch(walks)])

    return embed


def _figures(name: str, encoder: Encoder, test: Corpus) -> list[weights.Figure]:
    protocol = PROTOCOL.format(len(test.subjects))
    return figures_of(name, measure(test, _embedder(encoder, test), VIEWS), protocol)


def _of_network(card: weights.Card, name: str) -> Iterator[weights.Figure]:
    """The figures of the network alone, from its own card, under the name of the whole."""
    for figure in card.metrics:
        what, found, which = figure.measure.partition(f": {card.name}")
        yield replace(figure, measure=f"{what}: {name}{which or ', network alone'}") if found else figure


def main() -> None:
    """Measure synthetic subjects, fit, and write the weight file."""
    parser = argparse.ArgumentParser(prog="python -m gaitid.training.measures")
    parser.add_argument("network", type=Path, help="weight file of stickman3d")
    parser.add_argument("validation", type=Path, help="shards of validation subjects, laboratory plan")
    parser.add_argument("test", type=Path, help="shards of test subjects, laboratory plan")
    parser.add_argument("target", type=Path, help="weight file to write, NAME.safetensors")
    parser.add_argument("--people", type=int, default=PEOPLE, help=f"synthetic subjects (default: {PEOPLE})")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    network = LearnedEncoder(options.network)
    blocks = fit(Measured.of(network, options.people))
    log.info("shares of network, lengths and waves: %s", np.round(blocks.shares, 3).tolist())
    show(save(network, blocks, Corpus(options.validation), Corpus(options.test), options.target).card.metrics)


if __name__ == "__main__":
    main()
