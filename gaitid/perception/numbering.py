"""Frame numbers in the names of files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

_MAX_GAP = 10
"""More missing frames per existing one than this mean that names are not frame numbers (but times, say)."""


def numbered(names: Iterable[str]) -> list[tuple[int, str]]:
    """Return names with their frame numbers, in the order of these.

    The number of a name is the last one in it, without its suffix: 12 of ``clip_000012_keypoints.json``.
    Names have their rank from 0 instead if those are not frame numbers: equal, or far apart.
    """
    digits = [(re.findall(r"\d+", Path(name).stem) or ["0"], name) for name in names]
    order = sorted((int(found[-1]), name) for found, name in digits)
    numbers = [number for number, _ in order]
    if len(set(numbers)) < len(numbers) or (numbers and numbers[-1] - numbers[0] >= _MAX_GAP * len(numbers)):
        return [(place, name) for place, (_, name) in enumerate(order)]
    return order
