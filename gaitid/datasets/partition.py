"""Partitions: subjects of the training and the test part, by rule or from a published JSON list."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaitid.errors import DatasetError

_KEYS = {"TRAIN_SET": "train", "TEST_SET": "test", "PROBE_SET": "probes"}


@dataclass(frozen=True, slots=True)
class Partition:
    """Subjects of the training and the test part.

    Attributes:
        train: Names of subjects.
        test: Names of subjects, none of them in `train`.
        probes: ``subject-sequence`` keys of listed probes (Gait3D), otherwise empty.
        source: The file, or the rule in words.
    """

    train: frozenset[str]
    test: frozenset[str]
    probes: frozenset[str] = frozenset()
    source: str = ""

    def __post_init__(self) -> None:
        both = self.train & self.test
        if both:
            raise DatasetError(
                f"Partition {self.source} has {len(both)} subjects in both parts, first {min(both)}",
                "disjoint parts",
                "Use the published partition of the set",
            )
        if not self.test:
            raise DatasetError(
                f"Partition {self.source} has no test subject",
                "at least one",
                "Use the published partition of the set",
            )

    def part(self, subject: str) -> str:
        """``train`` or ``test``; empty for a subject in neither."""
        return "train" if subject in self.train else "test" if subject in self.test else ""


def read_partition(path: Path | str) -> Partition:
    """Read a partition file: a JSON object of TRAIN_SET, TEST_SET and, for Gait3D, PROBE_SET.

    Raises:
        DatasetError: It cannot be read, has other keys, repeats a name, or has overlapping parts.
    """
    lists = {name: _names(path, key, value) for key, (name, value) in _object(path).items()}
    return Partition(lists["train"], lists["test"], lists.get("probes", frozenset()), source=Path(path).name)


def _object(path: Path | str) -> dict[str, tuple[str, Any]]:
    try:
        table = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(
            f"Partition {path} cannot be read ({error})", "a JSON file", "Check the path passed as partition"
        ) from error
    keys = set(table) if isinstance(table, dict) else set()
    if not {"TRAIN_SET", "TEST_SET"} <= keys <= set(_KEYS):
        raise DatasetError(
            f"Partition {path} has {sorted(keys) or 'no keys'}",
            "TRAIN_SET and TEST_SET, and PROBE_SET for Gait3D",
            "Use the published partition of the set",
        )
    return {key: (_KEYS[key], value) for key, value in table.items()}


def _names(path: Path | str, key: str, value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        raise DatasetError(
            f"Partition {path} has no list of names as {key}",
            "a list of strings",
            f"Write {key} as a JSON list of subject names",
        )
    names = frozenset(value)
    if len(names) != len(value):
        raise DatasetError(
            f"Partition {path} repeats {len(value) - len(names)} names in {key}",
            "each name once",
            "Remove the repeated names",
        )
    return names


def numbered(numbers: Iterable[int], width: int, suffix: str = "") -> frozenset[str]:
    """Zero-padded names of subjects, such as ``001`` for width 3."""
    return frozenset(f"{number:0{width}d}{suffix}" for number in numbers)
