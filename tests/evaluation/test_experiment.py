"""The document of an evaluation, its comparison and its reports."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from gaitid.datasets.protocol import Group, Labels, Pick, Protocol
from gaitid.errors import DatasetError, InputError
from gaitid.evaluation.comparison import compare, read
from gaitid.evaluation.experiment import ExperimentPlan, evaluate, plain
from gaitid.evaluation.openset import Split
from gaitid.evaluation.reports import comparison_page, evaluation_page

GALLERY = Pick(sequences=("nm-01", "nm-02"))
NM, BG = Group("NM", Pick(sequences=("nm-05",)), GALLERY), Group("BG", Pick(sequences=("bg-01",)), GALLERY)
MATRIX = Protocol("t/matrix", "test", (NM, BG), "cells", "view", "cells")
POOLED = Protocol("t/pooled", "test", (NM,), "pooled", "nothing", "probes", ranks=(1, 5), precision=True)
PLAN = ExperimentPlan(split=Split(repeats=4, resamples=5), impostors=20_000, confusions=3)
Make = Callable[..., Any]


@pytest.fixture(scope="module")
def documents(cohort: Make) -> dict[str, dict[str, Any]]:
    """Evaluations of a good and of a worse encoder on the same 30 subjects."""
    good, labels = cohort(30, noise=1.2)
    worse, _ = cohort(30, noise=2.2)
    return {"good": evaluate(good, labels, MATRIX, PLAN), "worse": evaluate(worse, labels, MATRIX, PLAN)}


def test_a_document_is_plain_json_and_repeats(documents: dict[str, Any], cohort: Make) -> None:
    said = json.loads(json.dumps(documents["good"], allow_nan=False))
    assert said == documents["good"]
    embeddings, labels = cohort(30, noise=1.2)
    assert evaluate(embeddings, labels, MATRIX, PLAN) == documents["good"]


def test_figures_are_consistent_with_each_other(documents: dict[str, Any]) -> None:
    for document in documents.values():
        assert (document["sequences"], document["subjects"], document["parts"]) == (360, 30, 2)
        for group in document["groups"]:
            closed, verified = group["identification"], group["verification"]
            low, high = closed["rank_1_interval"]
            assert low <= closed["rank"]["1"] <= high
            assert closed["cmc"] == sorted(closed["cmc"])
            assert verified["eer_interval"][0] <= verified["eer"] <= verified["eer_interval"][1]
            assert verified["eer_hull"] <= verified["eer"] + 1e-9
            assert verified["genuine"] + verified["impostor"] == 90 * 120
            assert sum(verified["histogram"]["genuine"]) == pytest.approx(1.0)
            det = verified["det"]
            assert det["fmr"][0] == 1.0
            assert det["fnmr"][-1] == 1.0
            assert det["fmr"] == sorted(det["fmr"], reverse=True)
            by_view = group["breakdown"]["by"]["view"]
            assert [row["value"] for row in by_view] == ["000", "090", "180"]
            assert sum(row["genuine"] for row in by_view) == verified["genuine"]
            points = group["open_set"]["points"]
            assert all(p["low"] <= p["fnir"] <= p["high"] for p in points)
            assert group["open_set"]["enrolled"] == 15
    good, worse = (documents[name]["groups"][0] for name in ("good", "worse"))
    assert good["identification"]["rank"]["1"] > worse["identification"]["rank"]["1"]
    assert good["verification"]["eer"] < worse["verification"]["eer"]
    assert good["calibration"]["min_cllr"] < worse["calibration"]["min_cllr"]
    assert good["calibration"]["cllr"] >= good["calibration"]["min_cllr"]


def test_confusions_are_wrong_and_the_worst_comes_first(documents: dict[str, Any]) -> None:
    found = documents["worse"]["groups"][0]["confusions"]
    assert len(found) == 3
    assert [one["lead"] for one in found] == sorted(one["lead"] for one in found)
    for one in found:
        assert one["lead"] < 0
        assert one["probe"]["subject"] == one["mate"]["subject"] != one["other"]["subject"]


def test_covariates_are_broken_down_and_mere_names_are_not(cohort: Make) -> None:
    embeddings, labels = cohort(20, noise=2.0)
    sex = np.where(labels.subject < "006", "f", "m")
    video = np.array([f"v{i}" for i in range(len(labels))])
    told = Labels(
        labels.subject, labels.view, labels.condition, labels.sequence, {"sex": sex, "video": video}
    )
    by = evaluate(embeddings, told, POOLED, PLAN)["groups"][0]["breakdown"]["by"]
    assert [row["value"] for row in by["sex"]] == ["f", "m"]
    assert "video" not in by


def test_what_cannot_be_measured_is_null(cohort: Make) -> None:
    embeddings, labels = cohort(1)
    with pytest.raises(InputError, match="at least one of each"):
        evaluate(embeddings, labels, POOLED, PLAN)
    embeddings, labels = cohort(2)
    group = evaluate(embeddings, labels, POOLED, PLAN)["groups"][0]
    assert group["calibration"] is None
    assert group["open_set"]["enrolled"] == 1
    assert plain({"a": float("nan"), "b": np.float32(2), "c": (np.inf,)}) == {
        "a": None,
        "b": 2.0,
        "c": [None],
    }


def test_hidden_labels_are_not_scored(cohort: Make) -> None:
    embeddings, labels = cohort(3)
    hidden = Protocol(
        "t/hidden", "test", (Group("p", Pick(), Pick(), labelled=False),), "pooled", "nothing", "probes"
    )
    with pytest.raises(DatasetError, match="hides the subjects"):
        evaluate(embeddings, labels, hidden)


def test_a_clear_difference_is_significant_and_points_the_right_way(documents: dict[str, Any]) -> None:
    found = compare(documents["good"], documents["worse"], repeats=2000)
    assert {one.group for one in found} == {"NM", "BG"}
    names = {"rank-1", "average precision", "FNMR at FMR 0.001", "FNIR at FPIR 0.01"}
    assert {one.figure for one in found} == names
    for one in found:
        assert one.verdict == "worse"
        assert one.p_value < 0.01
        assert 25 <= one.subjects <= 30  # a few are never enrolled in four splits
        assert one.low <= one.second - one.first <= one.high
        lower_is_better = one.figure.startswith("FN")
        assert (one.second > one.first) == lower_is_better
    assert {one.verdict for one in compare(documents["worse"], documents["good"], repeats=2000)} == {"better"}


def test_equal_evaluations_do_not_differ(documents: dict[str, Any]) -> None:
    for one in compare(documents["good"], documents["good"], repeats=500):
        assert (one.p_value, one.low, one.high, one.verdict) == (1.0, 0.0, 0.0, "no significant difference")


def test_the_test_keeps_its_level() -> None:
    random = np.random.default_rng(1)

    def document() -> dict[str, Any]:
        table = {str(i): [float(random.random()), 1] for i in range(20)}
        return {
            "protocol": {"name": "p"},
            "plan": {"convention": "ours"},
            "groups": [{"name": "g", "per_subject": {"rank-1": table}}],
        }

    found = [compare(document(), document(), repeats=199, seed=i)[0].p_value < 0.05 for i in range(1000)]
    assert 0.03 < np.mean(found) < 0.07


def test_a_sign_flip_test_as_worked_out() -> None:
    def document(values: list[float]) -> dict[str, Any]:
        table = {str(i): [value, 1] for i, value in enumerate(values)}
        return {
            "protocol": {"name": "p"},
            "plan": {"convention": "ours"},
            "groups": [{"name": "g", "per_subject": {"rank-1": table}}],
        }

    # Four equal differences: 2 of the 16 sign patterns are as far from 0 as all of one sign.
    one = compare(document([0.0] * 4), document([1.0] * 4), repeats=8000)[0]
    assert one.p_value == pytest.approx(2 / 16, abs=0.015)


def test_unlike_evaluations_are_not_compared(documents: dict[str, Any], tmp_path: Any) -> None:
    other = {**documents["good"], "protocol": {**documents["good"]["protocol"], "name": "t/other"}}
    with pytest.raises(InputError, match="by protocol t/matrix, the second by t/other"):
        compare(documents["good"], other)
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "none.json")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(InputError, match="format None"):
        read(tmp_path / "other.json")
    (tmp_path / "good.json").write_text(json.dumps(documents["good"]))
    assert read(tmp_path / "good.json") == documents["good"]


class _Checker(HTMLParser):
    """Check that tags close in order, and collect image sources."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag == "img":
            self.sources.append(dict(attrs)["src"])
            assert dict(attrs)["alt"]
        elif tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def checked(html: str) -> list[str]:
    parser = _Checker()
    parser.feed(html)
    assert parser.open == []
    assert all(source.startswith("data:image/") for source in parser.sources)
    assert not re.search(r"(?:href|src)=['\"](?!data:)", html)
    assert "<script" not in html
    assert not re.search(r"\bnan\b|\bNone\b", re.sub(r"base64,[^'\"]*", "", html))
    return parser.sources


def test_the_page_holds_every_picture_and_no_link(documents: dict[str, Any]) -> None:
    document = {
        **documents["worse"],
        "what": {"encoder": "<b>gei</b>", "problems": {"missing_view": 2}, "left_out": 1},
        "how": {"command": "gaitid evaluate --root 'a & b'"},
    }
    walk = np.random.default_rng(0).integers(0, 2, (9, 64, 44), np.uint8)
    html = evaluation_page(document, dict.fromkeys(range(document["sequences"]), walk))
    sources = checked(html)
    # CMC, DET, law; a heat map, histogram and tail for each group; three confusions for each group.
    assert len(sources) >= 3 + 2 * 2 + 2 * 3
    assert "&lt;b&gt;gei" in html
    assert "a &amp; b" in html
    assert "missing_view 2" in html
    assert "1 sequences of the data set could not be embedded" in html


def test_a_page_without_views_walks_or_tail(cohort: Make) -> None:
    embeddings, labels = cohort(5, noise=2.0)
    html = evaluation_page(evaluate(embeddings, labels, POOLED, PLAN))
    assert len(checked(html)) == 4  # CMC, DET, histogram, law
    assert "Hardest" not in html


def test_the_page_says_what_was_dropped(cohort: Make) -> None:
    embeddings, labels = cohort(8, noise=2.0)
    kept = ~((labels.subject == "003") & (labels.sequence != "nm-05"))
    html = evaluation_page(evaluate(embeddings[kept], labels.part(kept), POOLED, PLAN))
    assert "NM: 3 of 24 searches have no mate in the gallery" in html


def test_the_comparison_page(documents: dict[str, Any]) -> None:
    found = compare(documents["good"], documents["worse"], repeats=200)
    html = comparison_page(documents["good"], documents["worse"], found)
    checked(html)
    assert html.count("<td>worse</td>") == len(found)
