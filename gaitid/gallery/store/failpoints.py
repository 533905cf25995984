"""Named points on the way to the disk, at which a test may kill the process or raise an error.

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
    "profiles published",
    "template under new projection",
    "between renewal commits",
    "before identity link",
    "after identity link",
    "within backup copy",
    "before backup rename",
    "after backup rename",
    "before restore rename",
)
"""All points, in the order in which changes, erasures, rotations, backups and restorations pass them."""

armed: Callable[[str], None] | None = None
"""Called with the name of each point that is reached; set by tests."""


def reached(point: str) -> None:
    """Report that a point is reached."""
    if armed is not None:
        armed(point)
