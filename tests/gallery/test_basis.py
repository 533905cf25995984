"""No error rate is printed without what it rests on, and none lower than that supports."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gaitid
from gaitid.cli.decisions import show
from gaitid.gallery.scoring.calibration import ScoreCalibration, learn
from gaitid.gallery.scoring.policy import Policy
from gaitid.records import (
    Calibration,
    CalibrationSource,
    Candidate,
    Decision,
    Fusion,
    OperatingPoint,
    Outcome,
    advice,
    basis,
    stated,
)
from tests.impostors import names, people

BASES = {
    CalibrationSource.CARD: "unverified: synthetic subjects, 12,000 comparisons of 40",
    CalibrationSource.SMALL: "the card and 12,000 comparisons of 40 own subjects",
    CalibrationSource.SIMULTANEOUS: "the card and 12,000 comparisons of simultaneous tracks",
    CalibrationSource.GALLERY: "12,000 comparisons of 40 own subjects",
    CalibrationSource.IMPOSTORS: "12,000 comparisons of 300 impostor walks with 40 subjects",
}


def calibration(source: CalibrationSource, *, synthetic: bool = True) -> Calibration:
    return Calibration(source, 40, 300, 12_000, 1.0, 0.01, 0.0, synthetic=synthetic)


@pytest.mark.parametrize("source", list(CalibrationSource))
def test_every_rate_is_stated_with_its_basis(source):
    found = calibration(source)
    assert basis(found) == BASES[source]
    assert stated(0.0123, found) == f"1.2 % ({BASES[source]})"


@pytest.mark.parametrize("rate", [0.0, 6.1e-9, 1 / 12_000])
@pytest.mark.parametrize("source", list(CalibrationSource))
def test_no_rate_is_stated_below_what_the_comparisons_support(source, rate):
    assert stated(rate, calibration(source)) == f"below 1 in 12,000 ({BASES[source]})"


def test_a_card_of_real_people_is_not_called_synthetic():
    assert "synthetic" not in basis(calibration(CalibrationSource.CARD, synthetic=False))
    assert basis(calibration(CalibrationSource.CARD, synthetic=False)).startswith("unverified: ")


def test_a_card_is_never_a_basis_without_the_word_unverified():
    for source in CalibrationSource:
        assert ("unverified" in basis(calibration(source))) == (source is CalibrationSource.CARD)


def test_only_measured_impostors_leave_nothing_to_improve():
    assert advice(None, profiles=True)
    for source in CalibrationSource:
        wanted = source is not CalibrationSource.IMPOSTORS
        assert bool(advice(calibration(source), profiles=True)) is wanted


def test_a_candidate_has_no_rate_below_the_floor():
    vectors = people(60, 1, seed=1)
    known = learn(vectors, names(60, 1), Fusion.MAX)
    floor = 1 / known.info.comparisons
    assert known.fpir([1.0], 60)[0] < floor
    (best,) = Policy(OperatingPoint(0.5), known).explained((Candidate("s", 1.0, "1"),), 60)
    assert best.fpir_at_score == floor


def test_a_decision_prints_no_rate_without_a_calibration(capsys):
    decision = Decision(
        Outcome.MATCH, (Candidate("anna", 0.9, "1", 0.001),), None, OperatingPoint(0.5), 1, "0" * 16
    )
    show(decision, None)
    assert "%" not in capsys.readouterr().out
    show(decision, calibration(CalibrationSource.CARD))
    assert "0.1 % (unverified: synthetic subjects" in capsys.readouterr().out


def test_one_function_states_the_rates_of_a_gallery():
    """Who reads `fpir_at_score` to print it calls `stated`."""
    root = Path(gaitid.__file__).parent
    readers = []
    for file in (
        one for folder in ("cli", "edge", "demo", "server") for one in root.glob(f"{folder}/**/*.py")
    ):
        tree = ast.parse(file.read_text())
        if any(isinstance(node, ast.Attribute) and node.attr == "fpir_at_score" for node in ast.walk(tree)):
            readers.append(file)
            names_ = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
            assert "stated" in names_, file
    assert [file.name for file in readers] == ["decisions.py"]


@pytest.fixture(scope="module")
def known() -> ScoreCalibration:
    return learn(people(80, 2, seed=1), names(80, 2), Fusion.MAX)


@given(
    rates=st.lists(st.floats(1e-6, 0.9), min_size=2, max_size=5),
    subjects=st.lists(st.integers(1, 10_000), min_size=2, max_size=4),
    fields=st.sampled_from(["fmr", "fpir"]),
)
@settings(max_examples=60, deadline=None)
def test_a_lower_rate_or_a_larger_gallery_never_lowers_the_threshold(known, rates, subjects, fields):
    bars = np.array(
        [
            [known.resolve(OperatingPoint(**{fields: rate}), count).threshold for count in sorted(subjects)]
            for rate in sorted(rates)
        ]
    )
    assert (np.diff(bars, axis=0) <= 1e-9).all()
    assert (np.diff(bars, axis=1) >= -1e-9).all()


@given(scores=st.lists(st.floats(-1, 1), min_size=2, max_size=20), subjects=st.integers(1, 1_000))
@settings(max_examples=60, deadline=None)
def test_a_higher_score_never_has_a_higher_rate(known, scores, subjects):
    assert (np.diff(known.fpir(sorted(scores), subjects)) <= 1e-12).all()
