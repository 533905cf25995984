"""A projection preserves every score and reveals nothing to holders of another key."""

from __future__ import annotations

import numpy as np
import pytest

from gaitid.gallery.scoring.projection import KEY_BYTES, Projection

D = 64
ONE, TWO = bytes(KEY_BYTES), bytes(range(KEY_BYTES))
PINNED = [[0.578995, -0.804255, 0.133938], [0.263067, 0.339763, 0.902971], [0.771726, 0.487581, -0.408294]]
"""The matrix of TWO in three dimensions, on which templates on disk depend."""


def vectors(count: int, seed: int = 0, dimension: int = D) -> np.ndarray:
    made = np.random.default_rng(seed).standard_normal((count, dimension))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def area(linked: np.ndarray, other: np.ndarray) -> float:
    """AUC of the scores of mated against non-mated pairs."""
    ranks = np.argsort(np.argsort(np.concatenate([linked, other])))[: len(linked)] + 1
    return float((ranks.sum() - len(linked) * (len(linked) + 1) / 2) / (len(linked) * len(other)))


@pytest.mark.parametrize("dimension", [1, 2, 7, 64, 256])
def test_scores_are_preserved(dimension):
    some, others = vectors(50, 1, dimension), vectors(40, 2, dimension)
    turned = Projection(TWO, dimension)
    np.testing.assert_allclose(turned.apply(some) @ turned.apply(others).T, some @ others.T, atol=1e-6)
    np.testing.assert_allclose(turned.undo(turned.apply(some)), some, atol=2e-7)
    assert turned.apply(some[:0]).shape == (0, dimension)
    assert turned.apply(some).dtype == np.float32


def test_a_hundred_renewals_do_not_degrade_a_template():
    first = vectors(20)
    held = Projection(ONE, D).apply(first)
    turned = Projection(ONE, D)
    for number in range(100):
        raw, turned = turned.undo(held), Projection(number.to_bytes(KEY_BYTES, "big"), D)
        held = turned.apply(raw)
    np.testing.assert_allclose(turned.undo(held), first, atol=2e-6)


def test_a_key_always_gives_the_same_matrix():
    image = Projection(TWO, 3).apply(np.eye(3, dtype=np.float32))
    np.testing.assert_allclose(image, PINNED, atol=1e-6)
    assert not np.allclose(Projection(ONE, 3).apply(np.eye(3, dtype=np.float32)), PINNED, atol=0.1)


def test_matrices_are_spread_evenly():
    """Haar: no direction is preferred, and a fixed vector may map anywhere."""
    start = np.array([[1.0, 0, 0, 0]], np.float32)
    sent = np.concatenate(
        [Projection(n.to_bytes(KEY_BYTES, "big"), 4).apply(start) for n in range(2_000)]
    ).astype(np.float64)
    np.testing.assert_allclose(sent.mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose(sent.T @ sent / len(sent), np.eye(4) / 4, atol=0.03)


def test_templates_under_two_keys_cannot_be_linked():
    same = vectors(1_000)
    left, right = Projection(ONE, D).apply(same), Projection(TWO, D).apply(same)
    scores = left @ right.T
    linked, other = scores.diagonal(), scores[~np.eye(len(same), dtype=bool)]
    assert 0.45 < area(linked, other) < 0.55
    within = left @ left.T
    assert area(within.diagonal(), within[~np.eye(len(same), dtype=bool)]) > 0.999


def test_known_pairs_reveal_the_matrix():
    """Not irreversible, as documented: D known pairs invert any other template."""
    known, secret = vectors(D + 8, 1), vectors(5, 2)
    turned = Projection(TWO, D)
    guess, *_ = np.linalg.lstsq(known.astype(np.float64), turned.apply(known).astype(np.float64), rcond=None)
    np.testing.assert_allclose(turned.apply(secret) @ np.linalg.inv(guess), secret, atol=1e-4)
