"""An evaluation from embeddings to a document with every figure of every group of a protocol.

The document is plain JSON: `reports` renders it, `comparison` compares two of them. Rates are fractions
0..1; a figure that cannot be measured is null, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid.datasets.protocol import Group, Labels, Protocol
from gaitid.errors import DatasetError, InputError
from gaitid.evaluation import identification, likelihood, openset, verification
from gaitid.evaluation.identification import Convention, Searcher, Searches, group_blocks
from gaitid.evaluation.pairs import LIMIT, Pairs, PairSampler
from gaitid.evaluation.scores import Floats, Metric, Rows, check_embeddings
from gaitid.gallery.scoring.tail import fit_tail

FORMAT = "gaitid-evaluation/1"
CURVE_POINTS = 200
HISTOGRAM_BINS = 80
MOST_VALUES = 40
MOST_SUBJECT_SCORES = 100_000_000
"""400 MB: above this product of probes and gallery subjects, open-set figures sample the probes."""

_TAIL = 0.02
"""Share of the impostors in the tail. Its shape has no prior here, so a poor fit shows."""


@dataclass(frozen=True, slots=True)
class ExperimentPlan:
    """Parameters of an evaluation that the protocol does not fix.

    Attributes:
        metric: See `scores.Scorer`.
        convention: See `identification`.
        fmrs: FMRs at which the TAR is reported.
        reference: The FMR of breakdowns and comparisons, one of `fmrs`.
        fpirs: FPIRs at which the FNIR is reported; comparisons use the last.
        ranks: Ranks R of the open-set figures; 0 = any rank.
        split: How open-set subjects are split.
        confusions: Number of worst confusions to list.
        impostors: Impostor pairs to keep.
        seed: Seed of every random choice.
    """

    metric: Metric = "cos"
    convention: Convention = "ours"
    fmrs: tuple[float, ...] = (0.1, 0.01, 0.001, 0.0001)
    reference: float = 0.001
    fpirs: tuple[float, ...] = (0.1, 0.01)
    ranks: tuple[int, ...] = (1, 5)
    split: openset.Split = field(default_factory=openset.Split)
    confusions: int = 6
    impostors: int = LIMIT
    seed: int = 0


def evaluate(
    embeddings: NDArray[Any], labels: Labels, protocol: Protocol, plan: ExperimentPlan | None = None
) -> dict[str, Any]:
    """Evaluate embeddings by a protocol.

    Args:
        embeddings: (N, P, D) float, parts before dimensions, or (N, D).
        labels: Labels of the N sequences.
        protocol: The published protocol.
        plan: Parameters that it does not fix.

    Returns:
        ``{"format", "protocol", "plan", "sequences", "subjects", "groups": [...]}``, plain JSON.

    Raises:
        InputError: Embeddings are not finite, or do not match the labels.
        DatasetError: A group has no probes, gallery or mates.
    """
    plan = plan or ExperimentPlan()
    parts = check_embeddings(embeddings, len(labels))
    groups = [_group(parts, labels, group, protocol, plan) for group in protocol.groups if group.labelled]
    if not groups:
        raise DatasetError(
            f"Protocol {protocol.name} hides the subjects of its probes",
            "labelled probes",
            "Write its submission file, or pass another protocol",
        )
    document: dict[str, Any] = plain(
        {
            "format": FORMAT,
            "protocol": protocol.describe(),
            "plan": plan,
            "sequences": len(labels),
            "subjects": len(np.unique(labels.subject)),
            "parts": parts.shape[1],
            "groups": groups,
        }
    )
    return document


def _group(
    embeddings: Floats, labels: Labels, group: Group, protocol: Protocol, plan: ExperimentPlan
) -> dict[str, Any]:
    probes, gallery, blocks = group_blocks(embeddings, labels, group, protocol, plan.metric, plan.convention)
    searcher = Searcher(labels, gallery, protocol, plan.convention)
    sampler = PairSampler(gallery, len(probes) * len(gallery), limit=plan.impostors, seed=plan.seed)
    subjects = openset.SubjectScorer(labels, gallery)
    open_probes = _open_probes(probes, gallery, labels, plan.seed)
    for block in blocks:
        searcher.add(block)
        sampler.add(block)
        subjects.add(block.part(open_probes[block.probes]))
    searches, pairs = searcher.done(), sampler.done()
    curve = verification.errors(pairs.scores, pairs.genuine)
    threshold = verification.at_fmr(curve, plan.reference).threshold
    open_set, missed = _open_set(subjects.done(), labels, plan)
    return {
        "name": group.name,
        "probes": len(probes),
        "gallery": len(gallery),
        "gallery_subjects": len(np.unique(labels.subject[gallery])),
        "identification": _identification(searches, labels, protocol, plan),
        "verification": _verification(pairs, curve, labels, plan),
        "calibration": _calibration(pairs, labels, plan),
        "breakdown": _breakdown(pairs, threshold, searches, labels, protocol, plan),
        "open_set": open_set,
        "confusions": _confusions(searches, labels, plan),
        "per_subject": {**_per_subject(pairs, threshold, searches, labels, protocol, plan), **missed},
    }


def _open_probes(probes: Rows, gallery: Rows, labels: Labels, seed: int) -> NDArray[np.bool_]:
    """Mark (N,) bool the probes of the open-set figures: a random sample where all would not fit memory."""
    share = MOST_SUBJECT_SCORES / (len(np.unique(labels.subject[gallery])) * len(probes))
    chosen = np.zeros(len(labels), bool)
    chosen[probes] = np.random.default_rng(seed).random(len(probes)) < share
    return chosen


def _identification(
    searches: Searches, labels: Labels, protocol: Protocol, plan: ExperimentPlan
) -> dict[str, Any]:
    figures = identification.rates(searches, labels, protocol, plan.convention)
    low, high = identification.interval(searches, labels, protocol, seed=plan.seed)
    return {**asdict(figures), "rank_1_interval": [low, high]}


def _verification(
    pairs: Pairs, curve: verification.Errors, labels: Labels, plan: ExperimentPlan
) -> dict[str, Any]:
    genuine, impostor = pairs.split()
    intervals = verification.over_subjects(
        pairs,
        labels,
        {
            "eer": lambda one: verification.eer(one)[0],
            "tar": lambda one: verification.at_fmr(one, plan.reference).tar,
        },
        seed=plan.seed,
    )
    rate, threshold = verification.eer(curve)
    return {
        "genuine": len(genuine),
        "impostor": len(impostor),
        "impostors_compared": pairs.impostors,
        "eer": rate,
        "eer_threshold": threshold,
        "eer_interval": intervals["eer"],
        "eer_hull": verification.eer_of_hull(curve),
        "d_prime": verification.d_prime(genuine, impostor),
        "min_dcf": {str(prior): verification.min_dcf(curve, prior) for prior in (0.5, 0.01, 0.001)},
        "tar": [verification.at_fmr(curve, fmr) for fmr in plan.fmrs],
        "tar_interval": {"fmr": plan.reference, "low": intervals["tar"][0], "high": intervals["tar"][1]},
        "det": _thinned(curve),
        "histogram": _histogram(genuine, impostor),
    }


def _thinned(curve: verification.Errors) -> dict[str, Any]:
    """Reduce the curve to points that are evenly spread on both axes of a DET plot."""
    low = 1.0 / max(curve.genuine, curve.impostor)
    wanted = np.r_[0.0, np.geomspace(low, 1.0, CURVE_POINTS // 2)]
    at = np.unique(
        np.r_[
            np.searchsorted(-curve.fmr, -wanted[::-1]),
            np.searchsorted(curve.fnmr, wanted),
            len(curve.fmr) - 1,
        ].clip(0, len(curve.fmr) - 1)
    )
    return {"threshold": curve.threshold[at], "fmr": curve.fmr[at], "fnmr": curve.fnmr[at]}


def _histogram(genuine: Floats, impostor: Floats) -> dict[str, Any]:
    edges = np.linspace(
        min(genuine.min(), impostor.min()), max(genuine.max(), impostor.max()), HISTOGRAM_BINS + 1
    )
    return {
        "edges": edges,
        "genuine": np.histogram(genuine, edges)[0] / len(genuine),
        "impostor": np.histogram(impostor, edges)[0] / len(impostor),
    }


def _calibration(pairs: Pairs, labels: Labels, plan: ExperimentPlan) -> dict[str, Any] | None:
    """Fit on one half of the subjects and check on the other; None with too few pairs."""
    names = np.unique(labels.subject[np.r_[pairs.probe, pairs.gallery]])
    first = np.isin(labels.subject, np.random.default_rng(plan.seed).permutation(names)[: len(names) // 2])
    inside = pairs.part(first[pairs.probe] & first[pairs.gallery])
    outside = pairs.part(~first[pairs.probe] & ~first[pairs.gallery])
    if any(not 0 < part.genuine.sum() < len(part) for part in (inside, outside)):
        return None
    line = likelihood.logistic(*inside.split())
    genuine, impostor = outside.split()
    found: dict[str, Any] = {
        "slope": line.slope,
        "offset": line.offset,
        "cllr": likelihood.cllr(line(genuine), line(impostor)),
        "min_cllr": likelihood.min_cllr(genuine, impostor),
        "tail": None,
    }
    try:
        tail = fit_tail(inside.split()[1], share=_TAIL, prior=None, bootstraps=0)
        whole = fit_tail(pairs.split()[1], share=_TAIL, prior=None, bootstraps=99, seed=plan.seed)
    except InputError:
        return found  # too few impostors for a tail, so it stays null
    found["tail"] = {
        **{name: getattr(whole, name) for name in ("start", "share", "shape", "scale", "count")},
        "ks_distance": whole.distance,
        "p_value": whole.p_value,
        "thresholds": [{"fmr": fmr, "threshold": whole.threshold(fmr)} for fmr in (*plan.fmrs, 1e-5, 1e-6)],
        "held_out": [
            {"fmr": fmr, "observed": float((impostor >= tail.threshold(fmr)).mean()), "pairs": len(impostor)}
            for fmr in plan.fmrs
        ],
    }
    return found


def _breakdown(
    pairs: Pairs,
    threshold: float,
    searches: Searches,
    labels: Labels,
    protocol: Protocol,
    plan: ExperimentPlan,
) -> dict[str, Any]:
    """Figures by the probe's condition, view and covariates, at the threshold of the whole group."""
    rank_one = identification.hits(searches, labels, protocol)["rank-1"]
    columns = {"condition": labels.condition, "view": labels.view, **labels.covariates}
    tables: dict[str, Any] = {}
    for name, column in columns.items():
        if not 1 < len(np.unique(column[searches.probes])) <= MOST_VALUES:
            continue  # one value repeats the whole group; too many are names, not categories
        parts = pairs.by(column)
        tables[name] = [
            {
                "value": value,
                "genuine": int(part.genuine.sum()),
                "rank_1": _mean(rank_one[column[searches.probes] == value]),
                "eer": verification.eer(verification.errors(part.scores, part.genuine))[0],
                "fnmr": float((part.split()[0] < threshold).mean()),
                "fmr": float((part.split()[1] >= threshold).mean()),
            }
            for value, part in parts.items()
        ]
    return {"fmr": plan.reference, "threshold": threshold, "by": tables}


def _open_set(
    scores: openset.SubjectScores, labels: Labels, plan: ExperimentPlan
) -> tuple[dict[str, Any] | None, dict[str, dict[str, list[float]]]]:
    """Return (FNIR figures and growth with the gallery, missed probes by subject); None with few subjects."""
    try:
        found = openset.trials(scores, plan.split)
    except InputError:
        return None, {}
    fpir, rank = plan.fpirs[-1], plan.ranks[0]
    figures = {
        "probes": len(scores.probes),
        "enrolled": found[0].enrolled,
        "points": [openset.open_set(found, f, r, plan.split) for f in plan.fpirs for r in plan.ranks],
        "law": openset.gallery_growth(scores, fpir=fpir, rank=rank, split=plan.split),
        "law_fpir": fpir,
    }
    missed, subjects = [], []
    for one in found:
        _, threshold, _ = openset.fnir_at_fpir(one, fpir, rank)
        missed.append((one.mate < threshold) | (one.rank > (rank or one.enrolled)))
        subjects.append(labels.subject[scores.probes[one.probe]])
    table = _by_subject(np.concatenate(missed).astype(np.float64), np.concatenate(subjects))
    return figures, {f"FNIR at FPIR {fpir:g}": table}


def _per_subject(
    pairs: Pairs,
    threshold: float,
    searches: Searches,
    labels: Labels,
    protocol: Protocol,
    plan: ExperimentPlan,
) -> dict[str, dict[str, list[float]]]:
    """Return [sum, count] per subject for the figures that `comparison` pairs by subject."""
    subjects = labels.subject[searches.probes]
    tables = {
        name: _by_subject(values, subjects)
        for name, values in identification.hits(searches, labels, protocol).items()
    }
    genuine = pairs.part(pairs.genuine)
    missed = (genuine.scores < threshold).astype(np.float64)
    tables[f"FNMR at FMR {plan.reference:g}"] = _by_subject(missed, labels.subject[genuine.probe])
    return tables


def _by_subject(values: NDArray[np.float64], subjects: NDArray[np.str_]) -> dict[str, list[float]]:
    known = ~np.isnan(values)
    names, codes = np.unique(subjects[known], return_inverse=True)
    sums, counts = np.bincount(codes, values[known]), np.bincount(codes)
    return {str(name): [float(sums[i]), int(counts[i])] for i, name in enumerate(names)}


def _confusions(searches: Searches, labels: Labels, plan: ExperimentPlan) -> list[dict[str, Any]]:
    """List the probes whose best wrong subject leads by most, at most one for a pair of subjects."""
    found: list[dict[str, Any]] = []
    seen: set[tuple[str, str]] = set()
    order = np.argsort(np.where(np.isnan(searches.lead), np.inf, searches.lead), kind="stable")
    for at in order:
        if len(found) == plan.confusions or not searches.lead[at] < 0:
            break
        rows = {
            "probe": searches.probes[at], "mate": searches.best_mate[at], "other": searches.best_other[at]
        }  # fmt: skip
        names = (str(labels.subject[rows["probe"]]), str(labels.subject[rows["other"]]))
        if names in seen:
            continue
        seen.add(names)
        found.append({"lead": float(searches.lead[at]), **{k: _named(v, labels) for k, v in rows.items()}})
    return found


def _named(row: int, labels: Labels) -> dict[str, Any]:
    return {
        "row": int(row),
        "subject": str(labels.subject[row]),
        "sequence": str(labels.sequence[row]),
        "view": str(labels.view[row]),
    }


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan


def plain(value: Any) -> Any:
    """Convert a value to plain JSON: records to objects, arrays to lists, NaN and infinity to null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
