"""Verification figures: worked examples, closed forms, pyeer and scikit-learn as references, properties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyeer import eer_stats as pyeer
from scipy.stats import norm
from sklearn.metrics import roc_auc_score, roc_curve

from gaitid.datasets.protocol import Group, Labels, Pick, Protocol
from gaitid.errors import InputError
from gaitid.evaluation.identification import group_blocks
from gaitid.evaluation.pairs import Pairs, PairSampler
from gaitid.evaluation.verification import (
    Errors,
    at_fmr,
    d_prime,
    eer,
    eer_of_hull,
    errors,
    min_dcf,
    over_subjects,
)

GROUP = Group("NM", Pick(sequences=("nm-05",)), Pick(sequences=("nm-01", "nm-02")))
PROTOCOL = Protocol("t/pooled", "test", (GROUP,), "pooled", "view", "probes")


def curve(genuine: Any, impostor: Any) -> Errors:
    return errors(np.r_[genuine, impostor], np.r_[np.ones(len(genuine), bool), np.zeros(len(impostor), bool)])


def normals(count: int = 40_000) -> tuple[Any, Any]:
    """N(2, 1) and N(0, 1) at evenly spaced probabilities: samples without sampling error."""
    drawn = norm.ppf((np.arange(count) + 0.5) / count)
    return drawn + 2.0, drawn


def sampler(cohort: Any, limit: int = 10**9, seed: int = 0) -> Pairs:
    embeddings, labels = cohort
    probes, gallery, found = group_blocks(embeddings, labels, GROUP, PROTOCOL, "cos", "ours")
    gather = PairSampler(gallery, len(probes) * len(gallery), limit=limit, seed=seed)
    for block in found:
        gather.add(block)
    return gather.done()


def test_error_rates_as_worked_out() -> None:
    found = curve([0.5, 0.9], [0.1, 0.5, 0.2, 0.2])
    assert found.threshold.tolist() == [0.1, 0.2, 0.5, 0.9, np.inf]
    assert found.fmr.tolist() == [1.0, 0.75, 0.25, 0.0, 0.0]
    assert found.fnmr.tolist() == [0.0, 0.0, 0.0, 0.5, 1.0]


EER_BY_HAND = {
    # genuine, impostor, interpolated, convex hull
    "one of each, apart": ([1.0], [0.0], 0.0, 0.0),
    "one of each, swapped": ([0.0], [1.0], 1.0, 0.5),
    "all equal": ([1.0, 1.0], [1.0, 1.0], 0.5, 0.5),
    "one in four wrong": ([0.2, 0.6, 0.7, 0.9], [0.0, 0.1, 0.15, 0.65], 0.25, 1 / 6),
    # (FMR, FNMR) steps through (1/2, 0), (1/2, 1/3), (0, 1/3); the hull cuts from (1/2, 0) to (0, 1/3).
    "hull below the steps": ([0.1, 0.8, 0.9], [0.0, 0.4], 1 / 3, 1 / 5),
}


@pytest.mark.parametrize("name", EER_BY_HAND)
def test_eer_as_worked_out(name: str) -> None:
    genuine, impostor, steps, hull = EER_BY_HAND[name]
    found = curve(genuine, impostor)
    assert eer(found)[0] == pytest.approx(steps)
    assert eer_of_hull(found) == pytest.approx(hull)


def test_closed_forms_of_two_normals() -> None:
    genuine, impostor = normals()
    found = curve(genuine, impostor)
    wanted = norm.cdf(-1)
    assert wanted == pytest.approx(0.1587, abs=5e-5)
    rate, threshold = eer(found)
    assert rate == pytest.approx(wanted, abs=2e-4)
    assert threshold == pytest.approx(1.0, abs=2e-3)
    assert eer_of_hull(found) == pytest.approx(wanted, abs=3e-4)
    assert d_prime(genuine, impostor) == pytest.approx(2.0, rel=2e-3)
    assert min_dcf(found, 0.5) == pytest.approx(2 * wanted, abs=5e-4)
    for wanted_fmr in (0.1, 0.01, 0.001):
        point = at_fmr(found, wanted_fmr)
        assert point.tar == pytest.approx(norm.sf(norm.isf(wanted_fmr) - 2), abs=3e-3)
        assert point.fmr <= wanted_fmr


def test_min_dcf_weighs_prior_and_costs() -> None:
    genuine, impostor = normals()
    found = curve(genuine, impostor)
    # The best threshold on log-likelihood ratios is the log of the cost ratio: s = 1 + log(ratio) / 2.
    for prior, miss, false in ((0.01, 1.0, 1.0), (0.5, 10.0, 1.0)):
        ratio = (1 - prior) * false / (prior * miss)
        at = 1 + np.log(ratio) / 2
        cost = prior * miss * norm.cdf(at - 2) + (1 - prior) * false * norm.sf(at)
        assert min_dcf(found, prior, miss=miss, false_match=false) == pytest.approx(
            cost / min(prior * miss, (1 - prior) * false), abs=3e-3
        )


def test_rates_at_an_fmr_as_worked_out() -> None:
    found = curve([0.5, 0.9], [0.1, 0.2, 0.3, 0.6])
    assert (at_fmr(found, 0.25).threshold, at_fmr(found, 0.25).tar) == (0.5, 1.0)
    strict = at_fmr(found, 0.1)
    assert (strict.threshold, strict.fmr, strict.tar, strict.resolved) == (0.9, 0.0, 0.5, False)
    assert at_fmr(found, 0.25).resolved
    thousand = curve([2.0], np.arange(1000) / 1000)
    assert at_fmr(thousand, 0.001).fmr == 0.001
    with pytest.raises(InputError, match="FMR is 0"):
        at_fmr(found, 0.0)


REFUSED = {
    "no genuine": ([], [0.1], "0 genuine and 1 impostor"),
    "no impostor": ([0.1], [], "1 genuine and 0 impostor"),
    "NaN": ([0.1, np.nan], [0.2], "Score 1 is nan"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_scores_are_refused(name: str) -> None:
    genuine, impostor, message = REFUSED[name]
    with pytest.raises(InputError, match=message):
        curve(genuine, impostor)


@pytest.mark.parametrize("seed", range(3))
def test_reference_implementations_agree(seed: int) -> None:
    random = np.random.default_rng(seed)
    genuine, impostor = random.normal(1.5, 1.2, 700), random.normal(0, 1, 1500)
    found = curve(genuine, impostor)

    fpr, tpr, threshold = roc_curve(
        np.r_[np.ones(700), np.zeros(1500)], np.r_[genuine, impostor], drop_intermediate=False
    )
    np.testing.assert_allclose(found.fmr[:-1][::-1], fpr[1:], atol=1e-12)
    np.testing.assert_allclose(1 - found.fnmr[:-1][::-1], tpr[1:], atol=1e-12)
    np.testing.assert_allclose(found.threshold[:-1][::-1], threshold[1:])
    area = roc_auc_score(np.r_[np.ones(700), np.zeros(1500)], np.r_[genuine, impostor])
    tar, fmr = 1 - found.fnmr[::-1], found.fmr[::-1]
    assert np.sum(np.diff(fmr) * (tar[1:] + tar[:-1]) / 2) == pytest.approx(area)

    _, fmr, fnmr = pyeer.calculate_roc(genuine.tolist(), impostor.tolist())
    *_, low, high, middle = pyeer.get_eer_values(np.array(fmr), np.array(fnmr))
    assert low - 1e-9 <= eer(found)[0] <= high + 1e-9
    assert eer(found)[0] == pytest.approx(middle, abs=1.5e-3)  # theirs takes the middle of the step
    moments = genuine.mean(), genuine.std(), impostor.mean(), impostor.std()
    assert d_prime(genuine, impostor) == pytest.approx(pyeer.get_decidability_value(*moments))
    _, missed = pyeer.get_fmr_op(np.array(fmr), np.array(fnmr), 0.01)
    assert 1 - at_fmr(found, 0.01).tar == pytest.approx(missed, abs=2 / 700)


finite = st.floats(-1, 1, width=32)


@settings(deadline=None, max_examples=60)
@given(genuine=st.lists(finite, min_size=1, max_size=30), impostor=st.lists(finite, min_size=1, max_size=30))
def test_properties_of_error_rates(genuine: list[float], impostor: list[float]) -> None:
    found = curve(np.array(genuine), np.array(impostor))
    rate = eer(found)[0]
    hull = eer_of_hull(found)
    assert 0.0 <= hull <= rate + 1e-9
    assert hull <= 0.5 + 1e-9
    assert (np.diff(found.fmr) <= 0).all()
    assert (np.diff(found.fnmr) >= 0).all()
    # A growing map of the scores changes no error rate; nor does seeing every pair twice.
    scaled = curve(np.array(genuine) * 4, np.array(impostor) * 4)
    np.testing.assert_array_equal(scaled.fmr, found.fmr)
    assert eer(scaled)[0] == rate
    twice = curve(np.array(genuine * 2), np.array(impostor * 2))
    np.testing.assert_allclose(twice.fnmr, found.fnmr, atol=1e-12)
    # Mirrored scores swap the two kinds of error.
    assert eer(curve(-np.array(impostor), -np.array(genuine)))[0] == pytest.approx(rate, abs=1e-9)


def test_all_pairs_that_the_protocol_compares_are_gathered(cohort: Callable[..., Any]) -> None:
    embeddings, labels = cohort()
    pairs = sampler((embeddings, labels))
    # 18 probes x 24 gallery sequences of another view; 4 of them of the probe's subject.
    assert (len(pairs), int(pairs.genuine.sum()), pairs.impostors) == (18 * 24, 18 * 4, 18 * 20)
    assert ((labels.subject[pairs.probe] == labels.subject[pairs.gallery]) == pairs.genuine).all()
    assert (labels.view[pairs.probe] != labels.view[pairs.gallery]).all()
    flat = embeddings / np.linalg.norm(embeddings, axis=2, keepdims=True)
    wanted = np.einsum("mpd,mpd->mp", flat[pairs.probe], flat[pairs.gallery]).mean(axis=1)
    np.testing.assert_allclose(pairs.scores, wanted, atol=1e-5)


def test_a_sample_keeps_all_genuine_pairs_and_counts_all_impostors(cohort: Callable[..., Any]) -> None:
    embeddings, labels = cohort(40)
    whole, part = sampler((embeddings, labels)), sampler((embeddings, labels), limit=2000)
    assert part.genuine.sum() == whole.genuine.sum()
    assert part.impostors == whole.impostors == int((~whole.genuine).sum())
    kept = int((~part.genuine).sum())
    assert 0.8 * 2000 * 2 / 3 < kept < 1.2 * 2000 * 2 / 3  # a third of all positions are of one view
    assert len(set(zip(part.probe.tolist(), part.gallery.tolist(), strict=True))) == len(part)
    spread = whole.split()[1].std() / np.sqrt(kept)
    assert abs(part.split()[1].mean() - whole.split()[1].mean()) < 4 * spread


def test_pairs_by_label(cohort: Callable[..., Any]) -> None:
    embeddings, labels = cohort()
    pairs = sampler((embeddings, labels))
    by_view = pairs.by(labels.view)
    assert list(by_view) == ["000", "090", "180"]
    assert sum(len(part) for part in by_view.values()) == len(pairs)
    assert (labels.view[by_view["090"].probe] == "090").all()
    assert pairs.by(np.full(len(labels), "")) == {}


def test_intervals_hold_the_figure_shrink_with_subjects_and_repeat(cohort: Callable[..., Any]) -> None:
    def interval(subjects: int) -> tuple[float, float]:
        walkers = cohort(subjects, noise=2)
        pairs = sampler(walkers)
        figures = {"eer": lambda c: eer(c)[0]}
        low, high = over_subjects(pairs, walkers[1], figures)["eer"]
        assert low < eer(errors(pairs.scores, pairs.genuine))[0] < high
        return low, high

    wide, narrow = interval(8), interval(60)
    assert narrow[1] - narrow[0] < wide[1] - wide[0]
    assert interval(8) == wide


def test_duplicated_subjects_leave_the_genuine_side_alone(cohort: Callable[..., Any]) -> None:
    embeddings, labels = cohort(6, noise=2)
    twins = Labels.of([f"t{s}" for s in labels.subject], labels.view, labels.condition, labels.sequence)
    columns = [
        np.r_[getattr(labels, n), getattr(twins, n)] for n in ("subject", "view", "condition", "sequence")
    ]
    once = sampler((embeddings, labels))
    both = sampler((np.concatenate([embeddings, embeddings]), Labels(*columns)))
    np.testing.assert_allclose(np.sort(both.split()[0]), np.repeat(np.sort(once.split()[0]), 2), atol=1e-6)
    assert both.impostors == 4 * once.impostors + 2 * len(once.split()[0])
