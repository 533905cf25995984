"""MODEL_CARD.md, written from the cards inside the weight files; never by hand.

python -m gaitid.training.model_card > MODEL_CARD.md
"""

from __future__ import annotations

import sys
from pathlib import Path

from gaitid.encoders import weights

FOLDER = Path(__file__).resolve().parents[1] / "gaitid" / "encoders" / "weights"


def model_card(folder: Path = FOLDER) -> str:
    """The text of MODEL_CARD.md for all weight files of a folder."""
    files = sorted(folder.glob("*.safetensors"))
    parts = [
        "**These weights are trained on synthetic walkers, not on people.** Their figures on synthetic "
        "walkers say how one encoder compares with another, and nothing about accuracy on real people: "
        "measure that on your own cameras before you rely on a decision.\n",
        "# Model card\n",
        "Written from the cards inside the weight files (`python -m gaitid.training.model_card`). What the "
        "encoders are is in [docs/encoders.md](docs/encoders.md), how they are made in "
        "[docs/training.md](docs/training.md).\n",
        "**Use**: comparing walks of people who agreed to it, in front of a fixed camera. **Not for**: "
        "identifying anybody without consent, or deciding anything of weight by gait alone. No real "
        "person's data went into the weights; the walkers' bodies and gaits are drawn from published "
        "statistics of adults, so children, walking aids and disabled gaits are not represented.\n",
    ]
    return "\n".join(parts + [_section(weights.load(file), file) for file in files])


def _section(held: weights.Weights, file: Path) -> str:
    card = held.card
    parameters = sum(array.size for array in held.tensors.values())
    facts = {
        "file": f"`{file.name}`, {file.stat().st_size / 1e6:.2f} MB, {parameters / 1e6:.2f} M numbers",
        "sha256 of the tensors": f"`{held.sha256}`",
        "architecture": f"`{card.architecture}` {card.arguments}",
        "reads": f"{', '.join(card.modalities)} at {card.rate_hz:g} Hz, {card.min_frames} frames or more",
        "gives": f"{card.dimension} numbers, unit length",
        "threshold of a new gallery": f"{card.threshold} ({card.threshold_rule})",
        "training data": card.training_data,
        "made": f"{card.date}, commit `{card.commit[:12]}`, `{card.command}`",
        "licence": card.licence,
    }
    if card.impostors is not None:
        who = card.impostors
        facts["scores of different people"] = (
            f"mean {who.mean}, deviation {who.deviation}, {who.pairs} pairs ({who.protocol})"
        )
    lines = [f"## {card.name}\n", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in facts.items()]
    lines += ["", *_figures(card)]
    return "\n".join(lines)


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
