"""Named points on the ways to the disk, at which a test may end the process or fail.

In production `armed` is None and a point costs one comparison; nothing outside the process can arm it.
"""

from __future__ import annotations

from collections.abc import Callable

POINTS = (
    "before commit",
    "after commit",
    "after mark",
    "before index apply",
    "after index apply",
    "before log emptied",
    "after log emptied",
    "subject under new key",
    "between rotation commits",
    "template under new projection",
    "between renewal commits",
    "before identity link",
    "after identity link",
    "within backup copy",
    "before backup rename",
    "after backup rename",
    "before restore rename",
)
"""All points, in the order in which a change, an erasure, a rotation, a backup and a restoration come by."""

armed: Callable[[str], None] | None = None
"""Called with the name of each point that is reached."""


def reached(point: str) -> None:
    """Say that a point is reached."""
    if armed is not None:
        armed(point)
