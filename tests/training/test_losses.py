"""Losses against manual calculations and plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gaitid[torch]'")

from gaitid.training import losses  # noqa: E402


def _unit(rows) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.tensor(rows, dtype=torch.float64), dim=1)


def test_contrastive_of_two_pairs_equals_the_manual_result():
    vectors = _unit([[1, 0], [1, 0], [0, 1], [0, 1]])
    classes = torch.tensor([0, 0, 1, 1])
    expected = -math.log(math.exp(10) / (math.exp(10) + 2))
    assert float(losses.supervised_contrastive(vectors, classes, 0.1)) == pytest.approx(expected)


def test_centring_removes_what_a_camera_adds_to_every_part():
    rng = np.random.default_rng(3)
    people = torch.from_numpy(rng.normal(0, 1, (30, 8)))
    cameras = torch.arange(30) % 3
    shifts = torch.from_numpy(rng.normal(0, 2, (3, 8)))[cameras]
    moved = losses.centred(people + shifts, cameras, 2)
    expected = people - torch.stack([people[cameras == c].mean(0) for c in range(3)])[cameras]
    blocks, unmoved = moved.reshape(30, 2, 4), expected.reshape(30, 2, 4)
    cosines = torch.nn.functional.cosine_similarity(blocks, unmoved, dim=2)
    torch.testing.assert_close(cosines, torch.ones_like(cosines))
    before = (people + shifts).reshape(30, 2, 4).norm(dim=2)
    after = blocks.norm(dim=2)
    torch.testing.assert_close(after[:, 0] / after[:, 1], before[:, 0] / before[:, 1])
    torch.testing.assert_close(moved.norm(dim=1), torch.ones(30, dtype=torch.float64))


def test_centring_equals_the_profiles_of_a_gallery():
    from gaitid.gallery.scoring.profiles import corrected

    vectors = np.random.default_rng(4).normal(0, 1, (20, 12)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cameras = np.arange(20) % 4
    means = np.stack([vectors[cameras == camera].mean(0) for camera in range(4)])[cameras]
    found = losses.centred(torch.from_numpy(vectors), torch.from_numpy(cameras), 3).numpy()
    np.testing.assert_allclose(found, corrected(vectors, means, 3), atol=1e-5)


def test_contrastive_ignores_anchors_without_a_positive():
    vectors = _unit([[1, 0], [1, 0], [0, 1]])
    classes = torch.tensor([0, 0, 1])
    expected = -math.log(math.exp(10) / (math.exp(10) + 1))
    assert float(losses.supervised_contrastive(vectors, classes, 0.1)) == pytest.approx(expected)


def _triplets(vectors: np.ndarray, classes: np.ndarray, margin: float):
    n = len(vectors)
    gaps = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    for a in range(n):
        for p in range(n):
            for q in range(n):
                if a != p and classes[a] == classes[p] and classes[a] != classes[q]:
                    yield a, max(0.0, gaps[a, p] - gaps[a, q] + margin)


def test_triplets_agree_with_plain_loops():
    rng = np.random.default_rng(1)
    vectors = _unit(rng.normal(size=(9, 5)))
    classes = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2])
    found = list(_triplets(vectors.numpy(), classes.numpy(), 0.2))
    violated = [loss for _, loss in found if loss > 0]
    assert float(losses.batch_all_triplet(vectors, classes, 0.2)) == pytest.approx(np.mean(violated))
    hardest = [max(loss for a, loss in found if a == anchor) for anchor in range(9)]
    assert float(losses.batch_hard_triplet(vectors, classes, 0.2)) == pytest.approx(np.mean(hardest))


def test_triplets_without_violation_cost_nothing_and_have_finite_gradients():
    vectors = _unit([[1, 0], [1, 0], [-1, 0], [-1, 0]]).requires_grad_()
    loss = losses.batch_all_triplet(vectors, torch.tensor([0, 0, 1, 1]), 0.2)
    loss.backward()
    assert float(loss.detach()) == 0
    assert torch.isfinite(vectors.grad).all()


def test_classifier_prefers_the_right_direction():
    classifier = losses.CosineClassifier(2, 2, scale=24, smoothing=0.0).double()
    with torch.no_grad():
        classifier.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 5.0]]))
    right = classifier(_unit([[1, 0]]), torch.tensor([0]))
    assert float(right.detach()) == pytest.approx(math.log(1 + math.exp(-24)), abs=1e-12)
    wrong = classifier(_unit([[1, 0]]), torch.tensor([1]))
    assert float(wrong.detach()) == pytest.approx(24, abs=1e-6)
