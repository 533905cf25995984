"""The fused encoder: heads that bring two encoders into one space, and the weights of each stream.

    python -m gaitid.training.fuse DATA VALIDATION TEST TARGET [--silhouette strider] [--skeleton stickman]

DATA must hold people whom the experts did not see in training: of people they know they are too sure.
VALIDATION sets the threshold, TEST gives the figures of the card. Minutes on one core.
"""

from __future__ import annotations

import argparse
import datetime
import logging
import sys
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
from gaitid.encoders.fused import STREAMS, TRAITS, each, fuse, traits
from gaitid.errors import InputError, SequenceError
from gaitid.evaluation import provenance
from gaitid.records import GaitSequence
from gaitid.synthetic import VIEWS

from .corpus import Corpus
from .heldout import measure
from .losses import supervised_contrastive
from .pack import FMR, PROTOCOL

log = logging.getLogger("training")

SUBJECTS, EACH = 64, 8
BOTH = 0.5
"""Share of training walks that keep both streams; the others lose one at random."""
_BATCH = 32


@dataclass(frozen=True, eq=False)
class Known:
    """What the experts make of N walks: (N, 2, E) embeddings, (N, 2, TRAITS) traits, (N,) subjects."""

    vectors: NDArray[np.float32]
    traits: NDArray[np.float32]
    subjects: NDArray[np.str_]

    @classmethod
    def of(cls, corpus: Corpus, experts: Sequence[Encoder]) -> Known:
        """Embed all walks of a corpus that are good enough for both."""
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
    streams = {stream: corpus.reader(stream)(number) for stream in STREAMS}
    return GaitSequence(streams, corpus.times(number))


class Heads(nn.Module):
    """A linear head and a gate for each stream.

    Args:
        expert: Length of the experts' embeddings.
        dimension: Length of the fused one.
    """

    def __init__(self, expert: int, dimension: int) -> None:
        super().__init__()
        self.heads = nn.Parameter(torch.stack([torch.eye(dimension, expert) for _ in STREAMS]))
        self.gates = nn.Parameter(torch.zeros(len(STREAMS), TRAITS))

    def forward(self, vectors: Tensor, quality: Tensor, present: Tensor) -> Tensor:
        """(N, D) unit vectors of (N, 2, E), (N, 2, TRAITS) and (N, 2) 0 or 1."""
        mapped = F.normalize(torch.einsum("sde,nse->nsd", self.heads, vectors), dim=2)
        weight = F.softplus(torch.einsum("st,nst->ns", self.gates, quality)) * present
        return F.normalize((weight[..., None] * mapped).sum(1), dim=1)

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """As the weight file holds them."""
        rows = zip(STREAMS, self.heads.detach().numpy(), self.gates.detach().numpy(), strict=True)
        return {
            name: value
            for stream, head, gate in rows
            for name, value in ((f"head.{stream}", head), (f"gate.{stream}", gate))
        }


def train(known: Known, dimension: int, steps: int, seed: int = 1) -> Heads:
    """Fit heads and gates by supervised contrastive loss, streams dropped at random."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    heads = Heads(known.vectors.shape[2], dimension)
    optimiser = torch.optim.AdamW(heads.parameters(), lr=3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    names, codes = np.unique(known.subjects, return_inverse=True)
    rows = [np.flatnonzero(codes == k) for k in range(len(names))]
    if len(names) < SUBJECTS:
        raise InputError(f"{len(names)} people", f"at least {SUBJECTS}", "make more shards")
    for step in range(steps):
        people = rng.choice(len(names), SUBJECTS, replace=False)
        chosen = np.concatenate([rng.choice(rows[k], EACH, replace=len(rows[k]) < EACH) for k in people])
        loss = supervised_contrastive(
            heads(*(torch.from_numpy(a) for a in (known.vectors[chosen], known.traits[chosen])), _kept(rng)),
            torch.from_numpy(codes[chosen]),
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if (step + 1) % 200 == 0:
            log.info("step %d/%d loss %.3f", step + 1, steps, float(loss))
    return heads


def _kept(rng: np.random.Generator) -> Tensor:
    """(N, 2) which streams a walk keeps."""
    kept = np.ones((SUBJECTS * EACH, len(STREAMS)), np.float32)
    loses = rng.random(len(kept)) >= BOTH
    kept[loses, rng.integers(0, len(STREAMS), int(loses.sum()))] = 0
    return torch.from_numpy(kept)


def embedded(
    tensors: dict[str, NDArray[np.float32]], known: Known, streams: Sequence[str]
) -> NDArray[np.float32]:
    """(N, D) embeddings from those streams only."""
    chosen = [STREAMS.index(stream) for stream in streams]
    return np.stack(
        [
            fuse(tensors, {STREAMS[k]: (row[k], quality[k]) for k in chosen})
            for row, quality in zip(known.vectors, known.traits, strict=True)
        ]
    )


def figures(tensors: dict[str, NDArray[np.float32]], corpus: Corpus, known: Known) -> list[weights.Figure]:
    """Rank-1 of both streams and of each alone."""
    found = []
    for name, streams in (("both streams", STREAMS), *((f"{s} only", (s,)) for s in STREAMS)):
        vectors = embedded(tensors, known, streams)
        for measured, value in measure(corpus, lambda numbers: vectors[numbers], VIEWS).items():  # noqa: B023
            view, condition = measured.split("_")
            words = f"rank-1, {condition.upper()}, {view} view: fused, {name}"
            found.append(weights.Figure(words, value, PROTOCOL.format(len(corpus.subjects))))
    return found


def threshold(tensors: dict[str, NDArray[np.float32]], corpus: Corpus, known: Known) -> NDArray[np.float32]:
    """Scores of different people of different sessions, from both streams."""
    vectors = embedded(tensors, known, STREAMS)
    gallery = np.array([label.session == "0" for label in corpus.labels])
    scores = vectors[~gallery] @ vectors[gallery].T
    return scores[known.subjects[~gallery][:, None] != known.subjects[gallery][None, :]]


def main() -> None:
    """Embed, train, measure, write."""
    parser = argparse.ArgumentParser(prog="python -m gaitid.training.fuse")
    for name in ("data", "validation", "test", "target"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--silhouette", default="strider")
    parser.add_argument("--skeleton", default="stickman")
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--training-data", required=True, help="one sentence for the card")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    experts = [load_encoder(options.silhouette), load_encoder(options.skeleton)]
    corpora = [Corpus(folder) for folder in (options.data, options.validation, options.test)]
    data, validation, test = (Known.of(corpus, experts) for corpus in corpora)
    tensors = train(data, options.dimension, options.steps).tensors()
    scores = threshold(tensors, corpora[1], validation)
    card = weights.Card(
        name="fused",
        architecture="fused",
        arguments={"experts": {s: [e.name, e.contract] for s, e in zip(STREAMS, experts, strict=True)}},
        modalities=STREAMS,
        min_frames=max(expert.min_frames for expert in experts),
        rate_hz=0.0,
        dimension=options.dimension,
        preprocessing=PREPROCESSING,
        threshold=round(float(np.quantile(scores, 1 - FMR)), 4),
        threshold_rule=f"FMR {FMR:g} of the scores of different people below",
        licence="Apache-2.0",
        training_data=options.training_data,
        date=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        commit=provenance.commit() or f"gaitid {__version__}",
        command="python -m gaitid.training.fuse DATA VALIDATION TEST TARGET",
        metrics=tuple(figures(tensors, corpora[2], test)),
        impostors=weights.Impostors.of(
            scores, f"synthetic, split validation, {len(corpora[1].subjects)} people, both streams"
        ),
    )
    clip = np.concatenate([test.vectors[0], test.traits[0]], 1)
    golden = weights.Golden(clip, corpora[2].times(0), embedded(tensors, test, STREAMS)[0])
    made = weights.save(options.target, card, tensors, golden)
    for figure in made.card.metrics:
        sys.stdout.write(f"{figure.value:8.4f}  {figure.measure}\n")


if __name__ == "__main__":
    main()
