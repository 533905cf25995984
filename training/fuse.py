"""Training of the fused encoder: heads that map two encoders into one space, and gates for each stream.

    python -m gaitid.training.fuse DATA VALIDATION TEST TARGET --training-data "..."

DATA must hold subjects whom the experts did not see in training, because experts are too confident about
those they know. VALIDATION sets the threshold, TEST gives the figures of the card. Takes minutes on one
core.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the usual name

from gaitid import __version__
from gaitid.encoders import weights
from gaitid.encoders.base import PREPROCESSING, Encoder, load_encoder
from gaitid.encoders.fused import FUSED, STREAMS, TRAITS, each, fuse, traits
from gaitid.errors import InputError, SequenceError
from gaitid.evaluation import provenance
from gaitid.records import GaitSequence
from gaitid.synthetic import VIEWS

from .corpus import Corpus
from .losses import supervised_contrastive
from .origin import threshold, today
from .pack import PROTOCOL, THRESHOLD_RULE, figures_of, non_mated_scores, show
from .validation import measure

log = logging.getLogger("training")

Tensors = dict[str, NDArray[np.float32]]

SUBJECTS, EACH = 64, 8
"""Subjects in a batch, and walks of each."""
BOTH = 0.5
"""Share of training walks that keep both streams; the others lose a random one."""
_BATCH = 32
"""Walks that are embedded at a time."""
_RATE, _DECAY = 3e-3, 1e-3
"""Peak learning rate and weight decay."""


@dataclass(frozen=True, eq=False)
class ExpertOutputs:
    """What the experts give for N walks.

    Attributes:
        vectors: (N, 2, E) float32, embeddings by stream.
        traits: (N, 2, TRAITS) float32, quality of the streams.
        subjects: (N,) names.
    """

    vectors: NDArray[np.float32]
    traits: NDArray[np.float32]
    subjects: NDArray[np.str_]

    @classmethod
    def of(cls, corpus: Corpus, experts: Sequence[Encoder]) -> ExpertOutputs:
        """Embed all walks of a corpus that are good enough for both experts."""
        shortest = max(expert.min_frames for expert in experts)
        numbers = [i for i in range(len(corpus)) if len(corpus.times(i)) >= shortest]
        vectors, qualities, names = [], [], []
        for start in range(0, len(numbers), _BATCH):
            part = numbers[start : start + _BATCH]
            walks = [_walk(corpus, number) for number in part]
            for number, walk, *found in zip(part, walks, *(each(e, walks) for e in experts), strict=True):
                if not any(isinstance(one, SequenceError) for one in found):
                    vectors.append(np.stack(found))
                    qualities.append(np.stack([traits(walk, stream) for stream in STREAMS]))
                    names.append(corpus.labels[number].subject)
            if start % (100 * _BATCH) == 0:
                log.info("%d of %d walks embedded", start + len(part), len(numbers))
        return cls(np.stack(vectors), np.stack(qualities), np.array(names))


def _walk(corpus: Corpus, number: int) -> GaitSequence:
    return GaitSequence({name: corpus.stream(number, name) for name in STREAMS}, corpus.times(number))


class Heads(nn.Module):
    """A linear head and a gate for each stream.

    Args:
        expert: E, dimension of the experts' embeddings.
        dimension: D, dimension of the fused embedding.
    """

    def __init__(self, expert: int, dimension: int) -> None:
        super().__init__()
        self.heads = nn.Parameter(torch.stack([torch.eye(dimension, expert) for _ in STREAMS]))
        self.gates = nn.Parameter(torch.zeros(len(STREAMS), TRAITS))

    def forward(self, vectors: Tensor, quality: Tensor, present: Tensor) -> Tensor:
        """(N, D) unit vectors.

        Args:
            vectors: (N, 2, E) embeddings.
            quality: (N, 2, TRAITS) quality of the streams.
            present: (N, 2) 1 for streams to use, 0 for others.
        """
        mapped = F.normalize(torch.einsum("sde,nse->nsd", self.heads, vectors), dim=2)
        weight = F.softplus(torch.einsum("st,nst->ns", self.gates, quality)) * present
        return F.normalize((weight[..., None] * mapped).sum(1), dim=1)

    def tensors(self) -> Tensors:
        """Tensors as the weight file holds them."""
        rows = zip(STREAMS, self.heads.detach().numpy(), self.gates.detach().numpy(), strict=True)
        return {
            name: value
            for stream, head, gate in rows
            for name, value in ((f"head.{stream}", head), (f"gate.{stream}", gate))
        }


def train(data: ExpertOutputs, dimension: int, steps: int, seed: int = 1) -> Heads:
    """Fit heads and gates by supervised contrastive loss, with streams dropped at random.

    Args:
        data: Outputs of the experts for the training subjects.
        dimension: Dimension of the fused embedding.
        steps: Optimiser steps.
        seed: Seed of the batches.

    Raises:
        InputError: There are fewer than `SUBJECTS` subjects.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    heads = Heads(data.vectors.shape[2], dimension)
    optimiser = torch.optim.AdamW(heads.parameters(), lr=_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    names, codes = np.unique(data.subjects, return_inverse=True)
    rows = [np.flatnonzero(codes == k) for k in range(len(names))]
    if len(names) < SUBJECTS:
        raise InputError(
            f"The training data have {len(names)} subjects", f"at least {SUBJECTS}", "Make more shards"
        )
    for step in range(steps):
        people = rng.choice(len(names), SUBJECTS, replace=False)
        chosen = np.concatenate([rng.choice(rows[k], EACH, replace=len(rows[k]) < EACH) for k in people])
        vectors, quality = torch.from_numpy(data.vectors[chosen]), torch.from_numpy(data.traits[chosen])
        fused = heads(vectors, quality, _present(rng))
        loss = supervised_contrastive(fused, torch.from_numpy(codes[chosen]))
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
        if (step + 1) % 200 == 0:
            log.info("step %d/%d loss %.3f", step + 1, steps, float(loss.detach()))
    return heads


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
            fuse(tensors, {STREAMS[k]: (row[k], quality[k]) for k in chosen})
            for row, quality in zip(data.vectors, data.traits, strict=True)
        ]
    )


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
    dimension: int,
    scores: NDArray[np.float32],
    measured: Sequence[weights.Figure],
    *,
    training_data: str,
    people: int,
) -> weights.Card:
    """The card of a fused encoder.

    Args:
        experts: The two encoders.
        dimension: Dimension of the fused embedding.
        scores: (N,) non-mated scores of the validation subjects.
        measured: Figures of the test subjects.
        training_data: Training data, in one sentence.
        people: Number of validation subjects.
    """
    return weights.Card(
        name=FUSED,
        architecture=FUSED,
        arguments={"experts": {s: [e.name, e.contract] for s, e in zip(STREAMS, experts, strict=True)}},
        modalities=STREAMS,
        min_frames=max(expert.min_frames for expert in experts),
        rate_hz=0.0,
        dimension=dimension,
        preprocessing=PREPROCESSING,
        threshold=threshold(scores),
        threshold_rule=THRESHOLD_RULE,
        licence="Apache-2.0",
        training_data=training_data,
        date=today(),
        commit=provenance.commit() or f"gaitid {__version__}",
        command="python -m gaitid.training.fuse DATA VALIDATION TEST TARGET",
        metrics=tuple(measured),
        impostors=weights.Impostors.of(scores, f"synthetic, split validation, {people} people, both streams"),
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gaitid.training.fuse")
    parser.add_argument("data", type=Path, help="shards of training subjects whom the experts never saw")
    parser.add_argument("validation", type=Path, help="shards of validation subjects, laboratory plan")
    parser.add_argument("test", type=Path, help="shards of test subjects, laboratory plan")
    parser.add_argument("target", type=Path, help="weight file to write, NAME.safetensors")
    parser.add_argument("--silhouette", default="strider", help="silhouette encoder (default: strider)")
    parser.add_argument("--skeleton", default="stickman", help="skeleton encoder (default: stickman)")
    parser.add_argument("--dimension", type=int, default=256, help="of the embedding (default: 256)")
    parser.add_argument("--steps", type=int, default=2000, help="optimiser steps (default: 2000)")
    parser.add_argument("--training-data", required=True, help="training data for the card, in one sentence")
    return parser.parse_args()


def main() -> None:
    """Embed, train, measure and write the weight file."""
    options = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    experts = [load_encoder(options.silhouette), load_encoder(options.skeleton)]
    corpora = [Corpus(folder) for folder in (options.data, options.validation, options.test)]
    data, validation, test = (ExpertOutputs.of(corpus, experts) for corpus in corpora)
    tensors = train(data, options.dimension, options.steps).tensors()
    card = card_of(
        experts,
        options.dimension,
        non_mated_scores(corpora[1], embedded(tensors, validation, STREAMS), validation.subjects),
        figures(tensors, corpora[2], test),
        training_data=options.training_data,
        people=len(corpora[1].subjects),
    )
    clip = np.concatenate([test.vectors[0], test.traits[0]], 1)
    golden = weights.Golden(clip, corpora[2].times(0), embedded(tensors, test, STREAMS)[0])
    show(weights.save(options.target, card, tensors, golden).card.metrics)


if __name__ == "__main__":
    main()
