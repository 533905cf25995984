"""``gaitid evaluate``: evaluate an encoder on a data set, or compare two results.

Writes result.json and report.html; for a protocol with hidden labels, submission.csv. With camera profiles
the same figures follow once more, in result-profiles.json and report-profiles.html.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaitid import registry
from gaitid.cli.files import make_folder
from gaitid.cli.progress import Bar
from gaitid.datasets.base import Dataset, find_synthetic_mark, summary
from gaitid.datasets.opening import open_dataset
from gaitid.datasets.protocol import Group, Protocol
from gaitid.encoders.base import Encoder, load_encoder, wants_gray
from gaitid.errors import InputError
from gaitid.evaluation.comparison import Difference, compare, read
from gaitid.evaluation.embedding import Embedded, embed
from gaitid.evaluation.experiment import ExperimentPlan, evaluate, plain
from gaitid.evaluation.identification import CONVENTIONS, candidates
from gaitid.evaluation.profiles import CameraProfiles, learned
from gaitid.evaluation.provenance import provenance
from gaitid.evaluation.reports import comparison_page, evaluation_page, headline_point, profiled
from gaitid.evaluation.scores import METRICS, Metric

_NO_GRAY = (
    "warning: encoder {encoder} was trained on gray silhouettes, and {root} was prepared without them; "
    "prepare it with --gray"
)
RESULT, PAGE, SUBMISSION = "result.json", "report.html", "submission.csv"
PROFILED_RESULT, PROFILED_PAGE = "result-profiles.json", "report-profiles.html"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid evaluate``."""
    parser.add_argument("--dataset", choices=registry.names("datasets"))
    parser.add_argument("--root", help="directory of the data set, original or prepared")
    parser.add_argument(
        "--encoder", help=f"{', '.join(registry.names('encoders'))}, or a weight file, NAME.safetensors"
    )
    parser.add_argument("--protocol", default="", help="published protocol (default: the usual one)")
    parser.add_argument(
        "--partition", help="JSON file with TRAIN_SET and TEST_SET (default: the published partition)"
    )
    parser.add_argument(
        "--convention",
        choices=CONVENTIONS,
        default="ours",
        help="ours reports searches without a mate; opengait counts as OpenGait does (default: ours)",
    )
    parser.add_argument("--metric", choices=METRICS, default="cos", help="cos or euc (default: %(default)s)")
    parser.add_argument(
        "--camera-profiles",
        type=int,
        default=0,
        metavar="N",
        help="evaluate once more with camera profiles from unlabelled walks of N subjects of the train part"
        " (default: 0 = plain only)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of splits, samples and resampling")
    parser.add_argument("--compare", nargs=2, metavar=("FIRST", "SECOND"), help=f"two {RESULT} files")
    parser.add_argument("--out", help="directory to write into")


def run(options: argparse.Namespace) -> int:
    """Evaluate or compare."""
    if options.compare:
        return _compare(options)
    missing = [f"--{name}" for name in ("dataset", "root", "encoder", "out") if not getattr(options, name)]
    if missing:
        raise InputError(
            f"Flags {', '.join(missing)} are missing",
            "all of them, or --compare FIRST SECOND",
            "Run 'gaitid evaluate --help'",
        )
    encoder = load_encoder(options.encoder)
    dataset = open_dataset(
        options.dataset, options.root, partition=options.partition, gray=wants_gray(encoder)
    )
    if wants_gray(encoder) and not dataset.gray:
        print(_NO_GRAY.format(encoder=encoder.name, root=options.root), file=sys.stderr)
    protocol = dataset.protocol(options.protocol)
    labelled = any(group.labelled for group in protocol.groups)
    if options.camera_profiles:
        _check_profiles(options, labelled)
    started = time.process_time()
    profiles = _learned(options, dataset, encoder)
    embedded = embed(dataset, encoder, raw=options.metric == "euc", progress=Bar(sys.stderr))
    embedding_s = time.process_time() - started
    out = Path(options.out)
    make_folder(out)
    if not labelled:
        return _submit(embedded, protocol, options.metric, out)
    work = _Work(options, dataset, encoder, protocol, embedded, embedding_s)
    work.report(None, out / RESULT, out / PAGE)
    if profiles is not None:
        work.report(profiles, out / PROFILED_RESULT, out / PROFILED_PAGE)
    return 0


def _check_profiles(options: argparse.Namespace, labelled: bool) -> None:
    if options.metric == "euc" or not labelled:
        got = "metric euc" if options.metric == "euc" else f"protocol {options.protocol}, which hides labels"
        raise InputError(
            f"Flag --camera-profiles is used with {got}",
            "metric cos and a protocol with labels",
            "Leave out --camera-profiles",
        )


def _learned(options: argparse.Namespace, dataset: Dataset, encoder: Encoder) -> CameraProfiles | None:
    if not options.camera_profiles:
        return None
    return learned(dataset, encoder, options.camera_profiles, seed=options.seed, progress=Bar(sys.stderr))


@dataclass(frozen=True, slots=True)
class _Work:
    """A data set that was embedded, ready to be evaluated plainly and with camera profiles."""

    options: argparse.Namespace
    dataset: Dataset
    encoder: Encoder
    protocol: Protocol
    embedded: Embedded
    embedding_s: float

    def report(self, profiles: CameraProfiles | None, result: Path, page: Path) -> None:
        """Evaluate, write both files, and print the table and their names."""
        started, options, embedded = time.process_time(), self.options, self.embedded
        plan = ExperimentPlan(metric=options.metric, convention=options.convention, seed=options.seed)
        vectors = embedded.vectors if profiles is None else profiles.correct(embedded)
        document = evaluate(vectors, embedded.labels, self.protocol, plan)
        what = _what(options, self.dataset, self.encoder, embedded)
        if profiles is not None:
            what["camera_profiles"] = _of(profiles, embedded)
        document["what"] = plain(what)
        cpu = {"embedding": self.embedding_s, "figures": time.process_time() - started}
        document["how"] = {**provenance(options.command), "cpu_seconds": cpu}
        _write(result, page, document, self.dataset, embedded)
        _print(document, result)
        print(f"{result}\n{page}")


def _of(profiles: CameraProfiles, embedded: Embedded) -> dict[str, Any]:
    return {
        "subjects": profiles.subjects,
        "walks": profiles.walks,
        "views": len(profiles.means),
        "missing": sorted(set(map(str, embedded.labels.view)) - set(profiles.means)),
    }


def _what(
    options: argparse.Namespace, dataset: Dataset, encoder: Encoder, embedded: Embedded
) -> dict[str, Any]:
    return {
        "dataset": dataset.name,
        "synthetic": find_synthetic_mark(dataset.root) is not None,
        "root": str(Path(options.root).resolve()),
        "encoder": encoder.name,
        "silhouettes": "gray" if wants_gray(encoder) and dataset.gray else "binary",
        "contract": encoder.contract,
        "dimension": encoder.dimension,
        "embedded": len(embedded.entries),
        "left_out": len(embedded.left_out),
        "left_out_first": [f"{'/'.join(entry.key)}: {why}" for entry, why in embedded.left_out[:20]],
        "problems": summary(dataset.problems()),
    }


def _write(result: Path, page: Path, document: dict[str, Any], dataset: Dataset, embedded: Embedded) -> None:
    result.write_text(json.dumps(document, indent=1, allow_nan=False), encoding="utf-8")
    rows = {
        one[role]["row"]
        for group in document["groups"]
        for one in group["confusions"]
        for role in ("probe", "mate", "other")
    }
    walks = {row: dataset.load(embedded.entries[row]).silhouettes for row in rows}
    shown = {row: walk for row, walk in walks.items() if walk is not None}
    page.write_text(evaluation_page(document, shown), encoding="utf-8")


def _print(document: dict[str, Any], result: Path) -> None:
    plan, protocol = document["plan"], document["protocol"]
    print(f"{protocol['name']}, convention {plan['convention']}, metric {plan['metric']}{profiled(document)}")
    for group in document["groups"]:
        closed, verified, point = group["identification"], group["verification"], headline_point(group)
        said = [f"rank-{k} {_percent(rate)}" for k, rate in closed["rank"].items()]
        if protocol["precision"]:
            said += [f"mAP {_percent(closed['map'])}", f"mINP {_percent(closed['minp'])}"]
        said.append(f"EER {_percent(verified['eer'])}")
        if point is not None:
            name = f"FNIR@FPIR {100 * point['fpir']:g} % rank {point['rank']}"
            said.append(f"{name} {_percent(point['fnir'])}")
        print(f"  {group['name']:<10} {'  '.join(said)}")
        if closed["unmated"] or closed["empty_cells"]:
            print(
                f"  {'':<10} {closed['unmated']} of {closed['probes']} searches had no mate, "
                f"{closed['empty_cells']} empty cells; as misses: rank-1 {_percent(closed['floor'])}"
            )
    if document["what"]["left_out"]:
        print(f"  {document['what']['left_out']} sequences left out, see {result.name}")


def _percent(rate: float | None) -> str:
    return "undefined" if rate is None else f"{100 * rate:.2f} %"


def _submit(embedded: Embedded, protocol: Protocol, metric: Metric, out: Path) -> int:
    """Write the submission of a protocol with hidden labels."""
    from gaitid.datasets.grew import CANDIDATES, write_submission

    group: Group = protocol.groups[0]
    found = candidates(embedded.vectors, embedded.labels, group, protocol, count=CANDIDATES, metric=metric)
    videos = embedded.labels.covariates["video"]
    write_submission(out / SUBMISSION, {str(videos[row]): names for row, names in found.items()})
    print(f"{protocol.name}: {len(found)} probes; the publisher of the data set evaluates {out / SUBMISSION}")
    return 0


def _compare(options: argparse.Namespace) -> int:
    first, second = (read(path) for path in options.compare)
    found = compare(first, second, seed=options.seed)
    for one in found:
        print(_line(one))
    if options.out:
        out = Path(options.out)
        make_folder(out)
        (out / "comparison.html").write_text(comparison_page(first, second, found), encoding="utf-8")
        (out / "comparison.json").write_text(json.dumps(plain(found), indent=1), encoding="utf-8")
        print(out / "comparison.html")
    return 0


def _line(one: Difference) -> str:
    gap = 100 * (one.second - one.first)
    return (
        f"{one.group:<8} {one.figure:<22} {100 * one.first:7.2f} % {100 * one.second:7.2f} %  {gap:+6.2f} "
        f"({100 * one.low:+.2f} to {100 * one.high:+.2f})  p {one.p_value:.4f}  {one.verdict}"
    )
