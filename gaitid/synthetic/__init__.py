"""People who do not exist, walking past cameras.

`Cohort` draws them: identity, session, sequence. `CohortDataset` streams sequences for training.
"""

from gaitid.synthetic.actor import Actor
from gaitid.synthetic.camera import Camera
from gaitid.synthetic.cohort import VIEWS, Cohort, Person, Walk
from gaitid.synthetic.dataset import CohortDataset, Item, Sample, plan_grid, plan_varied
from gaitid.synthetic.outfit import CONDITIONS
from gaitid.synthetic.path import Pace, Path

__all__ = [
    "CONDITIONS", "VIEWS", "Actor", "Camera", "Cohort", "CohortDataset", "Item", "Pace", "Path", "Person",
    "Sample", "Walk", "plan_grid", "plan_varied",
]  # fmt: skip
