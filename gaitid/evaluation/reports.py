"""HTML reports of an evaluation and of a comparison, rendered from their documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid.evaluation import charts
from gaitid.evaluation.comparison import Difference
from gaitid.evaluation.markup import (
    Number,
    drawing,
    facts,
    figure,
    heading,
    page,
    paragraph,
    side_by_side,
    table,
)

_OWN_LINES = ("problems", "left_out_first", "camera_profiles")
"""Facts of an evaluation that the page words itself."""


def evaluation_page(
    document: Mapping[str, Any], silhouettes: Mapping[int, NDArray[np.uint8]] | None = None
) -> str:
    """Render the report of an evaluation.

    Args:
        document: As `experiment.evaluate` returns it, with ``what`` and ``how`` where known.
        silhouettes: (T, H, W) 0/1 of the rows in the document's confusions.
    """
    what, groups = document.get("what", {}), document["groups"]
    body = [
        heading("Result"),
        _result(document),
        *_remarks(document),
        heading("Closed-set identification"),
        *_identification(groups),
        heading("Verification"),
        *_verification(groups),
        heading("Open-set identification"),
        *_open_set(groups),
        heading("Score calibration"),
        *_calibration(groups),
        *_breakdowns(groups),
        *_confusions(groups, silhouettes or {}),
        heading("How this was measured"),
        facts(_how(document)),
    ]
    name = what.get("encoder", "embeddings") + profiled(document)
    people = "SYNTHETIC subjects, not real people" if what.get("synthetic") else "subjects"
    lead = f"{document['sequences']} sequences of {document['subjects']} {people}"
    return page(f"{name} on {document['protocol']['name']}", lead, body)


def profiled(document: Mapping[str, Any]) -> str:
    """Words for the camera profiles that an evaluation used; empty for plain scores."""
    used = document.get("what", {}).get("camera_profiles")
    return "" if used is None else f", with camera profiles of {len(used['subjects'])} other subjects"


def _result(document: Mapping[str, Any]) -> str:
    groups = document["groups"]
    header = ["group"]
    ranks = list(groups[0]["identification"]["rank"])
    precision = document["protocol"]["precision"]
    header += [f"rank-{k} %" for k in ranks] + (["mAP %", "mINP %"] if precision else [])
    reference = groups[0]["verification"]["tar_interval"]["fmr"]
    header += ["EER %", f"TAR % at FMR {100 * reference:g} %", f"FNIR % at FPIR {_open_point(groups)}"]
    rows = []
    for group in groups:
        closed, verified = group["identification"], group["verification"]
        row = [group["name"]]
        low, high = closed["rank_1_interval"]
        for k in ranks:
            row.append(percent(closed["rank"][k]) + (f" | {between(low, high)}" if k == "1" else ""))
        if precision:
            row += [percent(closed["map"]), percent(closed["minp"])]
        row.append(f"{percent(verified['eer'])} | {between(*verified['eer_interval'])}")
        tar = next(p["tar"] for p in verified["tar"] if p["wanted"] == reference)
        ends = verified["tar_interval"]
        row.append(f"{percent(tar)} | {between(ends['low'], ends['high'])}")
        point = headline_point(group)
        row.append(
            "-" if point is None else f"{percent(point['fnir'])} | {between(point['low'], point['high'])}"
        )
        rows.append(row)
    if len(groups) > 1:
        means = [np.mean([g["identification"]["rank"][k] for g in groups]) for k in ranks]
        mean = ["mean", *(percent(float(mean)) for mean in means)]
        rows.append(mean + [""] * (len(header) - len(mean)))
    return _table(header, rows)


def headline_point(group: Mapping[str, Any]) -> dict[str, Any] | None:
    """The open-set figure that stands for a group: first rank at the last FPIR; None if there is none."""
    if not group["open_set"]:
        return None
    wanted = group["open_set"]["law_fpir"]
    points: list[dict[str, Any]] = group["open_set"]["points"]
    return next(point for point in points if point["fpir"] == wanted)


def _open_point(groups: Sequence[Mapping[str, Any]]) -> str:
    point = next((p for p in map(headline_point, groups) if p is not None), None)
    return "-" if point is None else f"{100 * point['fpir']:g} %, rank {point['rank'] or 'any'}"


def _remarks(document: Mapping[str, Any]) -> list[str]:
    convention = document["plan"]["convention"]
    views = {
        "nothing": "all views compared",
        "view": "identical view excluded",
        "mate-view": "pairs of the same subject and view excluded",
    }[document["protocol"]["exclude"]]
    said = [
        _aside(
            f"Protocol {document['protocol']['name']} ({document['protocol']['source']}), {views}; "
            f"convention {convention}, metric {document['plan']['metric']}. "
            "Figures in small print are 95 % intervals over subjects."
        )
    ]
    for group in document["groups"]:
        closed = group["identification"]
        if closed["unmated"] or closed["empty_cells"]:
            said.append(
                paragraph(
                    f"{group['name']}: {closed['unmated']} of {closed['probes']} searches have no mate in "
                    f"the gallery, and {closed['empty_cells']} cells are empty. If each such search counts "
                    f"as a miss, rank-1 is {percent(closed['floor'])} %.",
                    kind="note",
                )
            )
    left_out = document.get("what", {}).get("left_out", 0)
    if left_out:
        said.append(
            paragraph(f"{left_out} sequences of the data set could not be embedded: see below.", kind="note")
        )
    return said


def _identification(groups: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    yield side_by_side(
        drawing(charts.cmc(groups), "cumulative match characteristic"),
        _table(
            ["group", "probes", "gallery", "subjects"],
            [[g["name"], str(g["probes"]), str(g["gallery"]), str(g["gallery_subjects"])] for g in groups],
        ),
    )
    maps = [(group["name"], charts.views(group)) for group in groups]
    yield side_by_side(*(drawing(drawn, f"rank-1 by view pair, {name}") for name, drawn in maps if drawn))


def _verification(groups: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    measured = {group["name"]: group["verification"] for group in groups}
    first = next(iter(measured.values()))
    priors, fmrs = list(first["min_dcf"]), [point["wanted"] for point in first["tar"]]
    yield _table(
        ["group", "genuine", "impostor", "EER %", "EER % (hull)", "d'", *(f"minDCF {p}" for p in priors)],
        [
            [
                name,
                f"{one['genuine']:,}",
                f"{one['impostor']:,} | of {one['impostors_compared']:,}",
                percent(one["eer"]),
                percent(one["eer_hull"]),
                "-" if one["d_prime"] is None else f"{one['d_prime']:.2f}",
                *(f"{one['min_dcf'][prior]:.3f}" for prior in priors),
            ]
            for name, one in measured.items()
        ],
    )
    yield _aside(
        "EER is given interpolated and for the ROC's convex hull; minDCF by the prior of a genuine pair, "
        "with equal costs. TAR is unresolved where fewer than 1 / FMR impostor pairs were compared."
    )
    rows = [
        [name, *(percent(p["tar"]) + ("" if p["resolved"] else " | unresolved") for p in one["tar"])]
        for name, one in measured.items()
    ]
    yield side_by_side(
        drawing(charts.det(groups), "detection error trade-off"),
        _table(["group", *(f"{100 * fmr:g} %" for fmr in fmrs)], rows, "TAR % at FMR"),
    )
    yield side_by_side(*(drawing(charts.histogram(g), f"scores, {g['name']}") for g in groups))


def _open_set(groups: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    shown = [group for group in groups if group["open_set"]]
    if not shown:
        yield paragraph("Not measured: fewer than two subjects are in both the gallery and the probes.")
        return
    points = shown[0]["open_set"]["points"]
    header = [
        "group",
        "enrolled",
        *(f"FPIR {100 * p['fpir']:g} %, rank {p['rank'] or 'any'}" for p in points),
    ]
    rows = [
        [
            group["name"],
            str(group["open_set"]["enrolled"]),
            *(
                f"{percent(p['fnir'])} | {between(p['low'], p['high'])}"
                f"{'' if p['resolved'] else ', unresolved'}"
                for p in group["open_set"]["points"]
            ),
        ]
        for group in shown
    ]
    yield _table(header, rows, "FNIR %")
    yield _aside(
        "A random half of the subjects is enrolled; probes of the other half are non-mated. Figures are "
        "means over splits. Dotted lines: FPIR if the comparisons of a search were independent."
    )
    drawn = charts.gallery_growth(shown)
    if drawn is not None:
        yield drawing(drawn, "error rates as the gallery grows")


def _calibration(groups: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    shown = [group for group in groups if group["calibration"]]
    if not shown:
        yield paragraph("Not measured: too few subjects to fit on one half and check on the other.")
        return
    rows, checks = [], []
    for group in shown:
        one = group["calibration"]
        fit = one["tail"]
        rows.append(
            [
                group["name"],
                f"{one['slope']:.2f} s {one['offset']:+.2f}",
                f"{one['cllr']:.3f}",
                f"{one['min_cllr']:.3f}",
                *(
                    ["-"] * 3
                    if not fit
                    else [f"{fit['shape']:.2f}", f"{fit['ks_distance']:.3f}", f"{fit['p_value']:.2f}"]
                ),
            ]
        )
        if fit:
            checks.append([group["name"], *(f"{100 * check['observed']:.3g}" for check in fit["held_out"])])
    yield _table(
        ["group", "log LR of score s", "Cllr", "min Cllr", "tail shape", "KS distance", "p of fit"], rows
    )
    yield _aside(
        "Fitted on one half of the subjects; Cllr is measured on the other half (0 is perfect, 1 is without "
        "information). The tail is a generalised Pareto distribution. With a small p it does not fit and "
        "must not be extrapolated."
    )
    if checks:
        fitted = next(g["calibration"]["tail"] for g in shown if g["calibration"]["tail"])
        wanted = [f"{100 * check['fmr']:g}" for check in fitted["held_out"]]
        yield _table(
            ["group", *wanted], checks, "Target FMR % (columns) and FMR % observed on the other half"
        )
    drawn = [(group["name"], charts.tail(group)) for group in shown]
    yield side_by_side(*(drawing(one, f"FMR by threshold, {name}") for name, one in drawn if one))


def _breakdowns(groups: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    body = []
    for group in groups:
        for column, rows in group["breakdown"]["by"].items():
            body.append(
                _table(
                    [column, "pairs", "rank-1 %", "EER %", "FNMR %", "FMR %"],
                    [
                        [
                            row["value"],
                            f"{row['genuine']:,}",
                            percent(row["rank_1"]),
                            percent(row["eer"]),
                            percent(row["fnmr"]),
                            percent(row["fmr"], 3),
                        ]
                        for row in rows
                    ],
                    f"{group['name']}, by the probe's {column}",
                )
            )
    if body:
        fmr = groups[0]["breakdown"]["fmr"]
        remark = f"FNMR and FMR are at the threshold where all pairs of the group have FMR {100 * fmr:g} %."
        yield heading("By condition, view and covariate")
        yield _aside(remark)
        yield side_by_side(*body)


def _confusions(
    groups: Sequence[Mapping[str, Any]], silhouettes: Mapping[int, NDArray[np.uint8]]
) -> Iterable[str]:
    for group in groups:
        drawn = []
        for one in group["confusions"]:
            names = {
                f"{role} {one[key]['subject']}\n{one[key]['sequence']} {one[key]['view']}": one[key]["row"]
                for role, key in (("probe", "probe"), ("best mate", "mate"), ("best other", "other"))
            }
            if all(row in silhouettes for row in names.values()):
                strips = {name: silhouettes[row] for name, row in names.items()}
                drawn.append(figure(charts.walks(strips), f"wrong subject leads by {-one['lead']:.3f}"))
        if drawn:
            yield heading(f"Hardest confusions, {group['name']}")
            yield side_by_side(*drawn)


def _how(document: Mapping[str, Any]) -> dict[str, Any]:
    plan, what, how = document["plan"], document.get("what", {}), document.get("how", {})
    shown = {
        **{key: value for key, value in what.items() if key not in _OWN_LINES},
        **_profiles(what),
        "problems of the data set": _counted(what.get("problems", {})) or "none found",
        "first sequences left out": "; ".join(what.get("left_out_first", [])),
        "convention, metric, seed": f"{plan['convention']}, {plan['metric']}, {plan['seed']}",
        **{key: value for key, value in how.items() if key != "cpu_seconds"},
        "CPU seconds": _counted({key: f"{value:.1f}" for key, value in how.get("cpu_seconds", {}).items()}),
    }
    return {key.replace("_", " "): value for key, value in shown.items() if value != ""}


def _profiles(what: Mapping[str, Any]) -> dict[str, str]:
    used = what.get("camera_profiles")
    if used is None:
        return {}
    missing = f"; views without one: {', '.join(used['missing'])}" if used["missing"] else ""
    return {
        "camera profiles": f"means of {used['walks']} walks of {len(used['subjects'])} subjects of the train"
        f" part ({', '.join(used['subjects'])}), one for each of {used['views']} views{missing}"
    }


def _counted(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def comparison_page(
    first: Mapping[str, Any], second: Mapping[str, Any], differences: Sequence[Difference]
) -> str:
    """Render the report of a comparison."""
    names = [
        document.get("what", {}).get("encoder", "?") + profiled(document) for document in (first, second)
    ]
    rows = [
        [
            one.group,
            one.figure,
            one.subjects,
            Number(percent(one.first)),
            Number(percent(one.second)),
            Number(f"{100 * (one.second - one.first):+.2f}", between(one.low, one.high, 2)),
            Number(f"{one.p_value:.4f}"),
            one.verdict,
        ]
        for one in differences
    ]
    header = ["group", "figure", "subjects", "first %", "second %", "difference", "p", "the second is"]
    remark = (
        "Means are over the subjects of both evaluations, so they may differ from figures averaged over "
        "cells. 95 % intervals draw subjects with replacement. p-values flip signs over subjects, without "
        "correction for the number of rows."
    )
    body = [
        heading("Differences"),
        table(header, rows),
        _aside(remark),
        heading("First"),
        facts(_how(first)),
        heading("Second"),
        facts(_how(second)),
    ]
    return page(f"{names[0]} and {names[1]}", f"on {first['protocol']['name']}", body)


def percent(rate: float | None, digits: int = 2) -> str:
    """Format a fraction as a percentage; a dash if it could not be measured."""
    return "-" if rate is None else f"{100 * rate:.{digits}f}"


def between(low: float | None, high: float | None, digits: int = 1) -> str:
    """Format an interval of fractions in percent; empty without an interval."""
    return "" if low is None or high is None else f"{100 * low:.{digits}f} to {100 * high:.{digits}f}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """Build a table of a name and numbers; text after `` | `` in a cell is small print below it."""
    return table(header, [[row[0], *map(_number, row[1:])] for row in rows], caption=caption)


def _number(cell: str) -> Number:
    value, _, aside = cell.partition(" | ")
    return Number(value, aside)


def _aside(words: str) -> str:
    return paragraph(words, kind="aside")
