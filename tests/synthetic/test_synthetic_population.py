"""Identities, days and walks: reproducible, disjoint, and valid as sequences."""

import hashlib

import numpy as np
import pytest

from gaitid.errors import InputError
from gaitid.records import SILHOUETTE, SKELETON
from gaitid.synthetic import CONDITIONS, VIEWS, Camera, Pace, Path, Population

POPULATION = Population(0, "test")
GOLDEN = {  # sha256 of shape, window corners and bit-packed clean masks, first 16 digits; see `GENERATION`
    "nm": ((0, 0, 0, "nm", 90.0), "e36ab22a1c227d1e"),
    "bg": ((1, 1, 0, "bg", 36.0), "8caeec2157ec332d"),
    "cl": ((2, 0, 1, "cl", 180.0), "ebdcd0372e775b24"),
}


def digest(walk) -> str:
    words = repr(walk.clean.shape).encode() + walk.corners.tobytes() + np.packbits(walk.clean).tobytes()
    return hashlib.sha256(words).hexdigest()[:16]


@pytest.mark.parametrize(("case", "wanted"), GOLDEN.values(), ids=GOLDEN)
def test_clean_masks_are_the_same_bits_everywhere(case, wanted):
    identity, session, number, condition, view = case
    walk = Population(0, "test").sequence(
        identity, session, number, condition=condition, view=view, frames=12
    )
    assert digest(walk) == wanted


def test_a_sequence_does_not_depend_on_what_was_made_before():
    alone = Population(3, "train").sequence(5, 1, 2, condition="cl", view=54, frames=8)
    population = Population(3, "train")
    for identity in (9, 5, 5):
        population.sequence(identity, 0, 0, frames=4)
    again = population.sequence(5, 1, 2, condition="cl", view=54, frames=8)
    assert np.array_equal(alone.silhouettes, again.silhouettes)
    assert np.array_equal(alone.skeletons, again.skeletons)


@pytest.mark.parametrize(
    "other",
    [Population(0, "train"), Population(0, "validation"), Population(1, "test")],
    ids=["train", "val", "seed"],
)
def test_populations_share_no_subject(other):
    mine, theirs = ([population.identity(i) for i in range(20)] for population in (POPULATION, other))
    assert not {p.subject for p in mine} & {p.subject for p in theirs}
    bodies = np.array([[p.figure.vertices.ravel() for p in group] for group in (mine, theirs)])
    gaps = np.abs(bodies[0][:, None] - bodies[1][None]).max(2)
    assert gaps.min() > 1e-3


def test_clothes_last_a_day_and_bodies_do_not_change():
    first, second = (POPULATION.day(4, session) for session in (0, 1))
    assert POPULATION.day(4, 0).wardrobe == first.wardrobe != second.wardrobe
    assert first.wardrobe.wear("bg").torso == first.wardrobe.wear("nm").torso
    assert [first.wardrobe.wear(c).bag is None for c in ("nm", "bg")] == [True, False]
    assert first.wardrobe.wear("cl").torso > 0.015
    people = [POPULATION.identity(i).style.values for i in range(30)]
    days = [[POPULATION.day(i, s).style.values for s in range(2)] for i in range(30)]
    between = np.std(people, axis=0)
    within = np.std(days, axis=1).mean(0)
    assert (between / within).mean() > 2.5  # style varies more between subjects than between days


def test_cameras_see_the_same_walk():
    walks = [POPULATION.sequence(1, view=view, frames=10) for view in VIEWS[::5]]
    assert all(np.array_equal(walk.phase, walks[0].phase) for walk in walks)
    assert len({walk.clean.shape for walk in walks}) > 1


def test_conditions_look_different():
    camera = Camera.beside(90, focal=330)
    area = {
        c: [POPULATION.sequence(i, condition=c, frames=4, camera=camera).clean.sum() for i in range(12)]
        for c in CONDITIONS
    }
    assert np.mean(area["nm"]) < np.mean(area["bg"])
    assert np.mean(area["nm"]) * 1.05 < np.mean(area["cl"])


def test_a_walk_becomes_a_sequence():
    walk = POPULATION.sequence(0, view=72, frames=20, fps=10, height_px=100)
    sequence = walk.sequence()
    assert set(sequence.streams) == {SILHOUETTE, SKELETON}
    assert sequence.times[[1, -1]] == pytest.approx([0.1, 1.9])
    assert walk.heights.mean() == pytest.approx(100, abs=14)
    inside = (sequence.skeletons[..., :2] > sequence.boxes[:, None, :2] - 12).all(-1) & (
        sequence.skeletons[..., :2] < sequence.boxes[:, None, 2:] + 12
    ).all(-1)
    assert inside[sequence.skeletons[..., 2] > 0.5].mean() > 0.95
    assert POPULATION.sequence(0, frames=4).sequence(modalities=(SILHOUETTE,)).skeletons is None


def test_noise_can_be_drawn_again():
    walk = POPULATION.sequence(0, frames=8)
    assert np.array_equal(walk.masks(0.0), walk.clean)
    assert np.array_equal(walk.masks(draw=1), walk.masks(draw=1))
    assert not np.array_equal(walk.masks(draw=0), walk.masks(draw=1))
    assert not np.array_equal(walk.detected(draw=0), walk.detected(draw=1))


@pytest.mark.parametrize("occlusion", ["object", "border", "walker"])
def test_occlusion_changes_the_true_masks(occlusion):
    plain, hidden = (POPULATION.sequence(3, frames=30, occlusion=how) for how in ("none", occlusion))
    assert plain.clean.shape == hidden.clean.shape
    assert (plain.clean != hidden.clean).sum() > 50


def test_custom_paths_paces_and_cameras():
    walk = POPULATION.sequence(
        0,
        frames=40,
        path=Path.arc(3, 120),
        pace=Pace.steady(0.8),
        camera=Camera.looking_at((2, -7, 3), (2, 1, 1), 400),
    )
    assert walk.silhouettes.any((1, 2)).all()
    assert walk.heading[-1] > walk.heading[0] + 0.3


BAD = {
    "split": lambda: Population(0, "dev"),
    "seed": lambda: Population(-1),
    "identity": lambda: POPULATION.identity(-1),
    "session": lambda: POPULATION.sequence(0, -1),
    "number": lambda: POPULATION.sequence(0, 0, True),
    "condition": lambda: POPULATION.sequence(0, condition="xx"),
    "occlusion": lambda: POPULATION.sequence(0, occlusion="fog"),
    "frames": lambda: POPULATION.sequence(0, frames=0),
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD)
def test_bad_numbers_are_refused(make):
    with pytest.raises(InputError):
        make()


def test_restless_subjects_move_trunk_head_and_arms_and_keep_walking():
    still, restless = (
        Population(0, "test", restless=r).actor(3, frames=150, fps=25).keypoints[:, :17] for r in (0.0, 1.5)
    )
    apart = np.linalg.norm(still - restless, axis=2).max(0)  # metres
    nose, wrists, ankles = apart[0], apart[9:11], apart[15:17]
    assert nose > 0.03
    assert wrists.min() > 0.03
    assert ankles.max() < 0.03
    again = Population(0, "test", restless=1.5).actor(3, frames=150, fps=25).keypoints[:, :17]
    np.testing.assert_array_equal(restless, again)


def test_restless_walks_differ_more_from_themselves():
    def unlike(restless: float) -> float:
        population = Population(0, "test", restless=restless)
        walks = [
            population.sequence(i, frames=80, fps=20, view=0).silhouettes.astype(float) for i in range(12)
        ]
        return float(np.mean([np.abs(w[:40].mean(0) - w[40:].mean(0)).mean() for w in walks]))

    assert unlike(1.5) > 1.1 * unlike(0.0)
