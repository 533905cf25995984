"""The body model: small, closed, with the height and weight of real adults."""

from importlib import resources

import numpy as np
import pytest

from gaitid.errors import InputError
from gaitid.synthetic.body import FEMALE, MALE, PARTS, load_body
from gaitid.synthetic.render import edges_of

DENSITY = 985.0  # kg/m3, whole body with air in the lungs


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


def people(sex: int, age: float, count: int = 150) -> np.ndarray:
    """(count, 3): stature, body-mass index, leg length over stature."""
    body, rng = load_body(), np.random.default_rng(sex)
    rows = []
    for _ in range(count):
        figure = body.figure(body.draw(rng, sex, age), sex, age)
        mass = DENSITY * volume(figure.vertices, body.faces)
        rows.append((figure.height, mass / figure.height**2, figure.leg / figure.height))
    return np.array(rows)


def test_the_asset_is_small_and_closed():
    file = resources.files("gaitid.synthetic") / "assets" / "body.npz"
    assert len(file.read_bytes()) <= 300_000
    body = load_body()
    assert (edges_of(body.faces)[:, 3] >= 0).all()
    assert np.allclose(body.weights.sum(1), 1)
    assert set(np.unique(body.labels)) == set(range(1, PARTS.index("foot_right") + 2))


@pytest.mark.parametrize(
    ("sex", "height", "spread", "bmi"),
    # NCD-RisC 2016 for adults of about 1980 in high-income countries, and its pooled body-mass index
    [(MALE, 1.745, 0.071, 25.2), (FEMALE, 1.615, 0.065, 24.8)],
)
def test_height_and_weight_are_those_of_adults(sex, height, spread, bmi):
    found = people(sex, 35.0)
    assert found[:, 0].mean() == pytest.approx(height, abs=0.025)
    assert found[:, 0].std() == pytest.approx(spread, rel=0.25)
    assert found[:, 1].mean() == pytest.approx(bmi, abs=2.0)
    assert 2.5 < found[:, 1].std() < 5.5
    assert found[:, 2].mean() == pytest.approx(0.48, abs=0.03)  # hip to ankle


def test_older_people_are_shorter():
    assert people(MALE, 80.0)[:, 0].mean() < people(MALE, 35.0)[:, 0].mean() - 0.01


def test_a_body_is_symmetric_and_upright():
    body = load_body()
    figure = body.figure(body.draw(np.random.default_rng(0), MALE, 40.0), MALE, 40.0)
    left, right = figure.keypoints[5:17:2], figure.keypoints[6:17:2]
    assert np.allclose(left * [1, -1, 1], right, atol=0.03)
    assert np.allclose(figure.upright @ figure.upright.swapaxes(1, 2), np.eye(3), atol=1e-9)


@pytest.mark.parametrize(("sex", "age"), [(2, 30.0), (MALE, 12.0), (FEMALE, 120.0)])
def test_only_adults_are_drawn(sex, age):
    with pytest.raises(InputError, match="Draw adults only"):
        load_body().draw(np.random.default_rng(0), sex, age)
