"""Motion: feet that do not slide, pace, bends, standing, and spreads like those of real people."""

import numpy as np
import pytest

from gaitid.errors import InputError
from gaitid.synthetic import Population
from gaitid.synthetic.body import HEEL, load_body
from gaitid.synthetic.motion import walk
from gaitid.synthetic.path import Pace, Path
from gaitid.synthetic.style import draw_style, vary_sequence, vary_session
from tests.paces import start_and_stop

BODY = load_body()


def somebody(seed: int):
    rng = np.random.default_rng(seed)
    figure = BODY.figure(BODY.draw(rng, seed % 2, 30.0 + seed), seed % 2, 30.0 + seed)
    return figure, vary_sequence(rng, vary_session(rng, draw_style(rng, figure))), rng


def soles(figure, motion) -> np.ndarray:
    """(T, 2, 2, 3): heel and ball of the left and the right sole."""
    floor = figure.vertices[:, 2].min()
    out = []
    for k, side in enumerate("LR"):
        points = np.stack([figure.keypoints[HEEL[k]], figure.joints[BODY.index["toe" + side]]])
        points[:, 2] = floor
        weights = np.zeros((2, len(BODY.bones)))
        weights[:, BODY.index["foot" + side]] = 1
        out.append(motion.points(points, weights, figure.joints))
    return np.stack(out, 1)


WALKS = {
    "straight": {},
    "slow": {"pace": Pace.steady(0.6)},
    "fast": {"pace": Pace.steady(1.4)},
    "bend": {"path": Path.arc(2.5, 180)},
    "corner": {"path": Path(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 3.0]]))},
    "start and stop": {"pace": start_and_stop(0.5, 1.5), "frames": 110},
    "8 fps": {"fps": 8.0, "frames": 24},
    "50 fps": {"fps": 50.0, "frames": 120},
    "phone": {"arms": {"L": "phone", "R": "pocket"}},
}


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("case", WALKS.values(), ids=WALKS)
def test_standing_feet_do_not_slide(case, seed):
    figure, style, rng = somebody(seed)
    motion = walk(BODY, figure, style, rng, **case)
    sole = soles(figure, motion)
    assert np.isfinite(motion.positions).all()
    assert sole[..., 2].min() > -0.004  # no sole is below the ground
    for foot in range(2):
        stands = motion.planted[:, foot]
        ball = sole[:, foot, 1, :2]
        step = np.linalg.norm(np.diff(ball, axis=0), axis=1)[stands[1:] & stands[:-1]]
        assert len(step) > 3
        assert step.max() < 0.002


def test_one_foot_is_on_the_ground_at_any_time():
    figure, style, rng = somebody(4)
    motion = walk(BODY, figure, style, rng, frames=100)
    assert motion.planted.any(1).mean() > 0.95
    assert 0.05 < motion.planted.all(1).mean() < 0.45  # double support: walking, not running


def test_the_standing_foot_bears_the_body():
    """While one foot swings the other bears the body, even if the swinging foot would drag."""
    floats = []
    for seed in range(12):
        figure, style, rng = somebody(seed)
        motion = walk(BODY, figure, style, rng, frames=100)
        cycle = np.stack([motion.phase, motion.phase + 0.5], 1) % 1.0
        lowest = soles(figure, motion)[..., 2].min(2)
        floats.append(lowest[(cycle > 0.2) & (cycle < 0.3)].max())
    assert (
        max(floats) < 0.015
    )  # metres of heel and ball, the toes are lower; 0.03 if a swinging foot could bear the body


def test_pace_changes_speed_and_cadence_together():
    figure, style, _ = somebody(5)
    speeds, cadences = [], []
    for share in (0.6, 1.0, 1.4):
        motion = walk(BODY, figure, style, np.random.default_rng(0), frames=100, pace=Pace.steady(share))
        speeds.append(motion.speed.mean())
        cadences.append(120 * (motion.phase[-1] - motion.phase[0]) / motion.times[-1])
    assert speeds[0] < 0.75 * speeds[1] < 0.75 * 0.9 * speeds[2]
    assert cadences == sorted(cadences)
    assert cadences[2] > 1.3 * cadences[0]


def test_a_standing_start_stands_and_then_walks():
    figure, style, rng = somebody(6)
    motion = walk(BODY, figure, style, rng, frames=140, pace=start_and_stop(1.0, 2.0))
    root = motion.positions[:, 0]
    assert np.ptp(root[:20, :2], axis=0).max() < 0.01
    assert np.ptp(root[-20:, :2], axis=0).max() < 0.01
    assert motion.planted[[*range(20), *range(-20, 0)]].all()
    feet = motion.positions[-1, [BODY.index["footL"], BODY.index["footR"]], 0]
    assert abs(feet[0] - feet[1]) < 0.20  # side by side
    assert root[-1, 0] - root[0, 0] > 1.2


def test_a_bend_is_followed():
    figure, style, rng = somebody(7)
    path = Path.arc(3.0, 90)
    motion = walk(BODY, figure, style, rng, frames=150, path=path)
    assert motion.heading[-1] - motion.heading[0] == pytest.approx(np.pi / 2, abs=0.15)
    radius = np.linalg.norm(motion.positions[20:60, 0, :2] - [0, 3.0], axis=1)
    assert radius == pytest.approx(3.0, abs=0.12)


def test_arms_swing_against_the_legs():
    figure, style, rng = somebody(8)
    motion = walk(BODY, figure, style, rng, frames=100)
    hand, foot = (motion.positions[:, BODY.index[name], 0] for name in ("handL", "footL"))
    root = motion.positions[:, 0, 0]
    assert np.corrcoef(hand - root, foot - root)[0, 1] < -0.5


def test_frames_are_the_same_walk_at_any_rate():
    figure, style, _ = somebody(9)
    with_25 = walk(BODY, figure, style, np.random.default_rng(0), frames=51, fps=25)
    again = walk(BODY, figure, style, np.random.default_rng(0), frames=51, fps=25)
    assert np.array_equal(with_25.positions, again.positions)
    assert with_25.times[-1] == pytest.approx(2.0)


BAD = {
    "one frame": {"frames": 1},
    "no rate": {"fps": 0.0},
    "unknown arm": {"arms": {"L": "wave"}},
    "third arm": {"arms": {"X": "phone"}},
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_bad_arguments_are_refused(case):
    figure, style, rng = somebody(1)
    with pytest.raises(InputError):
        walk(BODY, figure, style, rng, **case)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Path(np.zeros((1, 2))),
        lambda: Path(np.zeros((2, 2))),
        lambda: Path.arc(0.0, 90),
        lambda: Pace(()),
        lambda: Pace(((0.0, 3.0),)),
        lambda: Pace(((1.0, 1.0), (0.0, 1.0))),
    ],
)
def test_bad_paths_and_paces_are_refused(make):
    with pytest.raises(InputError):
        make()


REAL = {  # mean, between subjects, day to day; docs/synthetic.md
    "cadence": (105.0, 10.1, 5.6),
    "thigh range": (36.5, 3.6, 1.0),
    "speed": (0.97, 0.11, 0.08),
}


def gait(actor) -> tuple[float, float, float]:
    forward = np.stack([np.cos(actor.heading), np.sin(actor.heading)], 1)
    thigh = actor.keypoints[:, 13] - actor.keypoints[:, 11]
    angle = np.rad2deg(np.arctan2((thigh[:, :2] * forward).sum(1), -thigh[:, 2]))
    stride = round(25 / ((actor.phase[-1] - actor.phase[0]) / actor.times[-1]))
    ranges = np.ptp(np.lib.stride_tricks.sliding_window_view(angle, stride), axis=1)
    travelled = np.linalg.norm(np.diff(actor.root, axis=0), axis=1).sum()
    cadence = 120 * (actor.phase[-1] - actor.phase[0]) / actor.times[-1]
    return cadence, ranges.mean(), travelled / actor.times[-1]


def test_subjects_differ_as_much_as_measured():
    """A small sample of the table in docs/synthetic.md; a standard deviation of 45 is known to 11 %."""
    population = Population(0, "train")
    values = np.array([[gait(population.actor(i, day, frames=60)) for day in range(3)] for i in range(45)])
    for k, (name, (mean, people, days)) in enumerate(REAL.items()):
        assert values[..., k].mean() == pytest.approx(mean, rel=0.08), name
        assert values[..., k].mean(1).std(ddof=1) == pytest.approx(people, rel=0.4), name
        # one walk per day: differences between walks add to those between days
        assert 0.7 * days < np.sqrt(values[..., k].var(1, ddof=1).mean()) < 1.5 * days, name


def test_without_differences_all_subjects_walk_alike():
    def style(identity):
        return Population(0, "test", motion=0.0).identity(identity).style

    assert np.array_equal(style(0).values, style(1).values)
    assert not style(0).common.any()
