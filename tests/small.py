"""Arguments of silhouette networks that are small enough for tests."""

from __future__ import annotations

STRIDER = {"stem": 4, "frame": 4, "trunk": [8, 8, 8], "part_dimension": 4, "projection": 16}
STRIDER_WHOLE = {**STRIDER, "later": 1, "mix": 6}
"""With every layer of the shipped network."""
