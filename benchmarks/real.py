"""Encoders on real people: CASIA-B, plain and with camera profiles.

    python -m benchmarks.real --root FOLDER [--encoders NAME-OR-FILE ...] [--picture FILE.png]

FOLDER is CASIA-B as a prepared data set (`gaitid dataset prepare`). Probes and gallery are its test part, by
the published protocol: gallery nm-01 to nm-04, probes nm-05, nm-06, bg and cl, one view against another. A
view stands for a camera. Its profile is the mean embedding of all walks of ten other people, who are drawn
from the train part; nobody labels them. Figures with profiles are means over three draws of those ten.

- rank-1 by condition, and by difference of views in degrees;
- EER, and what the thresholds by the encoder's card promise (FMR 0.1 % and 1 %) and hold: cross view
  over pairs of different views, same view over pairs of equal ones, probes of all three conditions;
- ten residents: of ten people two walks from 36, 72 and 108 degrees are enrolled; they and the other test
  subjects come past 54, 90 and 126 degrees in all three conditions; mean of twenty choices of residents.
  Their profiles are learned from ten other people, or from the residents' own two walks in each view.

No figure of this script comes from people whom a shipped encoder was trained on. It writes figures only: the
data may be used for research and not be passed on. Minutes for each encoder on two cores.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import harness
from gaitid.datasets.base import TEST, TRAIN, Dataset, DatasetEntry
from gaitid.datasets.opening import open_dataset
from gaitid.encoders.base import Encoder, impostors_of, load_encoder, parts_of
from gaitid.evaluation.embedding import embed
from gaitid.evaluation.profiles import corrected_by_view, drawn, view_means
from gaitid.evaluation.verification import eer, errors
from gaitid.gallery.scoring.calibration import of_card
from gaitid.records import OperatingPoint

SOURCE = "CASIA-B (Yu, Tan, Tan, ICPR 2006)"
GALLERY = ("nm-01", "nm-02", "nm-03", "nm-04")
PROBES = {"NM": ("nm-05", "nm-06"), "BG": ("bg-01", "bg-02"), "CL": ("cl-01", "cl-02")}
DIFFERENCES = (0, 18, 36, 54, 72, 90)
PEOPLE, DRAWS = 10, 3
RESIDENTS, HOMES = 10, 20
ENROLLED, PASSED = ("036", "072", "108"), ("054", "090", "126")
RATES = (0.001, 0.01)
FPIR = 0.1
_SHARE = 256
"""Walks that a process embeds at a time."""

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class _Share:
    """Some entries of a data set, as a data set."""

    whole: Dataset
    chosen: tuple[DatasetEntry, ...]

    @property
    def name(self) -> str:
        return self.whole.name

    def entries(self, part: str) -> list[DatasetEntry]:
        return list(self.chosen)

    def load(self, entry: DatasetEntry) -> Any:
        return self.whole.load(entry)


_held: dict[str, Any] = {}


def _open(root: Path, encoder: str) -> None:
    _held["dataset"], _held["encoder"] = open_dataset("casia-b", root), load_encoder(encoder)


def _embed(entries: tuple[DatasetEntry, ...]) -> tuple[Floats, tuple[DatasetEntry, ...]]:
    found = embed(_Share(_held["dataset"], entries), _held["encoder"])  # type: ignore[arg-type]
    return found.vectors, found.entries


def embedded(root: Path, encoder: str, entries: Sequence[DatasetEntry], workers: int) -> Walks:
    """Embed the entries; those that the encoder refuses are left out. Progress goes to stderr."""
    shares = [tuple(entries[at : at + _SHARE]) for at in range(0, len(entries), _SHARE)]
    vectors, kept = [], []
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the workers already use all cores
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _open, (root, encoder)) as pool:
        for number, (found, accepted) in enumerate(pool.map(_embed, shares), 1):
            vectors.append(found)
            kept += accepted
            done = min(_SHARE * number, len(entries))
            print(f"\r{encoder}: {done} of {len(entries)} walks", end="", file=sys.stderr, flush=True)
    print(f", {len(kept)} embedded", file=sys.stderr)
    columns = ([one.subject for one in kept], [one.view for one in kept], [one.sequence for one in kept])
    return Walks(np.concatenate(vectors), *(np.array(column) for column in columns))


@dataclass(frozen=True, eq=False)
class Walks:
    """Embeddings (N, D) of some walks, with subject, view in degrees and sequence (N,) of each."""

    vectors: Floats
    subject: NDArray[np.str_]
    view: NDArray[np.str_]
    sequence: NDArray[np.str_]

    def where(self, mask: Mask) -> Walks:
        """The walks that a mask (N,) selects."""
        return Walks(self.vectors[mask], self.subject[mask], self.view[mask], self.sequence[mask])

    def of(self, sequences: Sequence[str], views: Sequence[str] = ()) -> Walks:
        """The walks of these names, from these views or from all."""
        mask = np.isin(self.sequence, sequences)
        return self.where(mask & np.isin(self.view, views) if views else mask)

    def profiled(self, others: Walks, parts: int) -> Walks:
        """The same walks, corrected by the profiles that other walks give."""
        means = view_means(others.vectors, others.view)
        vectors = corrected_by_view(self.vectors, self.view, means, parts)
        return Walks(vectors, self.subject, self.view, self.sequence)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Every probe against every walk of the gallery: scores, mates and degrees between views, all (n, m)."""

    scores: Floats
    mates: Mask
    degrees: NDArray[np.int64]

    @classmethod
    def of(cls, probes: Walks, gallery: Walks) -> Comparison:
        """Compare probes with a gallery."""
        views = [walks.view.astype(int) for walks in (probes, gallery)]
        return cls(
            probes.vectors @ gallery.vectors.T,
            probes.subject[:, None] == gallery.subject,
            np.abs(views[0][:, None] - views[1]),
        )


def rank_1(walks: Walks, condition: str) -> dict[str, float]:
    """Percent found first: mean over pairs of views that differ, and by the degrees between them.

    A cell is one probe view against one gallery view; probes without a mate in it are left out.
    """
    cells: dict[int, list[float]] = {}
    gallery = walks.of(GALLERY)
    for probe_view in np.unique(walks.view):
        probes = walks.of(PROBES[condition], [probe_view])
        for view in np.unique(gallery.view):
            one = Comparison.of(probes, gallery.where(gallery.view == view))
            mated = one.mates.any(1)
            if mated.any():
                right = np.take_along_axis(one.mates, one.scores.argmax(1)[:, None], 1)[:, 0]
                cells.setdefault(abs(int(probe_view) - int(view)), []).append(float(right[mated].mean()))
    different = [share for degrees, shares in cells.items() if degrees for share in shares]
    by_degrees = {str(d): _percent(np.mean(cells[d])) for d in DIFFERENCES if d in cells}
    return {"different views": _percent(np.mean(different)), **by_degrees}


def rates(walks: Walks, thresholds: dict[float, float]) -> dict[str, Any]:
    """EER, and FMR and FNMR in percent at thresholds by the FMR that they promise."""
    gallery = walks.of(GALLERY)
    found: dict[str, Any] = {}
    for condition, sequences in PROBES.items():
        one = Comparison.of(walks.of(sequences), gallery)
        cross = one.degrees > 0
        found[f"EER {condition}"] = _percent(eer(errors(one.scores[cross], one.mates[cross]))[0])
    every = Comparison.of(walks.of([name for names in PROBES.values() for name in names]), gallery)
    for kind, mask in (("cross view", every.degrees > 0), ("same view", every.degrees == 0)):
        others, mates = every.scores[mask & ~every.mates], every.scores[mask & every.mates]
        found[f"{kind}: mean and deviation of other people"] = [
            round(float(others.mean()), 3),
            round(float(others.std()), 3),
        ]
        for fmr, at in thresholds.items():
            found[f"{kind}: FMR where {fmr:.1%} is promised"] = _percent(np.mean(others >= at), 3)
            found[f"{kind}: FNMR there"] = _percent(np.mean(mates < at))
        for fmr in RATES:
            true = np.quantile(others, 1 - fmr)
            found[f"{kind}: FNMR at a true FMR of {fmr:.1%}"] = _percent(np.mean(mates < true))
    return found


def promised(encoder: Encoder, *, corrected: bool) -> dict[float, float]:
    """Thresholds that a gallery without calibration takes from the card, by FMR; empty without a card.

    Args:
        encoder: The encoder.
        corrected: Thresholds of scores that camera profiles have corrected.
    """
    card = of_card(impostors_of(encoder), impostors_of(encoder, corrected=True))
    if card is None:
        return {}
    fitting = card.fitting(corrected=corrected)
    return {fmr: fitting.resolve(OperatingPoint(fmr=fmr), 1).threshold for fmr in RATES}


def home(walks: Walks, others: Walks | None, parts: int, seed: int, *, own: bool = False) -> list[float]:
    """Rank-1 and FNIR at an FPIR of 10 %, in percent, for one choice of ten residents.

    Args:
        walks: All test walks.
        others: Walks that supply the profiles; None for none.
        parts: Blocks of an embedding.
        seed: Number of the choice.
        own: Learn the profiles from the residents' enrolment walks instead.
    """
    residents = drawn(walks.subject, RESIDENTS, seed)
    enrolled = walks.where(np.isin(walks.subject, residents)).of(GALLERY[:2])
    source = enrolled if own else others
    if source is not None:
        walks, enrolled = walks.profiled(source, parts), enrolled.profiled(source, parts)
    gallery = enrolled.of(GALLERY[:2], ENROLLED)
    probes = walks.of([name for names in PROBES.values() for name in names], PASSED)
    one = Comparison.of(probes, gallery)
    best, right = one.scores.max(1), np.take_along_axis(one.mates, one.scores.argmax(1)[:, None], 1)[:, 0]
    at_home = np.isin(probes.subject, residents)
    reach = np.quantile(best[~at_home], 1 - FPIR)
    missed = ~right[at_home] | (best[at_home] < reach)
    return [100 * float(right[at_home].mean()), 100 * float(missed.mean())]


def homes(walks: Walks, others: Walks | None, parts: int, *, own: bool = False) -> dict[str, float]:
    """Means over choices of residents; see `home`."""
    found = np.mean([home(walks, others, parts, seed, own=own) for seed in range(HOMES)], 0)
    return {"rank-1": round(float(found[0]), 1), "FNIR at FPIR 10 %": round(float(found[1]), 1)}


def measure(walks: Walks, others: Sequence[Walks], encoder: Encoder) -> dict[str, Any]:
    """Every figure of one encoder, plain and with the profiles of each draw of other people."""
    parts = parts_of(encoder)
    plain, corrected = (promised(encoder, corrected=kind) for kind in (False, True))
    versions = [walks.profiled(one, parts) for one in others]
    result: dict[str, Any] = {
        "dimension": encoder.dimension,
        "parts": parts,
        "thresholds": {
            way: {f"FMR {fmr:.1%}": round(at, 3) for fmr, at in kind.items()}
            for way, kind in (("plain", plain), ("profiles", corrected))
        },
        "length of the mean of a view": round(
            float(np.mean([np.linalg.norm(m) for m in view_means(walks.vectors, walks.view).values()])), 2
        ),
        "rank-1": {
            "plain": {name: rank_1(walks, name) for name in PROBES},
            "profiles": mean_of([{name: rank_1(one, name) for name in PROBES} for one in versions]),
        },
        "rates": {
            "plain": rates(walks, plain),
            "profiles": mean_of([rates(one, corrected) for one in versions]),
        },
        "ten residents": {
            "plain": homes(walks, None, parts),
            "profiles": mean_of([homes(walks, one, parts) for one in others]),
            "own profiles": homes(walks, None, parts, own=True),
        },
    }
    return result


def mean_of(found: Sequence[Any]) -> Any:
    """Mean of equal trees of numbers, to three digits after the point."""
    first = found[0]
    if isinstance(first, dict):
        return {key: mean_of([one[key] for one in found]) for key in first}
    if isinstance(first, list):
        return [mean_of(column) for column in zip(*found, strict=True)]
    return round(float(np.mean(found)), 3)


def _percent(share: float | np.floating, digits: int = 1) -> float:
    return round(100 * float(share), digits)


def table(name: str, found: dict[str, Any]) -> str:
    """The figures of one encoder as text."""
    lines = [f"{name}: {found['dimension']} dimensions, {found['parts']} part(s), {SOURCE}, test part"]
    head = "".join(f"{degrees:>7}" for degrees in DIFFERENCES)
    lines.append(f"  {'rank-1 %':<22}{'views':>7}{head}")
    for way in ("plain", "profiles"):
        for condition, row in found["rank-1"][way].items():
            lines.append(
                f"  {way + ', ' + condition:<22}" + "".join(f"{value:7.1f}" for value in row.values())
            )
    lines.append(f"  {'rates':<44}{'plain':>16}{'profiles':>16}")
    for key, value in found["rates"]["plain"].items():
        pair = (value, found["rates"]["profiles"][key])
        lines.append(f"  {key:<44}" + "".join(f"{_shown(one):>16}" for one in pair))
    for way, row in found["ten residents"].items():
        shown = ", ".join(f"{key} {value:.1f}" for key, value in row.items())
        lines.append(f"  ten residents, {way:<14}{shown}")
    return "\n".join(lines)


def _shown(value: float | list[float]) -> str:
    return " +- ".join(f"{one:.2f}" for one in value) if isinstance(value, list) else f"{value:.2f}"


def draw(results: dict[str, dict[str, Any]], path: Path) -> None:
    """Draw rank-1 by difference of views, a panel for each condition."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, len(PROBES), figsize=(11, 3.4), sharey=True)
    for panel, condition in zip(panels, PROBES, strict=True):
        for colour, (name, found) in enumerate(results.items()):
            for way, style in (("plain", "--"), ("profiles", "-")):
                row = found["rank-1"][way][condition]
                values = [row[str(degrees)] for degrees in DIFFERENCES]
                panel.plot(DIFFERENCES, values, style, color=f"C{colour}", label=f"{name}, {way}")
        panel.set(title=condition, xlabel="difference of views, degrees", ylim=(0, 100), xticks=DIFFERENCES)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("rank-1, %")
    panels[0].legend(fontsize=7)
    figure.suptitle(f"{SOURCE}, test part", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Embed, measure, print and save."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("--root", type=Path, default=Path("out/casia-b-dev"), help="prepared CASIA-B")
    parser.add_argument("--encoders", nargs="+", default=["strider"], help="names or weight files")
    parser.add_argument("--workers", type=int, default=2, help="processes that embed (default: 2)")
    parser.add_argument("--picture", type=Path, help="PNG file of rank-1 by difference of views")
    options = parser.parse_args()
    dataset = open_dataset("casia-b", options.root)
    tested, trained = dataset.entries(TEST), dataset.entries(TRAIN)
    draws = [drawn(np.array([e.subject for e in trained]), PEOPLE, draw) for draw in range(DRAWS)]
    needed = [e for e in trained if e.subject in np.concatenate(draws)]
    results: dict[str, dict[str, Any]] = {}
    for name in options.encoders:
        started = time.monotonic()
        encoder = load_encoder(name)
        every = embedded(options.root, name, [*tested, *needed], options.workers)
        strangers = np.isin(every.subject, np.concatenate(draws))
        others = [every.where(np.isin(every.subject, chosen)) for chosen in draws]
        label = Path(name).stem
        results[label] = measure(every.where(~strangers), others, encoder)
        results[label]["wall_s"] = round(time.monotonic() - started)
        print(table(label, results[label]), flush=True)
    if options.picture is not None:
        draw(results, options.picture)
    report = {
        **harness.facts(__file__),
        "source": SOURCE,
        "people": {"test": len({e.subject for e in tested})},
    }
    harness.save({**report, "unit": "percent", "results": results}, options.out, show=False)


if __name__ == "__main__":
    main()
