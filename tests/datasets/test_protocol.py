"""The protocol record: what it picks, what it refuses, and that it can express the published protocols."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gaitid.datasets.protocol import Group, Labels, Pick, Protocol
from gaitid.errors import DatasetError, InputError

LABELS = Labels.of(
    ["1", "1", "1", "2", "2", ""],
    ["000", "000", "090", "000", "090", ""],
    ["nm", "bg+nt", "cl", "nm", "bg", ""],
    ["00-nm", "02-bg-nt", "01-cl", "00-nm", "02-bg", "x"],
)

PICKS = {
    "everything": (Pick(), [1, 1, 1, 1, 1, 1]),
    "no such sequence": (Pick(sequences=("zz",)), [0, 0, 0, 0, 0, 0]),
    "one code of several": (Pick(conditions=("bg",)), [0, 1, 0, 0, 1, 0]),
    "codes are not substrings": (Pick(conditions=("b",)), [0, 0, 0, 0, 0, 0]),
    "exact names": (Pick(sequences=("00-nm", "01-cl")), [1, 0, 1, 1, 0, 0]),
    "substrings, as peers": (Pick(containing=("02", "cl")), [0, 1, 1, 0, 1, 0]),
    "listed": (Pick(listed=frozenset({"1-00-nm", "2-02-bg"})), [1, 0, 0, 0, 1, 0]),
    "unlisted": (Pick(unlisted=frozenset({"1-00-nm", "2-02-bg"})), [0, 1, 1, 1, 0, 1]),
    "all rules hold": (Pick(conditions=("nm",), listed=frozenset({"1-00-nm"})), [1, 0, 0, 0, 0, 0]),
}


@pytest.mark.parametrize("name", PICKS)
def test_pick(name: str) -> None:
    pick, wanted = PICKS[name]
    assert pick.mask(LABELS).astype(int).tolist() == wanted


def test_no_labels_pick_nothing() -> None:
    assert Pick(conditions=("nm",), listed=frozenset("a")).mask(Labels.of([], [], [], [])).shape == (0,)


def test_labels_refuse_ragged_and_untyped_columns() -> None:
    with pytest.raises(InputError, match="view has 1 rows; expected 2"):
        Labels.of(["a", "b"], ["0"], ["", ""], ["", ""])
    with pytest.raises(InputError, match=r"Label 90.0 is a float"):
        Labels.of(["a"], [90.0], [""], [""])  # type: ignore[list-item]
    with pytest.raises(InputError, match="int64"):
        Labels(np.arange(2), np.array(["", ""]), np.array(["", ""]), np.array(["", ""]))  # type: ignore[arg-type]


def test_labels_are_read_only_and_split_with_their_covariates() -> None:
    labels = Labels.of(["a", "b"], ["0", "0"], ["", ""], ["x", "y"], {"sex": ["f", "m"]})
    with pytest.raises(ValueError, match="read-only"):
        labels.subject[0] = "c"
    assert labels.part(np.array([False, True])).covariates["sex"].tolist() == ["m"]


def protocol(**changes: object) -> Protocol:
    group = Group("NM", Pick(conditions=("nm",)), Pick(conditions=("bg",)))
    facts = {"layout": "cells", "exclude": "view", "average": "cells", "groups": (group,), **changes}
    return Protocol("set/protocol", "nowhere", **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"groups": ()},
        {"groups": (Group("A", Pick(), Pick()),) * 2},
        {"ranks": ()},
        {"ranks": (0,)},
        {"average": "probes"},
        {"layout": "pooled"},
        {"exclude": "mate-view"},
        {"train": ("1",), "test": ("1", "2")},
    ],
    ids=str,
)
def test_contradictions_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InputError):
        protocol(**changes)


def test_training_subjects_and_empty_groups_are_refused() -> None:
    with pytest.raises(DatasetError, match="Among 6 sequences 3 are of training subjects, first 1"):
        protocol(train=("1",)).check(LABELS)
    protocol(train=("9",)).check(LABELS)
    with pytest.raises(DatasetError, match="Group E has no gallery"):
        Group("E", Pick(), Pick(conditions=("zz",))).masks(LABELS)


def test_the_published_convention_is_used_only_when_asked() -> None:
    group = Group("Bag", Pick(conditions=("nt",)), Pick(), peer_probes=Pick(containing=("bg",)))
    assert group.masks(LABELS)[0].sum() == 1
    assert group.masks(LABELS, peers=True)[0].sum() == 2


def test_a_description_is_json() -> None:
    said = json.loads(json.dumps(protocol(ranks=(1, 5)).describe()))
    assert said["groups"][0]["probes"] == {"conditions": ["nm"]}
    assert said["ranks"] == [1, 5]
