"""How published checkpoints name the tensors of each architecture."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """How published checkpoints of an architecture name their tensors.

    Attributes:
        rules: (pattern of their names, ours); the first full match wins.
        first_stage: Number of the first of our `stages` in their names.
        stages: Our names of the residual stages; empty for GaitSet, which has none.
    """

    rules: tuple[tuple[str, str], ...]
    first_stage: int = 0
    stages: tuple[str, ...] = ()


# Blocks of the 2D mode of DeepGaitV2 are wrapped for frames, those of the 3D mode are not.
_STAGE = r"layer([2-9])(?:\.forward_block)?\.(\d+)"

LAYOUTS: Mapping[str, Layout] = {
    "gaitset": Layout(
        (
            (r"set_block(\d)\.forward_block\.(\d)\.conv\.weight", r"frame\1.\2.weight"),
            (r"gl_block(\d)\.(\d)\.conv\.weight", r"global\1.\2.weight"),
            (r"Head\.fc_bin", r"head.weight"),
        ),
    ),
    "gaitbase": Layout(
        (
            (r"Backbone\.forward_block\.conv1\.conv\.weight", r"stem.0.weight"),
            (r"Backbone\.forward_block\.bn1\.(\w+)", r"stem.1.\1"),
            (r"Backbone\.forward_block\.layer(\d)\.(\d+)\.conv1\.weight", r"stages.\1.\2.first.weight"),
            (r"Backbone\.forward_block\.layer(\d)\.(\d+)\.bn1\.(\w+)", r"stages.\1.\2.first_norm.\3"),
            (r"Backbone\.forward_block\.layer(\d)\.(\d+)\.conv2\.weight", r"stages.\1.\2.second.weight"),
            (r"Backbone\.forward_block\.layer(\d)\.(\d+)\.bn2\.(\w+)", r"stages.\1.\2.second_norm.\3"),
            (
                r"Backbone\.forward_block\.layer(\d)\.(\d+)\.downsample\.(\d)\.(\w+)",
                r"stages.\1.\2.shortcut.\3.\4",
            ),
            (r"FCs\.fc_bin", r"head.weight"),
        ),
        first_stage=1,
        stages=("stages.0.", "stages.1.", "stages.2.", "stages.3."),
    ),
    "deepgaitv2": Layout(
        (
            (r"layer0\.forward_block\.(\d)\.(\w+)", r"stem.\1.\2"),
            (r"layer1\.forward_block\.(\d+)\.conv1\.weight", r"frame.\1.first.weight"),
            (r"layer1\.forward_block\.(\d+)\.bn1\.(\w+)", r"frame.\1.first_norm.\2"),
            (r"layer1\.forward_block\.(\d+)\.conv2\.weight", r"frame.\1.second.weight"),
            (r"layer1\.forward_block\.(\d+)\.bn2\.(\w+)", r"frame.\1.second_norm.\2"),
            (r"layer(\d)\.(\d+)\.conv1\.forward_block\.0\.weight", r"stages.\1.\2.first.weight"),
            (r"layer(\d)\.(\d+)\.conv1\.forward_block\.1\.(\w+)", r"stages.\1.\2.first_norm.\3"),
            (r"layer(\d)\.(\d+)\.conv2\.forward_block\.0\.weight", r"stages.\1.\2.second.weight"),
            (r"layer(\d)\.(\d+)\.conv2\.forward_block\.1\.(\w+)", r"stages.\1.\2.second_norm.\3"),
            (r"layer(\d)\.(\d+)\.shortcut3d\.weight", r"stages.\1.\2.time.weight"),
            (r"layer(\d)\.(\d+)\.sbn\.(\w+)", r"stages.\1.\2.time_norm.\3"),
            (_STAGE + r"\.conv1\.weight", r"stages.\1.\2.first.weight"),
            (_STAGE + r"\.bn1\.(\w+)", r"stages.\1.\2.first_norm.\3"),
            (_STAGE + r"\.conv2\.weight", r"stages.\1.\2.second.weight"),
            (_STAGE + r"\.bn2\.(\w+)", r"stages.\1.\2.second_norm.\3"),
            (_STAGE + r"\.downsample\.(\d)\.(\w+)", r"stages.\1.\2.shortcut.\3.\4"),
            (r"FCs\.fc_bin", r"head.weight"),
        ),
        first_stage=2,
        stages=("frame.", "stages.0.", "stages.1.", "stages.2."),
    ),
}


def rename(layout: Layout, name: str) -> str | None:
    """Our name for a published tensor; None if no rule matches."""
    for pattern, ours in layout.rules:
        found = re.fullmatch(pattern, name)
        if found:
            return _counted(found.expand(ours), layout.first_stage)
    return None


def _counted(name: str, first: int) -> str:
    """The name with stages counted from 0 instead of `first`."""
    return re.sub(r"stages\.(\d)", lambda found: f"stages.{int(found.group(1)) - first}", name)
