"""Plans of miniature data sets: which walks, views and days each public data set recorded.

Gallery and probes of a protocol are of different days, even where the real data set was recorded within a
day, because figures of one day mean little. What the synthetic subjects lack is replaced: an umbrella by a
bag, a uniform or another garment by a coat or the clothes of another day, night by noise.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from gaitid.errors import UnknownName
from gaitid.registry import nearest
from gaitid.synthetic.layouts import LayoutWalk
from gaitid.synthetic.population import Population, SyntheticWalk

_CASIA = (
    *((("nm", n), (0 if n < 5 else 1, "nm")) for n in range(1, 7)),
    *((("bg", n), (1, "bg")) for n in (1, 2)),
    *((("cl", n), (1, "cl")) for n in (1, 2)),
)
_FOLDER = (
    (("nm", 1), (0, "nm")),
    (("nm", 2), (1, "nm")),
    (("bg", 1), (1, "bg")),
    (("cl", 1), (1, "cl")),
)
_SUSTECH = (
    (("nm", 0), (0, "nm")),
    (("nm", 1), (1, "nm")),
    (("bg", 2), (1, "bg")),
    (("cl", 3), (1, "cl")),
    (("cr", 4), (2, "bg")),
    (("ub", 5), (3, "bg")),
    (("uf", 6), (2, "cl")),
    (("oc", 7), (1, "nm")),
    (("nt", 8), (1, "nm")),
)
_CCPG = (
    ("U0_D0", (0, "nm")),
    ("U0_D0_BG", (0, "bg")),
    ("U1_D1", (1, "nm")),
    ("U2_D2", (2, "cl")),
    ("U3_D3", (3, "nm")),
    ("U0_D3", (4, "nm")),
    ("U1_D0", (5, "nm")),
)
_SUSTECH_VIEWS = (
    *((angle, "", angle) for angle in range(0, 316, 45)),
    *((angle, suffix, angle) for angle, suffix in ((0, "far"), (90, "near"), (180, "far"), (270, "far"))),
)


@dataclass(frozen=True, slots=True)
class Shot:
    """One walk to record: its name in the data set, and what the synthetic subject does.

    Attributes:
        condition: Name of the condition in the data set.
        number: Number of the walk in the data set.
        view: Angle or camera number in the data set.
        suffix: Suffix of the view; see `layouts.LayoutWalk`.
        session: Day of the synthetic subject.
        dress: Condition of the synthetic subject (``nm``, ``bg``, ``cl``).
        angle: View in degrees.
    """

    condition: str
    number: int
    view: int
    suffix: str
    session: int
    dress: str
    angle: float


@dataclass(frozen=True, slots=True)
class MiniaturePlan:
    """Walks of a data set in miniature.

    Attributes:
        shots: All walks of one subject.
        number_of: Number in the data set of the i-th training subject (True) or test subject (False).
    """

    shots: tuple[Shot, ...]
    number_of: Callable[[int, bool], int]


def _plan(
    walks: Collection[tuple[tuple[str, int], tuple[int, str]]],
    views: Collection[tuple[int, str, float]],
    number_of: Callable[[int, bool], int],
) -> MiniaturePlan:
    shots = tuple(
        Shot(condition, number, view, suffix, session, dress, angle)
        for (condition, number), (session, dress) in walks
        for view, suffix, angle in views
    )
    return MiniaturePlan(shots, number_of)


def _angles(*angles: int) -> tuple[tuple[int, str, float], ...]:
    return tuple((angle, "", angle) for angle in angles)


def _cameras(*cameras: int) -> tuple[tuple[int, str, float], ...]:
    return tuple((camera, "", 36.0 * camera % 360) for camera in cameras)


PLANS: Mapping[str, MiniaturePlan] = {
    "casia-b": _plan(_CASIA, _angles(*range(0, 181, 18)), lambda i, train: 1 + i if train else 75 + i),
    "ou-mvlp": _plan(
        ((("", 0), (1, "nm")), (("", 1), (0, "nm"))),
        _angles(*range(0, 91, 15), *range(180, 271, 15)),
        lambda i, train: 2 * i + (1 if train else 2),
    ),
    "grew": _plan(
        ((("", 1), (0, "nm")), (("", 2), (1, "cl")), (("", 3), (2, "bg"))),
        _angles(40),
        lambda i, train: 2 * i + (1 if train else 2),
    ),
    "gait3d": _plan(
        ((("", 0), (0, "nm")), (("", 1), (1, "cl"))), _cameras(0, 3, 7), lambda i, train: 2 * i + (not train)
    ),
    "sustech1k": _plan(_SUSTECH, _SUSTECH_VIEWS, lambda i, train: 2 * i + (not train)),
    "ccpg": _plan(
        tuple(((outfit, take), how) for outfit, how in _CCPG for take in (0, 1)),
        _cameras(1, 2, 4, 5),
        lambda i, train: i if train else 100 + i,
    ),
    "folder": _plan(_FOLDER, _angles(0, 45, 90), lambda i, train: 2 * i + (1 if train else 2)),
}
"""Data set to its plan, which all layouts of the data set (``casia-b-pkl``) share."""


def plan_of(layout: str) -> MiniaturePlan:
    """The plan of the data set of a layout.

    Raises:
        UnknownName: No data set has such a layout.
    """
    fitting = [name for name in PLANS if layout == name or layout.startswith(f"{name}-")]
    if not fitting:
        raise UnknownName(
            f"Layout {layout!r} has no plan", f"a layout of {', '.join(PLANS)}", nearest(layout, PLANS)
        )
    return PLANS[fitting[0]]


def training_subjects(plan: MiniaturePlan, subjects: int) -> frozenset[int]:
    """Numbers of the training part: the first half of `subjects`, rounded down."""
    return frozenset(plan.number_of(i, True) for i in range(subjects // 2))


def film(
    plan: MiniaturePlan, population: Population, subjects: int, *, frames: int = 60
) -> Iterator[tuple[int, Shot, SyntheticWalk]]:
    """Film the walks of a plan, one by one: number of the subject, shot, walk. See `record`."""
    train = subjects // 2
    for identity in range(subjects):
        in_training = identity < train
        name = plan.number_of(identity if in_training else identity - train, in_training)
        for shot in plan.shots:
            walk = population.sequence(
                identity,
                shot.session,
                shot.number,
                condition=shot.dress,
                view=shot.angle,
                frames=frames,
                occlusion="walker" if shot.condition == "oc" else "none",
            )
            yield name, shot, walk


def record(
    plan: MiniaturePlan, population: Population, subjects: int, *, frames: int = 60, level: float = 1.0
) -> Iterator[LayoutWalk]:
    """Record the walks of a plan, one by one.

    Args:
        plan: The walks of each subject.
        population: The subjects; the first identities are used.
        subjects: Number of subjects; the first half, rounded down, is the training part.
        frames: Frames per walk.
        level: Strength of the segmentation noise; 0 gives true masks.
    """
    for name, shot, walk in film(plan, population, subjects, frames=frames):
        noise = 2 * level if shot.condition == "nt" else level
        yield LayoutWalk(name, shot.condition, shot.number, shot.view, walk.masks(noise), shot.suffix)
