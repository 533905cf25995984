"""Synthetic subjects that walk past cameras, with ground truth.

`Population` draws subjects, days and walks. `PopulationDataset` streams walks for training.
"""

from gaitid.synthetic.actor import Actor
from gaitid.synthetic.camera import Camera
from gaitid.synthetic.dataset import PopulationDataset, SyntheticSample, WalkPlan, plan_grid, plan_varied
from gaitid.synthetic.outfit import CONDITIONS
from gaitid.synthetic.path import Pace, Path
from gaitid.synthetic.population import VIEWS, Population, SyntheticSubject, SyntheticWalk

__all__ = [
    "CONDITIONS",
    "VIEWS",
    "Actor",
    "Camera",
    "Pace",
    "Path",
    "Population",
    "PopulationDataset",
    "SyntheticSample",
    "SyntheticSubject",
    "SyntheticWalk",
    "WalkPlan",
    "plan_grid",
    "plan_varied",
]  # fmt: skip
