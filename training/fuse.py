"""Training of the fused encoder: gates for each stream, and heads to the block that both share.

    python -m gaitid.training.fuse DATA VALIDATION TEST TARGET --training-data "..."

DATA must hold subjects whom the experts did not see in training, because experts are too confident about
those they know. Two thirds of their skeletons are filmed again by a worse estimator, from poor to useless,
with confidence that does not tell; so the gates learn from the skeletons themselves how much they are
worth. The heads are closed-form. VALIDATION sets the threshold, TEST gives the figures of the card. Takes
minutes on one core.
"""

from __future__ import annotations

import argparse
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the usual name

from gaitid import __version__
from gaitid.encoders import weights
from gaitid.encoders.base import PREPROCESSING, Encoder, load_encoder
from gaitid.encoders.base import parts_of as encoder_parts
from gaitid.encoders.fused import FUSED, STREAMS, TRAITS, each, fuse, traits
from gaitid.errors import InputError, SequenceError
from gaitid.evaluation import provenance
from gaitid.records import SKELETON, GaitSequence
from gaitid.synthetic import VIEWS

from .corpus import Corpus
from .losses import supervised_contrastive
from .origin import today
from .pack import PROTOCOL, THRESHOLD_RULE, Strangers, different_people, figures_of, show
from .poses import film_badly
from .validation import measure

log = logging.getLogger("training")

Tensors = dict[str, NDArray[np.float32]]

SUBJECTS, EACH = 64, 8
"""Subjects in a batch, and walks of each."""
BOTH = 0.8
"""Share of training walks that keep both streams; the others lose a random one."""
WORSE = 2 / 3
"""Share of training walks whose skeletons are those of a worse estimator."""
LEVELS = (1.0, 5.0)
"""Strengths of its errors; see `poses.film_badly`."""
COMMON = 0.5
"""Length of the block that both streams share beside that of the others. It is a fifth of a score, and all of
the score of walks without a stream in common."""
RIDGE = 0.1
"""Added to the variances of the canonical correlations, as a share of their mean."""
_BATCH = 32
"""Walks that are embedded at a time."""
_RATE, _DECAY = 2e-2, 1e-3
"""Peak learning rate and weight decay."""


@dataclass(frozen=True, eq=False)
class ExpertOutputs:
    """What the experts give for N walks.

    Attributes:
        vectors: Embeddings (N, E) float32 by stream; E differs between streams.
        traits: (N, 2, TRAITS) float32, quality of the streams.
        subjects: (N,) names.
    """

    vectors: tuple[NDArray[np.float32], NDArray[np.float32]]
    traits: NDArray[np.float32]
    subjects: NDArray[np.str_]

    @classmethod
    def of(cls, corpus: Corpus, experts: Sequence[Encoder], worse: float = 0.0) -> ExpertOutputs:
        """Embed all walks of a corpus that are good enough for both experts.

        Args:
            corpus: Synthetic walks.
            experts: The two encoders.
            worse: Share of the walks whose skeletons are filmed again by `poses.film_badly`.
        """
        shortest = max(expert.min_frames for expert in experts)
        numbers = [i for i in range(len(corpus)) if len(corpus.times(i)) >= shortest]
        rng = np.random.default_rng(1)
        vectors: tuple[list[NDArray[np.float32]], ...] = ([], [])
        qualities, names = [], []
        for start in range(0, len(numbers), _BATCH):
            part = numbers[start : start + _BATCH]
            walks = [_walk(corpus, number, rng if rng.random() < worse else None) for number in part]
            for number, walk, *found in zip(part, walks, *(each(e, walks) for e in experts), strict=True):
                if not any(isinstance(one, SequenceError) for one in found):
                    for column, one in zip(vectors, found, strict=True):
                        column.append(np.asarray(one))
                    qualities.append(np.stack([traits(walk, stream) for stream in STREAMS]))
                    names.append(corpus.labels[number].subject)
            if start % (20 * _BATCH) == 0:
                log.info("%d of %d walks embedded", start + len(part), len(numbers))
        return cls((np.stack(vectors[0]), np.stack(vectors[1])), np.stack(qualities), np.array(names))


def _walk(corpus: Corpus, number: int, rng: np.random.Generator | None) -> GaitSequence:
    """A walk; with a generator, its skeletons are those of a worse estimator."""
    streams = {name: corpus.stream(number, name) for name in STREAMS}
    if rng is not None:
        joints, view = corpus.joints(number).astype(np.float64), corpus.labels[number].view
        streams[SKELETON] = film_badly(rng, joints, view, float(rng.uniform(*LEVELS)))
    return GaitSequence(streams, corpus.times(number))


def heads(data: ExpertOutputs, dimension: int) -> Tensors:
    """Heads and centres by canonical correlation: what one stream tells of a subject in the other.

    Args:
        data: Outputs of the experts for the training subjects.
        dimension: C, dimension of the block that the streams share.
    """
    centres = [vectors.mean(0) for vectors in data.vectors]
    parts = [np.asarray(v - c, np.float64) for v, c in zip(data.vectors, centres, strict=True)]
    codes = np.unique(data.subjects, return_inverse=True)[1]
    sums = [np.zeros((codes.max() + 1, part.shape[1])) for part in parts]
    for total, part in zip(sums, parts, strict=True):
        np.add.at(total, codes, part)
    counts = np.bincount(codes)[:, None]
    across = (sums[0] / counts).T @ sums[1] / len(codes)
    roots = [_inverse_root(part.T @ part / len(part)) for part in parts]
    left, strength, right = np.linalg.svd(roots[0] @ across @ roots[1])
    turns = (left[:, :dimension], right[:dimension].T)
    scale = np.sqrt(np.pad(strength, (0, max(0, dimension - len(strength))))[:dimension])
    made: Tensors = {}
    for stream, centre, root, turn in zip(STREAMS, centres, roots, turns, strict=True):
        made[f"centre.{stream}"] = np.asarray(centre, np.float32)
        made[f"head.{stream}"] = np.asarray((root @ turn * scale[: turn.shape[1]]).T, np.float32)
    return made


def _inverse_root(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    size = len(covariance)
    values, turns = np.linalg.eigh(covariance + RIDGE * np.trace(covariance) / size * np.eye(size))
    return np.asarray(turns / np.sqrt(values) @ turns.T)


def train(data: ExpertOutputs, steps: int, seed: int = 1) -> Tensors:
    """Fit the gates by supervised contrastive loss over scores, with streams dropped at random.

    Args:
        data: Outputs of the experts for the training subjects.
        steps: Optimiser steps.
        seed: Seed of the batches.

    Raises:
        InputError: There are fewer than `SUBJECTS` subjects.
    """
    names, codes = np.unique(data.subjects, return_inverse=True)
    if len(names) < SUBJECTS:
        raise InputError(
            f"The training data have {len(names)} subjects", f"at least {SUBJECTS}", "Make more shards"
        )
    rng = np.random.default_rng(seed)
    gates = torch.zeros(len(STREAMS), TRAITS, requires_grad=True)
    optimiser = torch.optim.AdamW([gates], lr=_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    rows = [np.flatnonzero(codes == k) for k in range(len(names))]
    for step in range(steps):
        people = rng.choice(len(names), SUBJECTS, replace=False)
        chosen = np.concatenate([rng.choice(rows[k], EACH, replace=len(rows[k]) < EACH) for k in people])
        quality = torch.from_numpy(data.traits[chosen])
        weight = F.softplus(torch.einsum("st,nst->ns", gates, quality)) * _present(rng)
        blocks = [weight[:, s, None] * torch.from_numpy(v[chosen]) for s, v in enumerate(data.vectors)]
        loss = supervised_contrastive(
            F.normalize(torch.cat(blocks, 1), dim=1), torch.from_numpy(codes[chosen])
        )
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
        if (step + 1) % 100 == 0:
            log.info("step %d/%d loss %.3f", step + 1, steps, float(loss.detach()))
    return {f"gate.{stream}": gate for stream, gate in zip(STREAMS, gates.detach().numpy(), strict=True)}


def _present(rng: np.random.Generator) -> Tensor:
    """(N, 2) 1 for streams that a walk keeps, 0 for others."""
    kept = np.ones((SUBJECTS * EACH, len(STREAMS)), np.float32)
    loses = rng.random(len(kept)) >= BOTH
    kept[loses, rng.integers(0, len(STREAMS), int(loses.sum()))] = 0
    return torch.from_numpy(kept)


def embedded(tensors: Tensors, data: ExpertOutputs, streams: Sequence[str]) -> NDArray[np.float32]:
    """(N, D) fused embeddings from these streams only."""
    chosen = [STREAMS.index(stream) for stream in streams]
    return np.stack(
        [
            fuse(tensors, {STREAMS[k]: (data.vectors[k][row], data.traits[row, k]) for k in chosen})
            for row in range(len(data.traits))
        ]
    )


def parts_of(experts: Sequence[Encoder], common: int) -> int:
    """Number of equal blocks of a fused embedding: as large as divides the parts of both experts."""
    sizes = [expert.dimension // encoder_parts(expert) for expert in experts]
    return (sum(expert.dimension for expert in experts) + common) // math.gcd(*sizes, common)


def figures(tensors: Tensors, corpus: Corpus, data: ExpertOutputs) -> list[weights.Figure]:
    """Rank-1 with both streams and with each alone."""
    protocol = PROTOCOL.format(len(corpus.subjects))
    found = []
    for name, streams in (("both streams", STREAMS), *((f"{s} only", (s,)) for s in STREAMS)):
        vectors = embedded(tensors, data, streams)
        found += figures_of(f"fused, {name}", measure(corpus, vectors.__getitem__, VIEWS), protocol)
    return found


def card_of(
    experts: Sequence[Encoder],
    common: int,
    others: Strangers,
    measured: Sequence[weights.Figure],
    *,
    training_data: str,
) -> weights.Card:
    """The card of a fused encoder.

    Args:
        experts: The two encoders.
        common: Dimension of the block that the streams share.
        others: Scores of different people of the validation subjects.
        measured: Figures of the test subjects.
        training_data: Training data, in one sentence.
    """
    return weights.Card(
        name=FUSED,
        architecture=FUSED,
        arguments={"experts": {s: [e.name, e.contract] for s, e in zip(STREAMS, experts, strict=True)}},
        modalities=STREAMS,
        min_frames=max(expert.min_frames for expert in experts),
        rate_hz=0.0,
        dimension=sum(expert.dimension for expert in experts) + common,
        parts=parts_of(experts, common),
        preprocessing=PREPROCESSING,
        threshold=others.threshold,
        threshold_rule=THRESHOLD_RULE,
        licence="Apache-2.0",
        training_data=training_data,
        date=today(),
        commit=provenance.commit() or f"gaitid {__version__}",
        command="python -m gaitid.training.fuse DATA VALIDATION TEST TARGET",
        metrics=tuple(measured),
        impostors=others.plain,
        corrected=others.corrected,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gaitid.training.fuse")
    parser.add_argument("data", type=Path, help="shards of training subjects whom the experts never saw")
    parser.add_argument("validation", type=Path, help="shards of validation subjects, laboratory plan")
    parser.add_argument("test", type=Path, help="shards of test subjects, laboratory plan")
    parser.add_argument("target", type=Path, help="weight file to write, NAME.safetensors")
    parser.add_argument("--silhouette", default="strider", help="silhouette encoder (default: strider)")
    parser.add_argument("--skeleton", default="stickman", help="skeleton encoder (default: stickman)")
    parser.add_argument("--common", type=int, default=128, help="size of the shared block (default: 128)")
    parser.add_argument("--steps", type=int, default=600, help="optimiser steps (default: 600)")
    parser.add_argument("--training-data", required=True, help="training data for the card, in one sentence")
    return parser.parse_args()


def main() -> None:
    """Embed, train, measure and write the weight file."""
    options = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    experts = [load_encoder(options.silhouette), load_encoder(options.skeleton)]
    corpora = [Corpus(folder) for folder in (options.data, options.validation, options.test)]
    data = ExpertOutputs.of(corpora[0], experts, WORSE)
    validation, test = (ExpertOutputs.of(corpus, experts) for corpus in corpora[1:])
    tensors = {
        **heads(data, options.common),
        **train(data, options.steps),
        "common": np.array([COMMON], np.float32),
    }
    log.info(
        "gates: %s", {name: value.round(2).tolist() for name, value in tensors.items() if "gate" in name}
    )
    pairs = f"synthetic, split validation, {len(corpora[1].subjects)} people, both streams"
    card = card_of(
        experts,
        options.common,
        different_people(
            corpora[1], embedded(tensors, validation, STREAMS), parts_of(experts, options.common), pairs
        ),
        figures(tensors, corpora[2], test),
        training_data=options.training_data,
    )
    clip = np.concatenate([part for k in (0, 1) for part in (test.vectors[k][0], test.traits[0, k])])[None]
    golden = weights.Golden(clip, corpora[2].times(0), embedded(tensors, test, STREAMS)[0])
    show(weights.save(options.target, card, tensors, golden).card.metrics)


if __name__ == "__main__":
    main()
