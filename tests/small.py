"""Arguments of a silhouette network that is small enough for tests."""

from __future__ import annotations

STRIDER = {"stem": 4, "frame": 4, "trunk": [8, 8, 8], "part_dimension": 4, "projection": 16}
STRIDER_WHOLE = {**STRIDER, "later": 1, "mix": 6}
"""With all the layers that the shipped one has."""
