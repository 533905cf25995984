"""Open-set figures: worked examples, plain loops, closed forms, and invariances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaitid.datasets.protocol import Group, Pick, Protocol
from gaitid.errors import InputError
from gaitid.evaluation.identification import group_blocks
from gaitid.evaluation.openset import (
    Split,
    SubjectScorer,
    SubjectScores,
    fnir_at_fpir,
    gallery_growth,
    open_set,
    trial,
    trials,
)

GROUP = Group("NM", Pick(sequences=("nm-05",)), Pick(sequences=("nm-01", "nm-02")))
PROTOCOL = Protocol("t/pooled", "test", (GROUP,), "pooled", "view", "probes")


def table(rows: Any, own: Any) -> SubjectScores:
    own = np.array(own)
    subject = np.where(own >= 0, own, 100 + np.arange(len(own))).astype(np.int32)
    return SubjectScores(np.array(rows, np.float32), own, np.arange(len(own)), subject)


HAND = table(
    # subjects  a    b    c
    [
        [0.9, 0.1, 0.2],  # a, found first
        [0.3, 0.4, 0.1],  # b, found first
        [0.6, 0.5, 0.5],  # b, second behind a
        [0.7, 0.2, 0.9],  # c, but c is not enrolled below: best other 0.7
        [0.1, 0.35, 0.0],  # a stranger: best other 0.35
    ],
    [0, 1, 1, 2, -1],
)
AB = np.array([True, True, False])


def test_a_trial_as_worked_out() -> None:
    found = trial(HAND, AB, np.array([False, False, False, True, True]))
    np.testing.assert_allclose(found.mate, [0.9, 0.4, 0.5])
    assert found.rank.tolist() == [1, 1, 2]
    np.testing.assert_allclose(found.other, [0.7, 0.35])
    assert (found.enrolled, found.probe.tolist()) == (2, [0, 1, 2])


FNIR_BY_HAND = {
    # wanted FPIR, rank, FNIR, FPIR kept
    "no false positive": (0.0, 1, 2 / 3, 0.0),  # threshold above 0.7: only 0.9 stays
    "one of two": (0.5, 1, 1 / 3, 0.5),  # above 0.35: 0.9 and 0.4 stay, 0.5 is second
    "one of two, any rank": (0.5, 0, 0.0, 0.5),
    "one of two, rank 2": (0.5, 2, 0.0, 0.5),
    "all": (1.0, 1, 1 / 3, 1.0),
}


@pytest.mark.parametrize("name", FNIR_BY_HAND)
def test_fnir_as_worked_out(name: str) -> None:
    fpir, rank, fnir, kept = FNIR_BY_HAND[name]
    found = trial(HAND, AB, np.array([False, False, False, True, True]))
    got = fnir_at_fpir(found, fpir, rank)
    assert (got[0], got[2]) == (pytest.approx(fnir), pytest.approx(kept))


def test_a_tie_with_another_subject_counts_against() -> None:
    found = trial(table([[0.5, 0.5], [0.1, 0.1]], [0, -1]), np.array([True, True]), np.array([False, True]))
    assert found.rank.tolist() == [2]


def test_subject_scores_by_plain_loops(cohort: Callable[..., Any]) -> None:
    embeddings, labels = cohort(5)
    probes, gallery, found = group_blocks(embeddings, labels, GROUP, PROTOCOL, "cos", "ours")
    scorer = SubjectScorer(labels, gallery)
    for block in found:
        scorer.add(block)
    scores = scorer.done()
    unit = embeddings / np.linalg.norm(embeddings, axis=2, keepdims=True)
    for row, probe in enumerate(probes):
        assert scores.own[row] == int(labels.subject[probe])
        for subject in range(5):
            wanted = max(
                float((unit[probe] * unit[g]).sum() / 2)
                for g in gallery
                if labels.subject[g] == f"{subject:03d}" and labels.view[g] != labels.view[probe]
            )
            assert scores.scores[row, subject] == pytest.approx(wanted, abs=1e-5)


def independent(probes: int, subjects: int, shift: float, seed: int = 0) -> SubjectScores:
    """Independent normal scores, mates `shift` higher; some probes are non-mated."""
    random = np.random.default_rng(seed)
    rows = random.standard_normal((probes, subjects)).astype(np.float32)
    own = np.arange(probes) % subjects
    rows[np.arange(probes), own] += shift
    return SubjectScores(rows, own, np.arange(probes), own.astype(np.int32))


def test_fpir_of_independent_scores_grows_as_the_formula_says() -> None:
    scores = independent(6000, 200, 4.0)
    growth = gallery_growth(scores, fpir=0.01, split=Split(repeats=10))
    assert [row.subjects for row in growth] == [3, 6, 12, 25, 50, 100]
    assert growth[-1].fpir == pytest.approx(0.01, rel=0.05)
    for row in growth:
        assert row.fpir == pytest.approx(row.fpir_if_independent, rel=0.15)
        assert row.fpir == pytest.approx(1 - 0.99 ** (row.subjects / 100), rel=0.15)
    rates = [row.fnir for row in growth]
    assert rates == sorted(rates)
    assert [row.fnir_fixed for row in growth] == pytest.approx([growth[-1].fnir] * 6, rel=0.1)


def test_fnir_of_independent_scores_is_the_closed_form() -> None:
    from scipy.stats import norm

    scores = independent(8000, 100, 5.0)
    found = trials(scores, Split(repeats=10))
    got = open_set(found, 0.1, 0, Split(repeats=10, resamples=20))
    threshold = norm.isf(1 - 0.9 ** (1 / 50))
    assert got.threshold == pytest.approx(threshold, abs=0.03)
    assert got.fnir == pytest.approx(norm.cdf(threshold - 5), rel=0.06)
    assert got.low < got.fnir < got.high
    assert got.resolved


def test_splits_never_share_subjects_and_differ() -> None:
    scores = independent(300, 30, 3.0)
    found = trials(scores, Split(repeats=5))
    for one in found:
        assert set(one.mated_subject.tolist()).isdisjoint(one.other_subject.tolist())
        assert one.enrolled == 15
        assert len(one.mate) + len(one.other) == 300
    assert len({tuple(sorted(set(one.mated_subject.tolist()))) for one in found}) == 5


def test_too_few_subjects_and_bad_splits_are_refused() -> None:
    with pytest.raises(InputError, match="There are 1 subjects in both"):
        trials(table([[0.5, 0.2]], [0]), Split())
    for bad in ({"enrolled": 1.0}, {"repeats": 0}, {"level": 1.5}):
        with pytest.raises(InputError, match="The split is"):
            Split(**bad)


def test_an_fpir_below_one_probe_is_called_unresolved() -> None:
    split = Split(repeats=2, resamples=0)
    found = trials(independent(100, 10, 3.0), split)
    assert not open_set(found, 0.001, 1, split).resolved


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), fpir=st.floats(0, 1), rank=st.integers(0, 3))
def test_properties(seed: int, fpir: float, rank: int) -> None:
    scores = independent(60, 8, 1.0, seed)
    random = np.random.default_rng(seed)
    enrolled = random.random(8) < 0.6
    enrolled[0] = True
    enrolled[1] = False
    outside = ~enrolled[scores.own]
    found = trial(scores, enrolled, outside)
    fnir, threshold, kept = fnir_at_fpir(found, fpir, rank)
    assert kept <= fpir + 1e-12
    # By the definition, in plain words.
    missed = [
        mate < threshold or (rank > 0 and place > rank)
        for mate, place in zip(found.mate, found.rank, strict=True)
    ]
    assert fnir == pytest.approx(np.mean(missed))
    assert kept == pytest.approx(np.mean(found.other >= threshold))
    # Whole weights are repetitions; scaling the scores changes no rate.
    weights = (np.full(len(found.mate), 3.0), np.full(len(found.other), 2.0))
    assert fnir_at_fpir(found, fpir, rank, weights)[0] == pytest.approx(fnir)
    scaled = SubjectScores(scores.scores * 4, scores.own, scores.probes, scores.subject)
    assert fnir_at_fpir(trial(scaled, enrolled, outside), fpir, rank)[0] == fnir
    # A larger gallery never lowers FPIR at one threshold.
    more = enrolled.copy()
    more[scores.own[~outside]] = True
    assert (trial(scores, np.ones(8, bool), outside).other >= found.other).all()
