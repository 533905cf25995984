"""Closed-set figures: worked examples, the published rules restated plainly, and properties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from gaitid.datasets.protocol import Group, Labels, Pick, Protocol
from gaitid.errors import DatasetError, InputError
from gaitid.evaluation import scores as scores_module
from gaitid.evaluation.identification import Rates, hits, rates, search
from gaitid.evaluation.scores import Scorer, check_embeddings

Make = Callable[..., Any]
NM = Group("NM", Pick(sequences=("nm-05",)), Pick(sequences=("nm-01", "nm-02")))
MATRIX = Protocol("t/matrix", "test", (NM,), "cells", "view", "cells", ranks=(1, 2))
POOLED = Protocol("t/pooled", "test", (NM,), "pooled", "nothing", "probes", ranks=(1, 5), precision=True)
PLAIN = Protocol("t/plain", "test", (NM,), "pooled", "nothing", "probes", ranks=(1, 5))
CROSS = Protocol("t/cross", "test", (NM,), "pooled", "mate-view", "views", precision=True)


def measure(embeddings: Any, labels: Labels, protocol: Protocol, **how: Any) -> Rates:
    convention = how.pop("convention", "ours")
    parts = check_embeddings(embeddings, len(labels))
    found = search(parts, labels, protocol.groups[0], protocol, convention=convention, **how)
    return rates(found, labels, protocol, convention)


def line(*points: tuple[float, str, str]) -> tuple[Any, Labels]:
    """One-dimensional embeddings (position, subject, role) for the euc metric; role p = probe."""
    embeddings = np.array([[[at]] for at, _, _ in points], np.float32)
    walks = ["nm-05" if role == "p" else "nm-01" for _, _, role in points]
    blank = [""] * len(points)
    return embeddings, Labels.of([subject for _, subject, _ in points], blank, blank, walks)


BY_HAND = {
    # gallery seen from the probe at 1, nearest first: wanted rank, AP, INP
    "only mate": (line((1, "a", "p"), (2, "a", "g")), 1, 1.0, 1.0),
    "mate second": (line((1, "a", "p"), (2, "b", "g"), (3, "a", "g")), 2, 0.5, 0.5),
    "mates 1 and 3": (
        line((1, "a", "p"), (2, "a", "g"), (3, "b", "g"), (4, "a", "g")),
        1,
        (1 + 2 / 3) / 2,
        2 / 3,
    ),
    "mates 2 and 5": (
        line((1, "a", "p"), (2, "b", "g"), (3, "a", "g"), (4, "c", "g"), (5, "d", "g"), (6, "a", "g")),
        2,
        (1 / 2 + 2 / 5) / 2,
        2 / 5,
    ),
    "a tie counts against": (line((1, "a", "p"), (2, "a", "g"), (2, "b", "g")), 2, 0.5, 0.5),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_one_probe_as_worked_out(name: str) -> None:
    (embeddings, labels), rank, precision, penalty = BY_HAND[name]
    found = search(embeddings, labels, NM, POOLED, metric="euc")
    assert found.rank.tolist() == [[rank]]
    assert found.precision[0, 0] == pytest.approx(precision)
    assert found.inverse_penalty[0, 0] == pytest.approx(penalty)
    figures = rates(found, labels, POOLED, "ours")
    assert figures.rank[1] == float(rank == 1)
    assert (figures.map, figures.minp) == (pytest.approx(precision), pytest.approx(penalty))
    assert figures.cmc[: rank - 1].tolist() == [0.0] * (rank - 1)
    assert figures.cmc[rank - 1] == 1.0


def test_the_first_row_wins_a_tie_in_the_published_evaluators() -> None:
    first = line((1, "a", "p"), (2, "a", "g"), (2, "b", "g"))
    last = line((1, "a", "p"), (2, "b", "g"), (2, "a", "g"))
    assert measure(*first, POOLED, metric="euc", convention="opengait").rank[1] == 1.0
    assert measure(*last, POOLED, metric="euc", convention="opengait").rank[1] == 0.0


def test_a_constant_embedding_identifies_nobody(cohort: Make) -> None:
    embeddings, labels = cohort()
    assert measure(np.ones_like(embeddings), labels, POOLED).rank[1] == 0.0


def test_one_view_pair_as_worked_out() -> None:
    # Two subjects, two views; the probes of view 000 are right in view 090, those of 090 wrong in 000.
    rows = [
        (1.0, "a", "000", "nm-05"),
        (1.1, "a", "090", "nm-01"),
        (9.0, "b", "000", "nm-05"),
        (9.1, "b", "090", "nm-01"),
        (5.0, "a", "090", "nm-05"),
        (4.0, "b", "000", "nm-01"),
        (2.0, "a", "000", "nm-01"),
    ]
    embeddings = np.array([[[at]] for at, *_ in rows], np.float32)
    labels = Labels.of([r[1] for r in rows], [r[2] for r in rows], [""] * 7, [r[3] for r in rows])
    figures = measure(embeddings, labels, MATRIX, metric="euc")
    assert figures.cells is not None
    assert figures.cells[0, 1] == 1.0
    assert figures.cells[1, 0] == 0.0
    assert np.isnan(np.diag(figures.cells)).all()
    assert figures.rank == {1: 0.5, 2: 1.0}
    assert (figures.probes, figures.unmated, figures.empty_cells) == (3, 0, 0)


def published_matrix(distances: Any, labels: Labels, gallery: Any, probes: Any) -> float:
    """Rank-1 of a view matrix as published: cells rounded to 0.01 %, diagonal left out, then the mean."""
    views = sorted(set(labels.view))
    total = 0.0
    for v1 in views:
        row = 0.0
        for v2 in views:
            p, g = probes & (labels.view == v1), gallery & (labels.view == v2)
            nearest = np.argsort(distances[np.ix_(p, g)], axis=1, kind="stable")[:, 0]
            right = labels.subject[g][nearest] == labels.subject[p]
            row += 0.0 if v1 == v2 else round(float(right.sum()) * 100 / int(p.sum()), 2)
        total += row / (len(views) - 1)
    return total / len(views)


def published_reid(distances: Any, labels: Labels, gallery: Any, probes: Any, mate_view: bool) -> Any:
    """(rank-1, AP, INP) of each probe that has a mate, as a ReID ranker does; None without a mate."""
    found = []
    for row in np.flatnonzero(probes):
        same = labels.subject == labels.subject[row]
        keep = gallery & ~(same & (labels.view == labels.view[row])) if mate_view else gallery
        order = np.argsort(distances[row][keep], kind="stable")
        match = same[keep][order]
        if not match.any():
            found.append((row, 0.0, None, None))
            continue
        places = np.flatnonzero(match) + 1
        precision = np.mean(np.arange(1, len(places) + 1) / places)
        found.append((row, float(match[0]), float(precision), len(places) / places[-1]))
    return found


def distances_of(embeddings: Any, metric: str) -> Any:
    """Mean over parts of the L2 distance, or 1 - mean part cosine, in double precision."""
    x = embeddings.astype(np.float64)
    if metric == "cos":
        x = x / np.linalg.norm(x, axis=2, keepdims=True)
        return 1 - np.einsum("npd,mpd->nm", x, x) / x.shape[1]
    return np.linalg.norm(x[:, None] - x[None], axis=3).mean(axis=2)


@pytest.mark.parametrize("metric", ["cos", "euc"])
def test_scores_are_the_published_distances(cohort: Make, metric: Any) -> None:
    embeddings, _ = cohort(4, shape=(5, 7))
    wanted = distances_of(embeddings, metric)
    got = Scorer(embeddings, metric)(embeddings)
    off = ~np.eye(len(got), dtype=bool)  # a distance of 0 is dominated by rounding in float32
    np.testing.assert_allclose((1 if metric == "cos" else 0) - got[off], wanted[off], atol=2e-5)


@pytest.mark.parametrize("metric", ["cos", "euc"])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_opengait_convention_gives_the_published_numbers(cohort: Make, metric: Any, missing: float) -> None:
    embeddings, labels = cohort(13, noise=1.6)
    kept = np.random.default_rng(3).random(len(labels)) >= missing
    embeddings, labels = embeddings[kept], labels.part(kept)
    probes, gallery = NM.masks(labels)
    distances = distances_of(embeddings, metric)
    how = {"metric": metric, "convention": "opengait"}

    matrix = measure(embeddings, labels, MATRIX, **how)
    assert 100 * matrix.rank[1] == pytest.approx(published_matrix(distances, labels, gallery, probes))

    ranked = published_reid(distances, labels, gallery, probes, mate_view=False)
    with_mate = [one for one in ranked if one[2] is not None]
    pooled = measure(embeddings, labels, POOLED, **how)
    assert pooled.rank[1] == pytest.approx(np.mean([one[1] for one in with_mate]))
    assert pooled.map == pytest.approx(np.mean([one[2] for one in with_mate]))
    assert pooled.minp == pytest.approx(np.mean([one[3] for one in with_mate]))

    plain = measure(embeddings, labels, PLAIN, **how)
    assert plain.rank[1] == pytest.approx(round(100 * np.mean([one[1] for one in ranked]), 2) / 100)

    ranked = published_reid(distances, labels, gallery, probes, mate_view=True)
    by_view = [[one for one in ranked if labels.view[one[0]] == view] for view in np.unique(labels.view)]
    cross = measure(embeddings, labels, CROSS, **how)
    assert cross.rank[1] == pytest.approx(
        np.mean([round(100 * np.mean([one[1] for one in view]), 2) for view in by_view]) / 100
    )
    assert cross.map == pytest.approx(
        np.mean([round(100 * np.mean([one[2] for one in v if one[2] is not None]), 2) for v in by_view]) / 100
    )


@pytest.mark.parametrize("protocol", [MATRIX, POOLED, PLAIN, CROSS], ids=lambda p: p.name)
def test_conventions_agree_when_nothing_is_missing(cohort: Make, protocol: Protocol) -> None:
    embeddings, labels = cohort(10, noise=1.5)
    ours = measure(embeddings, labels, protocol)
    peers = measure(embeddings, labels, protocol, convention="opengait")
    assert ours.rank[1] == pytest.approx(peers.rank[1], abs=5.1e-5)  # their rounding
    assert 0.2 < ours.rank[1] < 1.0
    assert (ours.unmated, ours.empty_cells) == (0, 0)


def test_missing_gallery_sequences_lower_the_peers_figure_and_are_counted_by_ours(cohort: Make) -> None:
    embeddings, labels = cohort(20, noise=0.01)
    gone = (labels.sequence != "nm-05") & np.isin(labels.subject, ["003", "011"]) & (labels.view == "090")
    embeddings, labels = embeddings[~gone], labels.part(~gone)
    ours = measure(embeddings, labels, MATRIX)
    peers = measure(embeddings, labels, MATRIX, convention="opengait")
    assert ours.rank[1] == 1.0
    assert ours.unmated == 4  # two subjects, two other probe views
    assert ours.floor == pytest.approx(peers.rank[1]) == pytest.approx(1 - 2 * 0.1 / 6)


def test_dropping_hard_probes_mates_raises_the_reid_figure_and_never_the_floor(cohort: Make) -> None:
    embeddings, labels = cohort(20, noise=1.8)
    found = search(embeddings, labels, NM, POOLED)
    missed = labels.subject[found.probes[found.rank[:, 0] > 1]]
    gone = np.isin(labels.subject, missed) & (labels.sequence != "nm-05")
    embeddings, labels = embeddings[~gone], labels.part(~gone)
    peers = measure(embeddings, labels, POOLED, convention="opengait")
    ours = measure(embeddings, labels, POOLED)
    assert peers.rank[1] == ours.rank[1] == 1.0
    assert ours.unmated > 0
    assert ours.floor == pytest.approx(1 - ours.unmated / ours.probes)


def test_empty_cells_are_counted_by_ours_and_refused_as_the_peers_do(cohort: Make) -> None:
    embeddings, labels = cohort()
    kept = ~((labels.view == "180") & (labels.sequence != "nm-05"))
    embeddings, labels = embeddings[kept], labels.part(kept)
    figures = measure(embeddings, labels, MATRIX)
    assert figures.empty_cells == 2
    assert figures.rank[1] <= 1.0
    with pytest.raises(DatasetError, match="no sequence of view 180"):
        measure(embeddings, labels, MATRIX, convention="opengait")


def test_an_empty_probe_view_makes_the_peers_mean_undefined(cohort: Make) -> None:
    embeddings, labels = cohort()
    kept = ~((labels.view == "180") & (labels.sequence == "nm-05"))
    embeddings, labels = embeddings[kept], labels.part(kept)
    assert np.isnan(measure(embeddings, labels, MATRIX, convention="opengait").rank[1])
    assert measure(embeddings, labels, MATRIX).empty_cells == 2


def test_average_precision_agrees_with_scikit_learn(cohort: Make) -> None:
    embeddings, labels = cohort(9, noise=2.0)
    found = search(embeddings, labels, NM, POOLED)
    gallery = np.flatnonzero(NM.masks(labels)[1])
    scores = Scorer(embeddings[gallery], "cos")(embeddings[found.probes])
    for row, probe in enumerate(found.probes):
        match = labels.subject[gallery] == labels.subject[probe]
        assert found.precision[row, 0] == pytest.approx(average_precision_score(match, scores[row]), abs=1e-6)


BAD = {
    "NaN": (lambda x: x.__setitem__((5, 1, 2), np.nan), "Embedding 5 has NaN"),
    "infinity": (lambda x: x.__setitem__((7, 0, 0), np.inf), "Embedding 7 has NaN or infinity"),
    "zeros": (lambda x: x.__setitem__(3, 0.0), "Embedding 3 has zeros only"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("convention", ["ours", "opengait"])
def test_the_first_bad_row_is_named(cohort: Make, name: str, convention: Any) -> None:
    embeddings, labels = cohort()
    spoil, message = BAD[name]
    spoil(embeddings)
    with pytest.raises(InputError, match=message):
        measure(embeddings, labels, POOLED, convention=convention)


def test_wrong_input_is_refused(cohort: Make) -> None:
    embeddings, labels = cohort()
    with pytest.raises(InputError, match="71 embeddings and 72 labels"):
        measure(embeddings[:-1], labels, POOLED)
    with pytest.raises(InputError, match="int64"):
        measure(embeddings.astype(np.int64), labels, POOLED)
    with pytest.raises(InputError, match=r"\(72,\)"):
        measure(embeddings[:, 0, 0], labels, POOLED)
    with pytest.raises(InputError, match="Argument metric is 'l1'"):
        measure(embeddings, labels, POOLED, metric="l1")
    with pytest.raises(InputError, match="Argument convention is 'theirs'"):
        measure(embeddings, labels, POOLED, convention="theirs")
    others = Labels.of([f"{i}" for i in range(72)], labels.view, labels.condition, labels.sequence)
    with pytest.raises(DatasetError, match="None of 18 probes has a mate"):
        measure(embeddings, others, POOLED)


def test_plain_embeddings_are_one_part(cohort: Make) -> None:
    embeddings, labels = cohort(shape=(1, 8))
    assert measure(embeddings[:, 0], labels, POOLED).rank == measure(embeddings, labels, POOLED).rank


def test_a_sequence_never_meets_itself(cohort: Make) -> None:
    embeddings, labels = cohort(8, noise=3.0)
    everything = Group("all", Pick(), Pick())
    protocol = Protocol("t/all", "test", (everything,), "pooled", "nothing", "probes")
    found = search(embeddings, labels, everything, protocol)
    assert (found.best_mate != found.probes).all()
    assert rates(found, labels, protocol, "ours").rank[1] < 1.0


def test_lead_points_at_the_rows_it_compares(cohort: Make) -> None:
    embeddings, labels = cohort(9, noise=2.0)
    found = search(embeddings, labels, NM, CROSS)
    assert (labels.subject[found.best_mate] == labels.subject[found.probes]).all()
    assert (labels.view[found.best_mate] != labels.view[found.probes]).all()
    assert (labels.subject[found.best_other] != labels.subject[found.probes]).all()
    assert ((found.lead > 0) == (found.rank[:, 0] == 1)).all()


def test_hits_average_to_the_pooled_rate(cohort: Make) -> None:
    embeddings, labels = cohort(9, noise=2.0)
    found = search(embeddings, labels, NM, POOLED)
    each = hits(found, labels, POOLED)
    figures = rates(found, labels, POOLED, "ours")
    assert each["rank-1"].mean() == pytest.approx(figures.rank[1])
    assert each["average precision"].mean() == pytest.approx(figures.map)


def test_blocks_of_any_size_give_the_same(cohort: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, labels = cohort(7, noise=2.0)
    whole = [measure(embeddings, labels, protocol) for protocol in (MATRIX, POOLED, CROSS)]
    monkeypatch.setattr(scores_module, "BLOCK_SCORES", 1)
    for protocol, figures in zip((MATRIX, POOLED, CROSS), whole, strict=True):
        again = measure(embeddings, labels, protocol)
        assert again.rank == figures.rank
        np.testing.assert_array_equal(again.cells, figures.cells)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), metric=st.sampled_from(["cos", "euc"]))
def test_what_may_change_a_figure(cohort: Make, seed: int, metric: Any) -> None:
    embeddings, labels = cohort(7, noise=2.0, seed=seed)
    random = np.random.default_rng(seed)
    for protocol in (MATRIX, POOLED, CROSS):
        before = measure(embeddings, labels, protocol, metric=metric)
        # The order of the rows does not matter.
        order = random.permutation(len(labels))
        assert measure(embeddings[order], labels.part(order), protocol, metric=metric).rank == before.rank
        # Nor does a common scale (a power of two: exact in floating point).
        assert measure(embeddings * np.float32(4), labels, protocol, metric=metric).rank == before.rank
        # Probes without a mate change only what counts them.
        strangers = labels.part(labels.sequence == "nm-05")
        strangers = Labels.of(
            [f"x{name}" for name in strangers.subject],
            strangers.view,
            strangers.condition,
            strangers.sequence,
        )
        more = np.concatenate([embeddings, random.standard_normal((len(strangers), 2, 8))]).astype(np.float32)
        columns = (
            np.r_[getattr(labels, name), getattr(strangers, name)]
            for name in ("subject", "view", "condition", "sequence")
        )
        after = measure(more, Labels(*columns), protocol, metric=metric)
        assert after.rank == before.rank
        assert after.unmated == before.unmated + after.probes - before.probes > 0
        assert after.floor == pytest.approx(before.floor / 2)
