"""Opening a data set by name, as published or prepared."""

from __future__ import annotations

from pathlib import Path

from gaitid import registry
from gaitid.datasets.base import PREPARED, Dataset
from gaitid.datasets.prepared import Prepared


def open_dataset(
    name: str, root: Path | str, *, partition: Path | str | None = None, gray: bool = False
) -> Dataset:
    """Open the data set `name` at `root`, as published or prepared.

    Args:
        name: Name in the registry.
        root: Its directory.
        partition: A published partition file, for sets whose parts are published as a list.
        gray: Whether to read gray silhouettes, too. A prepared set has them if it was prepared with them.

    Raises:
        UnknownName: There is no such data set.
        DatasetError: The directory or the partition file does not fit the set's layout.
    """
    kind = registry.resolve("datasets", name)
    if (Path(root) / PREPARED).exists():
        return Prepared(root, name=name)
    dataset: Dataset = kind(root, partition=partition, gray=gray)
    return dataset
