"""The least quality of a sequence."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QualityPolicy:
    """Least quality of a sequence that is embedded.

    Attributes:
        min_frames: Least number of good frames.
        min_cycles: Least number of gait cycles. Rank-1 of ``strider`` on CASIA-B, normal clothes and other
            views, with probes of 1, 1.25, 1.5 and all cycles: 50.6, 53.0, 54.3 and 59.0. Where people
            cross the picture in 1.5 s, 1.5 cycles refuse a third of the walks, and 1.25 a tenth.
        min_height_px: Least median body height in the source picture, pixels.
        min_frame_rate: Least median frame rate, frames a second.
        min_motion: Least leg movement of silhouettes; see `quality.GaitAnalysis.motion`. Noisy silhouettes
            of drawn bodies that stand still give up to 0.052, those of walking ones 0.062 and more.
        min_ankle_motion: The same for skeletons without silhouettes; real walkers give 0.040 and more.
        min_rhythm: Least `quality.GaitAnalysis.rhythm`. Of the tracks of a street video (10 frames a second,
            bodies of 65-110 px) 0.22 keeps 89 %, and 11 % of the same tracks with shuffled frames.
        max_dropped: Greatest share of the track's frames that may be refused for one reason.
        min_joints: Least share of hip, knee and ankle joints seen, if there is a skeleton.
    """

    min_frames: int = 20
    min_cycles: float = 1.25
    min_height_px: float = 48.0
    min_frame_rate: float = 8.0
    min_motion: float = 0.055
    min_ankle_motion: float = 0.03
    min_rhythm: float = 0.22
    max_dropped: float = 0.5
    min_joints: float = 0.7
