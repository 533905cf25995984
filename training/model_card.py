"""Generate MODEL_CARD.md from the cards inside the shipped weight files.

python -m gaitid.training.model_card > MODEL_CARD.md
"""

from __future__ import annotations

import sys
from pathlib import Path

from gaitid.encoders import weights

FOLDER = Path(weights.__file__).with_name("weights")
"""The shipped weight files."""


def model_card(folder: Path = FOLDER) -> str:
    """The text of MODEL_CARD.md for all weight files of a folder."""
    files = sorted(folder.glob("*.safetensors"))
    parts = [
        "**These weights are trained on synthetic walkers, not on people.** Their figures on synthetic "
        "walkers compare the encoders with each other and say nothing about accuracy on real people. Measure "
        "that on your own cameras before you rely on a decision.\n",
        "# Model card\n",
        "This page is generated from the cards inside the weight files by "
        "`python -m gaitid.training.model_card`. [docs/encoders.md](docs/encoders.md) describes the "
        "encoders, [docs/training.md](docs/training.md) their training.\n",
        "**Intended use**: comparing walks of consenting people in front of a fixed camera. "
        "**Not intended**: identifying anybody without consent, or basing a decision of consequence on gait "
        "alone.\n",
        "**Limits**: the weights contain no data of real people. Bodies and gaits are drawn from published "
        "statistics of adults, so children, walking aids and disabled gaits are not represented.\n",
    ]
    return "\n".join(parts + [_section(weights.load(file), file) for file in files])


def _section(content: weights.Weights, file: Path) -> str:
    card = content.card
    parameters = sum(array.size for array in content.tensors.values())
    facts = {
        "file": f"`{file.name}`, {file.stat().st_size / 1e6:.2f} MB, {parameters / 1e6:.2f} M parameters",
        "sha256 of the tensors": f"`{content.sha256}`",
        "architecture": f"`{card.architecture}` {card.arguments}",
        "input": f"{_rate(card)}, {card.min_frames} frames or more",
        "output": f"{card.dimension} dimensions, unit length",
        "initial threshold of a gallery": f"{card.threshold} ({card.threshold_rule})",
        "training data": card.training_data,
        "trained": f"{card.date}, commit `{card.commit[:12]}`, `{card.command}`",
        "licence": card.licence,
    }
    kinds = {"non-mated scores": card.impostors, "the same, with camera profiles": card.corrected}
    for kind, scores in kinds.items():
        if scores is not None:
            facts[kind] = (
                f"mean {scores.mean}, standard deviation {scores.deviation}, {scores.pairs} pairs "
                f"({scores.protocol})"
            )
    lines = [f"## {card.name}\n", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in facts.items()]
    lines += ["", *_figures(card)]
    return "\n".join(lines)


def _rate(card: weights.Card) -> str:
    streams = " and ".join(card.modalities)
    return f"{streams} at {card.rate_hz:g} Hz" if card.rate_hz else f"{streams} at any frame rate"


def _figures(card: weights.Card) -> list[str]:
    lines = []
    for protocol in dict.fromkeys(figure.protocol for figure in card.metrics):
        chosen = [figure for figure in card.metrics if figure.protocol == protocol]
        lines += [f"Protocol: {protocol}.", "", "| measure | value |", "|---|---|"]
        lines += [f"| {figure.measure} | {figure.value:g} |" for figure in chosen] + [""]
    return lines


def main() -> None:
    """Print the model card."""
    sys.stdout.write(model_card())


if __name__ == "__main__":
    main()
